"""Split keys and ranges: every text is in exactly one part, in Python's dialect."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import PageviewQuery
from fathom_async._bulk.range_scan import (
    LONGEST_KEY,
    KeyRange,
    at_least,
    choose_column,
    choose_split_key,
    fits,
    just_above,
    rank,
    split_key,
    texts_of,
)

if TYPE_CHECKING:
    from fathom_async._reports.fields import FieldGrouping

TRICKY = st.text(st.sampled_from(' !"$()*+,-./09:?@AZ[\\]^_`az{|}~\x7fé\U0001f600\n\x00'), max_size=6)
TEXTS = TRICKY | st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = TEXTS.filter(lambda text: bool(text) and min(text) >= " ")


@given(TEXTS, KEYS)
def test_a_pattern_holds_for_what_is_not_below_its_split_key(text: str, low: str) -> None:
    assert (re.search(at_least(low), text) is not None) == (rank(text) >= rank(low))


@given(TEXTS, TEXTS)
def test_a_split_key_lies_between_two_texts(one: str, other: str) -> None:
    low, high = sorted((one, other), key=rank)
    between = split_key(low, high)
    if between is None:
        assert low == high or min(high) < " "
    else:
        assert rank(low) < rank(between) <= rank(high)


@given(TEXTS, TEXTS)
def test_just_above_a_text_is_nothing_but_what_is_above_it(text: str, other: str) -> None:
    above = just_above(text)
    if above is not None:
        assert (re.search(at_least(above), other) is not None) == (rank(other) > rank(text))


@given(TEXTS, st.lists(KEYS, unique=True))
def test_ranges_between_keys_hold_every_text_once(text: str, keys: list[str]) -> None:
    ends = [None, *sorted(keys, key=rank), None]
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])
    row = query.codec.row(text, 1)
    assert sum(fits(KeyRange("pathname", low, high).filters(), row) for low, high in pairwise(ends)) == 1


def test_patterns_use_what_every_dialect_has() -> None:
    assert at_least("/b.") == r"^([^ -/]|/([^ -b]|b([^ -.]|\.)))"
    assert at_least("-]\\^ ") == r"^([^ -,-]|-([^] -[\\]|\]([^ -[\\]|\\([^ -^]|\^([^ ]| )))))"


def test_a_split_key_is_as_short_as_the_texts_allow() -> None:
    texts = sorted(["/about", "/blog/one", "/blog/two", "/contact"])
    assert choose_split_key(texts, 2, 0) == (2, "/blog/t")
    assert choose_split_key(texts, 2, 1) == (1, "/b")
    assert choose_split_key(["/a"] * 4, 2, 1) is None
    assert choose_split_key(["/a", "/b", "/b", "/b"], 3, 1) == (1, "/b")
    assert choose_split_key(["/a", "/a", "/a", "/b"], 1, 0) == (3, "/b")


def test_a_split_key_that_would_not_fit_a_url_is_none() -> None:
    long = "x" * LONGEST_KEY
    assert split_key(long, f"{long}y") is None
    assert just_above(long) is None
    assert split_key("/a", "/\n") is None


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([("/a", "/x", "US"), ("/b", "/x", "US"), ("/b", "/x", "DE")], "pathname"),
        ([("/a", "/x", "US"), ("/a", "/x", "DE")], "country_code"),
        ([("/a", None, "US"), ("/a", "/x", "US"), ("/b", "/y", "US")], "entry_page"),
        ([("/a", "/x", "US")], "pathname"),
    ],
)
def test_rows_are_parted_by_the_text_with_the_most_values(
    values: list[tuple[str | None, ...]], column: str
) -> None:
    fields: list[FieldGrouping] = ["pathname", "entry_page", "country_code"]
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=fields)
    assert choose_column([query.codec.row(*each, 1) for each in values], fields) == column


def test_an_unknown_category_cannot_be_parted() -> None:
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["browser", "keyword"])
    rows = [query.codec.row("", "a", 1), query.codec.row(None, "b", 1)]
    assert choose_column(rows, ["browser"]) is None
    assert texts_of(rows, "browser") == ["", ""]
