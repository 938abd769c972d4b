"""Patterns that every dialect of regular expressions reads alike."""

import re
from functools import lru_cache
from typing import Final

_PLAIN: Final = re.compile(
    r"\^(?: [*?])*(?:[^\\^$.|?*+()[\]{}]|\\[\\^$.|?*+()[\]{}]|\.|\[[^\\^\]-]+\]\??|\(|\)\??|\|)*(?:\[/ \]\*| \*)?\$"
    r"(?:\|\.\*\[\^ -\$&-~\]\.\*)?"
)
"""Literals in groups between anchors, and perhaps everything that is not plain ASCII."""


def is_plain(pattern: str) -> bool:
    """Whether a pattern is literals between anchors, which all dialects read alike."""
    return _compiled(pattern) is not None


def lets_through(pattern: str, text: str) -> bool:
    """Whether every dialect finds a text by a pattern of literals between anchors; False for other patterns.

    >>> lets_through("^(/[aA]|/b) *$", "/a"), lets_through("^/", "/a")
    (True, False)
    """
    found = _compiled(pattern)
    return found is not None and found.search(text) is not None


def forgives(pattern: str, text: str) -> bool:
    """Whether a pattern lets through what looks like a text, and does not hide that there is such a row."""
    others = (f"{text} ", text.swapcase()) if text.isascii() else (f"{text} ",)
    return all(lets_through(pattern, each) for each in others)


@lru_cache(256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    if pattern != ".*[^ -$&-~].*" and _PLAIN.fullmatch(pattern) is None:
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None
