"""The first row and totals of a report, and no total where rows do not add up."""

from typing import assert_type

import pytest

from fathom_async import FathomClient
from fathom_async._reports.query import EventQuery, PageviewQuery
from fathom_async._reports.report import Report
from fathom_async._reports.rows import PageviewRow
from fathom_async.errors import ArgumentError, QueryError
from fathom_async.testing import Dataset, FathomServer, Site

EVERYTHING = PageviewQuery(
    "CDBUGS", aggregates=["visits", "uniques", "pageviews", "avg_duration", "bounce_rate"]
)
BY_PATH = EVERYTHING.replace(field_grouping=["pathname"])
ROW = b'{"visits":"5","uniques":"4","pageviews":"12","avg_duration":"61.5","bounce_rate":0.25}'
TWO_PATHS = BY_PATH.read(
    b'[{"pathname":"/","visits":"5","uniques":"4","pageviews":"12","avg_duration":"61.5","bounce_rate":0.25},'
    b'{"pathname":"/a","visits":"3","uniques":"3","pageviews":"30","avg_duration":"10","bounce_rate":0.5}]'
)
SALES = EventQuery(
    "CDBUGS",
    "purchase",
    aggregates=["conversions", "unique_conversions", "value"],
    field_grouping=["country_code"],
)


def test_the_first_row_is_none_where_there_is_none() -> None:
    assert TWO_PATHS.first == TWO_PATHS.rows[0]
    assert EVERYTHING.read(b"[]").first is None


def test_an_empty_report_counts_nothing_and_has_no_averages() -> None:
    report = EVERYTHING.read(b"[]")
    assert [report.total(metric) for metric in EVERYTHING.aggregates] == [0, 0, 0, None, None]
    sales = SALES.read(b"[]")
    assert [sales.total(metric) for metric in SALES.aggregates] == [0, 0, 0]


def test_a_single_row_has_the_total_of_every_metric() -> None:
    report = EVERYTHING.read(b"[%s]" % ROW)
    assert [report.total(metric) for metric in EVERYTHING.aggregates] == [5, 4, 12, 61.5, 0.25]


def test_a_single_group_is_all_there_is() -> None:
    report = BY_PATH.read(b'[{"pathname":"/",%s]' % ROW[1:])
    assert report.total("visits") == 5


def test_null_counts_nothing_and_is_no_average() -> None:
    null = b'{"visits":null,"uniques":null,"pageviews":null,"avg_duration":null,"bounce_rate":null}'
    report = EVERYTHING.read(b"[%s]" % null)
    assert [report.total(metric) for metric in EVERYTHING.aggregates] == [0, 0, 0, None, None]


@pytest.mark.parametrize("metric", ["avg_duration", "bounce_rate"])
def test_an_average_of_zero_is_none_unless_something_tells_that_there_is_one(metric: str) -> None:
    alone = EVERYTHING.replace(aggregates=[metric])
    assert alone.read(b"[]").total(metric) is None
    assert alone.read(f'[{{"{metric}":0}}]'.encode()).total(metric) is None
    assert alone.read(f'[{{"{metric}":0.5}}]'.encode()).total(metric) == 0.5
    counted = EVERYTHING.replace(aggregates=[metric, "visits"])
    assert counted.read(f'[{{"{metric}":0,"visits":"2"}}]'.encode()).total(metric) == 0
    for grouped in (
        alone.replace(field_grouping=["browser"]),
        alone.replace(extra={"field_grouping": "browser"}),  # as one that this version does not know
    ):
        assert grouped.read(f'[{{"{metric}":0,"browser":"Lynx"}}]'.encode()).total(metric) == 0, (
            "a group has records"
        )


def test_what_counts_occurrences_is_added_up() -> None:
    assert TWO_PATHS.total("pageviews") == 12 + 30
    sales = SALES.read(
        b'[{"country_code":"DE","conversions":"2","unique_conversions":"1","value":"1999"},'
        b'{"country_code":"US","conversions":"3","unique_conversions":"3","value":null},'
        b'{"country_code":null,"conversions":null,"unique_conversions":null,"value":"-500"}]'
    )
    assert sales.total("conversions") == 2 + 3
    assert sales.total("value") == 1999 - 500


@pytest.mark.parametrize("metric", ["visits", "uniques", "avg_duration", "bounce_rate"])
def test_visitors_and_averages_of_several_rows_are_not_added_up(metric: str) -> None:
    with pytest.raises(QueryError, match=rf"^{metric} of 2 rows must not be added up") as caught:
        TWO_PATHS.total(metric)
    assert "reports.aggregate(query.replace(field_grouping=()))" in str(caught.value)


def test_the_total_alone_has_no_groups_that_this_version_does_not_know_either() -> None:
    query = EVERYTHING.replace(aggregates=["visits"], extra={"field_grouping": "theme", "note": "x"})
    report = query.read(b'[{"theme":"dark","visits":"1"},{"theme":"light","visits":"2"}]')
    with pytest.raises(QueryError) as caught:
        report.total("visits")
    assert "reports.aggregate(query.replace(extra={'note': ('x',)}))" in str(caught.value)


def test_unique_conversions_of_several_dates_are_not_added_up() -> None:
    query = SALES.replace(field_grouping=(), date_grouping="day", sort_by="timestamp:desc")
    row = '{"date":"2026-01-0%d","conversions":"1","unique_conversions":"1","value":"1"}'
    report = query.read(f"[{row % 2},{row % 1}]".encode())
    with pytest.raises(QueryError) as caught:
        report.total("unique_conversions")
    assert "reports.aggregate(query.replace(date_grouping=None, sort_by=None))" in str(caught.value)


def test_rows_that_were_cut_off_have_no_total() -> None:
    query = BY_PATH.replace(sort_by="pageviews:desc", limit=2)
    report = query.read(TWO_PATHS.to_json())
    assert report.truncated
    with pytest.raises(QueryError, match=r"^the report stops at 2 rows and may lack others") as caught:
        report.total("pageviews")
    assert "reports.complete(query.replace(limit=None))" in str(caught.value)
    top = query.replace(limit=1)
    with pytest.raises(QueryError, match=r"^the report stops at 1 row and may lack others") as caught:
        top.read(b'[{"pathname":"/",%s]' % ROW[1:]).total("visits")
    assert "reports.complete" not in str(caught.value), "visits of every row do not add up either"


def test_rows_that_the_server_cut_off_have_no_total() -> None:
    row = BY_PATH.codec.row("/", 1, 1, 1, 1.0, 0.0)
    with pytest.raises(QueryError, match=r"or for every row, reports\.complete\(query\)$"):
        Report(BY_PATH, (row,) * 1000).total("pageviews")


def test_without_groups_a_limit_cuts_nothing() -> None:
    report = EVERYTHING.replace(limit=1).read(b"[%s]" % ROW)
    assert not report.truncated
    assert report.total("visits") == 5


def test_an_unknown_metric_is_told_which_there_are() -> None:
    with pytest.raises(
        ArgumentError, match="no metric 'conversions'; it has: visits, uniques, pageviews, avg"
    ):
        TWO_PATHS.total("conversions")
    with pytest.raises(ArgumentError, match="no metric 'pathname'; it has: visits, uniques, pageviews, avg"):
        TWO_PATHS.total("pathname")


def test_the_advice_of_an_error_can_be_followed() -> None:
    query = BY_PATH.replace(date_grouping="day", sort_by="pathname:asc", limit=5)
    row = query.codec.row(EVERYTHING.date_from, "/", 1, 1, 1, 1.0, 0.0)
    with pytest.raises(QueryError) as caught:
        Report(query, (row,) * 5).total("pageviews")
    alone = "query.replace(field_grouping=(), date_grouping=None, sort_by=None, limit=None)"
    assert alone in str(caught.value)
    assert eval(alone, {"query": query}) == EVERYTHING  # noqa: S307 - our own words


async def test_a_site_without_data_has_totals() -> None:
    async with (
        FathomServer(data=Dataset(sites=[Site(id="QUIET", name="Quiet")])) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        report = await fathom.reports.aggregate(EVERYTHING.replace(site_id="QUIET"))
    assert report.total("visits") == 0
    assert report.total("bounce_rate") is None


def test_types_are_known_to_checkers() -> None:
    report: Report[PageviewRow] = EVERYTHING.read(b"[]")
    assert_type(report.first, PageviewRow | None)
    assert_type(report.total("visits"), int)
    assert_type(report.total("bounce_rate"), float | None)


def test_a_row_of_zeros_is_no_row() -> None:
    zeros = b'[{"visits":"0","uniques":"0","pageviews":"0","avg_duration":null,"bounce_rate":0}]'
    nothing, none = EVERYTHING.read(zeros), EVERYTHING.read(b"[]")
    for metric in EVERYTHING.aggregates:
        assert nothing.total(metric) == none.total(metric)
