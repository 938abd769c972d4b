"""The plan of a backfill: its query, its periods, which of them are complete, and how many fit into one request.

Without fields to group by, a report has one row per period and no row limit: everything missing is one request,
except that the server groups at most 7 days by the hour. With fields, an answer of less than 1,000 rows costs one
request, and one of more rows a request for each thousand and one more. So the rows of the last periods decide how
many periods to request next, and a run that is killed loses at most one such chunk.
"""

import math
from datetime import date, datetime, timedelta
from typing import Final, Generic
from zoneinfo import ZoneInfo

import attrs

from fathom_async._cache.entry import GRACE
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.arguments import LAST_SECOND, known_word
from fathom_async._reports.fields import DATE_GROUPINGS, MAX_ROWS, DateGrouping
from fathom_async._reports.query import HOUR_GROUPING_SPAN, Query
from fathom_async._util.checks import count
from fathom_async.backfill._layout import Layout, Series, series_of
from fathom_async.backfill._ledger import Span
from fathom_async.errors import ArgumentError, QueryError

_HOURS: Final = HOUR_GROUPING_SPAN.days * 24
_FILL: Final = 0.8
_GROWTH: Final = 8
_FIRST: Final[dict[DateGrouping, int]] = {"hour": 24, "day": 7, "month": 3, "year": 1}
_MOST: Final[dict[DateGrouping, int]] = {"hour": _HOURS, "day": 366, "month": 36, "year": 10}


@attrs.frozen
class BatchSizer:
    """Decides how many periods to request next, None for all, and `most` at once; None if rows do not matter."""

    size: int | None
    most: int | None

    @classmethod
    def begin(cls, grouping: DateGrouping, *, has_fields: bool) -> "BatchSizer":
        """Return the sizer for a report of unknown density."""
        if has_fields:
            return cls(_FIRST[grouping], _MOST[grouping])
        return cls(_HOURS if grouping == "hour" else None, None)

    def reports(self, periods: Span) -> int:
        """Return how many reports the periods take, if they stay as dense as the last ones."""
        return 1 if self.size is None else math.ceil(len(periods) / self.size)

    def halved(self, periods: int) -> "BatchSizer":
        """Return the sizer after so many periods exceeded the row cap."""
        return attrs.evolve(self, size=max(1, periods // 2))

    def after(self, periods: int, rows: int) -> "BatchSizer":
        """Return the sizer after so many periods had so many rows."""
        if self.most is None:
            return self
        fitting = int(_FILL * MAX_ROWS * periods / max(rows, 1))
        return attrs.evolve(self, size=max(1, min(fitting, periods * _GROWTH, self.most)))


@attrs.frozen
class BackfillPlan(Generic[RowT]):
    """A backfill before its target is read.

    The query has no range. Periods from `complete_before` on are not requested yet; those from `settled_before` on
    are requested in each run, because hits may reach them late. `zone` is the name of the periods' time zone.
    """

    query: Query[RowT]
    layout: Layout
    series: Series
    wanted: Span
    complete_before: int
    settled_before: int
    zone: str
    sizer: BatchSizer

    def over(self, span: Span) -> Query[RowT]:
        """Return the query over a span of periods."""
        unit = self.layout.unit
        return self.query.replace(date_from=unit.start(span.first), date_to=unit.end(span.after - 1))


def plan_backfill(
    query: Query[RowT],
    *,
    since: date | str,
    until: date | str | None,
    grouping: DateGrouping,
    look_back: int,
    incomplete: bool,
    zone: ZoneInfo | None,
    now: datetime,
) -> BackfillPlan[RowT]:
    """Check the arguments of `fathom_async.backfill.backfill`, and return its plan."""
    query = _by_period(query, grouping)
    layout = Layout.of(query)
    first = _day("since", since)
    last = None if until is None else _day("until", until)
    if last is not None and last < first:
        raise ArgumentError(f"until {last} is before since {first}; swap them")
    count("look_back", look_back, least=0)
    if now.tzinfo is None:
        raise ArgumentError("now must have a time zone; write datetime.now(UTC)")
    index = layout.unit.index
    clock = _zone(query, zone)
    running, settling = (
        index(moment.astimezone(clock).replace(tzinfo=None))
        for moment in (now, now - timedelta(seconds=GRACE))
    )
    complete_before = running + 1 if incomplete else running
    end = complete_before if last is None else index(datetime.combine(last, LAST_SECOND)) + 1
    return BackfillPlan(
        query,
        layout,
        series_of(query),
        wanted=Span(index(first), min(end, complete_before)),
        complete_before=complete_before,
        settled_before=settling - look_back,
        zone=clock.key,
        sizer=BatchSizer.begin(layout.unit.name, has_fields=bool(query.field_grouping)),
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
        raise QueryError(f"a table sorts its rows itself; leave out sort_by={query.sort_by!r}")
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
    """Return the time zone of the report's dates."""
    if zone is None and query.timezone is None:
        raise ArgumentError(
            f"the time zone of the site {query.site_id!r} is unknown; set timezone='Europe/Berlin' on the query"
        )
    if zone is None or query.timezone is None:
        return zone or ZoneInfo(query.timezone or "")
    if zone.key != query.timezone:
        raise ArgumentError(
            f"zone is {zone.key}, but the query has timezone={query.timezone!r}; leave out one of them"
        )
    return zone
