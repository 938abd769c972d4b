"""Metrics, fields, figures and dates in the words of people."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import UTC, datetime

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._cli.html.words import (
    day,
    facts_of,
    field_label,
    figure,
    listed,
    metric_label,
    short,
    span,
    title_of,
)


@pytest.mark.parametrize(
    ("metric", "value", "long", "brief"),
    [
        ("pageviews", 1234, "1,234", "1,234"),
        ("pageviews", 12_345_678, "12,345,678", "12.3m"),
        ("visits", 9_999, "9,999", "9,999"),
        ("visits", 10_499, "10,499", "10.5k"),
        ("visits", 999_499, "999,499", "999k"),
        ("visits", 999_500, "999,500", "1m"),
        ("visits", -999_999_999, "-999,999,999", "-1bn"),
        ("visits", 10**15 + 10**13, "1,010,000,000,000,000", "1,010tn"),
        ("visits", 1234 * 10**15, "1,234,000,000,000,000,000", "1,230,000tn"),
        ("value", 1597.5, "1,597.50", "1,597.50"),
        ("value", 20.0, "20.00", "20"),
        ("value", -12_345, "-12,345", "-12.3k"),
        ("bounce_rate", 0.444, "44 %", "44 %"),
        ("avg_duration", 121.2, "2:01 min", "2:01"),
        ("avg_duration", 59.6, "1:00 min", "1:00"),
        ("avg_duration", 3723.0, "1:02:03 h", "1:02:03 h"),
    ],
)
def test_figures_are_written_for_people(metric: str, value: float, long: str, brief: str) -> None:
    assert figure(metric, value).replace("\N{NO-BREAK SPACE}", " ") == long
    assert short(metric, value).replace("\N{NO-BREAK SPACE}", " ") == brief


@pytest.mark.parametrize("metric", ["visits", "bounce_rate", "avg_duration"])
def test_what_is_not_known_is_a_dash(metric: str) -> None:
    assert figure(metric, None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-11-01", "2026-11-30 23:59:59", "1-30 Nov 2026"),
        ("2026-11-01", "2026-11-30 16:59:59", "1-30 Nov 2026, until 17:00"),
        ("2026-11-30", "2026-11-30 23:59:59", "30 Nov 2026"),
        ("2026-11-30", "2026-11-30 16:59:59", "30 Nov 2026, until 17:00"),
        ("2026-10-30", "2026-11-28 23:59:59", "30 Oct - 28 Nov 2026"),
        ("2025-12-01", "2026-11-30 23:59:59", "1 Dec 2025 - 30 Nov 2026"),
        ("2026-11-29 18:00", "2026-11-30 17:59:59", "29 Nov 2026, 18:00 - 30 Nov 2026, until 18:00"),
        ("2026-11-29 18:00", "2026-11-29 19:59:59", "29 Nov 2026, 18:00, until 20:00"),
        (None, None, "all time"),
        ("2026-11-01", None, "since 1 Nov 2026"),
        (None, "2026-11-30 23:59:59", "until 30 Nov 2026"),
    ],
)
def test_a_range_is_as_short_as_people_write_it(first: str | None, last: str | None, told: str) -> None:
    ends = [None if end is None else datetime.fromisoformat(end) for end in (first, last)]
    assert span(*ends).replace("\N{EN DASH}", "-") == told


def test_names_are_those_that_people_use() -> None:
    assert [*map(metric_label, ("pageviews", "uniques", "avg_duration", "unique_conversions"))] == [
        *("Pageviews", "Unique visitors", "Average visit", "Unique conversions"),
    ]
    assert [metric_label("value", currency) for currency in (None, "EUR", "integer")] == [
        *("Value (cents)", "Value (EUR)", "Value"),
    ]
    assert [*map(field_label, ("pathname", "utm_source", "referrer_hostname", "country_code"))] == [
        *("Page", "UTM source", "Referrer hostname", "Country"),
    ]
    assert listed(["UTM source", "Page", "Country"]) == "UTM source, page and country"
    assert day(datetime(2026, 11, 1, 15)) == "1 Nov 2026, 15:00"


def test_a_report_has_a_title_and_its_conditions() -> None:
    query = PageviewQuery(
        "A", aggregates=["visits"], date_grouping="day", field_grouping=["utm_source", "city"]
    )
    assert title_of(query) == "Visits per day, by UTM source and city"
    assert title_of(EventQuery("A", "purchase", aggregates=["value"])) == "purchase: value"
    assert facts_of(query, UTC) == ["All time, UTC"]
    assert facts_of(query, None) == ["All time"]
    filtered = query.replace(filters=[Filter("country_code", "is not", "US")], timezone="Asia/Tokyo")
    assert facts_of(filtered, UTC) == ["All time, Asia/Tokyo", "Where country is not 'US'"]
