"""The period that another one is compared to, and the part of both that can be compared.

1. The **step** back is the period's own length. In words, it is their unit: ``month to date`` steps back a month and
   ``last 30 days`` 30 days. Dates that are whole months or years step back as many of these, and other ranges as many
   days, or as many seconds if they do not begin and end with a day. Grouped by date, a period steps back by **whole
   groups**, rounded up, so that part of a month is compared to the same part of a month.
2. A **year** back begins on the same date a year before, or on 28 February. Months end on the same date too, also
   what is grouped by months or years; other periods are as long as they are now.
3. Aligned by **weekday**, a period goes back by whole weeks: by 52 for a year, otherwise by as many as come closest
   to its step and leave no day in both.
4. A period that is still **running** is compared up to the last whole hour of the site's clock, or up to now if there
   is none yet, to the same part of the former one, which ends where its last day does if it is too short.
"""

import math
from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Generic

import attrs

from fathom_async._core.codec.rows import RowT_co
from fathom_async._reports.calendar import SECOND, Buckets, Unit
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.periods import Period, understood
from fathom_async._util.checks import suggestion
from fathom_async.errors import QueryError

if TYPE_CHECKING:
    from fathom_async._reports.query import Query

FORMERS: Final = ("previous period", "previous year")
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_LENGTHS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_LAST_ZONE: Final = timedelta(hours=12)
"""How far clocks are behind UTC at the most."""
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_WEEKS_A_YEAR: Final = 52


@attrs.frozen
class Step:
    """How far back: whole months, or a length of time."""

    months: int = 0
    length: timedelta = timedelta()

    def back(self, moment: datetime, *, is_end: bool = False) -> datetime:
        """Return the moment before this one; the last of a month that is shorter, or its end.

        `is_end` says that it is the first one behind a range, rather than the first one in it.
        """
        if not self.months:
            return moment - self.length
        index = moment.year * 12 + moment.month - 1 - self.months
        year, month = index // 12, index % 12 + 1
        last = monthrange(year, month)[1]
        if moment.day <= last:
            return moment.replace(year=year, month=month)
        if is_end:
            return datetime(year, month, last) + _DAY  # noqa: DTZ001 - the site's clock
        return moment.replace(year=year, month=month, day=last)


def step_of(period: Period, words: str | None) -> Step:
    """Return how far back the period before this one is (rule 1)."""
    if words is not None and Period.dated(words) is None:
        _, count, unit = understood(words)
        if unit in _MONTHS:
            return Step(months=count * _MONTHS[unit])
        return Step(length=count * _LENGTHS[unit])
    if months := Buckets.of("month", period.start, period.end):
        return Step(months=months.last - months.first + 1)
    return Step(length=period.end + SECOND - period.start)


def _in_groups(step: Step, period: Period, grouping: DateGrouping | None) -> Step:
    """Return the step in whole hours, days, months or years, by which a period is grouped, rounded up (rule 1)."""
    if grouping is None:
        return step
    if (size := _MONTHS.get(grouping)) is not None:
        return Step(months=math.ceil((step.months or _months_of(period)) / size) * size)
    length = _LENGTHS[grouping]
    return step if step.months else Step(length=math.ceil(step.length / length) * length)


def _months_of(period: Period) -> int:
    """Return the fewest months that a period goes back without a moment in both."""
    unit, end = Unit("month"), period.end + SECOND
    months = unit.index(end) - unit.index(period.start)
    return months if Step(months=months).back(end, is_end=True) <= period.start else months + 1


def compared(
    period: Period,
    to: str | Period,
    now: datetime,
    *,
    words: str | None = None,
    by_weekday: bool = False,
    grouping: DateGrouping | None = None,
) -> tuple[Period, Period]:
    """Return what to compare: the period, and the former one, as far as both can be compared.

    The period and `now` are on the site's clock. `to` is ``previous period``, ``previous year``, or the former period
    itself; `words` are those that the period was given by, if any; `by_weekday` aligns the two by weekdays, and
    `grouping` is what the rows of both are grouped by.
    """
    is_running = period.end >= now
    end = _cut(period, now) if is_running else period.end + SECOND
    if isinstance(to, Period):
        if by_weekday:
            raise QueryError(
                "by_weekday chooses the former period; name 'previous period' or 'previous year'"
            )
        former_end = to.start + (end - period.start) if is_running else to.end + SECOND
        return Period(period.start, end - SECOND), Period(to.start, min(former_end - SECOND, to.end))
    if to not in FORMERS:
        raise QueryError(
            f"to must be {FORMERS[0]!r}, {FORMERS[1]!r} or a Period, not {to!r}{suggestion(to, FORMERS)}"
        )
    own, is_year = _in_groups(step_of(period, words), period, grouping), to == "previous year"
    step = Step(months=_MONTHS["year"]) if is_year else own
    if by_weekday:
        step = _in_weeks(step, period, is_year=is_year)
    try:
        start = step.back(period.start)
        former_end = step.back(end, is_end=True) if own.months else start + (end - period.start)
    except (OverflowError, ValueError):
        raise QueryError(f"the {to} of {period.start.date()} is before the year 1") from None
    if is_running and not is_year:
        former_end = min(former_end, period.start)
    return Period(period.start, end - SECOND), Period(start, former_end - SECOND)


def _cut(period: Period, now: datetime) -> datetime:
    """Return where the part of a running period ends that can be compared (rule 4)."""
    if now <= period.start:
        raise QueryError(f"nothing of a period that begins at {period.start} has passed; it is {now} there")
    hour = now.replace(minute=0, second=0)
    return hour if hour > period.start else now


def _in_weeks(step: Step, period: Period, *, is_year: bool) -> Step:
    if is_year:
        return Step(length=_WEEKS_A_YEAR * _WEEK)
    length, back = period.end + SECOND - period.start, period.start - step.back(period.start)
    return Step(length=max(math.ceil(length / _WEEK), round(back / _WEEK)) * _WEEK)


@attrs.frozen
class Question(Generic[RowT_co]):
    """A query to compare with the former period `to`, see `compared`; without `over`, its range is the period."""

    query: "Query[RowT_co]"
    to: str | Period
    over: str | Period | None
    by_weekday: bool

    def depends_on_clock(self, utc: datetime) -> bool:
        """Whether the site's clock must be known at this moment: for words, and while the period may run."""
        dated = self._dated
        end = self.query.date_to if dated is None else dated.end
        return (self.over is not None and dated is None) or end is None or end >= _naive(utc) - _LAST_ZONE

    def queries(self, now: date) -> "tuple[Query[RowT_co], Query[RowT_co]]":
        """Return the queries of both periods, for all groups: one that leaves the first few is not gone.

        The moment is on the site's clock; a date is the end of that day.
        """
        query, moment, words = self.query, _naive(now), self.over if isinstance(self.over, str) else None
        if self.by_weekday and query.date_grouping in {"month", "year"}:
            raise QueryError(
                f"by_weekday goes back by weeks, where no {query.date_grouping} begins; group by day, or leave it out"
            )
        if (period := self._dated) is None and words is not None:
            period = Period.parse(words, now)
        elif period is None and query.date_from is not None:
            period = Period(query.date_from, query.date_to or Period.parse("today", now).end)
        if period is None:
            raise QueryError(
                "a comparison needs a range; write over='last 30 days', or date_from in the query"
            )
        both = compared(
            period,
            self.to,
            moment,
            words=words,
            by_weekday=self.by_weekday,
            grouping=query.date_grouping,
        )
        is_grouped = query.field_grouping or query.extra.get("field_grouping")
        whole = query.replace(limit=None) if is_grouped else query
        current, former = (whole.replace(date_from=each.start, date_to=each.end) for each in both)
        return current, former

    @property
    def _dated(self) -> Period | None:
        return Period.dated(self.over) if isinstance(self.over, str) else self.over


def _naive(now: date) -> datetime:
    moment = now if isinstance(now, datetime) else datetime.combine(now + _DAY, time())
    return moment.replace(tzinfo=None, microsecond=0)
