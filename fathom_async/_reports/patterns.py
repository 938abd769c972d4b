"""Patterns that every dialect of regular expressions reads alike, and what they may hide."""

import re
from functools import lru_cache
from string import ascii_lowercase
from typing import Final

from fathom_async._reports.collation import folded, spelled

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


def forgives(pattern: str, text: str) -> bool:
    """Whether a pattern certainly lets through all that some server takes for a text, so that it hides no doubt.

    It does if it is one of ours (`fathom_async._bulk.fusing.texts`), and lets through what is plain and looks like
    the text: in both cases, with blanks and slashes around it, and a sharp s as one or two. The rest is strange.

    >>> pattern = "^ ?(/[aA])[/ ]*$|.*[^ -$&-~].*"
    >>> forgives(pattern, "/á"), forgives(pattern, "/é")
    (True, False)
    """
    return _is_ours(pattern) and all(lets_through(pattern, each) for each in (spelled(text), folded(text)))


@lru_cache(256)
def _is_ours(pattern: str) -> bool:
    found = _FORGIVING.fullmatch(pattern)
    return (
        pattern == _STRANGE if found is None else is_plain(f"^{found[1] or ''}$")
    )  # it is one group, not two
