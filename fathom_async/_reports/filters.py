"""Filters of a report, as plain values and as expressions with ``where``."""

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, NoReturn, cast, overload

import attrs

from fathom_async._reports.arguments import hint, known_word, listed, sendable
from fathom_async._reports.fields import (
    CATEGORICAL_OPERATORS,
    CATEGORICAL_PROPERTIES,
    OPERATORS,
    PATTERN_OPERATORS,
    TEXT_PROPERTIES,
    CategoricalOperator,
    CategoricalProperty,
    FilterProperty,
    Operator,
    TextProperty,
)
from fathom_async.errors import QueryError


@attrs.frozen(init=False, order=True)
class Filter:
    r"""One condition on the rows of a report; all filters of a query must match.

    Args:
        property: The property to compare, such as ``pathname``. ``domain`` can be filtered on but not grouped by,
            ``keyword`` can be grouped by but not filtered on.
        operator: ``is``, ``is not`` for every property; also ``is like``, ``is not like`` (``*`` stands for
            anything), ``matching``, ``not matching`` (a regular expression) for text properties.
        value: The value to compare with; always a string.

    Raises:
        QueryError: The server would reject the filter.

    Source: "Reports > Filtering" of the Fathom API reference.

    >>> Filter("pathname", "matching", r"^/blog/\d{4}/")
    Filter(property='pathname', operator='matching', value='^/blog/\\d{4}/')
    """

    property: FilterProperty
    operator: Operator
    value: str

    @overload
    def __init__(self, property: TextProperty, operator: Operator, value: str) -> None: ...
    @overload
    def __init__(self, property: CategoricalProperty, operator: CategoricalOperator, value: str) -> None: ...
    def __init__(self, property: FilterProperty, operator: Operator, value: str) -> None:
        _check_property(property)
        known_word("operator", operator, OPERATORS)
        if operator in PATTERN_OPERATORS:
            _check_pattern(property, operator, value)
        if not isinstance(value, str):
            raise QueryError(_wrong_value(property, value))
        sendable(f"the value of a {property} filter", value)
        object.__setattr__(self, "property", property)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "value", value)

    def __bool__(self) -> bool:
        raise QueryError(
            "filters do not combine with `and`, `or`, `not` or `in`: write a list, all of which must match"
        )

    if not TYPE_CHECKING:

        def __and__(self, other: object) -> NoReturn:
            raise QueryError(f"filters do not combine with `&`: write filters=[{self}, {other}]")

        def __or__(self, other: object) -> NoReturn:
            same = isinstance(other, Filter) and (other.property, other.operator) == (self.property, "is")
            values = [self.value, other.value] if same and self.operator == "is" else []
            raise QueryError(f"the API knows no 'or': {_any_of(self.property, values)}")

        def __invert__(self) -> NoReturn:
            raise QueryError(f"write where.{self.property} != {self.value!r} instead of ~")

    def to_dict(self) -> dict[str, str]:
        """Return the filter as the API writes it."""
        return {"property": self.property, "operator": self.operator, "value": self.value}

    @classmethod
    def from_dict(cls, data: object) -> "Filter":
        """Return the filter that the API writes as this object.

        Raises:
            QueryError: The object is not a filter.
        """
        if not isinstance(data, dict):
            raise QueryError(f"a filter is an object of property, operator and value, not {data!r}")
        fields = cast("dict[str, str]", data)
        if fields.keys() != {"property", "operator", "value"}:
            raise QueryError(f"a filter has property, operator and value, not {', '.join(map(str, fields))}")
        return cls(
            cast("TextProperty", fields["property"]), cast("Operator", fields["operator"]), fields["value"]
        )


def as_filters(conditions: Iterable[Filter]) -> tuple[Filter, ...]:
    """Return the filters, all different."""
    if isinstance(conditions, Filter):
        raise QueryError(f"filters takes a list; write filters=[{conditions!r}]")
    if isinstance(conditions, str | Mapping) and conditions:
        raise QueryError(f"filters takes a list such as [where.pathname == '/'], not {conditions!r}")
    checked: list[Filter] = []
    for each in listed("filters", cast("object", conditions)):
        if not isinstance(each, Filter):
            raise QueryError(f"filters takes conditions such as where.pathname == '/', not {each!r}")
        if each in checked:
            raise QueryError(
                f"filters has {each.property} {each.operator} {each.value!r} twice; write it once"
            )
        checked.append(each)
    return tuple(checked)


def filters_to_json(filters: Iterable[Filter]) -> str:
    """Return the JSON string that the API takes for all filters."""
    return json.dumps([each.to_dict() for each in filters], ensure_ascii=False, separators=(",", ":"))


def filters_from_json(encoded: str) -> tuple[Filter, ...]:
    try:
        data: object = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise QueryError(f"filters must be a JSON array: {error}") from None
    if not isinstance(data, list):
        raise QueryError(f"filters must be a JSON array, not {encoded[:100]}")
    return tuple(Filter.from_dict(each) for each in cast("list[object]", data))


def _check_property(property: str) -> None:
    if property == "keyword":
        raise QueryError(
            "keyword can be grouped by, but not filtered on; filter on utm_term or referrer_source"
        )
    known_word("filters", property, (*TEXT_PROPERTIES, *CATEGORICAL_PROPERTIES))


def _any_of(property: str, values: Iterable[object]) -> str:
    """Say how to filter by one of several values."""
    pattern = "|".join(re.escape(str(value)) for value in values)
    if property in CATEGORICAL_PROPERTIES or not pattern:
        return "send one query for each, and reports.run fuses them where it can"
    return f"write where.{property}.matching({f'^({pattern})$'!r})"


def _wrong_value(property: str, value: object) -> str:
    if value is None:
        return f"a filter has a str; for what has no {property}, group by it and take the row in which it is None"
    if isinstance(value, list | tuple | set | frozenset):
        several = cast("Iterable[object]", value)
        return f"a filter has one value, not {value!r}; {_any_of(property, several)}"
    return f"the value of a {property} filter must be a str, not {value!r}; write {str(value)!r}"


def _check_pattern(property: str, operator: str, value: object) -> None:
    if property in CATEGORICAL_PROPERTIES:
        raise QueryError(
            f"{property} takes only {' and '.join(map(repr, CATEGORICAL_OPERATORS))}, not {operator!r}; "
            f"write one filter with 'is' or 'is not' for the exact value"
        )
    pattern = sendable(f"the value of a {property} filter", value)
    if not pattern:
        raise QueryError(f"{property} {operator} '' matches every row or none; write what to look for")
    if operator in {"matching", "not matching"} and (fault := regex_fault(pattern)):
        raise QueryError(f"{property} {operator} {pattern!r} is not a regular expression: {fault}")


_CERTAIN_FAULTS = (
    "unbalanced parenthesis",
    "missing ), unterminated subpattern",
    "unterminated character set",
    "bad escape (end of pattern)",
    "min repeat greater than max repeat",
)


def regex_fault(pattern: str) -> str | None:
    r"""Return the error that every dialect finds in a regular expression, or None.

    The server's dialect is not Python's: what only Python rejects, such as ``\p{L}``, passes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as error:
        position = error.pos or 0
        if error.msg.startswith(_CERTAIN_FAULTS):
            return f"{error.msg} at position {position}"
        if error.msg.startswith("nothing to repeat") and _repeats_nothing(pattern, position):
            return f"{pattern[position]!r} repeats nothing at position {position}; for anything, write '.*'"
        if error.msg.startswith("bad character range") and "\\" not in error.msg:
            return f"{error.msg} at position {position}"
    except (OverflowError, RecursionError):
        return None
    return None


def _repeats_nothing(pattern: str, position: int) -> bool:
    before = pattern[:position]
    verb = before.endswith("(") and pattern[position] == "*"
    return not verb and (not before or (before[-1] in "(|" and before[-2:-1] != "\\"))


class CategoricalField:
    """A property compared as a whole: ``where.browser == "Chrome"``."""

    __slots__ = ("_name",)

    def __init__(self, name: FilterProperty) -> None:
        self._name = name

    def is_(self, value: str) -> Filter:
        """Keep the rows with exactly this value."""
        return self._filter("is", value)

    def is_not(self, value: str) -> Filter:
        """Keep the rows with any other value."""
        return self._filter("is not", value)

    def __eq__(self, value: str) -> Filter:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.is_(value)

    def __ne__(self, value: str) -> Filter:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.is_not(value)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"where.{self._name}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            known = ", ".join(each for each in dir(type(self)) if not each.startswith("_"))
            raise AttributeError(f"{self!r} has no {name!r}; there are: ==, !=, {known}", name=name)

    def _filter(self, operator: Operator, value: str) -> Filter:
        return Filter(cast("TextProperty", self._name), operator, value)


class TextField(CategoricalField):
    """A property that can also be searched: ``where.pathname.matching("^/blog/")``."""

    __slots__ = ()

    def is_like(self, value: str) -> Filter:
        """Keep the rows that contain the term; ``*`` stands for anything."""
        return self._filter("is like", value)

    def is_not_like(self, value: str) -> Filter:
        """Keep the rows that do not contain the term; ``*`` stands for anything."""
        return self._filter("is not like", value)

    def matching(self, pattern: str) -> Filter:
        """Keep the rows that match the regular expression."""
        return self._filter("matching", pattern)

    def not_matching(self, pattern: str) -> Filter:
        """Keep the rows that do not match the regular expression."""
        return self._filter("not matching", pattern)


class Where:
    """The properties that filters accept; use the instance ``where``.

    >>> where.browser == "Chrome"
    Filter(property='browser', operator='is', value='Chrome')
    """

    __slots__ = ()

    domain: ClassVar[TextField] = TextField("domain")
    hostname: ClassVar[TextField] = TextField("hostname")
    pathname: ClassVar[TextField] = TextField("pathname")
    entry_page: ClassVar[TextField] = TextField("entry_page")
    exit_page: ClassVar[TextField] = TextField("exit_page")
    referrer_hostname: ClassVar[TextField] = TextField("referrer_hostname")
    referrer_pathname: ClassVar[TextField] = TextField("referrer_pathname")
    referrer_source: ClassVar[TextField] = TextField("referrer_source")
    ref: ClassVar[TextField] = TextField("ref")
    utm_campaign: ClassVar[TextField] = TextField("utm_campaign")
    utm_source: ClassVar[TextField] = TextField("utm_source")
    utm_medium: ClassVar[TextField] = TextField("utm_medium")
    utm_content: ClassVar[TextField] = TextField("utm_content")
    utm_term: ClassVar[TextField] = TextField("utm_term")
    device_type: ClassVar[CategoricalField] = CategoricalField("device_type")
    operating_system: ClassVar[CategoricalField] = CategoricalField("operating_system")
    browser: ClassVar[CategoricalField] = CategoricalField("browser")
    country_code: ClassVar[CategoricalField] = CategoricalField("country_code")
    city: ClassVar[CategoricalField] = CategoricalField("city")
    state: ClassVar[CategoricalField] = CategoricalField("state")
    region: ClassVar[CategoricalField] = CategoricalField("region")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            known = (*TEXT_PROPERTIES, *CATEGORICAL_PROPERTIES)
            raise AttributeError(f"{name!r} cannot be filtered on{hint(name, known)}", name=name)


where: Where = Where()
"""Filters as expressions: ``where.pathname.matching("^/blog/")``, ``where.browser != "Chrome"``."""
