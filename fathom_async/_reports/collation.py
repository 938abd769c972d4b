"""What a server may take for the same text, and which patterns let all of that through."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from string import ascii_lowercase
from typing import Final
from urllib.parse import unquote

_IGNORED: Final = frozenset({"Cc", "Cf", "Me", "Mn"})
_LETTERS: Final[Mapping[int, str]] = str.maketrans(
    # Some collations read these as the letters of ASCII that they are made of, and hiragana as katakana.
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",
        "ŋ": "n",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
    | {chr(kana): chr(kana + 0x60) for kana in range(0x3041, 0x3097)}
)
_OUTSIDE_OF_PLANE_0: Final = re.compile("[\U00010000-\U0010ffff]")
_SS: Final = re.compile("ss+")
_STRANGE: Final = ".*[^ -$&-~].*"
"""Whatever has a percent sign, or a character that is not in ASCII."""
_LITERALS: Final = re.compile(
    r"\^(?: [*?])*(?:[^\\^$.|?*+()[\]{}]|\\[\\^$.|?*+()[\]{}]|\.|\[[^\W_]+\]\??|\(|\)\??|\|)*(?:\[/ \]\*| \*)?\$"
    rf"(?:\|{re.escape(_STRANGE)})?"
)
"""Literals in groups between anchors, and perhaps everything that is strange."""
_BOTH_CASES: Final = "|".join(f"{letter}{letter.upper()}" for letter in ascii_lowercase)
_FORGIVING: Final = re.compile(
    rf"\^(?: [*?])+(?:\(((?:(?![%\\^$|?*+()[\]{{}}A-Za-z])[ -~]|\[(?:{_BOTH_CASES})\]\??|\(|\)\??|\|)*)\)\??)?"
    rf"\[/ \]\*\$\|{re.escape(_STRANGE)}"
)
"""One group of literals in both cases, between blanks and slashes, and everything that is strange."""


@lru_cache(16_384)
def folded(text: str | None) -> str:
    """Return what a text has in common with all that a forgiving server takes for the same.

    Collations ignore case, accents, blanks at the end, and characters that one does not see. They read ``ß`` as ``s``
    or ``ss``, and some take all emoji for one. A framework decodes percent signs and trims values, a site adds or
    drops a last slash, and null and the empty text stand for each other.

    >>> folded("/Caf%C3%A9/ ") == folded("/cafe"), folded("Großheim") == folded("Grosheim")
    (True, True)
    """
    return _SS.sub("s", spelled(text or ""))


def spelled(text: str) -> str:
    """Return the same, except that each ``s`` stays where several are in a row.

    >>> spelled("/Pass/"), spelled("Großheim")
    ('/pass', 'grossheim')
    """
    parts = unicodedata.normalize("NFKD", unquote(text))
    plain = "".join(part for part in parts if unicodedata.category(part) not in _IGNORED)
    plain = _OUTSIDE_OF_PLANE_0.sub("\ufffd", plain.casefold().translate(_LETTERS))
    return plain.strip().rstrip("/")


def is_certain(value: str) -> bool:
    """Whether every server finds a text by this filter's value, and by a pattern of it.

    An empty value is null to one server and not to another, a form may decode a plus, and a pattern end with a line.
    """
    return bool(value) and value.isprintable() and "+" not in value


def may_be_read_otherwise(text: str) -> bool:
    """Whether a server may read a filter's value as another one, because it decodes or trims it."""
    return text != unquote(text) or text != text.strip()


@lru_cache(256)
def is_plain(pattern: str) -> bool:
    """Whether a pattern is literals between anchors, which all dialects read alike."""
    if pattern != _STRANGE and _LITERALS.fullmatch(pattern) is None:
        return False
    try:
        return bool(re.compile(pattern))
    except re.error:
        return False


def lets_through(pattern: str, text: str) -> bool:
    """Whether every dialect finds a text by a pattern of literals between anchors; False for other patterns.

    >>> lets_through("^(/[aA]|/b) *$", "/a"), lets_through("^/", "/a")
    (True, False)
    """
    return is_plain(pattern) and re.fullmatch(pattern, text) is not None


def lets_through_all_like(pattern: str, text: str) -> bool:
    """Whether a pattern certainly lets through all that some server takes for a text, so that it hides no doubt.

    It does if it is one of ours (`fathom_async._bulk.fusing.texts`), and lets through what is plain and looks like
    the text: in both cases, with blanks and slashes around it, and a sharp s as one or two. The rest is strange.

    >>> pattern = "^ ?(/[aA])[/ ]*$|.*[^ -$&-~].*"
    >>> lets_through_all_like(pattern, "/á"), lets_through_all_like(pattern, "/é")
    (True, False)
    """
    return _is_ours(pattern) and all(lets_through(pattern, each) for each in (spelled(text), folded(text)))


@lru_cache(256)
def _is_ours(pattern: str) -> bool:
    found = _FORGIVING.fullmatch(pattern)
    return (
        pattern == _STRANGE if found is None else is_plain(f"^{found[1] or ''}$")
    )  # it is one group, not two
