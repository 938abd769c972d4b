"""The board of one site over one range: its queries, and the figures from their reports."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Self
from zoneinfo import ZoneInfo

from attrs import frozen

from examples.dashboard.charts import Chart, draw
from examples.dashboard.ranges import Grouping, Range
from fathom_async import Change, Comparison, PageviewQuery, PageviewRow, Report, Site

REPORTS = 5
"""The reports of a board: one for each query, and one for the period before."""
_TOP = 8
_NO_FIGURE = "-"


@frozen
class Questions:
    """The queries of a board; `figures` is compared with the period before."""

    figures: PageviewQuery
    series: PageviewQuery
    pages: PageviewQuery
    referrers: PageviewQuery

    @classmethod
    def about(cls, site: Site, span: Range, now: datetime) -> Self:
        """Return the queries for a time on the site's clock."""
        counts = PageviewQuery(site.id, aggregates=["visits", "pageviews"]).over(span.words, now=now)
        top = counts.replace(aggregates=["visits"], sort_by="visits:desc", limit=_TOP)
        return cls(
            figures=PageviewQuery(site.id, aggregates=["visits", "pageviews", "avg_duration", "bounce_rate"]),
            series=counts.replace(date_grouping=span.grouping),
            pages=top.replace(field_grouping=["pathname"]),
            referrers=top.replace(field_grouping=["referrer_hostname"]),
        )


@frozen
class Figure:
    """One of the large numbers on a board.

    Attributes:
        label: Name of the metric.
        text: The number, formatted.
        before: The same of the period before.
        change: The change from there: "12 %", "3.6 points", "new"; empty if there is nothing to compare with.
        direction: -1, 0 or 1.
        is_good: Whether the change is for the better.
    """

    label: str
    text: str
    before: str
    change: str = ""
    direction: int = 0
    is_good: bool = True


@frozen
class Line:
    """A line of a ranking.

    Attributes:
        label: The page or referrer.
        visits: Number of visits.
        share: Length of the bar, from 0 to 100.
    """

    label: str
    visits: int
    share: float


@frozen(eq=False)
class Board:
    """The figures, chart and rankings of a site.

    Attributes:
        site: The site.
        span: The range.
        figures: The large numbers.
        chart: Visits and pageviews over time.
        pages: The pages with the most visits.
        referrers: The referrers with the most visits.
        until: End of the part of both periods that `figures` compares.
        as_of: When the oldest report was requested, on the site's clock.
        is_empty: Whether nothing was counted in this range.
    """

    site: Site
    span: Range
    figures: Sequence[Figure]
    chart: Chart
    pages: Sequence[Line]
    referrers: Sequence[Line]
    until: datetime
    as_of: datetime
    is_empty: bool

    @classmethod
    def of(
        cls,
        site: Site,
        span: Range,
        now: datetime,
        *,
        compared: Comparison[PageviewRow],
        series: Report[PageviewRow],
        rankings: Sequence[Report[PageviewRow]],
        as_of: datetime,
    ) -> Self:
        """Build a board from its reports.

        Args:
            site: The site.
            span: The range.
            now: The time of the queries, on the site's clock.
            compared: The figures of the range and of the one before.
            series: Visits and pageviews over time.
            rankings: The top pages, and the top referrers.
            as_of: When the oldest report was requested.
        """
        by_moment = {_moment(row.date): row for row in series}
        moments = span.moments(now)
        pages, referrers = rankings
        return cls(
            site=site,
            span=span,
            figures=[
                figure_of("Visits", compared.change("visits"), _whole),
                figure_of("Pageviews", compared.change("pageviews"), _whole),
                figure_of("Average visit", compared.change("avg_duration"), _minutes),
                figure_of("Bounce rate", compared.change("bounce_rate"), "{:.0%}".format, is_good_up=False),
            ],
            chart=draw(
                [_label(moment, span.grouping) for moment in moments],
                [_count(by_moment, moment, "visits") for moment in moments],
                [_count(by_moment, moment, "pageviews") for moment in moments],
            ),
            pages=_ranking(pages, "pathname", "(unknown)"),
            referrers=_ranking(referrers, "referrer_hostname", "Direct, or unknown"),
            until=_moment(compared.current.query.date_to or now) + timedelta(seconds=1),
            as_of=as_of,
            is_empty=not (len(series) or len(pages)),
        )


def clock_of(site: Site) -> ZoneInfo:
    """Return the time zone of a site's reports."""
    return ZoneInfo(site.timezone or "UTC")


def now_at(site: Site) -> datetime:
    """Return the current time on the site's clock."""
    return datetime.now(UTC).astimezone(clock_of(site))


def figure_of(
    label: str, change: Change, words: Callable[[float], str], *, is_good_up: bool = True
) -> Figure:
    """Return a figure with its change; `words` formats the number."""
    now, before = (
        _NO_FIGURE if figure is None else words(figure) for figure in (change.current, change.previous)
    )
    if change.absolute is None:
        return Figure(label, now, before)
    text = str(change).lstrip("+-")
    direction = 0 if text.startswith("0.0 ") else (change.absolute > 0) - (change.absolute < 0)
    return Figure(label, now, before, text, direction, is_good=is_good_up == (direction > 0))


def _whole(count: float) -> str:
    return f"{count:,}"


def _minutes(duration: float) -> str:
    minutes, seconds = divmod(round(duration), 60)
    return f"{minutes}:{seconds:02} min"


def _ranking(report: Report[PageviewRow], column: str, nothing: str) -> Sequence[Line]:
    most = max((row.visits or 0 for row in report), default=0) or 1
    labels = attrgetter(column)
    return [
        Line(_short(labels(row)) or nothing, row.visits or 0, 100 * (row.visits or 0) / most)
        for row in report
    ]


def _short(address: str | None) -> str:
    return (address or "").removeprefix("https://").removeprefix("http://").removeprefix("www.")


def _moment(day: date) -> datetime:
    return day.replace(tzinfo=None) if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the site's


def _count(by_moment: Mapping[datetime, PageviewRow], moment: datetime, metric: str) -> int:
    row = by_moment.get(moment)
    return int(getattr(row, metric) or 0) if row is not None else 0


def _label(moment: datetime, grouping: Grouping) -> str:
    match grouping:
        case "hour":
            return f"{moment:%H:%M}"
        case "day":
            return f"{moment.day} {moment:%b}"
        case "month":
            return f"{moment:%b %Y}"
