"""Options that describe a report, and the query made of them."""

import re
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from attrs import evolve, frozen
from cyclopts import Parameter, validators

from fathom_async import Period, Report, Site
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.filter_syntax import condition
from fathom_async._cli.output import listed, split
from fathom_async._util.checks import site_zone
from fathom_async.reports import MAX_ROWS, FieldGrouping, Query, Row

Per = Literal["hour", "day", "week", "month", "year"]
Q = TypeVar("Q", bound=Query[Row])
RowT = TypeVar("RowT", bound=Row)

_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks", "mo": "months", "y": "years"}
_LAST: Final = re.compile(r"(?P<count>\d{1,4}) *(?P<unit>h|d|w|mo|y)", re.IGNORECASE)
_DAYS: Final = frozenset({"today", "yesterday"})


Names = Parameter(converter=split, consume_multiple=False, completer=listed)


@Parameter(name="*")
@frozen(kw_only=True)
class Selection:
    """Groups and conditions of a report."""

    by: Annotated[tuple[FieldGrouping, ...], Names] = ()
    """Fields to group by, separated by commas."""

    where: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """A condition such as 'pathname matching ^/blog'; repeatable; all must match."""

    timezone: str | None = None
    """Time zone to use instead of the site's."""

    def selected(self, make: Callable[..., Q], **more: object) -> Q:
        """Return a query, made of these options and further arguments."""
        filters = [condition(written) for written in self.where]
        return make(field_grouping=self.by, filters=filters, timezone=self.timezone, **more)


@Parameter(name="*")
@frozen(kw_only=True)
class QueryOptions(Selection):
    """Options of a report, except its metrics."""

    per: Per | None = None
    """Group by dates of this length; weeks, from Monday, are added up from days, so only of metrics that add up."""

    last: str | None = None
    """Range up to now: 24h, 30d, 12w, 6mo or 1y; the current hour, day, week or month is the last of them."""

    period: str | None = None
    """Range in words instead: 'previous month', 'year to date', 'Q1 2026'."""

    from_: Annotated[str | None, Parameter(name="--from")] = None
    """First moment, on the site's clock: yesterday, 2026-01-31 or '2026-01-31 15:00'."""

    to: str | None = None
    """Last moment, likewise; a day ends with its last second."""

    sort: str | None = None
    """Order, such as pageviews:desc or date:asc; with --by, the first of --metrics, descending, by default."""

    limit: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=MAX_ROWS))] = None
    """Maximum number of rows."""

    complete: bool = False
    """Fetch every row, past the 1,000 at which the server stops; takes more requests."""

    def query(self, make: Callable[..., Q], now: datetime) -> Q:
        ranges = (self.last, self.period, self.from_ or self.to)
        if sum(each is not None for each in ranges) > 1:
            raise CommandError("give one of --last, --period, and --from with --to", ExitCode.USAGE)
        if self.complete and self.limit is not None:
            raise CommandError("--complete has every row; leave out --limit, or --complete", ExitCode.USAGE)
        grouping = "day" if self.per == "week" else self.per
        query = self.selected(make, date_grouping=grouping)
        query = query.replace(sort_by=self._order(query), limit=None if self.per == "week" else self.limit)
        if self.words is not None:
            return query.over(Period.parse(self.words, now), now=now)
        first, last = (_day(each, now) for each in (self.from_, self.to))
        return query.replace(
            date_from=first.start if isinstance(first, Period) else first,
            date_to=last.end if isinstance(last, Period) else last,
        )

    @property
    def words(self) -> str | None:
        """The range in words, unless it is by dates."""
        if self.last is None:
            return self.period
        if (found := _LAST.fullmatch(self.last.strip())) is None:
            raise CommandError(f"--last takes 24h, 30d, 12w, 6mo or 1y, not {self.last!r}", ExitCode.USAGE)
        count, unit = int(found["count"]), _UNITS[found["unit"].lower()]
        # A year back from now, rather than the part of this one that has passed.
        return f"last {count * 12} months" if unit == "years" else f"last {count} {unit}"

    def _order(self, query: Query[Row]) -> str | None:
        """Return the query's ``sort_by``, so that a limit keeps the highest groups."""
        if self.sort is not None:
            return re.sub(r"^date\b", "timestamp", self.sort)
        return f"{query.aggregates[0]}:desc" if self.by else None

    def in_order(self, report: Report[RowT]) -> Report[RowT]:
        """Return the report in the order asked: by date, where it has dates and no ``--sort``."""
        if self.sort is not None or report.query.date_grouping is None:  # a row of totals has no date
            return report
        return evolve(report, rows=tuple(sorted(report.rows, key=attrgetter("date"))))

    @property
    def is_on_site_clock(self) -> bool:
        """Whether the range depends on the site's time zone: on its words, and not on dates."""
        if self.timezone is not None:
            return False
        if self.words is not None:
            return Period.dated(self.words) is None
        return bool({self.from_, self.to} & _DAYS)

    def now(self, site: Site | None) -> datetime:
        """Return the current time on the clock from which a period is counted: the site's, if it is needed."""
        name = self.timezone or (site and site.timezone) or "UTC"
        return datetime.now(site_zone(site.id, name) if site else ZoneInfo(name))


def _day(written: str | None, now: datetime) -> Period | str | None:
    return Period.parse(written, now) if written in _DAYS else written
