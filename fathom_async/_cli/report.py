"""``fathom report`` and ``fathom events-report``."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from attrs import evolve, frozen
from cyclopts import Parameter

from fathom_async import Comparison, EventQuery, FathomClient, FathomError, PageviewQuery, Report, Site
from fathom_async._cli.comparing import Former, compared, compared_totals
from fathom_async._cli.connection import call
from fathom_async._cli.drawing import drawn
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.figures import every_date, figures_of
from fathom_async._cli.files import check_file, write_file
from fathom_async._cli.html.page import HtmlPage
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
from fathom_async._cli.query_options import Names, Q, QueryOptions, in_options
from fathom_async.reports import EventAggregate, PageviewAggregate, Query, Row

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
    """Show the figures of the previous period, or of the same dates a year before, and the change; a page does."""

    fill: bool = False
    """Add a row of zeros for each hour, day, month or year of the range in which nothing was counted."""


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
    if views.compare is not None and views.compare != "none" and views.html is None:
        if views.chart or views.fill:
            raise CommandError("--compare shows rows; leave out --chart and --fill", ExitCode.USAGE)
        write(compared(make, question, views.compare, is_table=output.resolved() == "table"), output)
        return
    if views.html is not None:
        check_file(views.html)

    rest = None if output.output is None else output.output.name
    page = call(partial(_ask, site, make, question, views))
    page = evolve(page, currency=currency, rest=rest)
    found = page.report
    if views.fill:
        with in_options():
            found = found.filled(now=page.now)
    rows = records_of_report(found)
    seen = readable(rows, currency)
    if views.html is not None:
        write_file(views.html, page.html().encode())
        note(f"wrote {views.html}")
    if views.chart:
        _draw(found, seen, page.now)
    if output.output is not None or not (views.chart or (views.html and output.format is None)):
        _write(rows, seen, output)
    if found.truncated and question.limit is None:
        note(f"these are the first {len(found):,} rows; for every row, add --complete")


async def _ask(
    site: str, make: Callable[..., Q], question: QueryOptions, views: Views, fathom: FathomClient
) -> HtmlPage:
    """Return the report, and what a page of it needs, which takes no more requests if there is no page."""
    known = await _site(fathom, site, question, views)
    now, comparison = question.now(known), None
    query = question.query(make, now)
    if views.html is not None:
        comparison = await compared_totals(fathom, query, question, views.compare or "previous", now)
    if comparison is not None:  # one range for the whole page
        same = comparison.current.query
        query = query.replace(date_from=same.date_from, date_to=same.date_to)
    found = await _answer(fathom, query, question, comparison)
    if isinstance(query, EventQuery) and not found.rows:
        await check_event(fathom, query)
    return HtmlPage(found, known.name if known else site, now, comparison)


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


async def _site(fathom: FathomClient, site: str, question: QueryOptions, views: Views) -> Site | None:
    """Return the site if the report needs its clock or its name; it can do without unless its period has words."""
    is_filled = question.per is not None and (views.chart or views.fill)
    if not (question.is_on_site_clock or views.html is not None or is_filled):
        return None
    try:
        return await fathom.sites.get(site)
    except FathomError:
        if question.is_on_site_clock:
            raise
        return None


async def _answer(
    fathom: FathomClient, query: Query[Row], question: QueryOptions, comparison: Comparison[Row] | None
) -> Report[Row]:
    if comparison is not None and comparison.current.query == query:
        return question.in_order(comparison.current)
    ask = fathom.reports.complete if question.complete else fathom.reports.aggregate
    return question.in_order(await ask(query))


def _write(rows: Records, seen: Records, output: OutputOptions) -> None:
    if (chosen := output.resolved()) == "table":
        write(seen, output)
        return
    if rows.rows is not seen.rows:
        note(f"{VALUE} is in cents in {chosen.upper()}; a table, --chart and --html show the currency")
    write(rows, output)


def _draw(report: Report[Row], seen: Records, now: datetime) -> None:
    query = report.query
    metrics = seen.columns[-len(query.aggregates) :]
    dates = every_date(report, now)
    figures = figures_of(seen.columns, seen.rows, metrics=metrics, unit=query.date_grouping, dates=dates)
    console = stdout_console()
    width = console.width if console.is_terminal else _UNPIPED
    if not figures:
        console.print("no rows", markup=False)
    for place, figure in enumerate(figures):
        lines = drawn(figure, width)
        console.print(*([""] if place else []), *lines, sep="\n", markup=False, soft_wrap=True)
