"""``fathom report`` and ``fathom events-report``."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from fathom_async import EventQuery, EventRow, FathomClient, FathomError, PageviewQuery, PageviewRow, Report
from fathom_async._cli.comparing import Former, compared
from fathom_async._cli.connection import call
from fathom_async._cli.drawing import drawn
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.figures import Figure, figures_of
from fathom_async._cli.files import check_file, write_file
from fathom_async._cli.html.page import HtmlPage, script
from fathom_async._cli.money import VALUE, read_currency, readable
from fathom_async._cli.output import (
    STANDARD,
    OutputOptions,
    Records,
    note,
    records_of_report,
    stdout_console,
    write,
)
from fathom_async._cli.query_options import Names, Q, Query, QueryOptions, facts_of, title_of
from fathom_async.reports import EventAggregate, PageviewAggregate

AnyReport = Report[PageviewRow] | Report[EventRow]

_UNPIPED: Final = 100


@Parameter(name="*")
@frozen(kw_only=True)
class Views:
    """Charts and pages of a report, and what it is compared to."""

    chart: bool = False
    """Draw a chart in the terminal instead of listing the rows."""

    html: Path | None = None
    """Write a self-contained page with charts and rows."""

    compare: Former | None = None
    """Show the figures of the previous period, or of the same dates a year before, and the change."""


NO_VIEWS: Final = Views()
ASKED: Final = QueryOptions()


def report(
    site: str,
    /,
    *,
    metrics: Annotated[tuple[PageviewAggregate, ...], Names] = ("pageviews", "visits"),
    question: QueryOptions = ASKED,
    output: OutputOptions = STANDARD,
    views: Views = NO_VIEWS,
) -> None:
    """Report on the pageviews of a site.

    Args:
        site: ID of the site.
        metrics: Metrics, separated by commas.
        question: The query.
        output: Destination and format of the rows.
        views: Charts, pages and comparisons.
    """
    _carry_out(site, partial(PageviewQuery, site, aggregates=metrics), question, output, views)


def events_report(
    site: str,
    event: str,
    /,
    *,
    metrics: Annotated[tuple[EventAggregate, ...], Names] = ("conversions", "unique_conversions"),
    question: QueryOptions = ASKED,
    output: OutputOptions = STANDARD,
    views: Views = NO_VIEWS,
    currency: str | None = None,
) -> None:
    """Report on the completions of an event.

    Args:
        site: ID of the site.
        event: Name of the event, as the dashboard shows it.
        metrics: Metrics, separated by commas; value is in cents where it is money.
        question: The query.
        output: Destination and format of the rows.
        views: Charts, pages and comparisons.
        currency: Show value in this currency, such as EUR, instead of cents, in tables, charts and pages.
    """
    if currency is not None:
        currency = read_currency(currency, metrics)
    _carry_out(site, partial(EventQuery, site, event, aggregates=metrics), question, output, views, currency)


def _carry_out(  # noqa: PLR0917 - the parameters of both commands
    site: str,
    make: Callable[..., Q],
    question: QueryOptions,
    output: OutputOptions,
    views: Views,
    currency: str | None = None,
) -> None:
    output.check()  # errors come before any request
    question.query(make, datetime.now(UTC))
    if views.chart and output.output is None and output.format is not None:
        raise CommandError(
            "--chart and --format both write to standard output; add --output FILE", ExitCode.USAGE
        )
    if views.compare is not None:
        if views.chart or views.html is not None:
            raise CommandError("--compare shows rows; leave out --chart and --html", ExitCode.USAGE)
        write(compared(make, question, views.compare, is_table=output.resolved() == "table"), output)
        return
    if views.html is not None:
        script()  # so does a missing library
        check_file(views.html)

    async def ask(fathom: FathomClient) -> tuple[Query, AnyReport, str]:
        known = await fathom.sites.get(site) if question.is_on_site_clock else None
        query = question.query(make, question.now(known))
        found = await _answer(fathom, query, question)
        if isinstance(query, EventQuery) and not found.rows:
            await check_event(fathom, query)
        if views.html is None or known is not None:
            return query, found, known.name if known else site
        return query, found, await _name(fathom, site)

    query, found, name = call(ask)
    rows = records_of_report(found)
    seen = readable(rows, currency)
    _view(query, seen, name, views)
    if output.output is not None or not (views.chart or (views.html and output.format is None)):
        _write(rows, seen, output)
    if found.truncated and question.limit is None:
        note(f"these are the first {len(found):,} rows; for every row, add --complete")


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


async def _answer(fathom: FathomClient, query: Query, question: QueryOptions) -> AnyReport:
    ask = fathom.reports.complete if question.complete else fathom.reports.aggregate
    if isinstance(query, PageviewQuery):
        return question.in_order(await ask(query))
    return question.in_order(await ask(query))


def _view(query: Query, seen: Records, name: str, views: Views) -> None:
    metrics = seen.columns[-len(query.aggregates) :]
    figures = figures_of(seen.columns, seen.rows, metrics=metrics, unit=query.date_grouping)
    if views.html is not None:
        page = HtmlPage(title_of(query, name), facts_of(query), figures, seen, datetime.now().astimezone())
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
