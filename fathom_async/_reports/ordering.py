"""The order of rows that were put together here, as ``sort_by`` asks for it."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.fields import DATE_COLUMN, TIMESTAMP

if TYPE_CHECKING:
    from fathom_async._reports.query import Query


def in_order(query: "Query[RowT]", rows: Iterable[RowT]) -> list[RowT]:
    """Return the rows as the query sorts them: by date where it does not say, else as they come.

    Numbers and dates sort as such, texts by code point, and what the server has no value for comes before all
    others. Rows that are equal in the column keep their order, in either direction.
    """
    if query.sort_by is None:
        return list(rows) if query.date_grouping is None else sorted(rows, key=attrgetter(DATE_COLUMN))
    column, _, direction = query.sort_by.partition(":")
    return sorted(rows, key=_key(column), reverse=direction == "desc")


def _key(column: str) -> Callable[[Row], tuple[bool, object]]:
    read = attrgetter(DATE_COLUMN if column == TIMESTAMP else column)

    def key(row: Row) -> tuple[bool, object]:
        value: object = read(row)
        return value is not None, 0 if value is None else value

    return key
