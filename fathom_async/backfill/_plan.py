"""What a backfill is about: its query, its periods, and up to where they are complete."""

from datetime import date, datetime
from typing import Generic
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import RowT
from fathom_async._reports.arguments import LAST_SECOND, known_word
from fathom_async._reports.fields import DATE_GROUPINGS, DateGrouping
from fathom_async._reports.query import Query
from fathom_async.backfill._layout import Layout, Series, series_of
from fathom_async.backfill._pace import Pace
from fathom_async.backfill._periods import Span
from fathom_async.errors import ArgumentError, QueryError


@attrs.frozen
class Plan(Generic[RowT]):
    """A backfill, before it knows what its target holds.

    Args:
        query: What to ask, over any of the periods.
        layout: The table.
        series: Whose rows.
        wanted: The periods to fill in.
        complete_before: The first period that is not to be asked for yet.
        settled_before: Periods before this one need not be asked for again once they were.
        zone: Name of the time zone by whose clock the periods begin and end.
        pace: How many to ask for first.
    """

    query: Query[RowT]
    layout: Layout
    series: Series
    wanted: Span
    complete_before: int
    settled_before: int
    zone: str
    pace: Pace

    def over(self, span: Span) -> Query[RowT]:
        """Return the query over some of the periods."""
        unit = self.layout.unit
        return self.query.replace(date_from=unit.start(span.first), date_to=unit.end(span.after - 1))


def planned(
    query: Query[RowT],
    *,
    since: date | str,
    until: date | str | None,
    grouping: DateGrouping,
    look_back: int,
    incomplete: bool,
    zone: ZoneInfo | None,
    now: datetime,
) -> Plan[RowT]:
    """Return the plan of these arguments; see `fathom_async.backfill._run.backfill`.

    Raises:
        ArgumentError: An argument is out of range.
        QueryError: The query does not suit a table of periods.
    """
    query = _by_period(query, grouping)
    layout = Layout.of(query)
    first = _day("since", since)
    last = None if until is None else _day("until", until)
    if last is not None and last < first:
        raise ArgumentError(f"until {last} is before since {first}; swap them")
    if isinstance(look_back, bool) or not isinstance(look_back, int) or look_back < 0:
        raise ArgumentError(f"look_back must be a whole number of periods from 0, not {look_back!r}")
    if now.tzinfo is None:
        raise ArgumentError("now must have a time zone; write datetime.now(UTC)")
    index = layout.unit.index
    clock = _zone(query, zone)
    running = index(now.astimezone(clock).replace(tzinfo=None))
    complete_before = running + 1 if incomplete else running
    end = complete_before if last is None else index(datetime.combine(last, LAST_SECOND)) + 1
    return Plan(
        query,
        layout,
        series_of(query),
        wanted=Span(index(first), min(end, complete_before)),
        complete_before=complete_before,
        settled_before=running - look_back,
        zone=clock.key,
        pace=Pace.begin(layout.unit.name, has_fields=bool(query.field_grouping)),
    )


def _by_period(query: Query[RowT], grouping: DateGrouping) -> Query[RowT]:
    if not isinstance(query, Query):
        raise ArgumentError(f"a backfill takes one PageviewQuery or EventQuery, not {query!r}")
    known_word("grouping", grouping, DATE_GROUPINGS)
    if query.date_grouping not in {None, grouping}:
        raise QueryError(
            f"the query is grouped by the {query.date_grouping}, the backfill by the {grouping}; write "
            f"grouping={query.date_grouping!r}, or leave date_grouping out of the query"
        )
    if query.date_from is not None or query.date_to is not None:
        raise QueryError("a backfill takes its range from since and until; leave out date_from and date_to")
    if query.limit is not None:
        raise QueryError(f"a backfill has every row; leave out limit={query.limit}")
    if query.sort_by is not None:
        raise QueryError(
            f"the rows of a table have an order of their own; leave out sort_by={query.sort_by!r}"
        )
    return query.replace(date_grouping=grouping)


def _day(argument: str, value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ArgumentError(f"{argument} cannot be read: {value!r}; write '2026-01-31'") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ArgumentError(f"{argument} takes a date or a str such as '2026-01-31', not {value!r}")
    return value


def _zone(query: Query[RowT], zone: ZoneInfo | None) -> ZoneInfo:
    """Return the time zone of the report's dates, by whose clock a period is complete."""
    if zone is None and query.timezone is None:
        raise ArgumentError(
            f"the time zone of the site {query.site_id!r} is not known; give the query one: "
            "timezone='Europe/Berlin'"
        )
    if zone is None or query.timezone is None:
        return zone or ZoneInfo(query.timezone or "")
    if zone.key != query.timezone:
        raise ArgumentError(
            f"zone is {zone.key}, but the query's dates are in {query.timezone}; leave out one of them"
        )
    return zone
