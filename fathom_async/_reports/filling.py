"""Rows for what a report has no row for, because nothing was counted there.

1. The **buckets** are the hours, days, months or years that the range touches. An open range begins with the first
   row, and ends with the present bucket, or with the last row if the present is not known.
2. Buckets that begin after the present are left out, and so are hours that the site's clock skips. An hour that it
   repeats is one bucket, as in the API's answers.
3. Each group that has a row in any bucket has one in every bucket. A report without groups and dates has one row.
4. Counts are 0. Averages, and metrics that this version does not know, are None.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from operator import attrgetter
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from fathom_async._core.codec.rows import RowT
from fathom_async._reports.calendar import SECOND, Unit
from fathom_async._reports.fields import DATE_COLUMN, DateGrouping

if TYPE_CHECKING:
    from fathom_async._reports.query import Query

_DAY: Final = timedelta(days=1)


def missing_rows(query: "Query[RowT]", rows: Sequence[RowT], now: date | None) -> Iterator[RowT]:
    """Yield a row of zeros for each bucket and group without a row, in calendar order (rules 3 and 4)."""
    columns = query.codec.columns
    labels = [column.name for column in columns if column.kind == "text"]
    metrics = [
        0 if column.kind == "count" else None for column in columns if column.kind in {"count", "number"}
    ]
    if query.date_grouping is None:
        if not rows and not labels:
            yield query.codec.row(*metrics)
        return
    read = [attrgetter(name) for name in (DATE_COLUMN, *labels)]
    keys = [tuple(each(row) for each in read) for row in rows]
    groups, known = dict.fromkeys(key[1:] for key in keys), {*keys}
    for moment in _buckets(query, query.date_grouping, [key[0] for key in keys], now):
        for group in groups if labels else [()]:
            if (moment, *group) not in known:
                yield query.codec.row(moment, *group, *metrics)


def _buckets(
    query: "Query[RowT]", grouping: DateGrouping, dates: Sequence[date], now: date | None
) -> Iterator[date]:
    """Yield the date column of each bucket (rules 1 and 2)."""
    unit, (present, zone) = Unit(grouping), _clock(query, now)
    first = query.date_from or min(dates, default=None)
    asked = query.date_to if present is None else min(query.date_to or present, present)
    last = asked or max(dates, default=None)
    if first is None or last is None:
        return
    for index in range(unit.index(first), unit.index(last) + 1):
        if grouping != "hour" or zone is None or _exists(unit.start(index), zone):
            yield unit.value(index)


def _clock(query: "Query[RowT]", now: date | None) -> tuple[datetime | None, tzinfo | None]:
    """Return the present on the site's clock, and its time zone, as far as they are known."""
    zone = None if query.timezone is None else ZoneInfo(query.timezone)
    if not isinstance(now, datetime):
        return None if now is None else datetime.combine(now, time()) + _DAY - SECOND, zone
    if zone is not None and now.tzinfo is not None:
        now = now.astimezone(zone)
    return now.replace(tzinfo=None), zone or now.tzinfo


def _exists(hour: datetime, zone: tzinfo) -> bool:
    """Return whether a clock shows any moment of an hour; where it goes on by half an hour, it shows half of it."""
    ends = (hour, hour.replace(minute=59, second=59))
    return any(
        at.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == at for at in ends
    )
