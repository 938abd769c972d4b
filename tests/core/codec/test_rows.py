"""Rows of JSON become values with the types of their columns, or an error."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import copy
import json
import pickle
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from fathom_async._core.codec.rows import Column, ColumnKind, Row, row_codec
from fathom_async.errors import DecodeError

PAGES = (Column("pathname", "text"), Column("pageviews", "count"), Column("bounce_rate", "number"))


def decode_one(kind: ColumnKind, wire: object) -> object:
    codec = row_codec([Column("it", kind)], Row)
    [row] = codec.decode(json.dumps([{"it": wire}]).encode())
    return getattr(row, "it")  # noqa: B009 - made for this test, so that no type declares it


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        ("count", "30000", 30000),
        ("count", 30000, 30000),
        ("count", "-4500", -4500),
        ("count", "12.0", 12),
        ("count", None, None),
        ("count", "90071992547409930", 90071992547409930),
        ("count", str(2**63), 2**63),
        ("count", "", None),
        ("number", "", None),
        ("number", "-1", -1.0),
        ("number", "0.4321", 0.4321),
        ("number", 0.4321, 0.4321),
        ("number", "12", 12.0),
        ("number", None, None),
        ("text", "null", "null"),
        ("text", "", ""),
        ("text", None, None),
        ("text", "123", "123"),
        ("year", "2023", date(2023, 1, 1)),
        ("year", 2023, date(2023, 1, 1)),
        ("month", "2023-02", date(2023, 2, 1)),
        ("month", "2023-02-01", date(2023, 2, 1)),
        ("day", "2023-02-14", date(2023, 2, 14)),
        ("day", "2023-02-14 00:00:00", date(2023, 2, 14)),
        ("hour", "2023-02-14 15:00:00", datetime(2023, 2, 14, 15)),
        ("hour", "2023-02-14T15:00:00", datetime(2023, 2, 14, 15)),
    ],
)
def test_a_cell_has_the_type_of_its_column(kind: ColumnKind, wire: object, value: object) -> None:
    decoded = decode_one(kind, wire)

    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        ("count", "12.5"),
        ("count", 999.5),
        ("count", "1e400"),
        ("count", "many"),
        ("count", True),
        ("number", "nan"),
        ("number", "Infinity"),
        ("number", "1e400"),
        ("text", 12),
        ("year", "23"),
        ("month", "2023"),
        ("month", "2023-13"),
        ("month", "2023-02-14"),
        ("day", "2023-02"),
        ("day", "2023-02-30"),
        ("day", "2023-02-14 15:00:00"),
        ("day", None),
        ("day", ["2023-02-14"]),
        ("hour", "2023-02-14"),
        ("hour", "yesterday"),
    ],
)
def test_what_a_column_cannot_hold_is_an_error_that_names_column_and_row(
    kind: ColumnKind, wire: object
) -> None:
    with pytest.raises(DecodeError, match="column 'it' of row 0 cannot be read"):
        decode_one(kind, wire)


def test_one_odd_cell_does_not_fail_the_report() -> None:
    columns = (Column("date", "day"), *PAGES)
    body = (
        b'[{"timestamp": "2023-02-14", "pathname": "", "pageviews": "", "bounce_rate": ""},'
        b'{"date": "2023-02-15", "timestamp": "x", "pathname": null, "pageviews": "-3", "bounce_rate": -0.5}]'
    )
    rows = row_codec(columns, Row).decode(body)
    assert [*map(astuple, rows)] == [
        (date(2023, 2, 14), "", None, None),
        (date(2023, 2, 15), None, -3, -0.5),
    ]


def test_odd_cells_do_not_hide_the_one_that_cannot_be_read() -> None:
    body = b'[{"pathname": "/", "pageviews": "", "bounce_rate": 0}, {"pathname": "/", "pageviews": "999.5"}]'
    with pytest.raises(DecodeError, match="column 'pageviews' of row 1 cannot be read"):
        row_codec(PAGES, Row).decode(body)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_with_a_byte_order_mark_is_read(encoding: str) -> None:
    body = '[{"pathname": "/\u00e9", "pageviews": "1", "bounce_rate": 0}]'.encode(encoding)
    assert row_codec(PAGES, Row).decode(body) == [row_codec(PAGES, Row).row("/\u00e9", 1, 0.0)]


@pytest.mark.parametrize("depth", [300, 900, 3_000, 100_000])
def test_rows_nested_deeply_are_read_or_an_error(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for body in (deep, b'[{"pathname": ' + deep + b"}]", b'[{"new": ' + deep + b"}]"):
        with pytest.raises(DecodeError):
            row_codec(PAGES, Row).decode(body)


def test_a_missing_column_is_named() -> None:
    body = b'[{"pathname": "/", "pageviews": "1", "bounce_rate": 0}, {"pathname": "/a", "pageviews": "1"}]'

    with pytest.raises(DecodeError, match="column 'bounce_rate' is missing in row 1") as caught:
        row_codec(PAGES, Row).decode(body)

    assert caught.value.body == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Log in</html>", "not JSON"),
        (b"", "not JSON"),
        (b'[{"pathname": "/', "not JSON"),
        (b'[{"pathname": "\xff", "pageviews": "1", "bounce_rate": 0}]', "not JSON"),
        (b'{"error": "no"}', "not an array of rows: Expected `array`, got `object`"),
        (b"[7]", "row 0 is not an object"),
    ],
)
def test_what_is_no_report_is_an_error(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        row_codec(PAGES, Row).decode(body)


def test_no_rows_are_no_error() -> None:
    assert row_codec(PAGES, Row).decode(b"[]") == []


def test_columns_that_were_not_asked_for_are_passed_over() -> None:
    body = b'[{"pathname": "/", "new": {"deep": [1]}, "pageviews": "1", "bounce_rate": "0.5"}]'

    assert row_codec(PAGES, Row).decode(body) == [row_codec(PAGES, Row).row("/", 1, 0.5)]


def test_a_class_is_made_once_for_its_columns() -> None:
    assert row_codec(PAGES, Row) is row_codec(list(PAGES), Row)
    assert row_codec(PAGES, Row).row_type is not row_codec(PAGES[::-1], Row).row_type


def test_rows_are_values() -> None:
    row = row_codec(PAGES, Row).row("/", 1, 0.5)

    assert repr(row) == "Row(pathname='/', pageviews=1, bounce_rate=0.5)"
    assert {row, row_codec(PAGES, Row).row("/", 1, 0.5)} == {row}
    with pytest.raises(AttributeError):
        setattr(row, "pageviews", 2)  # noqa: B010 - the checkers refuse it too


def test_rows_can_be_pickled_and_copied() -> None:
    row = row_codec(PAGES, Row).row("/", 1, 0.5)

    assert pickle.loads(pickle.dumps(row)) == row  # noqa: S301
    assert copy.deepcopy(row) == row


def test_rows_of_the_same_date_share_it() -> None:
    first, second = row_codec([Column("it", "day")], Row).decode(b'[{"it":"2023-02-14"},{"it":"2023-02-14"}]')

    assert getattr(first, "it") is getattr(second, "it")  # noqa: B009


NAMES = [f"column_{number}" for number in range(6)]
KINDS: list[ColumnKind] = ["text", "count", "number", "hour", "day", "month", "year"]


def values(kind: ColumnKind) -> st.SearchStrategy[object]:  # noqa: PLR0911 - one for each kind
    dates = st.dates(min_value=date(1970, 1, 1))
    match kind:
        case "text":
            return st.none() | st.text()
        case "count":
            return st.none() | st.integers(min_value=-(2**63), max_value=2**63 - 1)
        case "number":
            return st.none() | st.floats(min_value=-1e12, max_value=1e12)
        case "hour":
            return st.datetimes(min_value=datetime(1970, 1, 1)).map(
                lambda moment: moment.replace(minute=0, second=0, microsecond=0)
            )
        case "day":
            return dates
        case "month":
            return dates.map(lambda day: day.replace(day=1))
        case "year":
            return dates.map(lambda day: day.replace(month=1, day=1))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[object]]]:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=len(NAMES)))
    columns = [Column(name, kind) for name, kind in zip(NAMES, kinds, strict=False)]
    return columns, draw(st.lists(st.tuples(*map(values, kinds)).map(list), max_size=5))


def as_the_server_writes(kind: ColumnKind, value: object) -> object:
    written = {"year": 4, "month": 7, "day": 10, "hour": 19}
    if kind in written:
        return str(value)[: written[kind]]
    return value if value is None or kind == "text" else str(value)


@given(tables())
def test_what_the_server_writes_is_read_as_it_was_meant(
    table: tuple[list[Column], list[list[object]]],
) -> None:
    columns, rows = table
    codec = row_codec(columns, Row)
    meant = [codec.row(*row) for row in rows]
    wire = [
        {c.name: as_the_server_writes(c.kind, v) for c, v in zip(columns, row, strict=True)} for row in rows
    ]

    assert codec.decode(json.dumps(wire).encode()) == meant


@given(tables())
def test_encoded_rows_are_read_back(table: tuple[list[Column], list[list[object]]]) -> None:
    columns, rows = table
    codec = row_codec(columns, Row)
    typed = [codec.row(*row) for row in rows]

    assert codec.decode(codec.encode(typed)) == typed
