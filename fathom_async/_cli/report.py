"""``fathom report`` and ``fathom events-report``."""

import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeVar

from attrs import evolve, frozen
from cyclopts import Parameter

from fathom_async import (
    Change,
    Comparison,
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
    Former,
    alone,
    check_comparable,
    compared,
    compared_totals,
)
from fathom_async._cli.connection import call
from fathom_async._cli.drawing import drawn
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.figures import every_date, figures_of
from fathom_async._cli.files import check_file, write_file
from fathom_async._cli.html.page import HtmlPage
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
from fathom_async._cli.query_options import Names, QueryOptions
from fathom_async._cli.resources import DefaultSite, SiteID
from fathom_async._cli.settings import STORE
from fathom_async._cli.weeks import Line, check_additive, tell_cut_weeks, weekly
from fathom_async.reports import EventAggregate, PageviewAggregate, Query, Row

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
    """Show the figures of the previous period, or of the same dates a year before, and the change; a page does."""

    fill: bool = False
    """Add a row of zeros for each hour, day, month or year of the range in which nothing was counted."""


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
    is_compared = views.compare not in {None, "none"} and views.html is None
    query = question.query(partial(make, _ANY_SITE), datetime.now(UTC))  # errors come before any request
    _check(query, question, output, views, is_compared=is_compared)
    site = site_id(site, is_read=True)
    make = partial(make, site)
    if is_compared:
        write(call(partial(_compared, site, make, question, output, views)), output)
        return
    rest = None if output.output is None else output.output.name
    page, totals = call(partial(_ask, site, make, question, views))
    page = evolve(page, currency=currency, rest=rest)
    found, is_filled = page.report, views.fill and not page.report.truncated
    found = found.filled(now=page.now) if is_filled else found
    rows = records_of_report(found)
    if question.per == "week":
        rows = evolve(rows, rows=_weeks_of(found, question))
    if totals is not None:
        blanks = [""] * (len(rows.columns) - len(totals) - 1)
        rows = evolve(rows, total=("total", *blanks, *totals))
    seen = readable(rows, currency)
    if views.html is not None:
        write_file(views.html, page.html().encode())
        note(f"wrote {views.html}")
    if views.chart:
        _draw(found, seen, page.now, question)
    if _has_rows(output, views):
        _write(rows, seen, output)
    if found.truncated and question.limit is None:
        told = ", and no zeros were added" if views.fill else ""
        note(f"these are the first {len(found):,} rows{told}; for every row, add --complete")


def _has_rows(output: OutputOptions, views: Views) -> bool:
    """Return whether rows are written, rather than a chart or a page alone."""
    return output.output is not None or not (views.chart or (views.html and output.is_by_default))


def _check(
    query: Query[Row], question: QueryOptions, output: OutputOptions, views: Views, *, is_compared: bool
) -> None:
    if views.compare not in {None, "none"}:
        check_comparable(question, has_rows=is_compared)
    if is_compared:
        output.check(Comparison(Report(query, ()), Report(query, ())).columns)
        if views.chart or views.fill:
            raise CommandError("--compare shows rows; leave out --chart and --fill", ExitCode.USAGE)
    else:
        output.check(query.columns)
    if question.per == "week":
        _check_weekly(query, views)
    if views.chart and output.output is None and not output.is_by_default:
        raise CommandError(
            "--chart and --format both write to standard output; add --output FILE", ExitCode.USAGE
        )
    if views.totals and (output.resolved() != "table" or not _has_rows(output, views)):
        others = {"--json": output.json, "--chart": views.chart, "--html": views.html}
        instead = next((f"leave out {name}" for name in others if others[name]), "add --format table")
        raise CommandError(f"--totals is a row of a table; {instead}", ExitCode.USAGE)
    if views.fill:
        _check_filled(question)
    if views.html is not None:
        check_file(views.html)


def _check_weekly(query: Query[Row], views: Views) -> None:
    check_additive(query.aggregates)
    if views.html is not None or views.fill:
        raise CommandError("--per week shows rows or a --chart; leave out --html and --fill", ExitCode.USAGE)


def _check_filled(question: QueryOptions) -> None:
    if question.per is None:
        raise CommandError("--fill adds rows by date; add --per day", ExitCode.USAGE)
    if question.limit is not None:
        raise CommandError("--fill needs every row; leave out --limit, or --fill", ExitCode.USAGE)


async def _compared(  # noqa: PLR0917 - see `_carry_out`
    site: str, make: Make, question: QueryOptions, output: OutputOptions, views: Views, fathom: FathomClient
) -> Records:
    known = await fathom.sites.get(site) if question.is_on_site_clock else None
    now = question.now(known)
    return await compared(
        fathom,
        question.query(make, now),
        question,
        views.compare or "previous",
        now.replace(tzinfo=None) if known or question.timezone else None,
        is_table=output.resolved() == "table",
        has_totals=views.totals,
    )


async def _ask(
    site: str, make: Make, question: QueryOptions, views: Views, fathom: FathomClient
) -> tuple[HtmlPage, Sequence[Cell] | None]:
    """Return the report, what a page of it needs, which takes no more requests if there is no page, and totals."""
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
    totals = None
    if views.totals and len(query.columns) > len(query.aggregates):
        try:
            totals = [found.total(name) for name in query.aggregates]
        except QueryError:
            one = await _answer(fathom, alone(query), question, None)
            totals = [one.total(name) for name in query.aggregates]
    return HtmlPage(found, known.name if known else site, now, comparison), totals


def _weeks_of(report: Report[Row], question: QueryOptions) -> list[tuple[Cell, ...]]:
    query = report.query
    days: list[Line] = [
        (
            tuple(getattr(row, name) for name in query.columns if name not in query.aggregates),
            tuple(Change(getattr(row, name), None) for name in query.aggregates),
        )
        for row in report
    ]
    tell_cut_weeks(query)
    weeks = weekly(days, query, question.sort, question.limit)
    return [(*names, *(figure.current for figure in figures)) for names, figures in weeks]


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
    store = os.environ.get(STORE) or None
    if question.complete or question.per == "week":
        return question.in_order(await fathom.reports.complete(query, store=store))
    if store is None:
        return question.in_order(await fathom.reports.aggregate(query))
    async with aclosing(fathom.reports.run([query], store=store, priority=Priority.INTERACTIVE)) as outcomes:
        return question.in_order((await anext(outcomes)).result())


def _write(rows: Records, seen: Records, output: OutputOptions) -> None:
    if (chosen := output.resolved()) == "table":
        write(seen, output)
        return
    if rows.rows is not seen.rows:
        note(f"{VALUE} is in cents in {chosen.upper()}; a table, --chart and --html show the currency")
    write(rows, output)


def _draw(report: Report[Row], seen: Records, now: datetime, question: QueryOptions) -> None:
    query = report.query
    metrics = seen.columns[-len(query.aggregates) :]
    dates = every_date(report, now)
    if question.per == "week":
        dates = tuple(sorted({day - timedelta(days=day.weekday()) for day in dates}))
    figures = figures_of(seen.columns, seen.rows, metrics=metrics, unit=question.per, dates=dates)
    console = stdout_console()
    width = console.width if console.is_terminal else _UNPIPED
    if not figures:
        console.print("no rows", markup=False)
    for place, figure in enumerate(figures):
        lines = drawn(figure, width)
        console.print(*([""] if place else []), *lines, sep="\n", markup=False, soft_wrap=True)
