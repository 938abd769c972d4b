"""What the API's documentation leaves open: how a server compares texts, and reads values and moments."""

import unicodedata
from functools import cache
from typing import Literal
from urllib.parse import unquote

from attrs import frozen

Difference = Literal["case", "accents", "blanks", "slashes", "percent"]


_NONE: frozenset[Difference] = frozenset()


@frozen(kw_only=True)
class ServerDialect:
    """How a server compares texts, and reads values and moments; by default, exactly as they are written.

    Attributes:
        filters_ignore: Differences that ``is`` and ``is not`` ignore: ``case``, ``accents``, ``blanks`` at the end, a
            last one of ``slashes``, and ``percent`` encoding.
        groups_ignore: Differences between texts of one group, which is named after any of them.
        patterns_ignore: Differences that ``matching`` ignores: ``case`` and ``accents``.
        is_trimmed: Whether the value of a filter loses blanks at both ends.
        is_decoded: Whether the value of an ``is`` filter is percent-decoded.
        has_nulls: Whether an unknown value is null, which no filter finds, instead of the empty text.
        is_anchored: Whether a pattern must match the whole text.
        repeated_hour: How the ends of a range are read that a clock shows twice: ``both`` are in the range, or
            the ends mean the ``first`` or the ``last`` one.
        has_zero_rows: Whether a total of no records is a row of zeros, instead of no row.
    """

    filters_ignore: frozenset[Difference] = _NONE
    groups_ignore: frozenset[Difference] = _NONE
    patterns_ignore: frozenset[Difference] = _NONE
    is_trimmed: bool = False
    is_decoded: bool = False
    has_nulls: bool = False
    is_anchored: bool = False
    repeated_hour: Literal["both", "first", "last"] = "both"
    has_zero_rows: bool = False

    def value(self, value: str, operator: str) -> str:
        """Return the value of a filter as the server reads it."""
        trimmed = value.strip() if self.is_trimmed else value
        return unquote(trimmed) if self.is_decoded and operator in ("is", "is not") else trimmed

    def folds(self) -> tuple[int, int]:
        """Return which of two equal moments begins a range, and which ends it: 0 for the first one."""
        return {"both": (0, 1), "first": (0, 0), "last": (1, 1)}[self.repeated_hour]


EXACT = ServerDialect()
"""Nothing is ignored."""


@cache
def without(text: str, ignored: frozenset[Difference]) -> str:
    """Return a text without the differences that a server ignores."""
    if "percent" in ignored:
        text = unquote(text)
    if "accents" in ignored:
        parts = unicodedata.normalize("NFD", text)
        text = "".join(part for part in parts if not unicodedata.combining(part))
    if "case" in ignored:
        text = text.casefold()
    if "blanks" in ignored:
        text = text.rstrip(" ")
    return text.rstrip("/") if "slashes" in ignored else text
