r"""Texts of one column: a pattern that lets all of them through, and what a server may take for the same text."""

import json
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_SEPARATOR: Final = len(quote("|"))


def one_of(texts: Iterable[str]) -> str:
    r"""Return the pattern of these texts: anchors, literals and alternation, which every dialect has.

    It lets all of them through, and in some dialects a few more, such as one with a line break at its end; it is
    never the only thing that tells texts apart.

    >>> one_of(["/", "/a.b"])
    '^(/|/a\\.b)$'
    """
    return f"^({'|'.join(map(_literal, texts))})$"


@lru_cache(16_384)
def length_in_url(text: str) -> int:
    """Return how many characters a text takes at the most in the URL of a request, as one of a pattern."""
    return len(quote(json.dumps(_literal(text), ensure_ascii=False)[1:-1], safe="")) + _SEPARATOR


@lru_cache(16_384)
def folded(text: str | None) -> str | None:
    """Return what a text has in common with all that a forgiving collation takes for the same.

    Such a collation ignores case, accents, and blanks at the end.
    """
    if text is None:
        return None
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold().rstrip()


def _literal(text: str) -> str:
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)
