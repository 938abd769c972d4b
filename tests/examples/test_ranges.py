"""Which bars a chart has, on days when the clock changes too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from examples.dashboard.board import Board, Questions
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import FathomClient, Site
from fathom_async.testing import Dataset, FathomServer

NOON = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
TODAY = RANGES[RangeName.TODAY]


def hours(zone: str, now: datetime) -> list[str]:
    return [f"{moment:%H}" for moment in TODAY.moments(now.astimezone(ZoneInfo(zone)))]


@pytest.mark.parametrize("name", RangeName)
def test_a_range_is_compared_with_the_one_before_it(name: RangeName) -> None:
    span = RANGES[name]
    moments, before = span.moments(NOON), span.moments_before(NOON)
    now = NOON.replace(tzinfo=None)
    assert len(before) == len(moments) - 1, "the running one is compared with nothing"
    assert moments[-1] <= now < moments[-1] + timedelta(days=31)
    assert before[0] == span.with_previous(NOON).start
    assert max(before) < min(moments)


def test_the_bars_of_a_range_are_those_that_have_begun() -> None:
    bars = {name: len(span.moments(NOON)) for name, span in RANGES.items()}
    assert bars == {"today": 13, "7d": 7, "30d": 30, "90d": 90, "12m": 12}


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 3, tzinfo=UTC), ["00", "01", "03", "04", "05"]),
        ("America/Santiago", datetime(2026, 9, 6, 5, tzinfo=UTC), ["01", "02"]),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 16, tzinfo=UTC), ["00", "01", "02", "03"]),
    ],
    ids=["at two", "at midnight", "by half an hour"],
)
def test_an_hour_that_the_clock_leaves_out_has_no_bar(zone: str, now: datetime, expected: list[str]) -> None:
    assert hours(zone, now) == expected


def test_an_hour_that_the_clock_shows_twice_has_one_bar() -> None:
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert hours("Europe/Berlin", first) == hours("Europe/Berlin", second) == ["00", "01", "02"]


def test_a_day_without_its_midnight_has_a_bar_and_one_that_never_was_has_none() -> None:
    week = RANGES[RangeName.WEEK]
    santiago = datetime(2026, 9, 6, 12, tzinfo=ZoneInfo("America/Santiago"))
    assert [moment.day for moment in week.moments(santiago)] == [31, 1, 2, 3, 4, 5, 6]
    apia = datetime(2012, 1, 1, 12, tzinfo=ZoneInfo("Pacific/Apia"))
    assert [moment.day for moment in week.moments(apia)] == [26, 27, 28, 29, 31, 1]


def test_today_is_compared_with_the_same_hours_of_a_day_that_lacks_one() -> None:
    after = datetime(2026, 3, 30, 4, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert [moment.hour for moment in TODAY.moments_before(after)] == [0, 1, 3]


@pytest.mark.parametrize(
    "day", [datetime(2026, 3, 29, 20, tzinfo=UTC), datetime(2026, 10, 25, 20, tzinfo=UTC)]
)
async def test_on_the_day_of_a_change_the_bars_hold_every_visit(day: datetime) -> None:
    data = Dataset.synthetic(days=4, visits_per_day=300, until=day.date())
    async with (
        FathomServer(data=data, now=day) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        site = await fathom.sites.update("CDBUGS", timezone="Europe/Berlin")
        now = day.astimezone(ZoneInfo("Europe/Berlin"))
        reports = await fathom.reports.gather(Questions.about(site, TODAY, now).all())
        board = Board.of(site, TODAY, now, reports, day.timestamp())
    begun = [row for row in reports[1] if f"{now:%Y-%m-%d}" <= str(row.date) <= f"{now:%Y-%m-%d %H}:00:00"]
    assert sum(bar.visits for bar in board.chart.bars) == sum(row.visits or 0 for row in begun) > 0
    assert len(board.chart.bars) == 22


def test_a_site_without_data_has_counts_of_nothing_and_no_averages() -> None:
    site = Site("QUIET", "Quiet", "none", NOON, "UTC")
    reports = [query.read(b"[]") for query in Questions.about(site, TODAY, NOON).all()]
    board = Board.of(site, TODAY, NOON, reports, NOON.timestamp())
    assert [figure.text for figure in board.figures] == ["0", "0", "-", "-"]
