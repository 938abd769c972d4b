"""A budget on a real Redis server, and without it."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import signal
import time
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
import redis

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.budget import Budget
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.shared import protocol as store_module
from fathom_async._ratelimit.shared import redis as redis_store_module
from fathom_async._ratelimit.shared.commands import Command
from fathom_async._ratelimit.shared.redis import SCRIPT, RedisStore
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util import checks
from fathom_async._util.clock import LoopClock
from fathom_async.errors import ArgumentError, BudgetError, ClosedError, ConfigurationError, WaitTooLongError
from tests.conftest import until
from tests.support.redis_server import RedisServer, redis_server

SPEED = 30.0
SPAN = 61.0 / SPEED


def lane_on(
    server: RedisServer,
    key: str = "k",
    *,
    requests: int = 10,
    per: float = 60,
    on_lost: Literal["fail"] | float = "fail",
) -> Lane:
    clock = LoopClock(SPEED)
    limit = RateLimit(requests, per=per)
    share = Budget(server.url, key, on_lost).window("reports", limit, clock=clock, timeout=30.0)
    return Lane("reports", limit, clock=clock, share=share)


def window_of(lane: Lane) -> SharedWindow:
    assert isinstance(lane.window, SharedWindow)
    return lane.window


async def request(lane: Lane, *, max_wait: float | None = None) -> float:
    async with lane.permit(max_wait=max_wait) as admission:
        admission.sent()
        admission.answered(SILENT)
    return time.monotonic()


async def test_a_whole_window_is_admitted_at_once_and_the_next_a_span_later(
    lasting_redis: RedisServer,
) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    start = time.monotonic()
    tasks = [asyncio.create_task(request(lane)) for _ in range(12)]
    await until(lambda: sum(task.done() for task in tasks) == 10)
    assert lane.status().queued == 2
    admitted = sorted(await asyncio.gather(*tasks))
    assert admitted[10] - start >= SPAN
    assert lane.status().queued == 0
    await lane.aclose()


async def test_who_waits_for_nothing_can_be_served(lasting_redis: RedisServer) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    for _ in range(3):
        await request(lane, max_wait=0.0)
    await lane.aclose()


async def test_a_new_process_fails_at_once_what_cannot_wait_until_others_permits_return(
    lasting_redis: RedisServer,
) -> None:
    key = uuid4().hex
    lane, new = lane_on(lasting_redis, key), lane_on(lasting_redis, key)
    await asyncio.gather(*(request(lane) for _ in range(10)))
    with pytest.raises(WaitTooLongError) as caught:
        await request(new, max_wait=30.0)
    assert caught.value.eta > 40  # it would be less than 31 after the 30 seconds
    await lane.aclose()
    await new.aclose()


async def test_an_eta_is_that_of_requests_which_are_answered_as_a_rule(lasting_redis: RedisServer) -> None:
    """Redis was asked last when the permit was granted, which is held for the timeout too until an answer."""
    lane = lane_on(lasting_redis, uuid4().hex, requests=1)
    clock = LoopClock(SPEED)
    begin = clock.now()
    await request(lane)
    assert lane.eta() + clock.now() - begin == pytest.approx(61, abs=5)
    await request(lane, max_wait=75.0)
    await lane.aclose()


async def test_an_eta_after_a_silence_counts_the_windows_to_come_from_now_on(
    lasting_redis: RedisServer,
) -> None:
    """The last reply is as old as the silence, and its moments are over."""
    lane = lane_on(lasting_redis, uuid4().hex)
    await request(lane)
    await asyncio.sleep(1.5 * SPAN)
    assert [lane.eta(10), lane.eta(11), lane.eta(25)] == pytest.approx([0, 61, 122], abs=1)
    await lane.aclose()


async def test_an_eta_counts_what_an_answer_says_that_others_spent(lasting_redis: RedisServer) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    async with lane.permit() as admission:
        admission.sent()
        admission.answered(Feedback(limit=10, remaining=0))
    async with asyncio.timeout(5):
        await until(lambda: lane.eta() > 30)
    assert lane.status().used == 10
    await lane.aclose()


async def test_the_refusal_of_a_first_request_says_nothing_of_the_pace(lasting_redis: RedisServer) -> None:
    """Others have spent what there was: no permit of ours was out when it was refused."""
    lane = lane_on(lasting_redis, uuid4().hex)
    async with lane.permit() as admission:
        admission.sent()
        admission.refused(Feedback(limit=10, remaining=0, retry_after=30.0))
    assert not lane.restraint.is_spaced
    await lane.aclose()


async def test_who_waits_too_long_by_an_outdated_reply_asks_again(lasting_redis: RedisServer) -> None:
    """Those who went before may be gone, as nobody tells a process that asks for nothing."""
    key = uuid4().hex
    lane, *others = lanes = [lane_on(lasting_redis, key, requests=1) for _ in range(6)]
    await request(lane)
    waiting = [asyncio.create_task(request(other)) for other in others]
    await asyncio.sleep(0.2)
    with pytest.raises(WaitTooLongError) as caught:
        await request(lane, max_wait=90.0)
    assert caught.value.eta > 5 * 61
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await asyncio.sleep(RedisStore.reply_time)
    await request(lane, max_wait=90.0)
    for each in lanes:
        await each.aclose()


async def test_cancelled_questions_leak_no_slot(lasting_redis: RedisServer) -> None:
    key = uuid4().hex
    lane, other = lane_on(lasting_redis, key), lane_on(lasting_redis, key)
    await request(lane)
    for _ in range(50):
        tasks = [asyncio.create_task(request(lane)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await request(lane)  # when Redis answers this, it has answered all who gave up
    await request(lane)  # and when it answers this, it has got back what it granted to them
    await request(other)
    assert other.status().used == 4
    await lane.aclose()
    await other.aclose()


async def test_another_limit_for_the_same_budget_is_refused(lasting_redis: RedisServer) -> None:
    key = uuid4().hex
    lane, other = lane_on(lasting_redis, key), lane_on(lasting_redis, key, requests=20)
    await request(lane)
    with pytest.raises(ConfigurationError, match="limit of 10 requests in 60 s, not 20 in 60 s"):
        await request(other)
    await lane.aclose()
    await other.aclose()


@pytest.mark.parametrize(
    ("user", "database", "words"),
    [
        ("budget:wrong", 0, "invalid username-password pair"),
        ("budget:hush", 99, "DB index is out of range"),
        ("powerless:hush", 0, "permissions"),
        ("scripts:hush", 0, "executing the script"),
        ("elsewhere:hush", 0, "permissions"),
    ],
)
async def test_a_server_that_lets_nobody_in_is_an_error_at_once_and_no_outage(
    lasting_redis: RedisServer, user: str, database: int, words: str
) -> None:
    scripts = ("+ping", "+client", "+hello", "+select", "+script", "+eval", "+evalsha")
    rights = {
        "budget": ("~*", "+@all"),
        "powerless": ("~*", "+ping", "+client", "+hello", "+select"),
        "scripts": ("~*", *scripts),
        "elsewhere": ("~other:*", "+@all"),
    }
    with redis.Redis.from_url(lasting_redis.url) as server:
        for name, rules in rights.items():
            server.execute_command("ACL", "SETUSER", name, "on", ">hush", *rules)
    address = lasting_redis.url.removeprefix("redis://").rpartition("/")[0]
    clock, limit = LoopClock(SPEED), RateLimit(10, per=60)
    budget = Budget(f"redis://{user}@{address}/{database}", "k", 0.5)
    share = budget.window("reports", limit, clock=clock, timeout=30.0)
    lane = Lane("reports", limit, clock=clock, share=share)
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=words) as caught:
        await request(lane)
    assert time.monotonic() - started < 1.0
    assert "hush" not in str(caught.value)
    assert "wrong" not in str(caught.value)
    await lane.aclose()


async def test_a_budget_of_the_first_format_is_replaced_when_nobody_uses_it(
    lasting_redis: RedisServer,
) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    store = window_of(lane)._store
    assert isinstance(store, RedisStore)
    permits, *_, meta = store._keys
    with redis.Redis.from_url(lasting_redis.url) as server:
        used_until = time.time() * 1e6 + 1e6
        server.hset(meta, mapping={"terms": "10/2000000", "mark": 7, "last": 0, "total": 3})
        server.zadd(permits, {"700": used_until})
        with pytest.raises(
            ConfigurationError, match=r"format 1 of fathom_async, this is format 2: restart all"
        ):
            await request(lane)
        assert server.hget(meta, "terms") == b"10/2000000"
        await until(lambda: lane.status().budget == "ok")
        await request(lane)
        assert server.hget(meta, "terms") == b"2:10/2000000"
        server.hset(meta, "terms", b"3:10/2000000")
    with pytest.raises(ConfigurationError, match=r"format 3 of fathom_async, this is format 2: restart all"):
        await request(lane)
    await lane.aclose()


async def test_valkey_and_sockets_are_redis_too(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    with redis_server(tmp_path, "--unixsocket", str(socket)) as server:
        for url in (f"unix://{socket}?db=0", server.url.replace("redis", "valkey", 1)):
            clock, limit = LoopClock(SPEED), RateLimit(10, per=60)
            share = Budget(url, "k").window("reports", limit, clock=clock, timeout=30.0)
            lane = Lane("reports", limit, clock=clock, share=share)
            await request(lane)
            await lane.aclose()
        with redis.Redis.from_url(server.url) as other:
            found = [key for key in other.scan_iter("fathom:*:slots") if isinstance(key, bytes)]
            assert len(found) == 1


async def test_closing_leaves_the_queue_and_gives_back(lasting_redis: RedisServer) -> None:
    key = uuid4().hex
    lane, other = lane_on(lasting_redis, key, requests=1), lane_on(lasting_redis, key, requests=1)
    admission = lane.permit()
    await admission.__aenter__()
    await lane.aclose()
    await request(other, max_wait=0)
    await other.aclose()


@pytest.mark.usefixtures("empty_redis")
async def test_keys_expire_and_hold_no_secret(lasting_redis: RedisServer) -> None:
    secret = uuid4().hex
    lane = lane_on(lasting_redis, secret)
    await request(lane)
    with redis.Redis.from_url(lasting_redis.url) as server:
        keys = [key for key in server.scan_iter("fathom:*") if isinstance(key, bytes)]
        assert {key.rpartition(b":")[2] for key in keys} >= {b"slots", b"meta"}, (
            "as earlier versions call them"
        )
        for key in keys:
            assert secret.encode() not in (server.dump(key) or b"")
            assert secret.encode() not in key
            ttl = server.pttl(key)
            assert isinstance(ttl, int)
            assert 0 < ttl < 8_000_000
    await lane.aclose()


async def test_a_script_that_redis_has_forgotten_is_loaded_again(lasting_redis: RedisServer) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    await request(lane)
    with redis.Redis.from_url(lasting_redis.url) as server:
        server.script_flush()
    await request(lane)
    await lane.aclose()


async def test_without_redis_requests_fail_until_it_is_back(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 0.2)
    lane = lane_on(mortal_redis)
    await request(lane)
    mortal_redis.kill()
    for _ in range(3):
        with pytest.raises(BudgetError, match=r"redis://127\.0\.0\.1:\d+/0 cannot be used"):
            await request(lane)
    assert lane.status().budget == "lost"
    started = time.monotonic()
    mortal_redis.start()
    await until(lambda: lane.status().budget != "lost")
    # What Redis knew is gone with it, so that nothing is granted for a span.
    assert await request(lane) - started >= SPAN
    await lane.aclose()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "WARNING"]
    assert "the shared budget was lost" in caplog.text


async def test_without_redis_a_share_carries_on(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 0.0)
    monkeypatch.setattr(redis_store_module, "_TIMEOUT", 0.5)
    lane = lane_on(mortal_redis, on_lost=0.25)
    await request(lane)
    mortal_redis.signal(signal.SIGSTOP)
    start = time.monotonic()
    admitted = sorted(await asyncio.gather(*(request(lane) for _ in range(4))))
    assert admitted[2] - start >= SPAN
    assert lane.status().budget == "share"
    mortal_redis.signal(signal.SIGCONT)
    await until(lambda: lane.status().budget != "share")
    await request(lane)
    assert lane.status().budget == "ok"
    # Two were admitted without Redis, and count there now; the one before them may have reached it late.
    assert 3 <= lane.status().used <= 4
    await lane.aclose()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "carrying on with 2 of 10 requests in 60 s" in caplog.text


@pytest.mark.usefixtures("empty_redis")
async def test_an_hour_that_redis_has_forgotten_is_opened_by_a_probe(
    lasting_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    counted = 0

    async def one(lane: Lane) -> None:
        nonlocal counted
        async with lane.permit() as admission:
            admission.sent()
            counted += 1
            admission.answered(Feedback(2000, 2000 - counted, None))

    lanes = [lane_on(lasting_redis, requests=2000, per=3600) for _ in range(3)]
    await asyncio.gather(*(one(lane) for lane in lanes for _ in range(10)))
    for lane in lanes:
        await lane.refresh()  # all that was said of them is written
    with redis.Redis.from_url(lasting_redis.url) as server:
        server.flushall()
    start = time.monotonic()
    await asyncio.gather(*(one(lane) for lane in lanes for _ in range(17)))
    assert time.monotonic() - start < 90 / SPEED
    assert "the shared budget was lost, going on in" in caplog.text
    await lanes[0].refresh()
    assert lanes[0].status().used == 81, "what was spent before is held for the rest of the hour"
    for lane in lanes:
        await lane.aclose()


@pytest.mark.usefixtures("empty_redis")
async def test_permits_that_redis_evicted_are_missed(
    lasting_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    start = time.monotonic()
    await asyncio.gather(*(request(lane) for _ in range(8)))
    with redis.Redis.from_url(lasting_redis.url) as server:
        lost = [key for key in server.scan_iter("fathom:*:slots") if isinstance(key, bytes)]
        assert server.delete(*lost) == 1
    later = await asyncio.gather(*(request(lane) for _ in range(8)))
    assert min(later) - start >= SPAN
    assert "the shared budget was lost, going on in" in caplog.text
    await lane.aclose()


async def test_a_share_ends_in_the_same_way_when_redis_was_restarted(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 0.2)
    lanes = [lane_on(mortal_redis, on_lost=0.5) for _ in range(2)]
    await asyncio.gather(*map(request, lanes))
    mortal_redis.kill()
    running = [asyncio.create_task(request(lane)) for lane in lanes for _ in range(12)]
    await until(lambda: sum(task.done() for task in running) == 10)
    mortal_redis.start()
    moments = sorted(await asyncio.gather(*running))
    # A moment is noted a little after the admission: half a span is long enough to tell one window from the next.
    assert all(later - earlier > SPAN / 2 for earlier, later in zip(moments, moments[10:], strict=False))
    for lane in lanes:
        await lane.aclose()


async def test_a_short_absence_is_waited_out(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 60.0)
    lane = lane_on(mortal_redis)
    await request(lane)
    mortal_redis.signal(signal.SIGSTOP)
    waiting = asyncio.create_task(request(lane))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    mortal_redis.signal(signal.SIGCONT)
    await waiting
    await lane.aclose()
    assert caplog.records == []


async def test_questions_that_redis_finds_in_its_buffers_are_not_answered_late(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 0.0)
    monkeypatch.setattr(redis_store_module, "_TIMEOUT", 0.5)
    lane = lane_on(mortal_redis)
    await request(lane)
    mortal_redis.signal(signal.SIGSTOP)
    outcomes = await asyncio.gather(*(request(lane) for _ in range(9)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {BudgetError}
    mortal_redis.signal(signal.SIGCONT)
    await until(lambda: lane.status().budget != "lost")
    await request(lane)
    assert lane.status().used <= 2
    await lane.aclose()


async def test_a_clock_of_redis_that_was_set_is_followed(lasting_redis: RedisServer) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    await request(lane)
    store = window_of(lane)._store
    assert isinstance(store, RedisStore)
    assert store._server_ahead is not None
    store._server_ahead -= 100.0
    await request(lane)
    assert lane.status().used == 2
    await lane.aclose()


async def test_a_budget_that_was_never_there_fails_and_closes(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOST_AFTER", 0.1)
    mortal_redis.kill()
    lane = lane_on(mortal_redis)
    with pytest.raises(BudgetError, match="cannot be used"):
        await request(lane)
    await lane.aclose()


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(ArgumentError) as caught:
        checks.budget_url("redis://:hush@")
    assert "hush" not in str(caught.value)


async def test_a_lane_that_closes_while_it_asks_gives_back_what_it_is_granted(
    lasting_redis: RedisServer,
) -> None:
    key = uuid4().hex
    closing = lane_on(lasting_redis, key, requests=1)
    asking = asyncio.create_task(request(closing))
    await asyncio.sleep(0)  # the question is on its way, and nothing has answered it
    assert closing.status().queued == 1
    await closing.aclose()
    with pytest.raises(ClosedError):
        await asking
    other = lane_on(lasting_redis, key, requests=1)
    await request(other, max_wait=0)
    await other.aclose()


async def test_a_question_that_redis_reads_too_late_is_not_carried_out(lasting_redis: RedisServer) -> None:
    lane = lane_on(lasting_redis, uuid4().hex)
    store = window_of(lane)._store
    assert isinstance(store, RedisStore)
    with redis.Redis.from_url(lasting_redis.url) as server:
        script = server.register_script(SCRIPT)
        asking = Command("ask", 7, 700, 3, delay=61.0, waiting=(0, 3, 0))
        for until_when, word in ((1, b"late"), (0, 3)):
            answer = script(keys=store._keys, args=store._arguments(asking, 0, until_when))
            assert answer[0] == word
    await lane.aclose()
