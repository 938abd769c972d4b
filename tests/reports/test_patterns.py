"""Which patterns find the same texts in every dialect, and which let through all that looks like a text."""

import pytest

from fathom_async._reports.patterns import forgives, is_plain, lets_through

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
    assert not forgives(pattern, text)


@pytest.mark.parametrize("text", ["/s", "/SS", "/ß", "/s/", "/日", "/100%"])
def test_a_forgiving_pattern_hides_nothing(text: str) -> None:
    assert forgives(f"^ ?(/[sS][sS]?)[/ ]*$|{STRANGE}", text)


@pytest.mark.parametrize("pattern", [STRANGE, "^$", "^/a$", r"^/a\.b$", f"^(/a|/b)[/ ]*$|{STRANGE}"])
def test_literals_between_anchors_are_plain(pattern: str) -> None:
    assert is_plain(pattern) is True


@pytest.mark.parametrize("pattern", ["", "/a", "^(/a$", "^/a)$", "^/a$|/b", r"^\d$", ".*"])
def test_what_dialects_read_in_several_ways_is_not(pattern: str) -> None:
    assert is_plain(pattern) is False


def test_a_pattern_that_is_not_plain_lets_through_nothing_for_certain() -> None:
    assert lets_through("^/a.b$", "/a-b") is True
    assert lets_through("^/a$", "/a/") is False
    assert lets_through(".*", "/a") is False


def test_a_pattern_without_a_group_forgives_the_empty_text() -> None:
    assert forgives(f"^ ?[/ ]*$|{STRANGE}", "/")
    assert not forgives(f"^ ?[/ ]*$|{STRANGE}", "/a")
