"""Plans of many queries: few requests, none of which may be cut off, and soon."""

import time
from collections.abc import Collection
from datetime import date, timedelta

import pytest

from fathom_async import Filter
from fathom_async._bulk.fusing import fuse, texts
from fathom_async._bulk.fusing.texts import one_of
from tests.bulk.fusing.world import TOTAL, VISITS, during, on


def test_no_request_is_planned_that_may_be_cut_off() -> None:
    days = [date(2026, 5, 1) + timedelta(days=day) for day in range(90)]
    queries = [during(str(day), query=on(f"/{page}")) for day in days for page in range(60)]
    plan = fuse(queries)
    assert len(plan) <= 6
    for fused in plan:
        first, last = fused.query.date_from, fused.query.date_to
        assert first is not None
        assert last is not None
        pages = {each.value for asked in fused.asked for each in asked.query.filters}
        assert len(pages) * ((last - first).days + 1) < 1000


def test_who_asks_for_many_categories_may_meet_more() -> None:
    queries = [TOTAL.replace(filters=[Filter("city", "is", f"City {number}")]) for number in range(998)]
    assert [len(fused.asked) for fused in fuse(queries)] == [499, 499]


def test_ten_thousand_queries_are_planned_at_once() -> None:
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(25)]
    pages = [on(f"/blog/{page}", query) for page in range(200) for query in (TOTAL, VISITS)]
    queries = [during(str(day), query=page) for day in days for page in pages]
    begin = time.process_time()
    fuse(queries[:1_000])
    tenth = time.process_time()
    plan = fuse(queries)
    assert time.process_time() - tenth < 40 * (tenth - begin), "the effort does not grow with the square"
    assert sum(len(fused.asked) for fused in plan) == 10_000
    assert len(plan) <= 8


def test_the_pattern_is_not_written_anew_for_each_query_that_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def counted(values: Collection[str], *, is_exact: bool = False) -> str:
        written.append(len(values))
        return one_of(values, is_exact=is_exact)

    monkeypatch.setattr(texts, "one_of", counted)
    pages = [on(f"/planned/{page}", query) for page in range(1350) for query in (TOTAL, VISITS)]
    assert len(fuse(pages)) == 2
    assert len(written) < len(pages) / 10
