"""What a table is made for, and what it holds of a query that this version does not know in whole."""

import json
from collections.abc import Mapping
from datetime import date

import pytest

from fathom_async import ArgumentError, PageviewQuery
from fathom_async._reports.calendar import Unit
from fathom_async.backfill._layout import Layout, series_of
from fathom_async.backfill._ledger import Span

QUERY = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["pathname"], date_grouping="day")
DAY = date(2026, 3, 1)


@pytest.mark.parametrize("other", [{}, {"cohort": "b"}, {"cohort": ["a", "b"]}, {"aggregates": "citations"}])
def test_a_table_of_other_parameters_is_another_table(other: Mapping[str, str | list[str]]) -> None:
    layout, others = (Layout.of(QUERY.replace(extra=extra)) for extra in ({"cohort": "a"}, other))
    layout.check(layout.describe(), "t")
    for mine, held in ((layout, others), (others, layout)):
        with pytest.raises(ArgumentError, match="t holds reports with extra"):
            mine.check(held.describe(), "t")


def test_a_table_that_says_nothing_of_them_has_none() -> None:
    layout = Layout.of(QUERY)
    described = json.loads(layout.describe())
    del described["extra"]
    layout.check(json.dumps(described), "t")


def test_metrics_that_this_version_does_not_know_are_kept() -> None:
    query = QUERY.replace(extra={"aggregates": ["citations"]})
    row = {"date": str(DAY), "pathname": "/", "visits": "5", "citations": "2.5"}
    number, layout = Unit("day").index(DAY), Layout.of(query)
    rows = layout.rows(series_of(query), query.read(json.dumps([row]).encode()), Span(number, number + 1))
    assert [column.name for column in layout.columns] == [
        "site_id",
        "date",
        "pathname",
        "visits",
        "citations",
    ]
    assert rows == [("CDBUGS", DAY, "/", 5, 2.5)]
