"""Text for the eyes: what shows is shown, whatever the script; what does not is escaped."""

import json
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fathom_async._util.text import (
    bar,
    broken,
    cells,
    columns,
    cut,
    one_line,
    printable,
    printable_json,
    reason,
)

SCRIPTS = ["/café", "/カフェ", "/кафе", "/קפה", "/कैफ़े", "/ร้านกาแฟ", "/咖啡", "/카페", "/καφές", "/☕🏳", "/a b"]
STEERS = ["\x00", "\t", "\n", "\x1b", "\x7f", "\x80", "\x9b", "\u2028", "\u2029"]
TURNS = [chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
HIDES = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u3164",
    "\u2800",
    "\u034f",
    "\U000e0041",
]
LOOKS_LIKE_A_BLANK = ["\u00a0", "\u2003", "\u3000"]
SURROGATES = ["\ud800", "\udfff"]
ESCAPED = [*STEERS, *TURNS, *HIDES, *LOOKS_LIKE_A_BLANK, *SURROGATES]

seen = st.text(st.characters(categories=["L", "M", "N", "P", "S"], exclude_characters="".join(ESCAPED)))
any_text = st.text(st.one_of(st.characters(exclude_categories=[]), st.sampled_from(ESCAPED)))


@pytest.mark.parametrize("text", SCRIPTS)
def test_every_script_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == printable_json(text) == one_line(text) == text


@pytest.mark.parametrize("character", ESCAPED, ids=ascii)
def test_what_a_terminal_would_act_on_or_not_show_is_escaped_and_nothing_else(character: str) -> None:
    escaped = character.encode("unicode_escape").decode("ascii")
    assert printable(f"Café{character}") == f"Café{escaped}"


@given(seen)
def test_what_shows_stays(text: str) -> None:
    shows = "".join(each for each in text if each.isprintable() and printable(each) == each)
    assert printable(shows) == shows
    unassigned = {each for each in text if printable(each) != each}
    assert all(each in "\u115f\u1160\u17b4\u17b5\uffa0" or not each.isprintable() for each in unassigned)


@given(any_text)
def test_nothing_that_is_shown_steers_hides_or_cannot_be_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not any(each in shown for each in ESCAPED)
    assert not any(category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in shown)
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
    assert "  " not in one_line(text)


@given(any_text)
def test_json_means_the_same(text: str) -> None:
    shown = printable_json(json.dumps([text], ensure_ascii=False, indent=2))
    assert json.loads(shown) == [text]
    assert printable(shown.replace("\n", "")) == shown.replace("\n", "")


@given(any_text.map(printable), st.integers(1, 30))
def test_a_text_is_cut_to_its_room(text: str, width: int) -> None:
    short = cut(text, width)
    assert cells(short) <= width
    assert (short == text) == (cells(text) <= width) or text.endswith("…")
    assert short == text or short.endswith("…")
    assert text.startswith(short.removesuffix("…"))


@pytest.mark.parametrize("text", SCRIPTS)
def test_room_is_counted_in_cells(text: str) -> None:
    assert cells(text) == cell_len(text)


def test_columns_are_aligned_by_cells() -> None:
    assert list(columns([("カ", "5", ""), ("abc", "12", "x")], right={1})) == ["カ    5", "abc  12  x"]
    assert not list(columns([]))
    assert cut("カフェ", 4) == "カ…"


def test_a_bar_has_eighths() -> None:
    assert bar(10, 10, 4) == "████"
    assert bar(5, 8, 2) == "█▎"


def test_a_little_of_a_bar_is_more_than_nothing() -> None:
    assert bar(1, 100_000, 10) == "▏"
    assert bar(0, 100, 10) == bar(3, 0, 10) == ""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("the worker died"), "the worker died"),
        (RuntimeError("the worker\n\x1b[31mdied"), "the worker \\x1b[31mdied"),
        (KeyError("pages"), "KeyError: 'pages'"),
        (EOFError(), "EOFError"),
    ],
)
def test_an_error_says_what_is_wrong_and_its_type_where_that_is_no_sentence(
    error: Exception, told: str
) -> None:
    assert reason(error) == told


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("no report was requested", ["no report", "was", "requested"]),
        ("write /var/lib/fathom.db or", ["write", "/var/lib/fathom.db", "or"]),
        ("one\ntwo three four", ["one", "two three", "four"]),
        ("日本語 日本語", ["日本語", "日本語"]),
        ("", [""]),
    ],
)
def test_a_message_is_broken_between_words(text: str, lines: list[str]) -> None:
    assert broken(text, 10) == "\n".join(lines)
