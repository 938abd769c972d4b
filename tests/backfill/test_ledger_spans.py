"""Spans of periods: joined, cut, and those that are missing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fathom_async.backfill._ledger import Span, joined, missing


def span_of(first: int, length: int) -> Span:
    return Span(first, first + length)


spans = st.builds(span_of, st.integers(0, 40), st.integers(0, 9))


def numbers(*many: Span) -> set[int]:
    return {index for span in many for index in range(span.first, span.after)}


@given(st.lists(spans))
def test_joined_spans_are_the_same_periods_apart_from_each_other(many: list[Span]) -> None:
    result = joined(many)
    assert numbers(*result) == numbers(*many)
    assert all(one.after < two.first for one, two in pairwise(result))


@given(spans, st.lists(spans))
def test_missing_is_what_is_wanted_and_not_held(wanted: Span, held: list[Span]) -> None:
    result = missing(wanted, held)
    assert numbers(*result) == numbers(wanted) - numbers(*held)
    assert list(result) == sorted(result)


@given(spans, st.integers(-5, 60))
def test_before_cuts_a_span(span: Span, index: int) -> None:
    assert numbers(span.before(index)) == {each for each in numbers(span) if each < index}
