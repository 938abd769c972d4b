"""``--compare``: a report beside the same one of a former period."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal

from fathom_async import Change, Comparison
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import Records, records_of_report
from fathom_async._cli.weeks import weekly
from fathom_async.reports import Query, Row

if TYPE_CHECKING:
    from fathom_async._cli.output import Cell, Kind
    from fathom_async._cli.query_options import QueryOptions
    from fathom_async._cli.weeks import Line

Former = Literal["previous", "year"]

PERIODS: Final = {"previous": "previous period", "year": "previous year"}


def check_comparable(question: "QueryOptions") -> None:
    """Check that a report can be compared.

    Raises:
        CommandError: The options do not go together.
    """
    if question.complete:
        raise CommandError("--compare compares the first 1,000 rows; leave out --complete", ExitCode.USAGE)
    if question.words is None and question.from_ is None:
        raise CommandError(
            "--compare needs a range; add --last 30d, --period, or --from and --to", ExitCode.USAGE
        )


def compared_columns(query: Query[Row]) -> Iterator[str]:
    """Yield the columns of a comparison."""
    for name in query.columns:
        yield from (name, f"{name}_previous", f"{name}_change") if name in query.aggregates else (name,)


def records_of_comparison(
    comparison: Comparison[Row], question: "QueryOptions", totals: Sequence[Change] | None, *, is_table: bool
) -> Records:
    """Return the rows of a comparison with both figures and the change: for a table such as ``+12.5 %``.

    Raises:
        CommandError: Weeks would lack days.
    """
    query, asked = comparison.current.query, records_of_report(comparison.current).kinds
    kinds: dict[str, Kind] = {
        name: asked.get(name.removesuffix("_previous"), "number") for name in compared_columns(query)
    }
    lines: list[Line] = [
        ((*([row.date] if query.date_grouping else []), *row.groups), tuple(row.changes.values()))
        for row in comparison
    ]
    gone = [row.is_gone for row in comparison]
    if question.per == "week":
        if comparison.current.truncated or comparison.previous.truncated:
            raise CommandError("--per week needs more days than the server returns; group by fewer fields")
        lines = weekly(lines, query, question.sort, question.limit)
        gone = [False] * len(lines)
    rows = [
        (*labels, *_cells(changes, is_table=is_table, is_gone=is_gone))
        for (labels, changes), is_gone in zip(lines, gone, strict=True)
    ]
    if totals is None:
        return Records(kinds, rows)
    blanks = [""] * (len(query.columns) - len(query.aggregates) - 1)
    return Records(kinds, rows, total=("total", *blanks, *_cells(totals, is_table=is_table)))


def _cells(changes: Sequence[Change], *, is_table: bool, is_gone: bool = False) -> "Iterator[Cell]":
    for change in changes:
        figure = change.absolute if change.is_share else change.relative
        told = "gone" if is_gone else str(change)
        yield from (change.current, change.previous, told if is_table else figure)
