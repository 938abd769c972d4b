"""``--compare``: a report beside the same one of a former period."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from fathom_async import Comparison, FathomClient, QueryError
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import Records, records_of_comparison
from fathom_async._cli.query_options import Q, QueryOptions
from fathom_async.reports import ADDITIVE_METRICS, Query, Row

Former = Literal["previous", "year", "none"]

_TO: Final = {"previous": "previous period", "year": "previous year"}


def compared(make: Callable[..., Q], question: QueryOptions, former: Former, *, is_table: bool) -> Records:
    """Ask for a report in two periods, and return each row with both figures and the change.

    Args:
        make: Makes the query.
        question: The options.
        former: What to compare to.
        is_table: Whether changes are for the eyes, such as ``+12.5 %``.

    Raises:
        CommandError: The options do not go together.
    """
    if question.complete:
        raise CommandError("--compare compares the first 1,000 rows; leave out --complete", ExitCode.USAGE)
    if question.period is None and question.from_ is None:
        raise CommandError(
            "--compare needs a range; add --period 'last 30 days', or --from and --to", ExitCode.USAGE
        )
    query = question.query(make, datetime.now(UTC))
    if question.period is not None:  # its words tell what the period before it is
        query = query.replace(date_from=None, date_to=None)

    comparison = call(lambda fathom: _compare(fathom, query, question, former))
    return records_of_comparison(comparison, is_table=is_table)


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
        query = query.replace(field_grouping=(), date_grouping=None, sort_by=None, limit=None)
    if question.period is not None:
        query = query.replace(date_from=None, date_to=None)
    try:
        return await _compare(fathom, query, question, former, now.replace(tzinfo=None))
    except QueryError:
        return None


async def _compare(
    fathom: FathomClient,
    query: Query[Row],
    question: QueryOptions,
    former: Former,
    now: datetime | None = None,
) -> Comparison[Row]:
    return await fathom.reports.compare(query, to=_TO[former], over=question.period, now=now)
