"""The reports of the demonstration, all of them different."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import count, islice
from typing import Final

from attrs import frozen

from fathom_async import EventQuery, PageviewQuery, Site
from fathom_async.reports import FieldGrouping, PageviewAggregate

OVERVIEW = "overview"
TRAFFIC = "pageviews over time"
PAGES = "top pages"
REFERRERS = "referrers"
COUNTRIES = "countries"
BROWSERS = "browsers"
DEVICES = "devices"
EVENTS = "event"
VISITORS = "current visitors"

_Columns = tuple[tuple[PageviewAggregate, ...], tuple[FieldGrouping, ...]]

_FIRST: Final[Mapping[str, _Columns]] = {
    OVERVIEW: (("visits", "pageviews", "bounce_rate", "avg_duration"), ()),
    TRAFFIC: (("pageviews",), ()),
    PAGES: (("pageviews", "uniques"), ("pathname",)),
    REFERRERS: (("pageviews",), ("referrer_source",)),
    COUNTRIES: (("pageviews",), ("country_code",)),
    BROWSERS: (("pageviews",), ("browser",)),
    DEVICES: (("pageviews",), ("device_type",)),
}
_FURTHER: Final[Mapping[str, _Columns]] = {
    "entry pages": (("visits",), ("entry_page",)),
    "exit pages": (("visits",), ("exit_page",)),
    "operating systems": (("pageviews",), ("operating_system",)),
    "cities": (("pageviews",), ("country_code", "city")),
    "campaigns": (("visits",), ("utm_source", "utm_campaign")),
}
_SECOND: Final = timedelta(seconds=1)
_SHORTEST: Final = timedelta(hours=1)
_HOURLY_DAYS: Final = 3


@frozen
class PlannedReport:
    """A request to come.

    Attributes:
        kind: What is asked for, such as ``top pages``.
        site: The site.
        query: The query; None for current visitors.
        is_whole: Whether it covers all days, not a part of them.
    """

    kind: str
    site: Site
    query: PageviewQuery | EventQuery | None
    is_whole: bool = True

    def __str__(self) -> str:
        if self.query is None or self.is_whole or self.query.date_from is None or self.query.date_to is None:
            return self.kind
        first, last = self.query.date_from, self.query.date_to
        return f"{self.kind}, {first:%d %b %H:%M} to {last:%d %b %H:%M}"


def plan_reports(
    events: Mapping[Site, Sequence[str]], first: date, last: date, most: int
) -> list[PlannedReport]:
    """Return different reports, up to a number.

    Every kind of report for every site comes first, over all days; after them the same over halves of the
    time, quarters, and so on.

    Args:
        events: The sites, and the names of each one's events.
        first: The first day.
        last: The last day.
        most: How many.
    """
    return list(islice(_every_report(events, first, last), most))


def query_of(kind: str, site_id: str, **more: object) -> PageviewQuery:
    """Return the query of a kind of report, with the highest groups first."""
    metrics, by = {**_FIRST, **_FURTHER}[kind]
    query = PageviewQuery(site_id, aggregates=metrics, field_grouping=by)
    return query.replace(sort_by=f"{metrics[0]}:desc" if by else None, **more)


def _every_report(events: Mapping[Site, Sequence[str]], first: date, last: date) -> Iterator[PlannedReport]:
    begin, end = datetime.combine(first, time()), datetime.combine(last, time(23, 59, 59))
    unit = "hour" if (last - first).days < _HOURLY_DAYS else "day"
    for parts in (2**power for power in count()):
        length = (end + _SECOND - begin) / parts
        if parts > 1 and length < _SHORTEST:
            return
        for part in range(parts):
            part_end = begin + length * (part + 1)
            span = (_whole_second(begin + length * part), _whole_second(part_end) - _SECOND)
            yield from _reports_over(events, *span, unit=unit, is_whole=parts == 1)


def _reports_over(
    events: Mapping[Site, Sequence[str]], begin: datetime, end: datetime, *, unit: str, is_whole: bool
) -> Iterator[PlannedReport]:
    def planned(kind: str, site: Site) -> PlannedReport:
        grouping = unit if kind == TRAFFIC else None
        query = query_of(kind, site.id, date_from=begin, date_to=end, date_grouping=grouping)
        return PlannedReport(kind, site, query, is_whole)

    yield from (planned(kind, site) for kind in _FIRST for site in events)
    for site, names in events.items():
        if names:
            conversions = EventQuery(
                site.id, names[0], aggregates=["conversions", "value"], date_from=begin, date_to=end
            )
            yield PlannedReport(EVENTS, site, conversions, is_whole)
    if is_whole:
        yield from (PlannedReport(VISITORS, site, None) for site in events)
    yield from (planned(kind, site) for kind in _FURTHER for site in events)


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
