"""Options that describe a report, and the query made of them."""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Final, TypeVar
from zoneinfo import ZoneInfo

from attrs import evolve, frozen
from cyclopts import Parameter, Token, validators

from fathom_async import EventQuery, PageviewQuery, Period, QueryError, Report, Site
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.filter_syntax import condition
from fathom_async._util.checks import site_zone
from fathom_async.reports import MAX_ROWS, DateGrouping, FieldGrouping, Row

Query = PageviewQuery | EventQuery
Q = TypeVar("Q", PageviewQuery, EventQuery)
RowT = TypeVar("RowT", bound=Row)

# Arguments of a query, and their options.
_OPTIONS: Final = {
    "aggregates": "--metrics",
    "field_grouping": "--by",
    "date_grouping": "--per",
    "date_from": "--from",
    "date_to": "--to",
    "sort_by": "--sort",
    "limit": "--limit",
    "timezone": "--timezone",
    "filters": "--where",
}
_IN_PYTHON: Final = "query.over('last 30 days', now=...)"
_ARGUMENT: Final = re.compile(rf"\b({'|'.join(_OPTIONS)})\b(?:=\[(?P<names>'[^\]]*')\]|(?P<is_set>=(?=')))?")


def split(_kind: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Split options such as ``--by pathname,browser --by city`` into names."""
    return tuple(name.strip() for token in tokens for name in token.value.split(",") if name.strip())


Names = Parameter(converter=split, consume_multiple=False)


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

    per: DateGrouping | None = None
    """Group by dates of this length."""

    from_: Annotated[str | None, Parameter(name="--from")] = None
    """First moment, on the site's clock: 2026-01-31 or '2026-01-31 15:00'."""

    to: str | None = None
    """Last moment, likewise; a day ends with its last second."""

    period: str | None = None
    """Range in words instead: 'last 30 days', 'previous month', 'year to date'."""

    sort: str | None = None
    """Order, such as pageviews:desc or date:asc; with --by, the first of --metrics, descending, by default."""

    limit: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=MAX_ROWS))] = None
    """Maximum number of rows."""

    complete: bool = False
    """Fetch every row, past the 1,000 at which the server stops; takes more requests."""

    def query(self, make: Callable[..., Q], now: datetime) -> Q:
        if self.period is not None and (self.from_ is not None or self.to is not None):
            raise CommandError("give --period, or --from and --to, not both", ExitCode.USAGE)
        if self.complete and self.limit is not None:
            raise CommandError("--complete has every row; leave out --limit, or --complete", ExitCode.USAGE)
        with in_options():
            query = self.selected(make, date_grouping=self.per, date_from=self.from_, date_to=self.to)
            query = query.replace(sort_by=self._order(query), limit=self.limit)
            return query if self.period is None else query.over(Period.parse(self.period, now), now=now)

    def _order(self, query: Query) -> str | None:
        """Return the query's ``sort_by``, so that a limit keeps the highest groups."""
        if self.sort is not None:
            return re.sub(r"^date\b", "timestamp", self.sort)
        return f"{query.aggregates[0]}:desc" if self.by else None

    def in_order(self, report: Report[RowT]) -> Report[RowT]:
        """Return the report in the order asked: by date, where it has dates and no ``--sort``."""
        if self.sort is not None or self.per is None:
            return report
        return evolve(report, rows=tuple(sorted(report.rows, key=attrgetter("date"))))

    @property
    def is_on_site_clock(self) -> bool:
        """Whether the range depends on the site's time zone: on its words, and not on dates."""
        return self.period is not None and self.timezone is None and Period.dated(self.period) is None

    def now(self, site: Site | None) -> datetime:
        """Return the current time on the clock from which a period is counted: the site's, if it is needed."""
        name = self.timezone or (site and site.timezone) or "UTC"
        return datetime.now(site_zone(site.id, name) if site else ZoneInfo(name))


@contextmanager
def in_options() -> Generator[None]:
    """Translate errors of a query into the words of the command line."""

    def option(found: re.Match[str]) -> str:
        names = (found["names"] or "").replace("'", "").replace(" ", "")
        return _OPTIONS[found[1]] + (f" {names}" if names else " " if found["is_set"] else "")

    try:
        yield
    except QueryError as error:
        told = str(error).replace(_IN_PYTHON, "--period 'last 30 days'")
        raise CommandError(_ARGUMENT.sub(option, told), ExitCode.USAGE) from None
