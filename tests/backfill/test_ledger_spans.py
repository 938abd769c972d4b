"""Spans of periods: made of numbers, and cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fathom_async.backfill._ledger import Span, spans


@given(st.lists(st.integers(0, 60)))
def test_spans_have_the_same_periods_and_are_apart_from_each_other(periods: list[int]) -> None:
    result = spans(periods)
    assert [index for span in result for index in span] == sorted(set(periods))
    assert all(one.after < two.first for one, two in pairwise(result))


@given(st.integers(0, 40), st.integers(0, 9), st.integers(-5, 60))
def test_before_cuts_a_span(first: int, length: int, index: int) -> None:
    span = Span(first, first + length)
    assert len(span) == length
    assert list(span.before(index)) == [each for each in span if each < index]
