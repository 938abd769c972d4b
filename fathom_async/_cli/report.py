"""``fathom report`` and ``fathom events-report``."""

import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from attrs import evolve, frozen
from cyclopts import Parameter

from fathom_async import (
    Change,
    EventQuery,
    FathomClient,
    FathomError,
    PageviewQuery,
    Priority,
    QueryError,
    Report,
    Site,
)
from fathom_async._cli.comparing import (
    PERIODS,
    Former,
    check_comparable,
    compared_columns,
    records_of_comparison,
)
from fathom_async._cli.connection import call
from fathom_async._cli.drawing import drawn
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.figures import Figure, figures_of
from fathom_async._cli.files import check_file, write_file
from fathom_async._cli.html.page import HtmlPage, script
from fathom_async._cli.money import VALUE, read_currency, readable
from fathom_async._cli.named_sites import site_id
from fathom_async._cli.output import (
    STANDARD,
    Cell,
    OutputOptions,
    Records,
    note,
    records_of_report,
    stdout_console,
    write,
)
from fathom_async._cli.query_options import Names, QueryOptions, facts_of, title_of
from fathom_async._cli.resources import DefaultSite, SiteID
from fathom_async._cli.settings import STORE
from fathom_async._cli.weeks import check_additive, weekly
from fathom_async.reports import EventAggregate, PageviewAggregate, Query, Row

if TYPE_CHECKING:
    from fathom_async._cli.weeks import Line

Make = Callable[..., Query[Row]]
MetricT = TypeVar("MetricT", PageviewAggregate, EventAggregate)

_PAGEVIEW_METRICS: Final[tuple[PageviewAggregate, ...]] = ("pageviews", "visits")
_EVENT_METRICS: Final[tuple[EventAggregate, ...]] = ("conversions", "unique_conversions")
_ANY_SITE: Final = "CDBUGS"
_UNPIPED: Final = 100


@Parameter(name="*")
@frozen(kw_only=True)
class Views:
    """Charts, totals and pages of a report, and what it is compared to."""

    totals: bool = False
    """Add a row of totals to the table; those of visits, visitors and averages take one more request."""

    chart: bool = False
    """Draw a chart in the terminal instead of listing the rows."""

    html: Path | None = None
    """Write a self-contained page with charts and rows."""

    compare: Former | None = None
    """Show the figures of the previous period, or of the same dates a year before, and the change."""


NO_VIEWS: Final = Views()
ASKED: Final = QueryOptions()


def report(
    site: DefaultSite = None,
    /,
    *,
    metrics: Annotated[tuple[PageviewAggregate, ...] | None, Names] = None,
    question: QueryOptions = ASKED,
    output: OutputOptions = STANDARD,
    views: Views = NO_VIEWS,
) -> None:
    """Report on the pageviews of a site.

    Args:
        site: The site.
        metrics: Metrics, separated by commas; pageviews,visits by default.
        question: The query.
        output: Destination and format of the rows.
        views: Charts, pages and comparisons.
    """
    metrics = _metrics(_PAGEVIEW_METRICS, question) if metrics is None else metrics
    _carry_out(site, partial(PageviewQuery, aggregates=metrics), question, output, views)


def events_report(
    site: SiteID,
    event: str,
    /,
    *,
    metrics: Annotated[tuple[EventAggregate, ...] | None, Names] = None,
    question: QueryOptions = ASKED,
    output: OutputOptions = STANDARD,
    views: Views = NO_VIEWS,
    currency: str | None = None,
) -> None:
    """Report on the completions of an event.

    Args:
        site: The site.
        event: Name of the event, as the dashboard shows it.
        metrics: Metrics, separated by commas; conversions,unique_conversions by default; value is in cents if money.
        question: The query.
        output: Destination and format of the rows.
        views: Charts, pages and comparisons.
        currency: Show value in this currency, such as EUR, instead of cents, in tables, charts and pages.
    """
    metrics = _metrics(_EVENT_METRICS, question) if metrics is None else metrics
    if currency is not None:
        currency = read_currency(currency, metrics)
    make = partial(EventQuery, entity_name=event, aggregates=metrics)
    _carry_out(site, make, question, output, views, currency)


def _metrics(usual: tuple[MetricT, ...], question: QueryOptions) -> tuple[MetricT, ...]:
    """Return the metrics that a report has by default, of which the first adds up."""
    return usual[:1] if question.per == "week" else usual


def _carry_out(  # noqa: PLR0917 - the parameters of both commands
    site: str | None,
    make: Make,
    question: QueryOptions,
    output: OutputOptions,
    views: Views,
    currency: str | None = None,
) -> None:
    query = question.query(partial(make, _ANY_SITE), datetime.now(UTC))  # errors come before any request
    _check(query, question, output, views)
    site = site_id(site, is_read=True)
    make = partial(make, site)
    if views.compare is not None:
        write(call(partial(_compare, site, make, question, output, views)), output)
        return
    found, rows, name = call(partial(_report, site, make, question, views))
    seen = readable(rows, currency)
    _view(found.query, seen, name, views, question)
    if output.output is not None or not (views.chart or (views.html and output.is_by_default)):
        _write(rows, seen, output)
    if found.truncated and question.limit is None:
        note(f"these are the first {len(found):,} rows; for every row, add --complete")


def _check(query: Query[Row], question: QueryOptions, output: OutputOptions, views: Views) -> None:
    if question.per == "week":
        check_additive(query.aggregates)
    if views.compare is None:
        output.check(query.columns)
    else:
        check_comparable(question)
        output.check(tuple(compared_columns(query)))
        if views.chart or views.html is not None:
            raise CommandError("--compare shows rows; leave out --chart and --html", ExitCode.USAGE)
    if views.chart and output.output is None and not output.is_by_default:
        raise CommandError(
            "--chart and --format both write to standard output; add --output FILE", ExitCode.USAGE
        )
    if views.totals and output.resolved() != "table":
        raise CommandError("--totals is a row of a table; add --format table", ExitCode.USAGE)
    if views.html is not None:
        script()  # a missing library
        check_file(views.html)


async def _compare(  # noqa: PLR0917 - see `_carry_out`
    site: str, make: Make, question: QueryOptions, output: OutputOptions, views: Views, fathom: FathomClient
) -> Records:
    known, query = await _query(site, make, question, fathom)
    over = question.words
    ask = partial(
        fathom.reports.compare,
        to=PERIODS[views.compare or "previous"],
        over=over,
        now=question.now(known).replace(tzinfo=None) if known or question.timezone else None,
        by_weekday=question.per == "week",
        store=os.environ.get(STORE) or None,
    )
    if over is not None:  # its words tell what the period before it is
        query = query.replace(date_from=None, date_to=None)
    found = await ask(query)
    totals: list[Change] | None = None
    if views.totals and len(query.columns) > len(query.aggregates):
        try:
            totals = [found.change(name) for name in query.aggregates]
        except QueryError:
            alone = await ask(_alone(query))
            totals = [alone.change(name) for name in query.aggregates]
    return records_of_comparison(found, question, totals, is_table=output.resolved() == "table")


async def _report(
    site: str, make: Make, question: QueryOptions, views: Views, fathom: FathomClient
) -> tuple[Report[Row], Records, str]:
    """Return a report, its rows, and the name of its site if that is shown."""
    known, query = await _query(site, make, question, fathom)
    found = await _answer(fathom, query, is_complete=question.complete or question.per == "week")
    if isinstance(query, EventQuery) and not found.rows:
        await check_event(fathom, query)
    rows = records_of_report(question.in_order(found))
    labels = [name for name in query.columns if name not in query.aggregates]
    if question.per == "week":
        rows = evolve(rows, rows=_weeks_of(found, labels, question))
    if views.totals and labels:
        try:
            totals = [found.total(name) for name in query.aggregates]
        except QueryError:
            alone = await _answer(fathom, _alone(query))
            totals = [alone.total(name) for name in query.aggregates]
        rows = evolve(rows, total=("total", *[""] * (len(labels) - 1), *totals))
    name = known.name if known else site if views.html is None else await _name(fathom, site)
    return found, rows, name


def _weeks_of(report: Report[Row], labels: Sequence[str], question: QueryOptions) -> list[tuple[Cell, ...]]:
    query = report.query
    days: list[Line] = [
        (
            tuple(getattr(row, name) for name in labels),
            tuple(Change(getattr(row, name), None) for name in query.aggregates),
        )
        for row in report
    ]
    if query.date_from is not None and query.date_from.weekday():
        note(f"the first week has only its days from {query.date_from.date()}")
    weeks = weekly(days, query, question.sort, question.limit)
    return [(*names, *(figure.current for figure in figures)) for names, figures in weeks]


async def _query(
    site: str, make: Make, question: QueryOptions, fathom: FathomClient
) -> tuple[Site | None, Query[Row]]:
    """Return the query, with the site if its clock must be known."""
    known = await fathom.sites.get(site) if question.is_on_site_clock else None
    return known, question.query(make, question.now(known))


def _alone(query: Query[Row]) -> Query[Row]:
    """Return the query for one row about all that a query groups."""
    return query.replace(field_grouping=(), date_grouping=None, sort_by=None, limit=None)


async def _answer(fathom: FathomClient, query: Query[Row], *, is_complete: bool = False) -> Report[Row]:
    store = os.environ.get(STORE) or None
    if is_complete:
        return await fathom.reports.complete(query, store=store)
    if store is None:
        return await fathom.reports.aggregate(query)
    async with aclosing(fathom.reports.run([query], store=store, priority=Priority.INTERACTIVE)) as outcomes:
        return (await anext(outcomes)).result()


async def check_event(fathom: FathomClient, query: EventQuery) -> None:
    """Raise if there is no such event: the server answers it like an event without completions, with no rows."""
    look = f"`fathom events list {query.site_id}` shows the events of this site"
    try:
        names = {event.name async for event in fathom.events.list(query.site_id)}
    except FathomError:
        note(f"no completions; {look}")
        return
    if query.entity_name not in names:
        raise CommandError(f"there is no event {query.entity_name!r}; {look}", ExitCode.NOT_FOUND)


async def _name(fathom: FathomClient, site: str) -> str:
    """Return the name of a site, or its ID if that fails: the report is here already."""
    try:
        return (await fathom.sites.get(site)).name
    except FathomError:
        return site


def _view(query: Query[Row], seen: Records, name: str, views: Views, question: QueryOptions) -> None:
    metrics = seen.columns[-len(query.aggregates) :]
    figures = figures_of(seen.columns, seen.rows, metrics=metrics, unit=question.per)
    if views.html is not None:
        page = HtmlPage(
            title_of(query, name, question.per), facts_of(query), figures, seen, datetime.now().astimezone()
        )
        write_file(views.html, page.html().encode())
        note(f"wrote {views.html}")
    if views.chart:
        _draw(figures)


def _write(rows: Records, seen: Records, output: OutputOptions) -> None:
    if (chosen := output.resolved()) == "table":
        write(seen, output)
        return
    if rows.rows is not seen.rows:
        note(f"{VALUE} is in cents in {chosen.upper()}; a table, --chart and --html show the currency")
    write(rows, output)


def _draw(figures: Sequence[Figure]) -> None:
    console = stdout_console()
    width = console.width if console.is_terminal else _UNPIPED
    if not figures:
        console.print("no rows", markup=False)
    for place, figure in enumerate(figures):
        lines = drawn(figure, width)
        console.print(*([""] if place else []), *lines, sep="\n", markup=False, soft_wrap=True)
