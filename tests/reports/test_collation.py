"""What servers may take for the same text."""

import pytest

from fathom_async._reports.collation import folded


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
