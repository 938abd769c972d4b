"""Request the reports of a plan, one chunk of periods after the other."""

import logging
from collections.abc import AsyncGenerator, Callable
from itertools import chain

import attrs

from fathom_async._bulk.complete import InseparableError
from fathom_async._bulk.request import Ask
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.backfill._backfill_plan import BackfillPlan
from fathom_async.backfill._layout import Cells
from fathom_async.backfill._ledger import Ledger, Span, spans

_log = logging.getLogger("fathom_async")


@attrs.frozen
class Chunk:
    """The rows of one report, in the order of the layout's columns; `settled` periods need not be requested again."""

    span: Span
    rows: list[Cells]
    settled: Span


OnReport = Callable[[int, int], None]
"""Called with the numbers of reports that are done and that are to come, as far as known."""


def unheard(done: int, to_come: int) -> None:
    """Leave it at that, where nobody wants to know."""


async def chunks(
    plan: BackfillPlan[RowT], ask: Ask[RowT], ledger: Ledger, on_report: OnReport = unheard
) -> AsyncGenerator[Chunk, None]:
    """Request every wanted period that is not settled or is looked back at, and those counted in another time zone.

    Reports are requested one after the other: the rows of one decide how many periods go into the next, and here few
    requests matter more than concurrency.

    A report has every row; if it cannot, the chunk is halved.
    """
    sizer, due, done = plan.sizer, _due(plan, ledger), 0
    for place, gap in enumerate(due):
        first = gap.first
        while first < gap.after:
            on_report(done, sum(map(sizer.reports, (Span(first, gap.after), *due[place + 1 :]))))
            span = Span(first, gap.after if sizer.size is None else min(gap.after, first + sizer.size))
            report = await _whole(ask, plan.over(span), is_divisible=len(span) > 1)
            done += 1
            if report is None:
                sizer = sizer.halved(len(span))
                continue
            rows = plan.layout.rows(plan.series, report, span)
            yield Chunk(span, rows, span.before(plan.settled_before))
            sizer = sizer.after(len(span), len(rows))
            first = span.after
    on_report(done, 0)


def _due(plan: BackfillPlan[RowT], ledger: Ledger) -> tuple[Span, ...]:
    """Return the periods to request, including those counted in a former time zone of the site."""
    elsewhere = ledger.elsewhere(plan.zone)
    others = chain.from_iterable(chain.from_iterable(elsewhere.values()))
    again = {index for index in others if index < plan.complete_before}
    if again:
        _log.warning(
            "the time zone of %s changed from %s to %s: requesting %d %ss again",
            " ".join(plan.series.cells),
            " and ".join(sorted(elsewhere)),
            plan.zone,
            len(again),
            plan.layout.unit.name,
        )
    settled = (span.before(plan.settled_before) for span in ledger.settled(plan.zone))
    return spans(again.union(plan.wanted).difference(*settled))


async def _whole(ask: Ask[RowT], query: Query[RowT], *, is_divisible: bool) -> Report[RowT] | None:
    """Return a report with every row, or None if it has too many and fewer periods may have fewer."""
    try:
        report = await ask(query)
    except InseparableError:
        if is_divisible:
            return None
        raise
    return None if report.truncated and is_divisible else report
