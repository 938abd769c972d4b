"""The time ranges to pick from, and the moments that their charts have a bar for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from attrs import frozen

from fathom_async import Period

Grouping = Literal["hour", "day", "month"]


class RangeName(StrEnum):
    """A range, as addresses name it."""

    TODAY = "today"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "12m"


@frozen
class Range:
    """A range of time up to now.

    Attributes:
        label: For people.
        words: What `Period.parse` reads.
        before: What the range of the same length before it is called.
        grouping: What a bar of its chart stands for.
    """

    label: str
    words: str
    before: str
    grouping: Grouping

    def moments(self, now: datetime) -> Sequence[datetime]:
        """Return the begin of each bar on the site's clock, the running one last."""
        start = Period.parse(self.words, now).start
        moments = [start]
        while (after := _next(moments[-1], self.grouping)) <= now.replace(tzinfo=None):
            moments.append(after)
        return moments

    def with_previous(self, now: datetime) -> Period:
        """Return the range together with the one of the same length before it."""
        period = Period.parse(self.words, now)
        if self.grouping == "month":
            return Period(period.start.replace(year=period.start.year - 1), period.end)
        return Period(period.start - (period.end + timedelta(seconds=1) - period.start), period.end)

    def moments_before(self, now: datetime) -> Sequence[datetime]:
        """Return the begin of as many bars of the range before it."""
        moments = [self.with_previous(now).start]
        for _ in self.moments(now)[1:]:
            moments.append(_next(moments[-1], self.grouping))
        return moments


RANGES = {
    RangeName.TODAY: Range("Today", "today", "yesterday", "hour"),
    RangeName.WEEK: Range("7 days", "last 7 days", "7 days before", "day"),
    RangeName.MONTH: Range("30 days", "last 30 days", "30 days before", "day"),
    RangeName.QUARTER: Range("90 days", "last 90 days", "90 days before", "day"),
    RangeName.YEAR: Range("12 months", "last 12 months", "12 months before", "month"),
}


def _next(moment: datetime, grouping: Grouping) -> datetime:
    match grouping:
        case "hour":
            return moment + timedelta(hours=1)
        case "day":
            return moment + timedelta(days=1)
        case "month":
            return (moment.replace(day=1) + timedelta(days=31)).replace(day=1)
