"""One figure for a whole report, and none where adding up its rows would be wrong.

A visitor who saw two pages is in the rows of both, and averages have no sum. So only metrics that count occurrences
are added up; of the others, a single row is the total.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import ADDITIVE_METRICS, RATES
from fathom_async.errors import ArgumentError, QueryError

if TYPE_CHECKING:
    from fathom_async._reports.query import Query


def total(query: "Query[Row]", rows: Sequence[Row], metric: str, *, is_truncated: bool) -> int | float | None:
    """Return the total of a metric; see `Report.total`.

    Args:
        query: The query of the report.
        rows: Its rows.
        metric: One of the query's aggregates.
        is_truncated: Whether the report may lack rows.
    """
    if metric not in query.aggregates:
        raise ArgumentError(f"the report has no metric {metric!r}; it has: {', '.join(query.aggregates)}")
    is_additive = metric in ADDITIVE_METRICS
    if is_truncated:
        every_row = (
            f"; or for every row, reports.complete({_replaced(query, limit=None)})" if is_additive else ""
        )
        raise QueryError(
            f"the report stops at {len(rows):,} row{'' if len(rows) == 1 else 's'} and may lack others, so that it "
            f"does not tell the total of {metric}; {_ask_alone(query)}{every_row}"
        )
    if len(rows) > 1 and not is_additive:
        raise QueryError(
            f"{metric} of {len(rows):,} rows must not be added up: rows share visitors, and averages have no sum; "
            f"{_ask_alone(query)}"
        )
    values: list[int | float | None] = [getattr(row, metric) for row in rows]
    if metric in RATES:
        return values[0] if values else None
    return sum(value or 0 for value in values)


def _ask_alone(query: "Query[Row]") -> str:
    alone = _replaced(query, field_grouping=(), date_grouping=None, sort_by=None, limit=None)
    return f"ask for the total alone, reports.aggregate({alone})"


def _replaced(query: "Query[Row]", **empty: object) -> str:
    """Return the code that leaves these arguments out of a query."""
    changes = [f"{name}={value!r}" for name, value in empty.items() if getattr(query, name) != value]
    return f"query.replace({', '.join(changes)})" if changes else "query"
