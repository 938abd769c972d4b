"""Which reports the demonstration asks for: all different, as many as told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import count, islice

from attrs import frozen

from fathom_async import EventQuery, PageviewQuery, Site

OVERVIEW = "overview"
TRAFFIC = "pageviews over time"
PAGES = "top pages"
REFERRERS = "referrers"
COUNTRIES = "countries"
BROWSERS = "browsers"
DEVICES = "devices"
EVENTS = "event"
VISITORS = "current visitors"

SHARES: Mapping[str, str] = {
    REFERRERS: "referrer_source",
    COUNTRIES: "country_code",
    BROWSERS: "browser",
    DEVICES: "device_type",
}
"""The column of each kind of report whose pageviews are summed up over the sites."""

_SECOND = timedelta(seconds=1)
_SHORTEST = timedelta(hours=1)
_HOURLY_DAYS = 3

Ask = Callable[[str], PageviewQuery]

_FIRST: Mapping[str, Ask] = {
    OVERVIEW: lambda site: PageviewQuery(
        site, aggregates=["visits", "pageviews", "bounce_rate", "avg_duration"]
    ),
    TRAFFIC: lambda site: PageviewQuery(site, aggregates=["pageviews"], date_grouping="day"),
    PAGES: lambda site: PageviewQuery(
        site, aggregates=["pageviews", "uniques"], field_grouping=["pathname"], sort_by="pageviews:desc"
    ),
    REFERRERS: lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["referrer_source"], sort_by="pageviews:desc"
    ),
    COUNTRIES: lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["country_code"], sort_by="pageviews:desc"
    ),
    BROWSERS: lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["browser"], sort_by="pageviews:desc"
    ),
    DEVICES: lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["device_type"], sort_by="pageviews:desc"
    ),
}
_FURTHER: Mapping[str, Ask] = {
    "entry pages": lambda site: PageviewQuery(
        site, aggregates=["visits"], field_grouping=["entry_page"], sort_by="visits:desc"
    ),
    "exit pages": lambda site: PageviewQuery(
        site, aggregates=["visits"], field_grouping=["exit_page"], sort_by="visits:desc"
    ),
    "operating systems": lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["operating_system"], sort_by="pageviews:desc"
    ),
    "cities": lambda site: PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=["country_code", "city"], sort_by="pageviews:desc"
    ),
    "campaigns": lambda site: PageviewQuery(
        site, aggregates=["visits"], field_grouping=["utm_source", "utm_campaign"], sort_by="visits:desc"
    ),
}


@frozen
class PlannedReport:
    """One request to come.

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
    """Return so many different reports, or fewer where there are no more.

    Every kind of report for every site comes first, over all days; after them the same over halves of the
    time, quarters, and so on.

    Args:
        events: The sites, and the names of each one's events.
        first: The first day.
        last: The last day.
        most: How many.
    """
    return list(islice(_every_report(events, first, last), most))


def is_hourly(first: date, last: date) -> bool:
    """Whether so few days are shown by the hour."""
    return (last - first).days < _HOURLY_DAYS


def _every_report(events: Mapping[Site, Sequence[str]], first: date, last: date) -> Iterator[PlannedReport]:
    begin, end = datetime.combine(first, time()), datetime.combine(last, time(23, 59, 59))
    for parts in (2**power for power in count()):
        length = (end + _SECOND - begin) / parts
        if parts > 1 and length < _SHORTEST:
            return
        for part in range(parts):
            part_end = begin + length * (part + 1)
            span = (_whole_second(begin + length * part), _whole_second(part_end) - _SECOND)
            yield from _reports_over(events, *span, hourly=is_hourly(first, last), is_whole=parts == 1)


def _reports_over(
    events: Mapping[Site, Sequence[str]], begin: datetime, end: datetime, *, hourly: bool, is_whole: bool
) -> Iterator[PlannedReport]:
    for kind, ask in _FIRST.items():
        for site in events:
            query = ask(site.id).replace(date_from=begin, date_to=end)
            if kind == TRAFFIC and hourly:
                query = query.replace(date_grouping="hour")
            yield PlannedReport(kind, site, query, is_whole)
    for site, names in events.items():
        if names:
            conversions = EventQuery(
                site.id, names[0], aggregates=["conversions", "value"], date_from=begin, date_to=end
            )
            yield PlannedReport(EVENTS, site, conversions, is_whole)
    if is_whole:
        for site in events:
            yield PlannedReport(VISITORS, site, None)
    for kind, ask in _FURTHER.items():
        for site in events:
            yield PlannedReport(kind, site, ask(site.id).replace(date_from=begin, date_to=end), is_whole)


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
