"""Reports: rows and conversions."""

import pickle
from decimal import Decimal

import pytest

from fathom_async._reports.query import EventQuery, PageviewQuery
from fathom_async._reports.report import Report
from fathom_async._reports.rows import PageviewRow
from fathom_async.errors import ArgumentError

QUERY = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "bounce_rate"],
    field_grouping=["pathname"],
    sort_by="pageviews:desc",
    limit=3,
)
BODY = b"""[{"pathname":"/", "pageviews":"1200", "bounce_rate":0.25},
            {"pathname":null, "pageviews":"7", "bounce_rate":null}]"""


def made(rows: int, **arguments: bool) -> Report[PageviewRow]:
    return Report(QUERY, (QUERY.codec.row("/", 1, 0.5),) * rows, **arguments)


def test_rows_have_the_columns_as_attributes() -> None:
    report = QUERY.read(BODY)

    assert report.columns == ("pathname", "pageviews", "bounce_rate")
    assert report.rows[0].pathname == "/"
    assert report.rows[0].pageviews == 1200
    assert report.rows[1].bounce_rate is None
    with pytest.raises(AttributeError, match="visits"):
        _ = report.rows[0].visits


def test_a_report_is_a_value() -> None:
    report = QUERY.read(BODY)

    assert len(report) == 2
    assert list(report) == list(report.rows)
    assert report == QUERY.read(BODY)
    assert hash(report) == hash(QUERY.read(BODY))
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301


def test_an_empty_report_is_still_a_report() -> None:
    report = QUERY.read(b"[]")

    assert report
    assert len(report) == 0
    assert report.to_dicts() == report.column("pageviews") == []


def test_as_many_rows_as_the_limit_may_not_be_all() -> None:
    assert not made(rows=2).truncated
    assert made(rows=3).truncated
    assert not made(rows=3, truncated=False).truncated
    assert not Report(PageviewQuery("A", aggregates=["visits"]), ()).truncated


def test_a_report_grouped_by_fields_is_cut_at_1000_rows() -> None:
    query = QUERY.replace(limit=None)
    row = query.codec.row("/", 1, 0.5)

    assert not Report(query, (row,) * 999).truncated
    assert Report(query, (row,) * 1000).truncated


def test_a_report_can_be_kept_as_json() -> None:
    report = QUERY.read(BODY)

    assert QUERY.read(report.to_json()) == report


def test_a_column_is_a_list() -> None:
    assert QUERY.read(BODY).column("pageviews") == [1200, 7]
    with pytest.raises(ArgumentError, match="did you mean 'pageviews'"):
        QUERY.read(BODY).column("page_views")


def test_values_are_exact_in_the_unit_of_the_event() -> None:
    query = EventQuery("CDBUGS", "purchase", aggregates=["value"])
    report = query.read(b'[{"value":"1999"},{"value":null},{"value":"-5"},{"value":"90071992547409931"}]')

    assert report.rows[0].value == 1999
    assert report.money("euro") == [Decimal("19.99"), None, Decimal("-0.05"), Decimal("900719925474099.31")]
    assert report.money("integer") == [1999, None, -5, 90071992547409931]
    with pytest.raises(ArgumentError, match="did you mean 'dollar'"):
        report.money("dolar")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="no column 'value'"):
        QUERY.read(BODY).money("euro")


def test_a_report_shows_what_it_is() -> None:
    assert repr(QUERY.read(BODY)) == "<Report of pathname, pageviews, bounce_rate for CDBUGS: 2 rows>"
    assert repr(made(rows=3)) == "<Report of pathname, pageviews, bounce_rate for CDBUGS: 3 rows, truncated>"
    assert str(QUERY.read(BODY)).startswith("pathname  pageviews")
    assert QUERY.read(BODY)._repr_html_().startswith("<table>")  # pyright: ignore[reportPrivateUsage]
