"""Which bars a chart has, on days when the clock changes too, and what a board says of its figures."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from examples.dashboard.board import Board, Questions, figure_of
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import Change, FathomClient, Site
from fathom_async.testing import Dataset, FathomServer

NOON = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
TODAY = RANGES[RangeName.TODAY]


def hours(zone: str, now: datetime) -> list[str]:
    return [f"{moment:%H}" for moment in TODAY.moments(now.astimezone(ZoneInfo(zone)))]


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
        board = await board_of(fathom, site, now)
        rows = await fathom.reports.aggregate(Questions.about(site, TODAY, now).series)
    begun = [row for row in rows if str(row.date) <= f"{now:%Y-%m-%d %H}:00:00"]
    assert sum(bar.visits for bar in board.chart.bars) == sum(row.visits or 0 for row in begun) > 0
    assert len(board.chart.bars) == 22


async def board_of(fathom: FathomClient, site: Site, now: datetime) -> Board:
    questions = Questions.about(site, TODAY, now)
    compared = await fathom.reports.compare(questions.figures, over=TODAY.words, now=now.replace(tzinfo=None))
    series, *rankings = await fathom.reports.gather([questions.series, questions.pages, questions.referrers])
    return Board.of(site, TODAY, now, compared=compared, series=series, rankings=rankings, as_of=now)


async def test_a_site_without_data_has_counts_of_nothing_and_no_averages() -> None:
    async with (
        FathomServer(data=Dataset.synthetic(days=1, visits_per_day=1)) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        board = await board_of(fathom, await fathom.sites.create(name="Quiet"), NOON)
    assert [figure.text for figure in board.figures] == ["0", "0", "-", "-"]
    assert board.is_empty


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (Change(120, 100), ("20.0 %", 1, True)),
        (Change(80, 100), ("20.0 %", -1, False)),
        (Change(100_001, 100_000), ("0.0 %", 0, True)),
        (Change(5, 0), ("new", 1, True)),
        (Change(None, 3), ("", 0, True)),
    ],
)
def test_a_figure_has_its_change_and_says_whether_that_is_good(
    change: Change, shown: tuple[str, int, bool]
) -> None:
    figure = figure_of("Visits", change, "{:,}".format)
    assert (figure.change, figure.direction, figure.is_good or not figure.direction) == shown


def test_fewer_bounces_are_good() -> None:
    figure = figure_of("Bounce rate", Change(0.4, 0.5, is_share=True), "{:.0%}".format, is_good_up=False)
    assert (figure.text, figure.before, figure.change) == ("40%", "50%", "10.0 points")
    assert (figure.direction, figure.is_good) == (-1, True)
