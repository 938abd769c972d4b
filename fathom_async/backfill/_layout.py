"""The layout of a query's table, the same for every kind of target."""

import json
from datetime import date
from operator import attrgetter
from typing import Final, NamedTuple, cast

import attrs

from fathom_async._bulk.complete import InconsistentError
from fathom_async._core.codec.rows import Column, Row
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import (
    DATE_COLUMN,
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    METRIC_KINDS,
    PAGEVIEW_AGGREGATES,
    Entity,
)
from fathom_async._reports.filters import filters_to_json
from fathom_async._reports.query import EventQuery, Query
from fathom_async._reports.report import Report
from fathom_async._util.arrow import check_counts
from fathom_async.backfill._ledger import Span
from fathom_async.errors import ArgumentError

Cell = str | int | float | date | None
Cells = tuple[Cell, ...]

_ORDER: Final = (*FIELD_GROUPINGS, *PAGEVIEW_AGGREGATES, *EVENT_AGGREGATES)
_VERSION: Final = 2


class Series(NamedTuple):
    """One site, or one event of a site; several series share a table.

    Its values are those of the leading columns.
    """

    site_id: str
    entity_name: str | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The values of the leading columns."""
        return tuple(value for value in self if value is not None)


@attrs.frozen
class Layout:
    """The columns of a table, and the query behind its rows.

    Args:
        columns: ``site_id``, for events ``entity_name``, ``date``, the groupings and the aggregates. Their order
            depends on their names only.
        key: Names of the leading columns, which identify a series.
        unit: The date grouping.
        definition: What the queries of all series have in common, by name.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    unit: Unit
    definition: dict[str, str]

    @classmethod
    def of(cls, query: Query[Row]) -> "Layout":
        if query.date_grouping is None:
            raise ArgumentError("a table of periods needs a date grouping")
        groupings = sorted(query.field_grouping, key=_ORDER.index)
        aggregates = sorted(query.aggregates, key=_ORDER.index)
        key = _KEYS[query.entity]
        columns = (
            *(Column(name, "text") for name in key),
            Column(DATE_COLUMN, query.date_grouping),
            *(Column(name, "text") for name in groupings),
            *(Column(name, METRIC_KINDS[name]) for name in aggregates),
            *(Column(name, "number") for name in query.extra.get("aggregates", ())),
        )
        definition = {
            "version": str(_VERSION),
            "entity": query.entity,
            "date_grouping": query.date_grouping,
            "field_grouping": ",".join(groupings),
            "aggregates": ",".join(aggregates),
            "filters": filters_to_json(sorted(query.filters)),
            "timezone": query.timezone or "",
            "extra": json.dumps(query.extra, sort_keys=True) if query.extra else "",
        }
        return cls(columns, key, Unit(query.date_grouping), definition)

    def describe(self) -> str:
        """Return the definition as the text that is stored with the table."""
        return json.dumps(self.definition, ensure_ascii=False, sort_keys=True)

    def check(self, described: str, where: str, *, instead: str = "name a new target") -> None:
        """Check that a table was made for the same query.

        Args:
            described: The text from `describe` that is stored with the table.
            where: Name of the table for messages.
            instead: What the message suggests to do.

        Raises:
            ArgumentError: The queries differ; the message names the difference.
        """
        held = cast("dict[str, str]", json.loads(described))
        for name, value in self.definition.items():
            if (other := held.get(name, "")) == value:
                continue
            if name == "version":
                raise ArgumentError(
                    f"{where} was made by another version of this package; {instead}, or use that version"
                )
            raise ArgumentError(
                f"{where} holds reports with {name} {other or 'none'}, but the query has {value or 'none'}; "
                f"{instead}, or use the same query"
            )

    def rows(self, series: Series, report: Report[Row], span: Span) -> list[Cells]:
        """Return the rows of a report as rows of the table, sorted by date and groupings.

        Raises:
            ArgumentError: The report is truncated.
            InconsistentError: It has rows that were not requested, or two of the same group.
            DecodeError: It has a count that does not fit into a table.
        """
        if report.truncated:
            raise ArgumentError(
                f"the report of one {self.unit.name} stopped at {len(report):,} rows, so some are missing; "
                "request every row, as fathom.reports.complete does"
            )
        names = [column.name for column in self.columns[len(self.key) :]]
        read = attrgetter(*names)
        groups = 1 + len(report.query.field_grouping)
        found: dict[Cells, Cells] = {}
        for row in report:
            cells = cast("Cells", read(row))
            if self.unit.index(cast("date", cells[0])) not in span:
                raise InconsistentError(f"the server returned a row of {cells[0]}, which was not requested")
            if cells[:groups] in found:
                raise InconsistentError(f"the server returned two rows for {cells[:groups]}")
            found[cells[:groups]] = series.cells + cells
        check_counts({column.name: column.kind for column in self.columns}, found.values())
        return [found[group] for group in sorted(found, key=_order)]


_KEYS: Final[dict[Entity, tuple[str, ...]]] = {
    "pageview": ("site_id",),
    "event": ("site_id", "entity_name"),
}


def series_of(query: Query[Row]) -> Series:
    return Series(query.site_id, query.entity_name if isinstance(query, EventQuery) else None)


def _order(group: Cells) -> tuple[object, ...]:
    return tuple((cell is not None, cell) for cell in group)
