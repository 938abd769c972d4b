"""The arguments of a query, one by one: each is refused where the server would refuse it."""

from collections.abc import Iterable
from typing import Final, cast

from fathom_async._reports.fields import (
    DATE_COLUMN,
    DATE_GROUPINGS,
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    MAX_ROWS,
    PAGEVIEW_AGGREGATES,
    TIMESTAMP,
    DateGrouping,
    EventAggregate,
    FieldGrouping,
    PageviewAggregate,
)
from fathom_async._reports.filters import Filter
from fathom_async._reports.words import identifier, known_word, known_words, listed, suggestion, text
from fathom_async.errors import QueryError

_DIRECTIONS: Final = ("asc", "desc")


def site_id(value: str) -> str:
    """Return a site's ID."""
    return identifier("site_id", value)


def entity_name(value: str) -> str:
    """Return an event's name, as the dashboard shows it."""
    name = text("entity_name", value)
    if not name.strip():
        raise QueryError("entity_name is empty; write the event's name as the dashboard shows it")
    return name


def pageview_aggregates(words: Iterable[PageviewAggregate]) -> tuple[PageviewAggregate, ...]:
    """Return what to count of pageviews."""
    return cast("tuple[PageviewAggregate, ...]", _aggregates(words, PAGEVIEW_AGGREGATES))


def event_aggregates(words: Iterable[EventAggregate]) -> tuple[EventAggregate, ...]:
    """Return what to count of an event."""
    return cast("tuple[EventAggregate, ...]", _aggregates(words, EVENT_AGGREGATES))


def field_grouping(words: Iterable[FieldGrouping]) -> tuple[FieldGrouping, ...]:
    """Return the fields to group by."""
    names = listed("field_grouping", words)
    if "domain" in names:
        raise QueryError("domain can be filtered on, but not grouped by; group by 'hostname'")
    if DATE_COLUMN in names or TIMESTAMP in names:
        raise QueryError("field_grouping has no dates; write date_grouping='day', 'hour', 'month' or 'year'")
    return cast("tuple[FieldGrouping, ...]", known_words("field_grouping", names, FIELD_GROUPINGS))


def date_grouping(word: DateGrouping | None) -> DateGrouping | None:
    """Return the unit of dates to group by."""
    return None if word is None else cast("DateGrouping", known_word("date_grouping", word, DATE_GROUPINGS))


def filters(conditions: Iterable[Filter]) -> tuple[Filter, ...]:
    """Return the filters, all different."""
    if isinstance(conditions, Filter):
        raise QueryError(f"filters takes a list; write filters=[{conditions!r}]")
    checked: list[Filter] = []
    for each in listed("filters", conditions):
        if not isinstance(each, Filter):
            raise QueryError(f"filters takes Filter(property, operator, value), not {each!r}")
        if each in checked:
            raise QueryError(
                f"filters has {each.property} {each.operator} {each.value!r} twice; write it once"
            )
        checked.append(each)
    return tuple(checked)


def limit(rows: int | None) -> int | None:
    """Return the number of rows to stop at."""
    return None if rows is None else _checked_limit(rows)


def _checked_limit(rows: object) -> int:
    if isinstance(rows, bool) or not isinstance(rows, int):
        raise QueryError(f"limit must be a whole number, not {rows!r}")
    if not 1 <= rows <= MAX_ROWS:
        raise QueryError(f"limit must be between 1 and {MAX_ROWS}, not {rows}")
    return rows


def check_sort(sort_by: object, columns: tuple[str, ...], *, by_date: bool) -> None:
    """Refuse a sort that is no ``field:asc`` or ``field:desc`` of one of the columns.

    Args:
        sort_by: The sort.
        columns: Aggregates and groupings.
        by_date: Whether there is a date grouping, so that ``timestamp`` can be sorted by.
    """
    written = text("sort_by", sort_by)
    field, colon, direction = written.partition(":")
    sortable = (*columns, TIMESTAMP) if by_date else columns
    if field in {DATE_COLUMN, TIMESTAMP} and not by_date:
        raise QueryError(f"sort_by {written!r} needs a date_grouping; write date_grouping='day', for example")
    if field == DATE_COLUMN:
        raise QueryError(f"sort_by calls the date column 'timestamp'; write 'timestamp:{direction or 'asc'}'")
    if field not in sortable:
        raise QueryError(
            f"sort_by {field!r} is neither an aggregate nor a grouping here{suggestion(field, sortable)}"
        )
    if not colon or direction not in _DIRECTIONS:
        raise QueryError(f"sort_by {written!r} has no direction; write '{field}:desc' or '{field}:asc'")


def _aggregates(words: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    names = listed("aggregates", words)
    if not names:
        raise QueryError(f"aggregates is empty; name at least one of {', '.join(known)}")
    for foreign in {*PAGEVIEW_AGGREGATES, *EVENT_AGGREGATES}.difference(known).intersection(map(str, names)):
        other = "EventQuery" if known is PAGEVIEW_AGGREGATES else "PageviewQuery"
        raise QueryError(f"aggregates has {foreign!r} in {other} only; there are here: {', '.join(known)}")
    return known_words("aggregates", names, known)
