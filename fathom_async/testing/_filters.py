"""Filters of reports.

Comparisons are case-sensitive. `is like` means *contains*, with `*` for any run of characters; `matching` searches a
regular expression anywhere in the value. An unknown value is the empty string, so every negated operator keeps it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final, cast

from attrs import frozen

from fathom_async.testing._dataset import GROUPINGS
from fathom_async.testing._dialect import ServerDialect, without
from fathom_async.testing._validation import Form

OPERATORS = ("is", "is not", "is like", "is not like", "matching", "not matching")
_CATEGORIES = frozenset(
    {"device_type", "operating_system", "browser", "country_code", "city", "state", "region"}
)
_PROPERTIES = {*GROUPINGS, "domain"} - {"keyword"}

_parser: Final[Any] = import_module("re._parser")  # there is no other
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_FEW: Final = 8
_MOST_REPEATS: Final = 3


@frozen
class Condition:
    """A condition on one column."""

    property: str
    operator: str
    value: str

    def predicate(self, dialect: ServerDialect) -> Callable[[str], bool]:
        finds = self._finds(dialect)
        negated = self.operator in ("is not", "is not like", "not matching")
        if dialect.has_nulls:
            return lambda text: bool(text) and finds(text) is not negated
        return lambda text: finds(text) is not negated

    def _finds(self, dialect: ServerDialect) -> Callable[[str], bool]:
        value = dialect.value(self.value, self.operator)
        if self.operator in ("is", "is not"):
            ignored = dialect.filters_ignore
            plain = without(value, ignored)
            return lambda text: (without(text, ignored) if ignored else text) == plain
        parts = (
            f"(?>.*?{re.escape(part)})" for part in value.split("*")
        )  # atomic, so that it does not go back
        source = value if "matching" in self.operator else "".join(parts)
        ignored = dialect.patterns_ignore & {"accents"}
        flags = re.IGNORECASE if "case" in dialect.patterns_ignore else 0
        pattern = re.compile(without(source, ignored), flags | (re.DOTALL if "like" in self.operator else 0))
        search = pattern.fullmatch if dialect.is_anchored and "matching" in self.operator else pattern.search
        if ignored:
            return lambda text: search(without(text, ignored)) is not None
        return lambda text: search(text) is not None


def read_filters(form: Form, text: str | None) -> tuple[Condition, ...]:
    """Read a JSON array of filters; errors go to the form."""
    if text is None:
        return ()
    try:
        items: object = json.loads(text)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        form.fail("filters", "The filters field must be a JSON-encoded array.")
        return ()
    found = [_read_filter(form, item) for item in cast("list[object]", items)]
    return tuple(item for item in found if item is not None)


def _read_filter(form: Form, item: object) -> Condition | None:
    fields: Mapping[str, object] = cast("Mapping[str, object]", item) if isinstance(item, dict) else {}
    name, operator, value = (fields.get(key) for key in ("property", "operator", "value"))
    if not isinstance(name, str) or name not in _PROPERTIES:
        form.fail("filters", f"The filter property {name!s} is not supported.")
    elif not isinstance(operator, str) or operator not in OPERATORS:
        form.fail("filters", f"The filter operator {operator!s} is not supported.")
    elif name in _CATEGORIES and operator not in ("is", "is not"):
        form.fail("filters", f"The filter operator {operator} is not available for {name}.")
    elif not isinstance(value, str):
        form.fail("filters", f"The filter value of {name} must be a string.")
    elif "matching" in operator and (fault := _fault(value)):
        form.fail("filters", f"The filter value of {name} is {fault} regular expression.")
    else:
        return Condition(name, operator, value)
    return None


def _fault(pattern: str) -> str:
    """Return what is wrong with a regular expression: Python's would take hours for some, and hold up the server.

    1. What repeats often must not be able to match one text in several ways.
    2. A pattern has few open repetitions of any character, each of which multiplies the time by the text's length.
    """
    try:
        re.compile(pattern)
        parts = list(_parts(_parser.parse(pattern)))
    except (re.error, RecursionError, OverflowError):
        return "not a valid"
    repeats: list[tuple[int, int, Any]] = [arguments for name, arguments in parts if name in _REPEATS]
    is_ambiguous = any(
        name == "BRANCH" or (name in _REPEATS and arguments[0] != arguments[1])
        for _, most, body in repeats
        if most > _FEW
        for name, arguments in _parts(body)
    )
    wide = sum(most - least > _FEW and not _is_narrow(body) for least, most, body in repeats)
    return "too complex a" if is_ambiguous or wide > _MOST_REPEATS else ""


def _is_narrow(body: Any) -> bool:  # noqa: ANN401 - as below
    """Whether what is repeated is one of few characters."""
    [(name, arguments), *others] = body
    found = arguments if str(name) == "IN" else [(name, arguments)]
    return not others and len(found) <= _FEW and all(str(kind) == "LITERAL" for kind, _ in found)


def _parts(found: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Python's parser has no types
    """Yield each part of a parsed pattern, by its name, and the parts within it."""
    if isinstance(found, _parser.SubPattern):
        for name, arguments in found:
            yield str(name), arguments
            yield from _parts(arguments)
    elif isinstance(found, tuple | list):
        for each in cast("Iterable[object]", found):
            yield from _parts(each)
