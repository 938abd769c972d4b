"""The board of one site over one range: four queries and the figures from their reports."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Self
from zoneinfo import ZoneInfo

from attrs import frozen

from examples.dashboard.charts import Chart, draw
from examples.dashboard.ranges import Grouping, Range
from fathom_async import PageviewQuery, PageviewRow, Report, Site

_TOP = 8
_NO_FIGURE = "-"


@frozen
class Questions:
    """The queries of a board. The chart's query covers the range before as well, which saves a request."""

    figures: PageviewQuery
    series: PageviewQuery
    pages: PageviewQuery
    referrers: PageviewQuery

    @classmethod
    def about(cls, site: Site, span: Range, now: datetime) -> Self:
        """Return the queries for a time on the site's clock."""
        visits = PageviewQuery(site.id, aggregates=["visits"], sort_by="visits:desc", limit=_TOP)
        return cls(
            figures=PageviewQuery(
                site.id, aggregates=["visits", "pageviews", "avg_duration", "bounce_rate"]
            ).over(span.words, now=now),
            series=PageviewQuery(
                site.id, aggregates=["visits", "pageviews"], date_grouping=span.grouping
            ).over(span.with_previous(now), now=now),
            pages=visits.replace(field_grouping=["pathname"]).over(span.words, now=now),
            referrers=visits.replace(field_grouping=["referrer_hostname"]).over(span.words, now=now),
        )

    def all(self) -> Sequence[PageviewQuery]:
        """Return the queries in the order that `Board.of` expects."""
        return (self.figures, self.series, self.pages, self.referrers)


@frozen
class Figure:
    """One of the large numbers on a board.

    Attributes:
        label: Name of the metric.
        text: The number, formatted.
        change: Change from the range before, as a fraction of it; None if there is nothing to compare with.
    """

    label: str
    text: str
    change: float | None = None


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
        as_of: When the oldest answer was requested, on the site's clock.
    """

    site: Site
    span: Range
    figures: Sequence[Figure]
    chart: Chart
    pages: Sequence[Line]
    referrers: Sequence[Line]
    as_of: datetime

    @classmethod
    def of(
        cls, site: Site, span: Range, now: datetime, reports: Sequence[Report[PageviewRow]], asked_at: float
    ) -> Self:
        """Build a board from its reports.

        Args:
            site: The site.
            span: The range.
            now: The time of the queries, on the site's clock.
            reports: The reports, in the order of `Questions.all`.
            asked_at: Unix time at which the oldest report was requested.
        """
        figures, series, pages, referrers = reports
        by_moment = {_moment(row.date): row for row in series}
        moments = span.moments(now)
        return cls(
            site=site,
            span=span,
            figures=_figures(figures, by_moment, moments, span.moments_before(now)),
            chart=draw(
                [_label(moment, span.grouping) for moment in moments],
                [_count(by_moment, moment, "visits") for moment in moments],
                [_count(by_moment, moment, "pageviews") for moment in moments],
            ),
            pages=_ranking(pages, "pathname", "(unknown)"),
            referrers=_ranking(referrers, "referrer_hostname", "Direct, or unknown"),
            as_of=datetime.fromtimestamp(asked_at, clock_of(site)),
        )


def clock_of(site: Site) -> ZoneInfo:
    """Return the time zone of a site's reports."""
    return ZoneInfo(site.timezone or "UTC")


def now_at(site: Site) -> datetime:
    """Return the current time on the site's clock."""
    return datetime.now(UTC).astimezone(clock_of(site))


def _figures(
    report: Report[PageviewRow],
    by_moment: Mapping[datetime, PageviewRow],
    moments: Sequence[datetime],
    before: Sequence[datetime],
) -> Sequence[Figure]:
    def change(metric: str) -> float | None:
        """Compare complete bars only: leave out the current hour, day or month."""
        new = sum(_count(by_moment, moment, metric) for moment in moments[:-1])
        old = sum(_count(by_moment, moment, metric) for moment in before)
        return new / old - 1 if old else None

    duration, bounces = report.total("avg_duration"), report.total("bounce_rate")
    return (
        Figure("Visits", f"{report.total('visits'):,}", change("visits")),
        Figure("Pageviews", f"{report.total('pageviews'):,}", change("pageviews")),
        Figure("Average visit", _NO_FIGURE if duration is None else _minutes(duration)),
        Figure("Bounce rate", _NO_FIGURE if bounces is None else f"{bounces:.0%}"),
    )


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
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the site's


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
