"""Checks against a server, day by day: each alert is told once, in few requests, whatever happens between."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from fathom_async import ConnectError, FathomClient, Filter, NotFoundError, Progress, ServerError
from fathom_async._cache.entry import digest
from fathom_async.store import CacheEntry, MemoryStore, open_store
from fathom_async.testing import Completion, FathomServer, Status
from fathom_async.watch import Alert, check, replay

from .traffic import ZONE, Told, data, days, pageviews, rule, serving

NOW = datetime(2026, 11, 30, 6, 30, tzinfo=UTC)
"""01:30 of a Monday in New York: Sunday is complete."""

DAY = 86_400.0
pytestmark = pytest.mark.virtual_time(now=NOW)


async def test_each_alert_is_told_once_and_asked_for_once() -> None:
    store, told = MemoryStore(), Told()
    fallen = days(*[20] * 69, 4, until=NOW)
    async with serving(data(pageviews(fallen))) as (server, fathom):
        rules = [rule(metric="visits", below_median=0.5)]
        first = await check(fathom, rules, told, store=store)
        [alert] = told.alerts
        assert first.alerts == [alert]
        assert (alert.figure, alert.bound, alert.median) == (4, 10, 20)
        assert alert.start == datetime(2026, 11, 29, tzinfo=ZoneInfo(ZONE))
        assert [hit.lane for hit in server.hits] == ["crud", "reports"]
        server.reset_stats()
        again = await check(fathom, rules, told, store=store)
        assert (again.alerts, again.errors, again.lacking) == ([], {}, {})
        assert (told.days, len(server.hits)) == (["11-29"], 0)


@pytest.mark.virtual_time(now=datetime(2026, 11, 30, 5, 0, tzinfo=UTC))
@pytest.mark.parametrize(("minutes", "day"), [(59, "11-28"), (61, "11-29")])
async def test_a_day_is_judged_an_hour_after_its_end(minutes: int, day: str) -> None:
    told = Told()
    async with serving(data()) as (_, fathom):
        await asyncio.sleep(60 * minutes)
        await check(fathom, [rule(below=1)], told, store=MemoryStore())
        assert told.days == [day]


async def test_what_ended_while_nobody_watched_is_told_later_up_to_a_month() -> None:
    store, told, rules = MemoryStore(), Told(), [rule(below=1)]
    async with serving(data(pageviews({datetime(2026, 12, 2, 12): 1}))) as (_, fathom):
        await check(fathom, rules, told, store=store)
        await asyncio.sleep(4 * DAY)
        await check(fathom, rules, told, store=store)
        assert told.days == ["11-29", "11-30", "12-01", "12-03"]
        await asyncio.sleep(100 * DAY)
        await check(fathom, rules, told, store=store)
        assert len(told.days) == 4 + 31


async def test_an_alert_that_could_not_be_told_is_told_by_the_next_check() -> None:
    store, told = MemoryStore(), Told([ConnectError("away"), OSError("no")])
    rules = [rule(name=name, below=1) for name in "abc"]
    async with serving(data()) as (server, fathom):
        first = await check(fathom, rules, told, store=store)
        assert [(each.name, str(error)) for each, error in first.errors.items()] == [
            ("a", "away"),
            ("b", "no"),
        ]
        assert [alert.rule.name for alert in first.alerts] == ["c"]
        server.reset_stats()
        await asyncio.sleep(2 * DAY)
        told.failures = [OSError("again")]
        second = await check(fathom, rules, told, store=store)
        assert [each.name for each in second.errors] == ["a"]
        third = await check(fathom, rules, told, store=store)
        assert not third.errors
    days_of = {
        name: [f"{alert.end:%d}" for alert in told.alerts if alert.rule.name == name] for name in "abc"
    }
    assert days_of == {name: ["29", "30", "01"] for name in "abc"}


async def test_a_cancelled_check_neither_repeats_nor_loses_an_alert() -> None:
    store, told, gate = MemoryStore(), list[str](), asyncio.Event()

    async def tell(alert: Alert) -> None:
        if alert.rule.name == "b" and not gate.is_set():
            gate.set()
            await asyncio.sleep(DAY)
        told.append(alert.rule.name)

    rules = [rule(name=name, below=1) for name in "abc"]
    async with serving(data()) as (_, fathom):
        task = asyncio.create_task(check(fathom, rules, tell, store=store))
        await gate.wait()
        task.cancel()
        await asyncio.wait([task])
        await check(fathom, rules, tell, store=store)
    assert told == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_checks_at_once_tell_an_alert_once(kind: str, tmp_path: Path) -> None:
    told, rules = Told(), [rule(name=f"{number}", below=1) for number in range(5)]

    async def slowly(alert: Alert) -> None:
        await asyncio.sleep(1.0)
        await told(alert)

    places = ["memory://"] if kind == "memory" else [str(tmp_path / "watch.db")] * 3
    stores = [open_store(place) for place in places] * (3 // len(places))
    async with serving(data()) as (server, one), FathomClient("any", base_url=server.url) as other:
        each = zip([one, one, other], stores, strict=True)
        results = await asyncio.gather(*(check(fathom, rules, slowly, store=store) for fathom, store in each))
        for store in stores:
            await store.aclose()
    assert sorted(alert.rule.name for alert in told.alerts) == list("01234")
    assert sum(len(result.alerts) for result in results) == 5


async def test_a_site_that_fails_does_not_hold_up_the_others() -> None:
    store, told = MemoryStore(), Told()
    rules = [rule(name="gone", site_id="NOSUCH", below=1), rule(name="ok", below=1)]
    rules += [rule(name="sick", site_id="DAFFYD", below=1), rule(name="own", timezone="Asia/Tokyo", below=1)]
    rules.append(rule(name="lost", site_id="NOSUCH", timezone="UTC", below=1))
    async with serving(data()) as (server, fathom):
        server.inject(*[Status(500)] * 40, path="/aggregations")
        failed = await check(fathom, rules, told, store=store)
        assert {each.name: type(error) for each, error in failed.errors.items()} == {
            "gone": NotFoundError,
            **dict.fromkeys(("ok", "sick", "own", "lost"), ServerError),
        }
    async with serving(data()) as (_, fathom):
        result = await check(fathom, rules, told, store=store)
    assert [each.name for each in result.errors] == ["gone", "lost"]
    assert sorted(alert.rule.name for alert in told.alerts) == ["ok", "own", "sick"]


async def test_fifty_rules_take_a_handful_of_requests() -> None:
    rules = [
        *(
            rule(name=metric, metric=metric, below_median=0.5)
            for metric in ("visits", "pageviews", "uniques")
        ),
        *(rule(name="rate", metric=metric, deviations=3) for metric in ("bounce_rate", "avg_duration")),
        *(
            rule(name=f"page {number}", filters=[Filter("pathname", "is", f"/page-{number}")], above=50)
            for number in range(30)
        ),
        *(
            rule(name=f"country {code}", filters=[Filter("country_code", "is", code)], below_median=0.2)
            for code in ("CA", "US", "DE", "FR", "GB", "IT", "ES", "JP", "CN", "IN")
        ),
        *(rule(name=f"week {above}", period="7 days", above=above) for above in range(5)),
    ]
    store = MemoryStore()
    async with serving(data(pageviews(days(*[5] * 90, until=NOW)))) as (server, fathom):
        await check(fathom, rules, Told(), store=store)
        first = len([hit for hit in server.hits if hit.lane == "reports"])
        asked = list[int]()
        for _ in range(3):
            server.reset_stats()
            await asyncio.sleep(DAY)
            await check(fathom, rules, Told(), store=store)
            asked.append(len([hit for hit in server.hits if hit.lane == "reports"]))
    assert len(rules) == 50
    assert first <= 15
    assert max(asked) <= 3


async def test_a_new_site_has_not_enough_history_and_no_alert() -> None:
    told, rules = Told(), [rule(metric="visits", below_median=0.5), rule(metric="visits", deviations=3)]
    async with serving(data(pageviews(days(*[9] * 20, 0, until=NOW)))) as (_, fathom):
        result = await check(fathom, rules, told, store=MemoryStore())
        assert not told.alerts
        assert list(result.lacking) == rules
        assert set(result.lacking.values()) == {
            "not enough history, 2 of the 4 comparable periods that it takes"
        }


async def test_a_store_that_is_lost_repeats_the_latest_alert_with_its_id() -> None:
    told, rules = Told(), [rule(below=1)]
    async with serving(data()) as (_, fathom):
        for _ in range(2):
            await check(fathom, rules, told, store=MemoryStore())
    assert told.days == ["11-29"] * 2
    assert told.alerts[0].id == told.alerts[1].id


@pytest.mark.parametrize("body", [b"", b"[]", b'{"judged": 999999}', b"\xff"])
async def test_a_state_that_is_damaged_or_of_a_wrong_clock_counts_as_none(body: bytes) -> None:
    store, told, rules = MemoryStore(), Told(), [rule(below=1)]
    async with serving(data()) as (_, fathom):
        await check(fathom, rules, told, store=store)
        key = digest(fathom.base_url, rules[0].key)
        await store.put_many({key: CacheEntry(body, NOW.timestamp() + 30 * DAY)})
        for _ in range(2):
            await check(fathom, rules, told, store=store)
    assert told.days == ["11-29", "11-29"]


async def test_a_state_by_a_clock_that_is_ahead_is_replaced() -> None:
    store, told, rules = MemoryStore(), Told(), [rule(below=1)]
    async with serving(data()) as (_, fathom):
        await check(fathom, rules, told, store=store)
        key = digest(fathom.base_url, rules[0].key)
        kept = (await store.get_many([key]))[key]
        await store.put_many({key: CacheEntry(kept.body, NOW.timestamp() + DAY - 30)})
        await asyncio.sleep(DAY - 60)  # the other machine's clock is half a minute ahead
        for _ in range(2):
            await check(fathom, rules, told, store=store)
    assert told.days == ["11-29", "11-30"]


def sales(hours: Iterable[datetime]) -> Iterable[Completion]:
    for hour in hours:
        at = hour.replace(tzinfo=ZoneInfo(ZONE)) + timedelta(minutes=5)
        yield Completion(site_id="CDBUGS", at=at, event="purchase", visitor=f"{hour}")


@pytest.mark.virtual_time(now=datetime(2026, 11, 30, 6, 30, tzinfo=UTC))
async def test_an_event_that_stops_is_told_after_six_hours_and_again_after_six_more() -> None:
    sold = [datetime(2026, 11, 30, hour) for hour in range(4)]  # the last one between 3 and 4 o'clock
    store, told = MemoryStore(), Told()
    quiet = rule(metric="conversions", entity_name="purchase", period="6 hours", below=1)
    async with serving(data(completions=sales([datetime(2026, 11, 29, 20), *sold]))) as (server, fathom):
        for _ in range(24):
            await check(fathom, [quiet], told, store=store)
            await asyncio.sleep(3600)
        asked = len([hit for hit in server.hits if hit.lane == "reports"])
    spans = [(f"{alert.start:%H:%M}", f"{alert.end:%H:%M}") for alert in told.alerts]
    assert spans == [("04:00", "09:59"), ("10:00", "15:59"), ("16:00", "21:59")]
    assert asked <= 26, "one an hour"


@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_shows_what_checks_would_have_told(seed: int) -> None:
    random = Random(seed)
    figures = {
        datetime(2026, 9, 1, 12) + timedelta(hours=hour): random.choice([0, 0, 1, 2, 9])
        for hour in range(0, 24 * 100, 6)
    }
    rules = [
        rule(name="fall", metric="visits", below_median=0.7, above_median=1.5),
        rule(name="odd", deviations=1),
        rule(name="none", period="15 hours", below=2),
        rule(name="week", period="7 days", above_median=1.05),
    ]
    store, told = MemoryStore(), Told()
    async with serving(data(pageviews(figures))) as (server, fathom):
        await check(fathom, rules, told, store=store)
        begun = len(told.alerts)
        while asyncio.get_running_loop().time() < 8 * DAY:
            await asyncio.sleep(3600 * random.choice([1, 2, 5, 40]))
            await check(fathom, rules, told, store=store)
        over = timedelta(seconds=asyncio.get_running_loop().time())
        server.reset_stats()
        past = await replay(fathom, rules, over, store=store)
        assert len([hit for hit in server.hits if hit.lane == "reports"]) <= 2, "answers are kept"
        assert not past.errors
        anew = await replay(fathom, rules, over, store=MemoryStore())
    assert [alert.id for alert in anew.alerts] == [alert.id for alert in past.alerts]
    daily = {"fall", "odd"}  # what overlaps depends on what was told before
    assert {alert.id for alert in told.alerts[begun:] if alert.rule.name in daily} == {
        alert.id for alert in past.alerts if alert.rule.name in daily
    }
    assert told.alerts[begun:]


async def test_a_replay_tells_how_far_it_is_and_how_long_the_rate_limit_will_take() -> None:
    seen = list[Progress]()
    hourly = rule(period="hour", below=1)
    async with FathomServer(data=data()) as server, FathomClient("any", base_url=server.url) as fathom:
        await replay(fathom, [hourly], timedelta(days=90), store=MemoryStore(), on_progress=seen.append)
    took = asyncio.get_running_loop().time()
    planned = next(progress for progress in seen if progress.requests)
    assert planned.requests > 10, "more than a minute allows"
    assert planned.seconds_left == pytest.approx(took, rel=0.1)
    assert seen[-1].is_over


def silent(hours: Mapping[datetime, int], first: datetime, until: datetime) -> list[datetime]:
    """Return the hours between that a clock in New York shows, and in which nothing was viewed."""
    seen, moment = dict[datetime, None](), first.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    while (shown := moment.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)) < until:
        seen[shown] = None
        moment += timedelta(hours=1)
    return [hour for hour in seen if not hours.get(hour)]


async def silent_hours_are_told(until: datetime) -> None:
    figures = {until - timedelta(hours=hour): 1 for hour in range(2, 100, 3)}
    async with serving(data(pageviews(figures))) as (_, fathom):
        past = await replay(fathom, [rule(period="hour", below=1)], timedelta(days=4), store=MemoryStore())
    first = until - timedelta(hours=95)
    told = [hour for alert in past.alerts if first <= (hour := alert.start.replace(tzinfo=None)) < until]
    assert told == silent(figures, first, until)


@pytest.mark.virtual_time(now=datetime(2026, 3, 10, 5, 30, tzinfo=UTC))
async def test_an_hour_that_the_clock_skips_is_not_judged() -> None:
    """Clocks go on from 2 to 3 o'clock on 8 March."""
    await silent_hours_are_told(datetime(2026, 3, 10))


@pytest.mark.virtual_time(now=datetime(2026, 11, 3, 6, 30, tzinfo=UTC))
async def test_an_hour_that_the_clock_shows_twice_is_one() -> None:
    """Clocks go back from 2 to 1 o'clock on 1 November."""
    await silent_hours_are_told(datetime(2026, 11, 3))
