"""What servers may take for the same text, and which patterns let all of that through."""

import pytest

from fathom_async._reports.collation import folded, lets_through, lets_through_all_like


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


STRANGE = ".*[^ -$&-~].*"


def test_a_pattern_of_literals_finds_the_same_texts_in_every_dialect() -> None:
    pattern = f"^ *(/[aA](/[bB])?)?[/ ]*$|{STRANGE}"
    assert lets_through(pattern, "/a/B/")
    assert lets_through(pattern, "/\u00e9")
    assert not lets_through(pattern, "/b")
    assert not lets_through("^/a|/b$", "/abc")  # some match the whole text
    for other in (
        "/a",
        "^/a",
        "^(/a",
        "^(/a+)$",
        "^([^b])$",
        "^(/[^b])$",
        "^(/a*)$",
        "^/[a&&b]$",
        "^/[a-b]$",
    ):
        assert not lets_through(other, "/a")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^ ?(/[aA])[/ ]*$", "/a"),  # hides /á and /%61
        (f"^(/[aA])[/ ]*$|{STRANGE}", "/a"),  # a blank before it
        (f"^ ?(/[aA]) *$|{STRANGE}", "/a"),  # a slash behind it
        (f"^ ?(/a|/A)[/ ]*$|{STRANGE}", "/a"),  # both cases, but not of every letter of longer ones
        (f"^ ?(/[aA])|(/[bB])[/ ]*$|{STRANGE}", "/a"),  # one alternative has no end
        (f"^ ?(/[xX])[/ ]*$|{STRANGE}", "/á"),  # /a
        (f"^ ?(/[sS][sS])[/ ]*$|{STRANGE}", "/ß"),  # /s
        (f"^ ?(/[sS])[/ ]*$|{STRANGE}", "/\u00df"),  # /ss
        (f"^ ?(/[sS])[/ ]*$|{STRANGE}", "/ss"),
        (STRANGE, "/a"),
        (STRANGE, "/á"),
    ],
)
def test_a_pattern_may_hide_what_looks_like_a_text_that_it_finds(pattern: str, text: str) -> None:
    assert not lets_through_all_like(pattern, text)


@pytest.mark.parametrize("text", ["/s", "/SS", "/ß", "/s/", "/日", "/100%"])
def test_a_forgiving_pattern_hides_nothing(text: str) -> None:
    assert lets_through_all_like(f"^ ?(/[sS][sS]?)[/ ]*$|{STRANGE}", text)
