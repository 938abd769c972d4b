import re
from itertools import accumulate
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async._bulk.fusing.texts import length_of, one_of
from fathom_async._reports.collation import folded, is_certain, may_be_read_otherwise
from fathom_async._reports.filters import Filter, filters_to_json
from fathom_async._reports.patterns import forgives

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text(
    st.sampled_from(' !"$()*+,-./:?@A[\\]^_`a{|}~\x7fé\n\x00'), max_size=6
)


def like(text: str) -> list[str]:
    """Texts that a forgiving server takes for this one."""
    accented = text.replace("a", "\u00e1").replace("u\u0308", "u")
    return [
        text,
        text.swapcase(),
        accented,
        f"{text} ",
        f" {text}",
        f"{text}/",
        text.rstrip("/"),
        quote(text),
    ]


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=8))
def test_a_pattern_lets_through_its_texts_and_all_that_look_like_them(texts: list[str]) -> None:
    pattern = one_of(texts)
    for text in texts:
        for other in like(text):
            if folded(other) == folded(text):
                assert re.search(pattern, other), (pattern, other)
                assert re.fullmatch(pattern, other, re.DOTALL) or "\n" in other, (pattern, other)


@given(st.lists(TEXTS.filter(is_certain), min_size=1, max_size=8))
def test_a_pattern_hides_nothing_that_looks_like_one_of_its_texts(texts: list[str]) -> None:
    pattern = one_of(texts)
    assert all(forgives(pattern, text) for text in texts if not may_be_read_otherwise(text))


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=8), TEXTS)
def test_an_exact_pattern_lets_through_little_else(texts: list[str], other: str) -> None:
    pattern = one_of(texts, is_exact=True)
    assert all(re.search(pattern, text, re.DOTALL) for text in texts)
    if re.search(pattern, other, re.DOTALL) and not other.endswith("\n"):
        assert len(other) in map(len, texts)


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=8, unique=True), st.booleans())
def test_a_pattern_is_no_longer_in_a_url_than_was_said(texts: list[str], is_exact: bool) -> None:
    sent = filters_to_json([Filter("pathname", "matching", one_of(texts, is_exact=is_exact))])
    bare = filters_to_json([Filter("pathname", "matching", one_of([" "]))])
    room = length_of(frozenset(texts), 10_000)
    assert len(quote(sent, safe="")) - len(quote(bare, safe="")) <= room + 40


def test_common_beginnings_are_written_once() -> None:
    pages = [f"/blog/2026/an-entry-with-a-long-name-{number}" for number in range(100)]
    assert len(one_of(pages)) < 10 * len(pages[0]) + 5 * len(pages)
    assert re.search(one_of("a" * number for number in range(1, 300)), "a" * 299)


@pytest.mark.parametrize("pattern", [one_of(["/", "/a.b", "/a(c)"]), one_of(["/", "/a.b"], is_exact=True)])
def test_patterns_have_nothing_that_dialects_disagree_on(pattern: str) -> None:
    assert "\\" not in pattern
    assert "(|" not in pattern
    assert "|)" not in pattern
    assert "(?" not in pattern


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (["/Straße"], "(/[sS][tT][rR][aA][sS][sS]?[eE])"),
        (["/asks"], "(/[aA][sS][kK][sS])"),
        (["  /a"], " ? ?(/[aA])"),
        (["/日本", "/100%"], ""),
        ([], ""),
    ],
)
def test_a_pattern_is_written_as_plainly_as_it_can_be(texts: list[str], pattern: str) -> None:
    outside = ".*[^ -$&-~].*"
    assert one_of(texts) == (f"^ ?{pattern}[/ ]*$|{outside}" if pattern else outside)


def test_an_exact_pattern_has_a_point_only_for_what_means_something_in_a_pattern() -> None:
    assert one_of(["/a.b+c", "/ab"], is_exact=True) == "^(/a(.b.c|b))$"
    assert one_of([""], is_exact=True) == "^$"


def test_groups_are_nested_so_deep_that_every_dialect_takes_them() -> None:
    pattern = one_of(("a" * number for number in range(1, 300)), is_exact=True)
    depths = list(accumulate({"(": 1, ")": -1}.get(character, 0) for character in pattern))
    assert max(depths) == 42


def test_the_length_of_a_pattern_is_the_sum_of_its_texts_unless_there_is_less_room() -> None:
    one, two = frozenset({"/a"}), frozenset({"/a", "/b"})
    each = len("%2F%5BaA%5D") + len("%7C")
    assert length_of(one, 1_000) == each
    assert length_of(two, 2 * each) == 2 * each
    assert length_of(two, 1_000, known=one, length=100) == 100 + each
    pages = frozenset(f"/blog/entry-{number}" for number in range(9))
    written = quote(one_of(pages), safe="")
    assert length_of(pages, 100) == len(written) < length_of(pages, 10_000)
