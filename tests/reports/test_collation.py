"""What servers may take for the same text."""

import pytest

from fathom_async._reports.collation import folded, is_certain, may_be_read_otherwise, spelled


@pytest.mark.parametrize(
    "alike",
    [
        ("/P1", "/p1", "/p1/", " /p1 ", "/%501"),
        ("café", "CAFE\u0301", "Café ", "cafe"),
        ("Großheim", "GROSSHEIM", "Grosheim"),
        ("smørrebrød", "smorrebrod"),
        ("Łódź", "lodz"),
        ("\u00e6on", "AEON"),
        ("\u0131rmak", "irmak"),
        ("ひらがな", "ヒラガナ"),
        ("a\u200bb", "ab", "a\u00adb"),
        ("\u2764\ufe0f", "\u2764"),
        ("/🎉", "/🔥"),
        (None, "", " ", "/"),
    ],
)
def test_texts_that_some_server_takes_for_one_are_folded_alike(alike: tuple[str | None, ...]) -> None:
    assert len({folded(text) for text in alike}) == 1


@pytest.mark.parametrize("others", [("/a", "/b"), ("/a", "/a/b"), ("й", "к"), ("日", "月"), ("/1", "/2")])
def test_others_are_not(others: tuple[str, str]) -> None:
    assert len({folded(text) for text in others}) == 2


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/Pass/", "/pass"),
        ("Großheim", "grossheim"),
        ("/Caf%C3%A9/ ", "/cafe"),
        (" /a//", "/a"),
        ("//a", "//a"),
        ("/a /", "/a "),
        ("\uff21\u2460", "a1"),  # a wide letter, and a digit in a circle
        ("a\u200b\u0301\x07\u20ddb", "ab"),
        ("🎉🔥", "\ufffd\ufffd"),
        ("Æ-Œ-Þ", "ae-oe-th"),
    ],
)
def test_a_text_is_spelled_without_what_some_servers_ignore(text: str, plain: str) -> None:
    assert spelled(text) == plain


@pytest.mark.parametrize(
    ("value", "certain"),
    [
        ("/a", True),
        ("/a b", True),
        ("/é", True),
        ("", False),
        ("/a+b", False),
        ("/a\n", False),
        ("/a\x7f", False),
    ],
)
def test_a_value_is_certain_if_no_server_reads_nothing_or_another_text(value: str, *, certain: bool) -> None:
    assert is_certain(value) is certain


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("/a", False),
        ("/100%", False),
        ("/a b", False),
        ("/%61", True),
        (" /a", True),
        ("/a\t", True),
        ("", False),
    ],
)
def test_a_text_may_be_read_otherwise_if_it_has_blanks_or_codes(text: str, *, doubtful: bool) -> None:
    assert may_be_read_otherwise(text) is doubtful
