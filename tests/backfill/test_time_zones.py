"""Tables of sites whose time zone was changed."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fathom_async._reports.query import Query
from fathom_async.backfill._destination import Destination
from fathom_async.testing import Dataset
from tests.backfill.filling import SINCE, fill
from tests.backfill.traffic import (
    END,
    PATHS,
    SALES,
    VISITS,
    Dying,
    KilledError,
    expected,
    of,
    read,
    serving,
    traffic,
)
from tests.support.evaluation import ZONE


def moved(data: Dataset, zone: str) -> Dataset:
    """The same visits, of sites that were moved to a time zone."""
    return of(data.pageviews, data.completions, zone)


@pytest.mark.parametrize(
    ("query", "grouping", "later"),
    [
        (PATHS, "hour", {}),
        (VISITS, "day", {}),
        (PATHS, "day", {"since": "2026-03-20"}),  # what was filled in before is put right too
        (PATHS, "day", {"look_back": 9, "since": "2026-03-22"}),  # settled or not
        (SALES, "month", {"since": "2026-03-20"}),
    ],
)
async def test_a_table_is_of_one_clock_after_the_site_got_another_time_zone(
    query: Query[Any],
    grouping: str,
    later: dict[str, Any],
    target: Destination,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, before = traffic(), {"zone": ZoneInfo("UTC"), "look_back": later.get("look_back", 0)}
    async with serving(moved(data, "UTC")) as (_, fathom):
        ask = fathom.reports.complete
        await fill(query, ask, target, END - timedelta(days=9), grouping=grouping, **before)
    assert not caplog.messages
    async with serving(data) as (server, fathom):
        ask = fathom.reports.complete
        with suppress(KilledError):
            await fill(query, Dying(ask, after=1), target, END, grouping=grouping, **later)
        await fill(query, ask, target, END, grouping=grouping, **later)
        server.reset_stats()
        await fill(query, ask, target, END, grouping=grouping, **later)
        assert bool(server.hits) == (
            grouping == "hour" or "look_back" in later
        )  # the last hour, or nine days
    first, last = {
        "hour": ("2026-02-21", "2026-03-31 19:59:59"),
        "day": ("2026-02-21", "2026-03-30"),
        "month": ("2026-02-01", "2026-02-28"),
    }[grouping]
    assert read(target, grouping) == expected(data, query, grouping, first, last)
    assert f"changed from UTC to {ZONE}: requesting" in caplog.messages[0]


async def test_a_day_that_is_over_by_the_former_clock_only_is_asked_for_when_it_is_over(
    target: Destination,
) -> None:
    data, tokyo = traffic(), ZoneInfo("Asia/Tokyo")
    noon = datetime(2026, 3, 10, 12, tzinfo=ZoneInfo(ZONE))
    evening = datetime(2026, 3, 11, 0, 30, tzinfo=tokyo)
    async with serving(moved(data, tokyo.key)) as (_, fathom):
        await fill(VISITS, fathom.reports.complete, target, evening, zone=tokyo)
    async with serving(data) as (_, fathom):
        for now in (evening, noon + timedelta(days=1)):
            asked = Dying(fathom.reports.complete)
            await fill(VISITS, asked, target, now)
    assert [query.date_from for query in asked.asked] == [datetime(2026, 3, 10)]
    assert read(target) == expected(data, VISITS, "day", SINCE, "2026-03-10")


async def test_a_query_with_a_time_zone_of_its_own_has_one_clock_for_ever(target: Destination) -> None:
    query, data = VISITS.replace(timezone=ZONE), traffic()
    for zone in ("UTC", "Asia/Tokyo"):
        async with serving(moved(data, zone)) as (server, fathom):
            await fill(query, fathom.reports.complete, target, END, zone=None)
    assert not server.hits
    assert read(target) == expected(data, query, "day", SINCE, "2026-03-30")
