"""What became of one query of many."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Generic, Literal, cast

import attrs

from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.errors import ArgumentError, FathomError

Origin = Literal["asked", "fused", "kept", "stale"]
"""Asked for alone; cut out of an answer to several queries; kept and still good; kept, and being asked for anew."""


@attrs.frozen
class Outcome(Generic[RowT_co]):
    """What became of one query: a report, or an error.

    Attributes:
        query: What was asked.
        report: The answer; None where there is an error.
        error: Why there is no answer.
        origin: Where the answer comes from.
        asked_at: Unix seconds when the answer was asked for, at the latest; of an error, None.
        position: Which of the queries it was, from 0.
    """

    query: Query[RowT_co]
    report: Report[RowT_co] | None = None
    error: FathomError | None = None
    origin: Origin = "asked"
    asked_at: float | None = None
    position: int = 0

    def __attrs_post_init__(self) -> None:
        if (self.report is None) == (self.error is None):
            raise ArgumentError("an outcome is either a report or an error")

    def result(self) -> Report[RowT_co]:
        """Return the report.

        Raises:
            FathomError: The error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("Report[RowT_co]", self.report)


class BulkError(FathomError):
    """Some of many queries failed; the others were answered.

    Attributes:
        outcomes: What became of every query, in the order asked.
    """

    def __init__(self, outcomes: Sequence[Outcome[Row]]) -> None:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        first = failed[0]
        super().__init__(
            f"{len(failed)} of {len(outcomes)} queries failed, the others are in `outcomes`; "
            f"the first: {first.query!r}: {first.error}"
        )
        self.outcomes: tuple[Outcome[Row], ...] = tuple(outcomes)


async def reports_in_order(outcomes: AsyncGenerator[Outcome[RowT], None]) -> list[Report[RowT]]:
    """Return the reports of a run in the order asked.

    Raises:
        BulkError: Some queries failed.
    """
    async with aclosing(outcomes):
        ended = sorted([outcome async for outcome in outcomes], key=lambda outcome: outcome.position)
    if any(outcome.error is not None for outcome in ended):
        raise BulkError(ended)
    return [outcome.result() for outcome in ended]
