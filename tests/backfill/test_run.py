"""Tables kept up to date, over real sockets, compared with a plain loop over the records."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import asyncio
import resource
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import ArgumentError, DecodeError, PageviewQuery, Report
from fathom_async._bulk.complete import InconsistentError, InseparableError
from fathom_async._reports.query import Query
from fathom_async.backfill._destination import Destination, TargetBusyError, TargetError
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.testing import Dataset, Pageview
from tests.backfill.conftest import KINDS, target_in
from tests.backfill.filling import SINCE, fill
from tests.backfill.traffic import (
    BEGIN,
    END,
    PATHS,
    SALES,
    VISITS,
    Dying,
    KilledError,
    columns_of,
    expected,
    of,
    read,
    serving,
    traffic,
    until,
)
from tests.support.evaluation import ZONE
from tests.support.soak import tries


async def test_a_dataset_in_the_working_directory_is_the_target_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = traffic()
    async with serving(data) as (_, fathom):
        summary = await fathom.reports.backfill(PATHS, since=SINCE, until="2026-03-30", look_back=3)
    assert summary.target == ParquetDataset("backfill")
    assert read(ParquetDataset(tmp_path / "backfill")) == expected(data, PATHS, "day", SINCE, "2026-03-30")


@pytest.mark.parametrize("query", [VISITS, PATHS, SALES])
@pytest.mark.parametrize("grouping", ["hour", "day", "month"])
async def test_a_table_has_the_rows_of_one_report(
    query: Query[Any], grouping: str, target: Destination
) -> None:
    data = traffic()
    now = datetime(2026, 3, 20, 15, 30, tzinfo=ZoneInfo(ZONE))
    async with serving(data) as (_, fathom):
        await fill(query, fathom.reports.complete, target, now, grouping=grouping)
    first, last = {
        "hour": ("2026-02-21", "2026-03-20 14:59:59"),
        "day": ("2026-02-21", "2026-03-19"),
        "month": ("2026-02-01", "2026-02-28"),
    }[grouping]
    assert read(target, grouping) == expected(data, query, grouping, first, last) != []


async def test_the_period_that_is_running_is_written_if_wished_and_asked_for_again(
    target: Destination,
) -> None:
    data, noon = traffic(), datetime(2026, 3, 10, 12, tzinfo=ZoneInfo(ZONE))
    async with serving(until(data, noon)) as (_, fathom):
        await fill(PATHS, fathom.reports.complete, target, noon, incomplete=True)
    assert read(target) == expected(until(data, noon), PATHS, "day", SINCE, "2026-03-10")
    asked = Dying(fathom.reports.complete)
    async with serving(data) as (_, fathom):
        asked = Dying(fathom.reports.complete)
        await fill(PATHS, asked, target, noon + timedelta(days=1))
    assert read(target) == expected(data, PATHS, "day", SINCE, "2026-03-10")
    assert [query.date_from for query in asked.asked] == [datetime(2026, 3, 10)]


@pytest.mark.parametrize("query", [VISITS, PATHS, SALES])
async def test_a_run_asks_for_what_is_new_and_what_may_have_changed(
    query: Query[Any], target: Destination
) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    async with serving(traffic()) as (server, fathom):
        await fill(query, fathom.reports.complete, target, now, look_back=3)
        server.reset_stats()
        asked = Dying(fathom.reports.complete)
        summary = await fill(query, asked, target, now + timedelta(days=4), look_back=3)
        assert len(server.hits) == 1
    [sent] = asked.asked
    assert (sent.date_from, sent.date_to) == (datetime(2026, 3, 7), datetime(2026, 3, 13, 23, 59, 59))
    assert (summary.first, summary.last) == (date(2026, 2, 21), date(2026, 3, 13))
    assert (summary.periods, summary.reports) == (7, 1)
    assert str(summary).endswith(
        f"2026-02-21 to 2026-03-13; 7 periods requested in 1 report, {summary.rows} rows"
    )


async def test_nothing_is_asked_twice_without_looking_back(target: Destination) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    async with serving(of([], [])) as (server, fathom):
        await fill(PATHS, fathom.reports.complete, target, now)
        server.reset_stats()
        summary = await fill(PATHS, fathom.reports.complete, target, now)
        assert (len(server.hits), summary.periods) == (0, 0)
    assert read(target) == []


@pytest.mark.parametrize(
    ("look_backs", "asked"),
    [((0, 7, 7), (17, 7, 7)), ((7, 0, 0), (17, 7, 0)), ((3, 7, 0), (17, 7, 3)), ((0, 99, 0), (17, 17, 0))],
)
async def test_looking_back_asks_for_the_latest_periods_again_whatever_an_earlier_run_has_settled(
    look_backs: Sequence[int], asked: Sequence[int], target: Destination
) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for number, (look_back, periods) in enumerate(zip(look_backs, asked, strict=True)):
        data = traffic(number)
        async with serving(data) as (_, fathom):
            summary = await fill(VISITS, fathom.reports.complete, target, now, look_back=look_back)
        assert summary.periods == periods
        latest = f"2026-03-{10 - min(periods, 9):02}"
        rows = [row for row in read(target) if str(row["date"]) >= latest]
        assert not periods or rows == expected(data, VISITS, "day", latest, "2026-03-09")


@pytest.mark.parametrize("grouping", ["day", "month"])
async def test_what_ended_less_than_an_hour_ago_is_asked_for_once_more(
    grouping: str, target: Destination
) -> None:
    data, now = traffic(), datetime(2026, 3, 1, 0, 10, tzinfo=ZoneInfo(ZONE))
    late = timedelta(minutes=50)
    for minutes, requests in ((0, 1), (50, 1), (50, 0)):
        moment = now + timedelta(minutes=minutes)
        async with serving(until(data, moment, late)) as (server, fathom):
            await fill(VISITS, fathom.reports.complete, target, moment, grouping=grouping, since="2026-02-25")
            assert len(server.hits) == requests
    first = "2026-02-25" if grouping == "day" else "2026-02-01"
    assert read(target, grouping) == expected(data, VISITS, grouping, first, "2026-02-28")


async def test_late_data_comes_and_what_is_gone_goes(target: Destination) -> None:
    early, now = traffic(1), datetime(2026, 3, 20, 12, tzinfo=ZoneInfo(ZONE))
    recent = now.astimezone(UTC).replace(hour=5) - timedelta(days=3)
    settled = [view for view in early.pageviews if view.at < recent]
    other = [view for view in traffic(2).pageviews if view.at >= recent]
    changed = of([*settled, *other], [])
    async with serving(early) as (_, fathom):
        await fill(PATHS, fathom.reports.complete, target, now, look_back=3)
    async with serving(changed) as (_, fathom):
        await fill(PATHS, fathom.reports.complete, target, now + timedelta(days=1), look_back=3)
    assert read(target) == expected(changed, PATHS, "day", SINCE, "2026-03-20")
    assert expected(early, PATHS, "day", "2026-03-17", "2026-03-19") != expected(
        changed, PATHS, "day", "2026-03-17", "2026-03-19"
    )


async def test_gaps_before_and_between_are_filled_in(target: Destination) -> None:
    data, now = traffic(), END
    async with serving(data) as (_, fathom):
        ask = fathom.reports.complete
        await fill(VISITS, ask, target, now, since="2026-03-15", until="2026-03-18")
        await fill(VISITS, ask, target, now, since="2026-03-01", until="2026-03-05")
        asked = Dying(ask)
        await fill(VISITS, asked, target, now, until="2026-03-20")
    assert [query.date_from and query.date_from.date() for query in asked.asked] == [
        date(2026, 2, 21),
        date(2026, 3, 6),
        date(2026, 3, 19),
    ]
    assert read(target) == expected(data, VISITS, "day", SINCE, "2026-03-20")


async def test_sites_share_a_target(target: Destination) -> None:
    data = traffic()
    async with serving(data) as (_, fathom):
        for site in ("CDBUGS", "DAFFY"):
            await fill(PATHS.replace(site_id=site), fathom.reports.complete, target, END)
        await fill(PATHS, fathom.reports.complete, target, END)
    both = [
        row
        for site in ("CDBUGS", "DAFFY")
        for row in expected(data, PATHS.replace(site_id=site), "day", SINCE, "2026-03-30")
    ]
    assert read(target) == sorted(both, key=lambda row: repr([row[name] for name in sorted(row)]))


@attrs.frozen
class Step:
    """A run, so many days after the last, that is killed at one of its requests."""

    days: int
    requests: int
    incomplete: bool


@settings(max_examples=tries(10, soak=25))
@given(
    kind=st.sampled_from(KINDS),
    query=st.sampled_from([VISITS, PATHS, SALES]),
    options=st.fixed_dictionaries(
        {"grouping": st.sampled_from(["hour", "day", "month"]), "look_back": st.integers(0, 4)}
    ),
    seed=st.integers(0, 5),
    steps=st.lists(
        st.builds(Step, st.integers(1, 15), st.integers(0, 3), st.booleans()), min_size=1, max_size=6
    ),
)
def test_runs_that_are_killed_at_any_request_add_up_to_one_of_all_that_came_late(
    kind: str, query: Query[Any], options: dict[str, Any], seed: int, steps: list[Step]
) -> None:
    data = traffic(seed, visits=60)
    hours = {"hour": 1, "day": 24, "month": 24 * 28}[options["grouping"]] * options["look_back"]
    late = timedelta(hours=hours)  # and an hour more, by which the clocks are put forward meanwhile

    async def run(directory: Path) -> None:
        target, whole = (
            target_in(directory, kind),
            target_in(directory, "sqlite" if kind == "duckdb" else "duckdb"),
        )
        now = BEGIN
        for step in steps:
            now = min(END, now + timedelta(days=step.days, hours=step.requests))
            async with serving(until(data, now, late)) as (_, fathom):
                dying = Dying(fathom.reports.complete, after=step.requests)
                with suppress(KilledError):
                    await fill(query, dying, target, now, incomplete=step.incomplete, **options)
        async with serving(data) as (_, fathom):
            for each in (target, whole):
                await fill(query, fathom.reports.complete, each, END + timedelta(days=5), **options)
        assert read(target, options["grouping"]) == read(whole, options["grouping"])

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


@pytest.mark.parametrize("kind", KINDS)
async def test_types_do_not_depend_on_what_came(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target, empty = (target_in(tmp_path_factory.mktemp("stats"), kind) for _ in range(2))
    async with serving(traffic()) as (_, fathom):
        await fill(SALES, fathom.reports.complete, target, END)
    async with serving(of([], [])) as (_, fathom):
        await fill(SALES, fathom.reports.complete, empty, END)
    assert columns_of(target) == columns_of(empty)
    assert list(columns_of(target)) == [
        "site_id",
        "entity_name",
        "date",
        "country_code",
        "unique_conversions",
        "value",
    ]


@pytest.mark.parametrize(("query", "most"), [(VISITS, 1), (SALES, 3), (PATHS, 4)])
async def test_few_requests_bring_a_year(query: Query[Any], most: int, target: Destination) -> None:
    async with serving(traffic(visits=1000)) as (server, fathom):
        await fill(query, fathom.reports.complete, target, END, since="2025-04-01")
        assert len(server.hits) <= most


@pytest.mark.parametrize("pieces", [0, 2])
async def test_what_was_answered_before_a_failure_is_kept(pieces: int, target: Destination) -> None:
    data, now = traffic(), END
    async with serving(data) as (server, fathom):
        dying = Dying(fathom.reports.complete, after=pieces)
        with pytest.raises(KilledError):
            await fill(SALES, dying, target, now, grouping="hour")
        server.reset_stats()
        again = Dying(fathom.reports.complete)
        await fill(SALES, again, target, now, grouping="hour")
    assert {query.date_from for query in dying.asked}.isdisjoint(query.date_from for query in again.asked)
    assert read(target, "hour") == expected(data, SALES, "hour", SINCE, "2026-03-31 19:59:59")


async def test_who_is_cancelled_lets_go_of_the_target(target: Destination) -> None:
    waiting = asyncio.Event()

    async def ask(_: Query[Any]) -> Report[Any]:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(fill(VISITS, ask, target, END))
    await waiting.wait()
    with pytest.raises(TargetBusyError):
        await fill(VISITS, ask, target, END)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with serving(traffic()) as (_, fathom):
        summary = await fill(VISITS, fathom.reports.complete, target, END)
    assert summary.rows == len(read(target)) > 0


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([("2026-02-20", "/", 1)], "row of 2026-02-20, which was not requested"),
        ([("2026-02-21", "/", 1), ("2026-02-21", "/", 2)], "two rows"),
    ],
)
async def test_answers_that_would_spoil_the_table_are_refused(
    answers: list[tuple[str, str, int]], message: str, target: Destination
) -> None:
    query = PATHS.replace(field_grouping=["pathname"], aggregates=["pageviews"])

    async def ask(asked: Query[Any]) -> Report[Any]:
        return Report(asked, tuple(asked.codec.row(date.fromisoformat(day), *rest) for day, *rest in answers))

    with pytest.raises(InconsistentError, match=message):
        await fill(query, ask, target, END)
    assert read(target) == []


@pytest.mark.parametrize("count", [2**63 - 1, 2**63])
async def test_counts_that_do_not_fit_into_a_table_are_refused_by_name(
    count: int, target: Destination
) -> None:
    async def ask(asked: Query[Any]) -> Report[Any]:
        return Report(asked, (asked.codec.row(date(2026, 2, 21), "/", "Firefox", count, 1),))

    query = PATHS.replace(field_grouping=["pathname", "browser"], aggregates=["pageviews", "visits"])
    if count < 2**63:
        await fill(query, ask, target, END, until=SINCE)
        assert [row["pageviews"] for row in read(target)] == [count]
    else:
        with pytest.raises(DecodeError, match=f"column 'pageviews' has {count}, which does not fit"):
            await fill(query, ask, target, END, until=SINCE)
        assert read(target) == []


@pytest.mark.parametrize("room", [0, 4_096, 8_192, 12_288, 20_000, 60_000])
async def test_a_full_disk_leaves_a_target_that_the_next_run_fills(room: int, target: Destination) -> None:
    data = traffic(visits=2_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving(data) as (_, fathom):
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (room, hard)
        )  # a file may grow up to it, as if the disk were full
        try:
            with suppress(TargetError):
                await fill(PATHS, fathom.reports.complete, target, END)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await fill(PATHS, fathom.reports.complete, target, END)
    assert read(target) == expected(data, PATHS, "day", SINCE, "2026-03-30")


def words(most: int) -> Dataset:
    """Five days with so many search terms each, which no filter can tell apart."""
    views = [
        Pageview(
            site_id="CDBUGS",
            at=BEGIN + timedelta(days=2 + day),
            session="s",
            hostname="x",
            pathname="/",
            keyword=f"word {number}",
        )
        for day in range(5)
        for number in range(most)
    ]
    return of(views, [])


BY_WORD = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["keyword"])


@pytest.mark.parametrize("way", ["complete", "aggregate"])
async def test_rows_that_only_dates_tell_apart_are_asked_for_in_shorter_ranges(
    way: str, target: Destination
) -> None:
    async with serving(words(400)) as (_, fathom):
        await fill(BY_WORD, getattr(fathom.reports, way), target, END)
    assert len(read(target)) == 2000


async def test_too_many_rows_of_one_day_are_refused(target: Destination) -> None:
    async with serving(words(1001)) as (_, fathom):
        with pytest.raises(InseparableError, match="keyword cannot be filtered on"):
            await fill(BY_WORD, fathom.reports.complete, target, END)
        with pytest.raises(
            ArgumentError, match=r"one day stopped at 1,000 rows.*as fathom\.reports\.complete"
        ):
            await fill(BY_WORD, fathom.reports.aggregate, target, END)
    assert read(target) == []


async def test_nothing_is_asked_before_a_period_is_complete(target: Destination) -> None:
    async with serving(traffic()) as (server, fathom):
        summary = await fill(VISITS, fathom.reports.complete, target, BEGIN)
        assert not server.hits
    assert (summary.first, summary.last, summary.periods) == (None, None, 0)
    assert str(summary) == f"{target}: no period is complete yet"
