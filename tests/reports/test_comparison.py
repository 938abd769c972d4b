"""Two reports side by side."""

import json
from collections.abc import Mapping

import pytest

from fathom_async import Change, Comparison, PageviewQuery, PageviewRow, QueryError, Report

PAGES = PageviewQuery(
    "CDBUGS",
    aggregates=["visits", "bounce_rate"],
    field_grouping=["pathname"],
    date_from="2026-03-01",
    date_to="2026-03-31",
    sort_by="visits:desc",
)
DAYS = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "avg_duration"],
    date_grouping="day",
    date_from="2026-03-01",
    date_to="2026-03-31",
)


def report(query: PageviewQuery, *rows: Mapping[str, object]) -> Report[PageviewRow]:
    return query.read(json.dumps(rows).encode())


def pages(*rows: tuple[str | None, int, float]) -> Report[PageviewRow]:
    told = [{"pathname": path, "visits": str(visits), "bounce_rate": rate} for path, visits, rate in rows]
    return report(PAGES, *told)


def both() -> Comparison[PageviewRow]:
    return Comparison(
        pages(("/", 90, 0.5), ("/new", 10, 0.25), (None, 5, 1.0)),
        pages(("/", 60, 0.45), ("/gone", 30, 0.75), (None, 5, 1.0)),
    )


def test_groups_that_are_new_or_gone_are_kept() -> None:
    rows = both().rows
    assert [row.groups for row in rows] == [("/",), ("/new",), (None,), ("/gone",)]
    assert [row.is_new for row in rows] == [False, True, False, False]
    assert [row.is_gone for row in rows] == [False, False, False, True]
    assert [row.changes["visits"] for row in rows] == [
        Change(90, 60),
        Change(10, 0),
        Change(5, 5),
        Change(0, 30),
    ]
    assert rows[1].changes["bounce_rate"] == Change(0.25, None, is_share=True)


def test_a_change_is_absolute_and_relative_where_it_has_a_meaning() -> None:
    assert (Change(90, 60).absolute, Change(90, 60).relative) == (30, 0.5)
    assert (Change(10, 0).absolute, Change(10, 0).relative) == (10, None)
    assert (Change(0, 30).absolute, Change(0, 30).relative) == (-30, -1.0)
    assert Change(0.1639, 0.1826, is_share=True).figure == -0.0187, "no rest of binary fractions"
    assert (Change(None, 3).absolute, Change(None, 3).relative) == (None, None)


def test_a_share_changes_by_points() -> None:
    change = Change(0.5, 0.45, is_share=True)
    assert change.relative is None
    assert str(change) == "+5.0 points"
    assert [
        str(each) for each in (Change(90, 60), Change(2, 3), Change(1, 0), Change(0, 0), Change(1, None))
    ] == [
        "+50.0 %",
        "-33.3 %",
        "new",
        "0 %",
        "-",
    ]


def test_days_are_compared_by_their_place_in_the_period() -> None:
    march = report(DAYS, {"date": "2026-03-02", "pageviews": "4", "avg_duration": 10})
    february = report(
        DAYS.replace(date_from="2026-02-01", date_to="2026-02-28"),
        {"date": "2026-02-02", "pageviews": "2", "avg_duration": 20},
        {"date": "2026-02-04", "pageviews": "3", "avg_duration": 5},
    )
    rows = Comparison(march, february).rows
    assert [str(row.date) for row in rows] == ["2026-03-02", "2026-03-04"]
    assert rows[0].changes == {"pageviews": Change(4, 2), "avg_duration": Change(10.0, 20.0)}
    assert rows[1].changes == {"pageviews": Change(0, 3), "avg_duration": Change(None, 5.0)}
    assert not any(row.is_new or row.is_gone for row in rows)


def test_a_day_that_only_the_longer_period_has_is_compared_to_nothing() -> None:
    march = report(DAYS, {"date": "2026-03-31", "pageviews": "4", "avg_duration": 10})
    february = report(DAYS.replace(date_from="2026-02-01", date_to="2026-02-28"))
    (row,) = Comparison(march, february)
    assert row.changes["pageviews"] == Change(4, None)
    (row,) = Comparison(february, march)
    assert str(row.date) == "2026-03-31"
    assert row.changes["pageviews"] == Change(None, 4)


def test_nothing_is_known_of_a_group_that_a_truncated_report_may_lack() -> None:
    many = pages(*((f"/{number}", 1, 0.0) for number in range(1000)))
    assert many.truncated
    rows = {row.groups: row for row in Comparison(pages(("/seldom", 1, 0.0)), many)}
    assert rows["/seldom",].changes["visits"] == Change(1, None)
    assert not rows["/seldom",].is_new
    assert rows["/7",].is_gone


def test_a_limit_keeps_the_first_groups_of_either_period() -> None:
    few = Comparison(both().current, both().previous, limit=2)
    assert [row.groups for row in few] == [("/",), ("/new",), ("/gone",)]
    assert few.rows[2].changes["visits"] == Change(0, 30)


def test_totals_are_compared_where_rows_add_up() -> None:
    days = report(DAYS, {"date": "2026-03-02", "pageviews": "4", "avg_duration": 10})
    assert Comparison(days, report(DAYS)).change("pageviews") == Change(4, 0)
    assert Comparison(days, report(DAYS)).change("avg_duration") == Change(10.0, None)
    with pytest.raises(QueryError, match="must not be added up"):
        both().change("visits")


def test_rows_as_dicts() -> None:
    assert both().to_dicts()[0] == {
        "pathname": "/",
        "visits": 90,
        "visits_previous": 60,
        "visits_change": 0.5,
        "bounce_rate": 0.5,
        "bounce_rate_previous": 0.45,
        "bounce_rate_change": pytest.approx(0.05),
    }


def test_it_reads_well_in_a_terminal_and_in_a_notebook() -> None:
    assert str(both()).splitlines() == [
        "pathname  visits  previous   change  bounce_rate  previous       change",
        "--------  ------  --------  -------  -----------  --------  -----------",
        "/             90        60  +50.0 %         0.50      0.45  +5.0 points",
        "/new          10         0      new         0.25         -            -",
        "-              5         5   +0.0 %         1.00      1.00  +0.0 points",
        "/gone          0        30     gone            -      0.75         gone",
    ]
    assert "pathname</th><th>visits</th><th>previous</th>" in both()._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert repr(both()) == (
        "<Comparison of <Report of pathname, visits, bounce_rate for CDBUGS: 3 rows> "
        "with <Report of pathname, visits, bounce_rate for CDBUGS: 3 rows>: 4 rows>"
    )


@pytest.mark.parametrize("known", [[], ["pathname"]])
def test_groups_and_metrics_that_this_version_does_not_know_are_compared(known: list[str]) -> None:
    query = PAGES.replace(
        aggregates=["visits"],
        field_grouping=known,
        extra={"field_grouping": ["ai_source"], "aggregates": ["citations"]},
    )
    places = dict.fromkeys(known, "/")
    now = report(
        query,
        {**places, "ai_source": "a", "visits": "9", "citations": "4"},
        {**places, "ai_source": "b", "visits": "5", "citations": "3"},
    )
    before = report(query, {**places, "ai_source": "b", "visits": "10", "citations": "6"})
    found = Comparison(now, before)
    names = (
        "visits",
        "visits_previous",
        "visits_change",
        "citations",
        "citations_previous",
        "citations_change",
    )
    assert found.columns == (*known, "ai_source", *names)
    figures = {row.groups[-1]: [*row.changes.values()] for row in found}
    assert figures == {"a": [Change(9, 0), Change(4, None)], "b": [Change(5, 10), Change(3, 6)]}
    assert [row["citations_change"] for row in found.to_dicts()] == [None, -0.5]
    assert "ai_source" in str(found)
