"""The report that answers a query: typed rows, exports, and totals.

An answer is decoded at once on the event loop: it has at most 1,000 rows, or one per date, and a thousand rows take
about half a millisecond. A complete report is read part by part, so nothing longer is ever decoded at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from operator import attrgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TextIO, cast, overload

import attrs
import msgspec

from fathom_async._core.codec.rows import Column, Row, RowT, RowT_co, requested
from fathom_async._reports import export
from fathom_async._reports.arguments import known_word, missing
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    CURRENCIES,
    DATE_COLUMN,
    HEADINGS,
    PLAIN_UNITS,
    RATES,
    TIMESTAMP,
    VALUE,
    CountMetric,
    Currency,
    RateMetric,
)
from fathom_async._reports.filling import missing_rows
from fathom_async._util.lazy import optional
from fathom_async._util.pydantic_schema import HasSchema
from fathom_async._util.tables import HTML_ROWS, table_html, table_text
from fathom_async._util.text import counted
from fathom_async.errors import ArgumentError, QueryError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    import polars as pl
    import pyarrow as pa  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    from fathom_async._reports.query import Query


def _stops_at_limit(report: "Report[Row]") -> bool:
    query = report.query
    is_grouped = bool(query.field_grouping or query.date_grouping or query.extra)
    limit = query.effective_limit if is_grouped else None  # without groups there is one row
    return limit is not None and len(report.rows) >= limit


@attrs.frozen(repr=False)
class Report(HasSchema, Generic[RowT_co]):
    """The rows that answer a query.

    Args:
        query: The query; in JSON, its parameters.
        rows: Rows with the query's columns; see `PageviewRow` and `EventRow`.
        truncated: Whether there may be more rows, because the answer has as many as its limit allows. Derived from
            the query unless given.

    Source: "Reports > Aggregation" of the Fathom API reference.

    >>> from fathom_async import PageviewQuery
    >>> query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])
    >>> report = query.read(b'[{"pathname": "/", "pageviews": "7"}, {"pathname": "/blog", "pageviews": "5"}]')
    >>> report
    <Report of pathname, pageviews for CDBUGS: 2 rows>
    >>> report.first.pathname, report.total("pageviews")
    ('/', 12)
    """

    query: "Query[RowT_co]"
    rows: tuple[RowT_co, ...]
    truncated: bool = attrs.field(default=attrs.Factory(_stops_at_limit, takes_self=True), kw_only=True)

    def to_json(self) -> bytes:
        """Return the rows as a JSON array, which the query's `read` decodes again."""
        return self.query.codec.encode(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the query."""
        return self.query.columns

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[RowT_co]:
        return iter(self.rows)

    if not TYPE_CHECKING:

        def __getitem__(self, what: object) -> NoReturn:
            instead = f"column({what!r})" if isinstance(what, str) else f"rows[{what!r}]"
            raise TypeError(f"write report.{instead} instead of report[{what!r}]")

    def column(self, name: str) -> list[str | int | float | date | None]:
        """Return the values of one column.

        Raises:
            ArgumentError: The report has no such column.
        """
        if name not in self.columns:
            raise ArgumentError(f"the report has no column {name!r}{missing(name, self.columns)}")
        return list(map(attrgetter(name), self.rows))

    @property
    def first(self) -> RowT_co | None:
        """The first row, or None if there is none."""
        return self.rows[0] if self.rows else None

    @overload
    def total(self, metric: CountMetric) -> int: ...
    @overload
    def total(self, metric: RateMetric) -> float | None: ...
    @overload
    def total(self, metric: str) -> int | float | None: ...
    def total(self, metric: str) -> int | float | None:
        """Return one figure for the whole report.

        A single row is its own total. Several rows are summed if the metric adds up: ``pageviews``, ``conversions``
        and ``value`` (in cents if the event's unit is a currency) do, and nulls count as 0. Without rows, the total
        is 0, or None for the averages ``avg_duration`` and ``bounce_rate``. Where nothing was counted, some servers
        answer a row of zeros instead of no row; the total is the same. So an ungrouped average of 0 is None unless
        ``visits`` or another count is requested with it, which tells that something was counted.

        Args:
            metric: One of the query's aggregates.

        Raises:
            ArgumentError: The report has no such metric.
            QueryError: The rows do not add up to a total, or the report may lack rows; the message says which query
                to run instead.
        """
        return total(self.query, self.rows, metric, is_truncated=self.truncated)

    def filled(self, *, now: date | None = None) -> "Report[RowT_co]":
        """Return the report with a row for every bucket of its range, in the order of the query.

        The API has no row where nothing was counted. Here, each hour, day, month or year of the range has one, and if
        the query has groups, one for each group that occurs at all. In rows that are added, counts are 0, and
        averages None. A report without groups and dates has one row.

        Args:
            now: Today's date or the current moment, as in ``datetime.now(ZoneInfo(site.timezone))``: buckets that
                begin later are left out, and an open range ends with the present one. Without it, a range is filled
                to its end, and an open one to the last row. An aware moment also tells which hours the site's clock
                skips; it is converted to the query's ``timezone`` if it has one.

        Raises:
            QueryError: The report stops at its limit, so that what it has no row for may have been counted.

        >>> from fathom_async import PageviewQuery
        >>> query = PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="month", date_from="2026-01-01")
        >>> report = query.read(b'[{"date": "2026-02-01", "visits": 3}]')
        >>> [row.visits for row in report.filled(now=date(2026, 3, 15))]
        [0, 3, 0]
        """
        if self.truncated:
            raise QueryError(
                f"the report stops at {len(self):,} rows and may lack others, so that what has no row need not be "
                f"0; for every row, ask reports.complete({_replaced(self.query, limit=None)})"
            )
        rows = [*self.rows, *missing_rows(self.query, self.rows, now)]
        return attrs.evolve(self, rows=tuple(sort_rows(self.query, rows)))

    def money(self, currency: Currency) -> list[Decimal | None]:
        """Return the ``value`` column in the event's unit.

        Args:
            currency: The unit the event was created with. All currencies are counted in hundredths; ``integer`` and
                ``none`` are plain numbers.

        Raises:
            ArgumentError: The report has no ``value`` column, or Fathom no such currency.
        """
        exponent = 0 if known_word("currency", currency, CURRENCIES) in PLAIN_UNITS else -2
        values = self.column(VALUE)
        return [None if value is None else Decimal(str(value)).scaleb(exponent) for value in values]

    def to_dicts(self) -> list[dict[str, str | int | float | date | None]]:
        """Return each row as a dict, in the order of the columns; then the columns that the query does not name."""
        return [msgspec.structs.asdict(row) for row in self.rows]

    def to_csv(self, target: str | PathLike[str] | TextIO, *, spreadsheet: bool = False) -> None:
        """Write the report as CSV, with a header.

        Args:
            target: A path, written as UTF-8, or an open text file (opened with ``newline=""``).
            spreadsheet: Whether it will be opened in a spreadsheet: adds a byte order mark for Excel, and an
                apostrophe before texts that would be formulas. Visitors can choose such texts.
        """
        export.write_csv(self._kinds, self.rows, target, spreadsheet=spreadsheet)

    def to_jsonl(self) -> str:
        """Return the report as JSON lines: one object per row."""
        return msgspec.json.Encoder().encode_lines(self.rows).decode()

    def to_polars(self) -> "pl.DataFrame":
        """Return a polars frame: String, Int64, Float64, Date, and Datetime for hours.

        Raises:
            ImportError: polars is not installed; the message names the extra.
        """
        return export.to_polars(self._kinds, self.rows)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas frame: string, Int64 and Float64 (all nullable), and datetime64.

        Raises:
            ImportError: pandas is not installed; the message names the extra.
        """
        return export.to_pandas(self._kinds, self.rows)

    def to_arrow(self) -> "pa.Table":  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]
        """Return an Arrow table: string, int64, double, date32, and for hours a timestamp on the site's clock.

        Raises:
            ImportError: pyarrow is not installed; the message names the extra.
        """
        return export.to_arrow(self._kinds, self.rows)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]

    def to_parquet(self, target: str | PathLike[str]) -> None:
        """Write the report as a Parquet file, with the types of `to_arrow`.

        Raises:
            ImportError: pyarrow is not installed; the message names the extra.
        """
        parquet = optional("pyarrow.parquet", extra="arrow")
        parquet.write_table(self.to_arrow(), target)  # pyright: ignore[reportUnknownMemberType]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the table of `to_arrow` to any library that reads Arrow: ``polars.DataFrame(report)``."""
        table = cast("Any", self.to_arrow())  # pyright: ignore[reportUnknownMemberType]
        return table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        rows = f"{counted(len(self), 'row')}{', truncated' if self.truncated else ''}"
        return f"<Report of {', '.join(self.columns)} for {self.query.site_id}: {rows}>"

    def __str__(self) -> str:
        return table_text(*self._shown())

    def _repr_html_(self) -> str:
        return table_html(*self._shown())

    def _shown(self) -> tuple[list[str], Sequence[Sequence[object]], set[int], int, list[str]]:
        """Return headings, cells, the columns of figures, the number of rows, and notes."""
        figures = {place for place, column in enumerate(self._kinds) if column.kind in {"count", "number"}}
        names = [HEADINGS.get(name, name) for name in self.columns]
        notes = [f"cut off at {counted(len(self), 'row')}; there may be more"] if self.truncated else []
        return names, requested(self.rows[:HTML_ROWS]), figures, len(self), notes

    @classmethod
    def _types(cls) -> dict[str, object]:
        more = {"query": dict[str, str], "extra": dict[str, tuple[str, ...]]}
        return {**more, "rows": tuple[RowT_co, ...], "truncated": bool}

    def _values(self) -> dict[str, object]:
        more = {"query": self.query.params(), "extra": self.query.extra}
        return {**more, "rows": self.rows, "truncated": self.truncated}

    @classmethod
    def _made_of(cls, values: dict[str, Any]) -> Self:
        from fathom_async._reports.query import query_from_params  # noqa: PLC0415 - it imports this module

        query = query_from_params(values["query"], values.get("extra"))
        report = query.read(query.codec.encode(values["rows"]))
        truncated = values.get("truncated", report.truncated)
        return cast("Self", attrs.evolve(report, truncated=truncated))

    @property
    def _kinds(self) -> tuple[Column, ...]:
        return self.query.codec.columns


def sort_rows(query: "Query[RowT]", rows: Iterable[RowT]) -> list[RowT]:
    """Sort rows as the query does: by ``sort_by``, otherwise by date if there is one.

    Numbers and dates sort as such, texts by code point, and nulls first. Rows with equal values keep their order, in
    either direction.
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


def total(query: "Query[Row]", rows: Sequence[Row], metric: str, *, is_truncated: bool) -> int | float | None:
    """Return the total of a metric; see `Report.total`. Truncated rows may not be all."""
    if metric not in query.aggregates:
        raise ArgumentError(f"the report has no metric {metric!r}; it has: {', '.join(query.aggregates)}")
    is_additive = metric in ADDITIVE_METRICS
    if is_truncated:
        every_row = (
            f"; or for every row, reports.complete({_replaced(query, limit=None)})" if is_additive else ""
        )
        raise QueryError(
            f"the report stops at {counted(len(rows), 'row')} and may lack others, so that it "
            f"does not tell the total of {metric}; {_ask_alone(query)}{every_row}"
        )
    if len(rows) > 1 and not is_additive:
        raise QueryError(
            f"{metric} of {len(rows):,} rows must not be added up: rows share visitors, and averages have no sum; "
            f"{_ask_alone(query)}"
        )
    values: list[int | float | None] = [getattr(row, metric) for row in rows]
    if metric in RATES:
        counts = [name for name in query.aggregates if name not in RATES and name != VALUE]
        # A group has a row only if something was counted.
        is_grouped = bool(query.field_grouping or query.date_grouping or query.extra.get("field_grouping"))
        told_by = counts or ([] if is_grouped else [metric])
        is_empty = not rows or (bool(told_by) and not any(getattr(rows[0], name) for name in told_by))
        return None if is_empty else values[0]
    return sum(value or 0 for value in values)


def _ask_alone(query: "Query[Row]") -> str:
    others = {name: values for name, values in query.extra.items() if name != "field_grouping"}
    alone = _replaced(query, field_grouping=(), extra=others, date_grouping=None, sort_by=None, limit=None)
    return f"ask for the total alone, reports.aggregate({alone})"


def _replaced(query: "Query[Row]", **empty: object) -> str:
    """Return the code that leaves these arguments out of a query."""
    changes = [f"{name}={value!r}" for name, value in empty.items() if getattr(query, name) != value]
    return f"query.replace({', '.join(changes)})" if changes else "query"
