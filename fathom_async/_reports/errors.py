"""Errors of reports that are put together from several answers."""

from typing import TYPE_CHECKING

from fathom_async.errors import FathomError

if TYPE_CHECKING:
    from fathom_async._core.codec.rows import Row
    from fathom_async._reports.query import Query


class InseparableError(FathomError):
    """Rows past the server's wall that no filter tells apart; nothing was returned rather than a part.

    Args:
        message: What could not be separated, and what to change.
        query: The query of the part that stayed too large.
        separated: How many rows of the report had been separated and read by then.
    """

    def __init__(self, message: str, query: "Query[Row]", separated: int) -> None:
        super().__init__(message, query, separated)
        self.message = message
        self.query = query
        self.separated = separated

    def __str__(self) -> str:
        return f"{self.message} ({self.separated:,} rows had been separated by then)"


class InconsistentError(FathomError):
    """Answers of the server that contradict each other, so that a report made of them might be wrong."""
