"""``--compare``: a report beside the same one of a former period."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from fathom_async import Comparison, EventRow, FathomClient, PageviewQuery, PageviewRow
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import Records, records_of_comparison
from fathom_async._cli.query_options import Q, QueryOptions

Former = Literal["previous", "year"]
AnyComparison = Comparison[PageviewRow] | Comparison[EventRow]

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

    async def ask(fathom: FathomClient) -> AnyComparison:
        if isinstance(query, PageviewQuery):
            return await fathom.reports.compare(query, to=_TO[former], over=question.period)
        return await fathom.reports.compare(query, to=_TO[former], over=question.period)

    return records_of_comparison(call(ask), is_table=is_table)
