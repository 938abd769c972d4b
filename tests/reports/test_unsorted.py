"""`UnsortedLimitWarning` points at the user's line, and never at a query that the package makes."""

import copy
import inspect
import sys
import warnings
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import attrs
import pytest

from fathom_async import EventQuery, FathomClient, PageviewQuery, UnsortedLimitWarning
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import FathomServer

BY_PATH = PageviewQuery("CDBUGS", aggregates=["pageviews", "visits"], field_grouping=["pathname"])
SALES = EventQuery("CDBUGS", "purchase", aggregates=["value"], field_grouping=["city"])
FREE = BY_PATH.replace(field_grouping=(), limit=5)
PARAMS = {**BY_PATH.params(), "limit": "5"}
TOP = "limit=5 without sort_by keeps arbitrary rows, not the top ones; write sort_by='pageviews:desc'"


def arbitrary() -> PageviewQuery:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsortedLimitWarning)
        return BY_PATH.replace(limit=5)


WAYS: dict[str, Callable[[], AnyQuery]] = {
    "written": lambda: PageviewQuery("A", aggregates=["pageviews"], field_grouping=["pathname"], limit=5),
    "written on an event": lambda: EventQuery(
        "A", "x", aggregates=["value"], field_grouping=["ref"], limit=5
    ),
    "written by a partial": lambda: partial(PageviewQuery, "A", aggregates=["visits"], limit=5)(
        field_grouping=["ref"]
    ),
    "replaced limit": lambda: BY_PATH.replace(limit=5),
    "replaced grouping": lambda: FREE.replace(field_grouping=["browser"]),
    "replaced sort": lambda: BY_PATH.replace(sort_by="visits:desc", limit=5).replace(sort_by=None),
    "grouped by dates too": lambda: BY_PATH.replace(date_grouping="day", limit=5),
    "evolved": lambda: attrs.evolve(BY_PATH, limit=5),
    "read": lambda: PageviewQuery.from_params(PARAMS),
    "over a period": lambda: arbitrary().over("today", now=date(2026, 1, 1)),
}
if sys.version_info >= (3, 13):
    WAYS["replaced by copy"] = lambda: copy.replace(BY_PATH, limit=5)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_warning_is_shown_at_the_line_that_wrote_the_query(way: Callable[[], AnyQuery]) -> None:
    with pytest.warns(UnsortedLimitWarning) as caught:
        way()
    [warning] = caught
    lines, first = inspect.getsourcelines(way)
    assert warning.filename == __file__
    assert first <= warning.lineno < first + len(lines)


def test_the_warning_says_what_to_write() -> None:
    with pytest.warns(UnsortedLimitWarning) as caught:
        BY_PATH.replace(limit=5)
    assert str(caught[0].message) == TOP
    assert issubclass(UnsortedLimitWarning, UserWarning)
    with pytest.warns(UnsortedLimitWarning, match=r"write sort_by='value:desc'$"):
        SALES.replace(limit=1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 5, "sort_by": "visits:desc"},
        {"limit": 5, "sort_by": "pathname:asc"},
        {"limit": 5, "date_grouping": "day", "sort_by": "timestamp:desc"},
        {"limit": 1000},
        {"limit": None},
        {"limit": 5, "field_grouping": ()},
        {"limit": 5, "field_grouping": (), "date_grouping": "day"},
    ],
    ids=str,
)
def test_rows_that_are_sorted_or_all_there_are_make_no_warning(arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BY_PATH.replace(**arguments)


async def test_what_the_package_makes_of_a_query_is_not_warned_about_again(
    fathom: FathomClient, server: FathomServer
) -> None:
    query = arbitrary()
    same = [query, query, *[arbitrary()] * 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.copy(query)
        assert len(await fathom.reports.aggregate(query)) == 5
        assert [len(report) for report in await fathom.reports.gather(same, store="memory://")] == [5] * 4
        assert fathom.reports.plan(same).requests == 1
    assert server.refused == 0
