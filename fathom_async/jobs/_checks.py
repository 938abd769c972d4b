"""Check the values of a job one by one; each error says what to write instead, in TOML."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import product
from typing import Any, Final, cast

from fathom_async._reports import arguments
from fathom_async._reports.arguments import first_moment, last_moment, listed, sendable, time_zone
from fathom_async._reports.chunks import hour_chunks
from fathom_async._reports.filters import Filter, as_filters
from fathom_async._reports.periods import Period
from fathom_async._reports.query import AnyQuery
from fathom_async.errors import ArgumentError, QueryError
from fathom_async.jobs._matrix import LISTS, as_toml


def check_value(key: str, value: object, *, is_event: bool, in_matrix: str | None, has_zone: bool) -> None:
    """Check one value of a query's parameter; an `ArgumentError` says what to write.

    `in_matrix` is the matrix that takes several values; None if this is one of its values. `has_zone` says whether
    the query sets a time zone.
    """
    _check_is_one(key, value, in_matrix)
    if key == "aggregates":
        check = arguments.event_aggregates if is_event else arguments.pageview_aggregates
        check(cast("Any", value))
    elif key in _MOMENTS:
        _check_moment(key, value, has_zone=has_zone)
    elif key in _CHECKS:
        _CHECKS[key](value)


def filters_of(value: object) -> tuple[Filter, ...]:
    return as_filters(Filter.from_dict(each) for each in listed("filters", value))


def check_order(starts: Iterable[object], ends: Iterable[object]) -> None:
    """Check that no combination of starts and ends is a range that ends before it starts."""
    firsts = [first_moment(cast("Any", each)) for each in starts]
    lasts = [last_moment(cast("Any", each)) for each in ends]
    for start, end in product(firsts, lasts):
        if start and end and start.tzinfo is end.tzinfo is None and end < start:
            raise ArgumentError(
                f"each date_from goes with each date_to, and {end} is before {start}; write the ranges one by one, "
                'such as period = ["2026-01-01 to 2026-01-31", "2026-02"]'
            )


def check_hours(query: AnyQuery) -> None:
    """Check that a query by the hour can be sent: its range has two ends, and no limit if it takes several chunks."""
    try:
        hour_chunks(query)
    except QueryError:
        if query.date_from is None or query.date_to is None:
            raise ArgumentError(
                'a report by the hour needs a start and an end; write period = "last 7 days", or date_from and '
                "date_to, or another date_grouping"
            ) from None
        raise ArgumentError(
            f"limit = {query.limit} over more than 7 days by the hour takes several requests, whose rows have a "
            'common order only by time or by an aggregate; write sort_by = "timestamp:asc" or sort_by = '
            f'"{query.aggregates[0]}:desc", or leave out limit'
        ) from None


def _check_is_one(key: str, value: object, in_matrix: str | None) -> None:
    """Check that a parameter has one value."""
    several = _several(key, value)
    if several is None:
        return
    if in_matrix is None:
        raise ArgumentError(f"each value in a matrix is a single value; write {key} = {as_toml(several)}")
    raise ArgumentError(f"takes one value; write several in [{in_matrix}], as {key} = {as_toml(several)}")


def _several(key: str, value: object) -> list[object] | dict[str, object] | None:
    """Return the list or table, if several values were given instead of one."""
    if key not in LISTS:
        return cast("list[object] | dict[str, object]", value) if isinstance(value, list | dict) else None
    items = cast("list[object]", value) if isinstance(value, list) else []
    return items if any(isinstance(each, list) for each in items) else None


def _check_moment(key: str, value: object, *, has_zone: bool) -> None:
    read, bare = _MOMENTS[key]
    try:
        moment = read(value)
    except ArgumentError:
        raise ArgumentError(
            f"{key} cannot be read: {as_toml(value)}; write {bare} or {bare} 15:30:00, or instead of date_from and "
            'date_to a range such as period = "last 30 days" or period = "2026-01"'
        ) from None
    if moment is not None and moment.tzinfo is not None and not has_zone:
        raise ArgumentError(
            f"{key} has an offset, but the range is in the site's time zone; write {key} = "
            f'{moment.replace(tzinfo=None)} as shown by its clock, or add timezone = "UTC" for UTC'
        )


def _check_period(value: object) -> Period:
    return Period.parse(sendable("period", value), datetime(2026, 1, 1))  # noqa: DTZ001 - any moment, only the words count


_MOMENTS: Final[Mapping[str, tuple[Callable[[Any], datetime | None], str]]] = {
    "date_from": (first_moment, "2026-01-01"),
    "date_to": (last_moment, "2026-01-31"),
}
_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "site_id": arguments.site_id,
    "entity_name": arguments.entity_name,
    "field_grouping": arguments.field_grouping,
    "date_grouping": arguments.date_grouping,
    "period": _check_period,
    "filters": filters_of,
    "sort_by": lambda value: sendable("sort_by", value),
    "limit": arguments.limit,
    "timezone": time_zone,
}
