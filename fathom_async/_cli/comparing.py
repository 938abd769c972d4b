"""``--compare``: a report beside the same one of a former period."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, cast

from attrs import evolve

from fathom_async import Change, Comparison, FathomClient, Period, QueryError
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import Cell, Records, note, records_of_comparison
from fathom_async._cli.query_options import QueryOptions
from fathom_async._cli.settings import STORE
from fathom_async._cli.weeks import Line, tell_cut_weeks, weekly
from fathom_async.reports import ADDITIVE_METRICS, Query, Row

Former = Literal["previous", "year", "none"]

_TO: Final = {"previous": "previous period", "year": "previous year"}


def check_comparable(question: QueryOptions, *, has_rows: bool) -> None:
    """Raise a `CommandError` if a report, row by row or just its totals, cannot be compared."""
    if has_rows and question.complete:
        raise CommandError("--compare compares the first 1,000 rows; leave out --complete", ExitCode.USAGE)
    if question.words is None and question.from_ is None:
        raise CommandError(
            "--compare needs a range; add --last 30d, --period, or --from and --to", ExitCode.USAGE
        )


def alone(query: Query[Row]) -> Query[Row]:
    """Return the query for one row about all that a query groups."""
    return query.replace(field_grouping=(), date_grouping=None, sort_by=None, limit=None)


async def compared(
    fathom: FathomClient,
    query: Query[Row],
    question: QueryOptions,
    former: Former,
    now: datetime | None,
    *,
    is_table: bool,
    has_totals: bool,
) -> Records:
    """Return each row in two periods with both figures and the change: in a table such as ``+12.5 %``.

    The query, in its range, is made of `question`; `now` is the present on the site's clock, if it is known.
    """
    found = await _compare(fathom, query, question, former, now)
    rows = records_of_comparison(found, is_table=is_table)
    if question.per == "week":
        if found.current.truncated or found.previous.truncated:
            raise CommandError("--per week needs more days than the server returns; group by fewer fields")
        days: list[Line] = [((row.date, *row.groups), tuple(row.changes.values())) for row in found]
        tell_cut_weeks(found.current.query)
        weeks = weekly(days, query, question.sort, question.limit)
        rows = evolve(rows, rows=[(*names, *_cells(figures, is_table=is_table)) for names, figures in weeks])
    period, before = _range(found.current.query), _range(found.previous.query)
    if question.per in {"month", "year"}:
        note(f"compared with {before.start.date()} to {before.end.date()}")
    labels = len(query.columns) - len(query.aggregates)
    if not (has_totals and labels):
        return rows
    try:
        totals = [found.change(name) for name in query.aggregates]
    except QueryError:
        one = await _compare_totals(fathom, query, period, before, now)
        totals = [one.change(name) for name in query.aggregates]
    return evolve(rows, total=("total", *[""] * (labels - 1), *_cells(totals, is_table=is_table)))


async def compared_totals(
    fathom: FathomClient, query: Query[Row], question: QueryOptions, former: Former, now: datetime
) -> Comparison[Row] | None:
    """Compare the totals of a report over its range with those of a former one, in one run.

    A report by date whose metrics all add up is compared itself, which spares a request for its rows. It is made of
    `question`, and `now` is the present on the site's clock. None if it has no range with a former one.
    """
    if former == "none" or query.date_from is None:
        return None
    if query.field_grouping or not ADDITIVE_METRICS.issuperset(query.aggregates):
        query = alone(query)
    try:
        return await _compare(fathom, query, question, former, now.replace(tzinfo=None))
    except QueryError:
        return None


async def _compare(
    fathom: FathomClient, query: Query[Row], question: QueryOptions, former: Former, now: datetime | None
) -> Comparison[Row]:
    if question.words is not None:  # they tell what the period before it is
        query = query.replace(date_from=None, date_to=None)
    return await fathom.reports.compare(
        query,
        to=_TO[former],
        over=question.words,
        now=now,
        by_weekday=question.per == "week",
        store=os.environ.get(STORE) or None,
    )


async def _compare_totals(
    fathom: FathomClient, query: Query[Row], period: Period, former: Period, now: datetime | None
) -> Comparison[Row]:
    """Compare all of a query, which may group by date, in the ranges that its rows are compared in."""
    whole = alone(query).replace(date_from=None, date_to=None)
    return await fathom.reports.compare(
        whole, to=former, over=period, now=now, store=os.environ.get(STORE) or None
    )


def _range(query: Query[Row]) -> Period:
    return Period(cast("datetime", query.date_from), cast("datetime", query.date_to))


def _cells(changes: Sequence[Change], *, is_table: bool) -> Iterator[Cell]:
    for change in changes:
        yield from (change.current, change.previous, str(change) if is_table else change.figure)
