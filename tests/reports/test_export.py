"""Exports keep the order of columns and the types, with and without rows."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import codecs
import csv
import io
import json
import sys
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import polars as pl
import pytest

from fathom_async._cli.output import encoded, records_of_report
from fathom_async._reports.comparison import Comparison
from fathom_async._reports.query import EventQuery, PageviewQuery
from fathom_async._reports.report import Report
from fathom_async._reports.rows import EventRow, PageviewRow
from fathom_async.errors import DecodeError

pa: Any = import_module("pyarrow")
sql: Any = duckdb.sql

DAILY = PageviewQuery(
    "CDBUGS", aggregates=["pageviews", "avg_duration"], field_grouping=["pathname"], date_grouping="day"
)
BODY = b"""[{"date":"2026-01-01", "pageviews":"1200", "avg_duration":"61.5", "pathname":"/a,\\"b\\""},
            {"date":"2026-01-02", "pageviews":null, "avg_duration":null, "pathname":null}]"""
HOURLY = EventQuery("CDBUGS", "purchase", aggregates=["value"], date_grouping="hour")


@pytest.fixture
def report() -> Report[PageviewRow]:
    return DAILY.read(BODY)


@pytest.fixture
def hours() -> Report[EventRow]:
    return HOURLY.read(b'[{"date":"2026-01-01 15:00:00","value":"1999"}]')


def arrow(report: Report[Any]) -> Any:
    return report.to_arrow()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def test_dicts_have_the_order_asked(report: Report[PageviewRow]) -> None:
    first, second = report.to_dicts()

    assert list(first.items()) == [
        ("date", date(2026, 1, 1)),
        ("pathname", '/a,"b"'),
        ("pageviews", 1200),
        ("avg_duration", 61.5),
    ]
    assert second["pageviews"] is None


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_csv_gives_back_a_path_with_an_end_of_line_in_it(end: str) -> None:
    path = f"/a{end}b"
    body = json.dumps([{"pathname": path, "pageviews": "1"}]).encode()
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])
    written = io.StringIO(newline="")
    query.read(body).to_csv(written)
    written.seek(0)
    assert list(csv.DictReader(written)) == [{"pathname": path, "pageviews": "1"}]


@pytest.mark.parametrize("first", "=+-@\t\r\n\uff1d")
def test_csv_for_a_spreadsheet_has_no_formulas_and_is_legible_to_excel(first: str, tmp_path: Path) -> None:
    rows = [
        {"pathname": f"{first}HYPERLINK(1)", "avg_duration": 1.5},
        {"pathname": "/ü=1", "avg_duration": None},
    ]
    query = PageviewQuery("CDBUGS", aggregates=["avg_duration"], field_grouping=["pathname"])
    report = query.read(json.dumps(rows).encode())
    report.to_csv(tmp_path / "plain.csv")
    report.to_csv(tmp_path / "guarded.csv", spreadsheet=True)
    plain, guarded = ((tmp_path / f"{name}.csv").read_bytes() for name in ("plain", "guarded"))
    assert not plain.startswith(codecs.BOM_UTF8)
    assert guarded.startswith(codecs.BOM_UTF8)
    assert guarded == encoded(records_of_report(report), "csv", spreadsheet=True)
    assert list(csv.reader(io.StringIO(guarded.decode("utf-8-sig"), newline=""))) == [
        ["pathname", "avg_duration"],
        [f"'{first}HYPERLINK(1)", "1.5"],
        ["/ü=1", ""],
    ]


def test_csv_goes_to_a_file_or_a_path(report: Report[PageviewRow], tmp_path: Path) -> None:
    written = io.StringIO()
    report.to_csv(written)
    report.to_csv(tmp_path / "report.csv")

    assert written.getvalue() == (
        'date,pathname,pageviews,avg_duration\n2026-01-01,"/a,""b""",1200,61.5\n2026-01-02,,,\n'
    )
    assert (tmp_path / "report.csv").read_bytes() == written.getvalue().encode()


def test_hours_are_written_in_full(hours: Report[EventRow]) -> None:
    written = io.StringIO()
    hours.to_csv(written)

    assert written.getvalue() == "date,value\n2026-01-01 15:00:00,1999\n"


def test_json_lines_are_an_object_a_row(report: Report[PageviewRow]) -> None:
    lines = [json.loads(line) for line in report.to_jsonl().splitlines()]

    assert lines == [
        {"date": "2026-01-01", "pathname": '/a,"b"', "pageviews": 1200, "avg_duration": 61.5},
        {"date": "2026-01-02", "pathname": None, "pageviews": None, "avg_duration": None},
    ]
    assert DAILY.read(b"[]").to_jsonl() == ""


@pytest.mark.parametrize("body", [BODY, b"[]"])
def test_polars_has_the_types_of_the_columns(body: bytes) -> None:
    frame = DAILY.read(body).to_polars()

    assert [(name, str(kind)) for name, kind in frame.schema.items()] == [
        ("date", "Date"),
        ("pathname", "String"),
        ("pageviews", "Int64"),
        ("avg_duration", "Float64"),
    ]
    assert frame.to_dicts() == DAILY.read(body).to_dicts()


def test_polars_has_hours(hours: Report[EventRow]) -> None:
    assert hours.to_polars().schema["date"] == pl.Datetime("us")
    assert hours.to_polars().rows() == [(datetime(2026, 1, 1, 15), 1999)]


@pytest.mark.parametrize("body", [BODY, b"[]"])
def test_pandas_has_types_that_know_nulls(body: bytes) -> None:
    frame: Any = DAILY.read(body).to_pandas()

    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "date": "datetime64[us]",
        "pathname": "string",
        "pageviews": "Int64",
        "avg_duration": "Float64",
    }
    assert len(frame) == len(json.loads(body))


def test_pandas_keeps_nulls_and_hours(report: Report[PageviewRow], hours: Report[EventRow]) -> None:
    frame: Any = report.to_pandas()
    by_hour: Any = hours.to_pandas()

    assert frame["pageviews"][0] == 1200
    assert frame.loc[1].isna().tolist() == [False, True, True, True]
    assert by_hour["date"][0] == pd.Timestamp("2026-01-01 15:00:00")


@pytest.mark.parametrize("body", [BODY, b"[]"])
def test_arrow_and_parquet_have_the_types_of_the_columns(body: bytes, tmp_path: Path) -> None:
    report = DAILY.read(body)
    table = arrow(report)
    report.to_parquet(tmp_path / "report.parquet")

    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("date", "date32[day]"),
        ("pathname", "string"),
        ("pageviews", "int64"),
        ("avg_duration", "double"),
    ]
    assert table.to_pylist() == report.to_dicts()
    assert pl.read_parquet(tmp_path / "report.parquet").to_dicts() == report.to_dicts()


def test_arrow_has_hours(hours: Report[EventRow]) -> None:
    table = arrow(hours)

    assert table.to_pylist() == [{"date": datetime(2026, 1, 1, 15), "value": 1999}]


def taken(source: Any) -> dict[str, Any]:
    """Return what each library makes of an object that exports Arrow, as an Arrow table.

    pandas reads Arrow since version 3, and pyarrow for the versions before.
    """
    frame: Any = pd.DataFrame
    in_pandas = frame.from_arrow(source) if hasattr(frame, "from_arrow") else pa.table(source).to_pandas()
    return {
        "pyarrow": pa.table(source),
        "polars": pl.DataFrame(source).to_arrow(),
        "pandas": pa.Table.from_pandas(in_pandas, preserve_index=False),
        "duckdb": sql("SELECT * FROM source").to_arrow_table(),
    }


@pytest.mark.parametrize("body", [BODY, b"[]"])
def test_every_library_of_tables_takes_a_report_as_it_is(body: bytes) -> None:
    report = DAILY.read(body)
    tables = taken(report)
    assert {name: table.to_pylist() for name, table in tables.items()} == dict.fromkeys(
        tables, report.to_dicts()
    )
    assert [str(field.type) for field in tables["duckdb"].schema] == [
        "date32[day]",
        "string",
        "int64",
        "double",
    ]
    assert [str(kind) for kind in pl.DataFrame(report).dtypes] == ["Date", "String", "Int64", "Float64"]


def test_every_library_of_tables_takes_hours_on_the_clock_of_the_site(hours: Report[EventRow]) -> None:
    tables = taken(hours)
    assert [table.to_pylist() for table in tables.values()] == [hours.to_dicts()] * len(tables)
    assert str(tables["pyarrow"].schema.field("date").type) == "timestamp[us]"


@pytest.mark.parametrize("body", [BODY, b"[]"])
def test_every_library_of_tables_takes_a_comparison_as_it_is(body: bytes) -> None:
    before = DAILY.replace(date_from="2025-12-01", date_to="2025-12-31")
    now = DAILY.replace(date_from="2026-01-01", date_to="2026-01-31")
    comparison = Comparison(now.read(body), before.read(body.replace(b"2026-01", b"2025-12")))
    tables = taken(comparison)
    assert [table.to_pylist() for table in tables.values()] == [comparison.to_dicts()] * len(tables)
    assert [str(field.type) for field in tables["pyarrow"].schema] == [
        *("date32[day]", "string"),
        *("int64", "int64", "double"),
        *("double", "double", "double"),
    ]


def test_a_reader_may_request_other_types(report: Report[PageviewRow]) -> None:
    wanted = (
        arrow(report).schema.set(2, pa.field("pageviews", pa.int32())).set(0, pa.field("date", pa.date64()))
    )
    reader = pa.RecordBatchReader.from_stream(report, schema=wanted)
    assert reader.schema == wanted
    assert reader.read_all().to_pylist() == report.to_dicts()


@pytest.mark.parametrize("count", [2**63 - 1, 2**63])
def test_counts_that_do_not_fit_into_a_table_are_told_by_name(count: int, tmp_path: Path) -> None:
    large = PageviewQuery("CDBUGS", aggregates=["visits"]).read(b'[{"visits": %d}]' % count)
    assert large.to_jsonl() == f'{{"visits":{count}}}\n'
    frames: list[Any] = [getattr(large, f"to_{kind}") for kind in ("polars", "pandas", "arrow")]
    for export in (
        *frames,
        lambda: pl.DataFrame(large),
        lambda: pa.table(large),
        lambda: pa.table(Comparison(large, large)),
        lambda: large.to_parquet(tmp_path / "visits.parquet"),
        lambda: encoded(records_of_report(large), "parquet"),
    ):
        if count < 2**63:
            export()
        else:
            with pytest.raises(DecodeError, match=f"column 'visits' has {count}, which does not fit"):
                export()


@pytest.mark.parametrize(
    ("export", "library", "extra"),
    [
        ("to_polars", "polars", "polars"),
        ("to_pandas", "pandas", "pandas"),
        ("to_arrow", "pyarrow", "arrow"),
        ("__arrow_c_stream__", "pyarrow", "arrow"),
    ],
)
def test_a_library_that_is_missing_is_an_extra(
    export: str, library: str, extra: str, report: Report[PageviewRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ImportError, match=rf'pip install "fathom_async\[{extra}\]"'):
        getattr(report, export)()
