"""The time ranges to choose from, and the bars of their charts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import takewhile
from typing import Literal

from attrs import frozen

from fathom_async import Period

Grouping = Literal["hour", "day", "month"]

_SECOND = timedelta(seconds=1)


class RangeName(StrEnum):
    """The name of a range in URLs."""

    TODAY = "today"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "12m"


@frozen
class Range:
    """A range of time up to now.

    Attributes:
        label: Text of the link.
        words: The range as `Period.parse` reads it.
        before: Name of the range of the same length before it.
        grouping: Unit of time of a bar in its chart.
    """

    label: str
    words: str
    before: str
    grouping: Grouping

    def moments(self, now: datetime) -> Sequence[datetime]:
        """Return the start of each bar on the site's clock, the current one last.

        An hour that the clock skips has no bar; an hour that it repeats has one, as in the API's answers.

        Args:
            now: The current time in the site's time zone.
        """
        start = Period.parse(self.words, now).start
        bars = _bars(start, self.grouping, now.tzinfo)
        return list(takewhile(lambda moment: moment <= now.replace(tzinfo=None), bars))


RANGES = {
    RangeName.TODAY: Range("Today", "today", "yesterday", "hour"),
    RangeName.WEEK: Range("7 days", "last 7 days", "the 7 days before", "day"),
    RangeName.MONTH: Range("30 days", "last 30 days", "the 30 days before", "day"),
    RangeName.QUARTER: Range("90 days", "last 90 days", "the 90 days before", "day"),
    RangeName.YEAR: Range("12 months", "last 12 months", "the 12 months before", "month"),
}


def _bars(start: datetime, grouping: Grouping, zone: tzinfo | None) -> Iterator[datetime]:
    moment = start
    while True:
        after = _next(moment, grouping)
        if _exists(moment, zone) or _exists(after - _SECOND, zone):
            yield moment
        moment = after


def _exists(moment: datetime, zone: tzinfo | None) -> bool:
    """Return whether a local time exists in a time zone."""
    return moment == moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)


def _next(moment: datetime, grouping: Grouping) -> datetime:
    match grouping:
        case "hour":
            return moment + timedelta(hours=1)
        case "day":
            return moment + timedelta(days=1)
        case "month":
            return (moment.replace(day=1) + timedelta(days=31)).replace(day=1)
