"""The shared window's arithmetic, and that the file and Redis stores do the same."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

import array
import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
import redis
from attrs import asdict, define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom_async._ratelimit.shared.file import FileStore
from fathom_async._ratelimit.shared.redis import RedisStore
from fathom_async._ratelimit.shared.script import SCRIPT
from fathom_async._ratelimit.shared.state import Action, Command, QuotaConfig, Result, SharedState, size_of
from tests.support.redis_server import RedisServer

SPAN = 61.0
LEASE = 91.0


def terms_of(requests: int = 10) -> QuotaConfig:
    return QuotaConfig(requests, per=60.0, span=SPAN, settle=5.0, ticket_ttl=1.0)


def pool_of(requests: int = 10) -> SharedState:
    memory = array.array("d", bytes(8 * size_of(requests)))
    return SharedState(memoryview(memory), terms_of(requests))


def ask(owner: int, permit: int, count: int = 1, reserve: int = 0) -> Command:
    return Command("ask", owner, permit, count, LEASE, reserve)


def answered(permit: int, foreign_usage: int | None = None) -> Command:
    return Command("answered", 1, permit, delay=SPAN, foreign_usage=foreign_usage)


def fill(pool: SharedState, now: float = 0.0, requests: int = 10) -> None:
    """Grant all permits to process 9, and answer them."""
    assert pool.step(ask(9, 900, requests), now).granted == requests
    for number in range(requests):
        pool.step(answered(900 + number), now)


def test_all_slots_go_to_one_process_while_nobody_else_waits() -> None:
    reply = pool_of().step(ask(1, 100, 25), 0.0)
    assert (reply.granted, reply.held) == (10, 10)
    assert reply.wait == 5.0  # none of them is answered: look again


def test_a_waiting_process_is_told_the_moment_exactly() -> None:
    pool = pool_of()
    fill(pool)
    assert pool.step(ask(1, 100), 20.0).wait == SPAN - 20
    assert pool.step(ask(1, 100), 60.9).granted == 0
    assert pool.step(ask(1, 100), SPAN).granted == 1


def test_processes_take_turns() -> None:
    pool = pool_of(2)
    fill(pool, requests=2)
    waits = [pool.step(ask(owner, 100 * owner, 5), 1.0).wait for owner in (1, 2, 3)]
    assert waits == [
        60.0,
        60.0,
        60.5,
    ]  # the third is a turn of all permits away, and half of that is asked at
    assert pool.step(ask(3, 300, 5), SPAN).granted == 0
    assert pool.step(ask(1, 110, 5), SPAN).granted == 1


def test_a_place_that_is_not_used_lapses() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    assert pool.step(ask(1, 100), 1.0).granted == 0  # and is killed
    assert pool.step(ask(2, 200), 2.0).granted == 0
    assert pool.step(ask(2, 200), SPAN + 0.5).granted == 0
    assert pool.step(ask(2, 200), SPAN + 1.5).granted == 1


def test_dead_processes_keep_their_places_no_longer_than_a_slot() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    for owner in range(2, 22):
        pool.step(ask(owner, 100 * owner), 1.0)
    wait = pool.step(ask(1, 100), 1.0).wait
    now = 1.0 + wait
    while pool.step(reply := ask(1, 100), now).granted == 0:
        now += pool.step(reply, now).wait
    assert now < 2 * LEASE + SPAN


def test_who_says_nothing_more_holds_its_slot_for_the_lease_and_no_longer() -> None:
    pool = pool_of(1)
    pool.step(ask(1, 100), 0.0)
    assert pool.step(ask(2, 200), LEASE - 0.1).granted == 0
    assert pool.step(ask(2, 200), LEASE).granted == 1


def test_a_slot_that_was_sent_is_held_for_what_the_sender_says() -> None:
    pool = pool_of(1)
    pool.step(ask(1, 100), 0.0)
    pool.step(Command("hold", 1, 100, delay=5 + SPAN), 0.0)
    assert pool.step(ask(2, 200), 65.9).granted == 0
    assert pool.step(ask(2, 200), 66.0).granted == 1


def test_a_slot_that_was_given_back_goes_to_the_next() -> None:
    pool = pool_of(2)
    pool.step(ask(1, 100, 2), 0.0)
    pool.step(Command("freed", 1, 101), 1.0)
    assert pool.step(ask(2, 200, 2), 1.0).granted == 1


def test_reserved_slots_stay_unused() -> None:
    assert pool_of().step(ask(1, 100, 25, reserve=3), 0.0).granted == 7


def test_what_others_have_spent_is_held_for_them() -> None:
    pool = pool_of()
    base = pool.step(ask(1, 100), 0.0).base
    pool.step(answered(100, foreign_usage=10 - 2 - base), 1.0)  # 2 remain, and one of the 8 was ours
    assert pool.step(ask(1, 101, 10), 1.0).granted == 2


def test_our_own_hits_are_not_taken_for_others() -> None:
    pool = pool_of()
    base = pool.step(ask(1, 100), 0.0).base
    pool.step(ask(2, 200, 4), 0.0)
    pool.step(answered(100, foreign_usage=10 - 5 - base), 1.0)
    assert pool.step(ask(1, 101, 10), 1.0).granted == 5


def test_a_pause_keeps_everyone_away() -> None:
    pool = pool_of()
    reply = pool.step(Command("pause", 1, delay=21.0), 0.0)
    assert (reply.blocked, reply.pauses) == (21.0, 1)
    assert pool.step(ask(2, 200), 1.0).wait == 20.0
    assert pool.step(ask(2, 200), 21.0).granted == 1


def test_a_store_that_lost_its_memory_grants_nothing_for_a_span() -> None:
    epoch = pool_of().step(ask(1, 100), 0.0).epoch
    pool = pool_of()
    reply = pool.step(ask(1, 101), 10.0, epoch)
    assert (reply.granted, reply.wait) == (0, SPAN)
    newcomer = pool_of()
    assert newcomer.step(ask(2, 200), 10.0).granted == 1
    assert newcomer.step(ask(1, 101), 11.0, epoch).wait == SPAN


def test_a_state_that_was_restored_from_before_grants_nothing_for_a_span() -> None:
    """A snapshot of Redis, a lagging replica, or a copy of the file that was put back: the epoch is the same."""
    pool = pool_of()
    old = pool.step(ask(1, 100), 0.0)
    assert pool.step(ask(1, 101), 10.0, old.epoch, old.total + 6).wait == SPAN
    assert pool.step(ask(2, 200), 11.0, old.epoch, old.total + 6).wait == SPAN - 1, "it is noticed once"
    assert pool.step(ask(1, 101), 10.0 + SPAN, old.epoch, old.total + 6).granted == 1


def test_a_clock_that_began_anew_makes_a_new_pool() -> None:
    pool = pool_of(1)
    fill(pool, now=90_000.0, requests=1)
    assert pool.step(ask(1, 100), 5.0).granted == 1


steps = st.tuples(
    st.sampled_from([0, 0, 0.25, 0.25, 1, 5, 20, 61, -0.5, -30]),  # seconds since the step before
    st.sampled_from(["ask", "ask", "ask", "hold", "answered", "answered", "freed", "leave", "pause", "look"]),
    st.integers(1, 4),  # owner
    st.integers(0, 8),  # which of the last permits
    st.integers(1, 5),  # how many
    st.sampled_from([0.25, 5.0, 61.0, 66.0, 91.0]),
    st.one_of(st.none(), st.integers(-10, 10)),  # foreign_usage
    st.sampled_from([0, 0, 0, 1, 2]),  # known
    st.sampled_from([0, 0, 0, 1, 3]),  # fewer
    st.sampled_from([0, 0, 1, 5]),  # grants that were known, beyond those there are
)


@define
class Turn:
    """A clock that the test sets."""

    speed: float = 1.0
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def call_at(self, when: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when, callback)

    def unix(self) -> float:
        return self.at


def run_both(
    requests: int,
    reserve: int,
    plan: list[tuple[float, Action, int, int, int, float, int | None, int, int, int]],
    other: Callable[[Command, float, int, int], Result],
) -> None:
    pool = pool_of(requests)
    now, granted, last = 1000.0, 0, 2  # permit 1 was never asked for
    for after, action, owner, back, count, delay, counted, known, fewer, lost in plan:
        now += after
        permit = last if action == "ask" else max(1, last - 1 - back)
        foreign_usage = counted if action == "answered" else None
        step = Command(
            action, owner, permit, count, delay, reserve, foreign_usage, min(fewer, requests - reserve - 1)
        )
        last += count if action == "ask" else 0
        total = granted + lost if lost and known else 0
        expected = pool.step(step, now, known, total)
        actual = other(step, now, known, total)
        granted = expected.total
        assert asdict(actual) == pytest.approx(asdict(expected), abs=1e-5), step


@settings(max_examples=150)
@given(st.integers(1, 5), st.integers(0, 1), st.lists(steps, max_size=60))
def test_the_file_store_does_what_the_pool_does(
    requests: int,
    reserve: int,
    plan: list[tuple[float, Action, int, int, int, float, int | None, int, int, int]],
) -> None:
    clock = Turn()

    async def scenario(path: str) -> None:
        stores = [FileStore(path, "k" * 32, terms_of(requests), clock=clock) for _ in range(2)]
        turn = 0

        def other(step: Command, now: float, known: int, total: int) -> Result:
            nonlocal turn
            turn += 1
            replies: list[Result | None] = []
            clock.at = now
            store = stores[turn % 2]
            store._epoch, store._total = known, total
            store.submit(step, replies.append)
            assert replies[0] is not None
            return replies[0]

        run_both(requests, min(reserve, requests - 1), plan, other)
        for store in stores:
            await store.aclose()

    with TemporaryDirectory() as directory:
        asyncio.run(scenario(f"{directory}/budget"))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5), st.integers(0, 1), st.lists(steps, max_size=40))
def test_the_redis_script_does_what_the_pool_does(
    lasting_redis: RedisServer,
    requests: int,
    reserve: int,
    plan: list[tuple[float, Action, int, int, int, float, int | None, int, int, int]],
) -> None:
    asyncio.run(against_redis(lasting_redis.url, requests, min(reserve, requests - 1), plan))


async def against_redis(
    url: str,
    requests: int,
    reserve: int,
    plan: list[tuple[float, Action, int, int, int, float, int | None, int, int, int]],
) -> None:
    store = RedisStore(url, uuid4().hex, terms_of(requests))
    with redis.Redis.from_url(url) as server:
        timed = server.register_script(SCRIPT.replace("redis.call('TIME')", "{ARGV[20], 0}"))

        def other(step: Command, now: float, known: int, total: int) -> Result:
            store._total = total
            arguments = [*store._arguments(step, known), "0", f"{now:f}"]
            return store._read(timed(keys=store._keys, args=arguments))

        run_both(requests, reserve, plan, other)
        kept = [server.pttl(key) for key in store._keys if server.exists(key)]
        assert all(isinstance(ttl, int) and ttl > 3_500_000 for ttl in kept)
    await store.aclose()


def test_a_killed_writer_has_changed_nothing(tmp_path: Path) -> None:
    clock = Turn()
    path = str(tmp_path / "budget")

    async def scenario() -> None:
        store = FileStore(path, "k" * 32, terms_of(2), clock=clock)
        store.submit(ask(1, 100, 2))
        before = (tmp_path / "budget").read_bytes()
        live = store._map[store._at + 36]
        store._halves[1 - live][:4] = memoryview(array.array("d", [float("nan")] * 4))
        replies: list[Result | None] = []
        store.submit(ask(2, 200), replies.append)
        assert replies[0] is not None
        assert (replies[0].granted, replies[0].held) == (0, 2)
        assert len(before) == (tmp_path / "budget").stat().st_size
        await store.aclose()

    asyncio.run(scenario())
