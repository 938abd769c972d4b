"""Queries, rows and columns of reports, and the API's words for them.

For functions that take queries of any kind, and options that name what can be counted, grouped by or filtered on:

    async def as_table(fathom: FathomClient, query: Query[Row]) -> str:
        return str(await fathom.reports.complete(query))
"""

from fathom_async._bulk.results import OnProgress
from fathom_async._core.codec.rows import Column, ColumnKind, Row
from fathom_async._reports.calendar import Unit as CalendarUnit
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    CATEGORICAL_PROPERTIES,
    CURRENCIES,
    MAX_ROWS,
    OPERATORS,
    PLAIN_UNITS,
    RATES,
    TEXT_PROPERTIES,
    Currency,
    DateGrouping,
    EventAggregate,
    FieldGrouping,
    Operator,
    PageviewAggregate,
    TextProperty,
)
from fathom_async._reports.query import Query
from fathom_async._resources.reports import BulkOptions

__all__ = [
    "ADDITIVE_METRICS",
    "CATEGORICAL_PROPERTIES",
    "CURRENCIES",
    "MAX_ROWS",
    "OPERATORS",
    "PLAIN_UNITS",
    "RATES",
    "TEXT_PROPERTIES",
    "BulkOptions",
    "CalendarUnit",
    "Column",
    "ColumnKind",
    "Currency",
    "DateGrouping",
    "EventAggregate",
    "FieldGrouping",
    "OnProgress",
    "Operator",
    "PageviewAggregate",
    "Query",
    "Row",
    "TextProperty",
]
