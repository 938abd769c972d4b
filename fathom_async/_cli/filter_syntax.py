"""Conditions as they are typed, such as ``pathname matching ^/blog``, read into filters."""

import re
from typing import Final, cast

from fathom_async import Filter, QueryError
from fathom_async.reports import (
    CATEGORICAL_PROPERTIES,
    OPERATORS,
    TEXT_PROPERTIES,
    Operator,
    TextProperty,
)

EXAMPLE: Final = "'pathname matching ^/blog'"
_PROPERTIES: Final = (*TEXT_PROPERTIES, *CATEGORICAL_PROPERTIES)
_SHORT: Final[dict[str, Operator]] = {
    "=": "is",
    "==": "is",
    "!=": "is not",
    "~": "matching",
    "!~": "not matching",
}
_LONGEST_FIRST: Final = "|".join(
    re.escape(operator).replace(r"\ ", r"\s+")
    for operator in sorted([*OPERATORS, *_SHORT], key=len, reverse=True)
)
_HALVES: Final = frozenset({"not", "like", "not like"})
_CONDITION: Final = re.compile(
    rf"\s*(?P<property>\w+)\s+(?P<operator>{_LONGEST_FIRST})(?:\s+(?P<value>.*?))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_TIGHT: Final = re.compile(r"\s*(?P<property>\w+)\s*(?P<operator>!=|==?|!~|~)\s*(?P<value>.*?)\s*", re.DOTALL)
_ANOTHER: Final = re.compile(
    rf"\s(?:and|or)\s+(?:{'|'.join(_PROPERTIES)})\s+(?:{_LONGEST_FIRST})\s",
    re.IGNORECASE,
)


def condition(written: str) -> Filter:
    """Return the filter of one condition: a property, an operator, and the value up to the end.

    Quotes around the value are left out, so that it may be empty or end with a space. ``=``, ``!=``, ``~`` and
    ``!~`` are short for ``is``, ``is not``, ``matching`` and ``not matching``.
    """
    found = _CONDITION.fullmatch(written) or _TIGHT.fullmatch(written)
    if found is None:
        raise QueryError(_fault(written))
    value = found["value"] or ""
    if not value or " ".join(value.lower().split()) in _HALVES:
        raise QueryError(f"{written!r} has no value; write e.g. {EXAMPLE}, or quotes around an odd value: ''")
    if _ANOTHER.search(value):
        raise QueryError(
            f"{written!r} has two conditions; write each as a --where of its own, and all of them must hold "
            "(the API knows no 'or')"
        )
    name = cast("TextProperty", found["property"].lower())
    operator = " ".join(found["operator"].lower().split())
    return Filter(name, cast("Operator", _SHORT.get(operator, operator)), _unquoted(value))


def _fault(written: str) -> str:
    if len(written.split()) < 2:  # noqa: PLR2004 - a property and an operator
        return f"{written!r} is not a condition; write e.g. {EXAMPLE}"
    return f"{written!r} has no operator; there are: {', '.join(OPERATORS)}"


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value
