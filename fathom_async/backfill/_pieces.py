"""The reports of a plan, one piece of its periods after the other."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import chain

import attrs

from fathom_async._bulk.complete import InseparableError
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.backfill._layout import Cells
from fathom_async.backfill._ledger import Ledger
from fathom_async.backfill._periods import Span, joined, missing
from fathom_async.backfill._plan import Plan

_log = logging.getLogger("fathom_async")

Ask = Callable[[Query[RowT]], Awaitable[Report[RowT]]]


@attrs.frozen
class Piece:
    """What came of one report.

    Args:
        span: Its periods.
        rows: All of their rows, in the order of the layout's columns.
        settled: Those of the periods that need not be asked for again.
    """

    span: Span
    rows: list[Cells]
    settled: Span


async def pieces(plan: Plan[RowT], ask: Ask[RowT], ledger: Ledger) -> AsyncGenerator[Piece, None]:
    """Ask for every wanted period that is not settled, in order, and for what was counted by another clock.

    Reports are asked for one after the other: how many rows one has decides how many periods go into the next, and
    few requests are worth more here than many at once.

    Args:
        plan: What to ask for.
        ask: Returns a report with every row; where it can't, half of the periods are asked for.
        ledger: Tells which periods need not be asked for again.
    """
    pace = plan.pace
    for gap in _due(plan, ledger):
        first = gap.first
        while first < gap.after:
            span = Span(first, gap.after if pace.size is None else min(gap.after, first + pace.size))
            report = await _whole(ask, plan.over(span), is_divisible=len(span) > 1)
            if report is None:
                pace = pace.halved(len(span))
                continue
            rows = plan.layout.rows(plan.series, report, span)
            yield Piece(span, rows, span.before(plan.settled_before))
            pace = pace.after(len(span), len(rows))
            first = span.after


def _due(plan: Plan[RowT], ledger: Ledger) -> tuple[Span, ...]:
    """Return the periods to ask for; a table of two clocks would be right by neither."""
    elsewhere = ledger.elsewhere(plan.zone)
    again = joined(span.before(plan.complete_before) for span in chain.from_iterable(elsewhere.values()))
    if again:
        _log.warning(
            "%s was counted by the clock of %s, and is by that of %s now: %d %ss are asked for again",
            " ".join(plan.series.cells),
            " and ".join(sorted(elsewhere)),
            plan.zone,
            sum(map(len, again)),
            plan.layout.unit.name,
        )
    return joined([*missing(plan.wanted, ledger.settled(plan.zone)), *again])


async def _whole(ask: Ask[RowT], query: Query[RowT], *, is_divisible: bool) -> Report[RowT] | None:
    """Return a report with every row; None where it has too many, and fewer periods may have fewer."""
    try:
        report = await ask(query)
    except InseparableError:
        if is_divisible:
            return None
        raise
    return None if report.truncated and is_divisible else report
