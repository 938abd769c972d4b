"""The file and Redis stores do what the shared window's state does."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

import array
import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
import redis
from attrs import asdict, define, evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared.commands import CLASSIC, Action, Command, QuotaConfig, Result
from fathom_async._ratelimit.shared.file import FileStore
from fathom_async._ratelimit.shared.redis import SCRIPT, RedisStore
from fathom_async._ratelimit.shared.state import SharedState, size_of
from fathom_async.errors import ConfigurationError
from tests.ratelimit.shared.test_state import HOUR, SPAN, ask, pool_of, terms_of
from tests.support.redis_server import RedisServer

INTERACTIVE, _, BULK = Priority


@frozen
class Act:
    """A command, and when it comes."""

    after: float
    action: Action
    owner: int
    back: int
    count: int
    delay: float
    foreign_usage: int | None
    known: int
    fewer: int
    lost: int
    waiting: tuple[int, int, int]
    priority: Priority
    arrived: tuple[int, int]
    cap: int
    took: float
    plan: int


acts = st.builds(
    Act,
    after=st.sampled_from([0, 0, 0.25, 0.25, 1, 5, 20, 61, -0.5, -30, 1000]),  # seconds since the step before
    action=st.sampled_from(
        [
            *(
                "ask",
                "ask",
                "ask",
                "ask",
                "hold",
                "answered",
                "answered",
                "abandoned",
                "freed",
                "leave",
                "pause",
            ),
            *("crowd", "expect", "move", "look"),
        ]
    ),
    owner=st.integers(1, 4),
    back=st.integers(0, 8),  # which of the last permits
    count=st.integers(1, 5),
    delay=st.sampled_from([0.25, 5.0, 61.0, 66.0, 91.0]),
    foreign_usage=st.one_of(st.none(), st.integers(-10, 10)),
    known=st.sampled_from([0, 0, 0, 1, 2]),
    fewer=st.sampled_from([0, 0, 0, 1, 3]),
    lost=st.sampled_from([0, 0, 0, 0, 1, 3]),  # grants that were known, beyond those there are
    waiting=st.tuples(*[st.sampled_from([0, 0, 1, 2, 9])] * 3),
    priority=st.sampled_from(Priority),
    arrived=st.sampled_from([(0, 0), (0, 0), (1, 0), (0, 2), (3, 1)]),
    cap=st.sampled_from([0, 0, 2, 3]),
    took=st.sampled_from([0.0, 0.5, 2.0]),
    plan=st.sampled_from([0, 0, 0, 0, 0, 0, 0, 600, 600, CLASSIC]),
)
plans = st.lists(acts, max_size=60)
sizes = st.sampled_from([1, 2, 3, 4, 5, 10])
spans = st.sampled_from([SPAN, SPAN, HOUR])


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


def flat(result: Result) -> dict[str, float]:
    """The numbers of a result, those of tuples one by one."""
    values = asdict(result)
    for name in ("due", "left", "places"):
        values |= {f"{name}{index}": value for index, value in enumerate(values.pop(name))}
    for number, queue in enumerate(values.pop("queues")):
        values |= {f"queue{number}": len(queue)} | {
            f"queue{number}.{at}": count for at, count in enumerate(queue)
        }
    return values


def run_both(
    terms: QuotaConfig, reserve: int, plan: list[Act], other: Callable[[Command, float, int, int], Result]
) -> None:
    memory = array.array("d", bytes(8 * size_of(terms.requests)))
    pool = SharedState(memoryview(memory), terms)
    now, granted, last = 1000.0, 0, 2  # permit 1 was never asked for
    for act in plan:
        now += act.after
        is_ask = act.action == "ask"
        step = Command(
            act.action,
            act.owner,
            last if is_ask else max(1, last - 1 - act.back),
            act.count,
            act.delay,
            reserve,
            act.foreign_usage if act.action == "answered" else None,
            min(act.fewer, terms.requests - reserve - 1),
            act.waiting if is_ask and any(act.waiting) else (0, act.count, 0),
            act.priority,
            act.arrived,
            act.cap,
            act.took,
            act.plan,
        )
        last += act.count if is_ask else 0
        total = granted + act.lost if act.lost and act.known else 0
        try:
            expected = pool.step(step, now, act.known, total)
        except ConfigurationError as error:
            with pytest.raises(ConfigurationError, match=f"{error}"):
                other(step, now, act.known, total)
            continue
        actual = other(step, now, act.known, total)
        granted = expected.total
        assert flat(actual) == pytest.approx(flat(expected), abs=1e-5), step


@settings(max_examples=150)
@given(sizes, st.integers(0, 1), spans, plans)
def test_the_file_store_does_what_the_pool_does(
    requests: int, reserve: int, span: float, plan: list[Act]
) -> None:
    clock, terms = Turn(), terms_of(requests, span)

    async def scenario(path: str) -> None:
        stores = [FileStore(path, "k" * 32, terms, clock=clock) for _ in range(2)]
        turn = 0

        def other(step: Command, now: float, known: int, total: int) -> Result:
            nonlocal turn
            turn += 1
            clock.at = now
            store = stores[turn % 2]
            store._epoch, store._total = known, total
            reply = store._try(step, full=True)
            if not isinstance(reply, Result):
                raise reply
            return reply

        run_both(terms, min(reserve, requests - 1), plan, other)
        for store in stores:
            await store.aclose()

    with TemporaryDirectory() as directory:
        asyncio.run(scenario(f"{directory}/budget"))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes, st.integers(0, 1), spans, plans)
def test_the_redis_script_does_what_the_pool_does(
    lasting_redis: RedisServer, requests: int, reserve: int, span: float, plan: list[Act]
) -> None:
    asyncio.run(against_redis(lasting_redis.url, terms_of(requests, span), min(reserve, requests - 1), plan))


def test_a_rejected_plan_changes_nothing_in_the_script_either(lasting_redis: RedisServer) -> None:
    first = Act(0, "ask", 1, 0, 1, 0.25, None, 0, 0, 0, (0, 0, 0), INTERACTIVE, (0, 0), 0, 0.0, 0)
    rejected = evolve(first, after=20, plan=-1)  # what has lapsed by then has not, once the clock goes back
    acts = [first, evolve(first, plan=600), rejected, evolve(first, after=-30)]
    asyncio.run(against_redis(lasting_redis.url, terms_of(1, 61.0), 0, acts))


def test_a_probe_from_before_another_loss_tells_the_script_nothing_either(lasting_redis: RedisServer) -> None:
    first = Act(0, "ask", 1, 0, 1, HOUR + 30, None, 2, 0, 0, (1, 0, 0), INTERACTIVE, (0, 0), 0, 0.0, 0)
    probe = evolve(first, after=10, known=0)
    lost, told = (evolve(probe, after=1, action=action, foreign_usage=7) for action in ("look", "answered"))
    acts = [first, probe, evolve(lost, known=1, lost=6), told, evolve(probe, after=30)]
    asyncio.run(against_redis(lasting_redis.url, terms_of(600, HOUR), 0, acts))


def test_who_was_held_back_for_long_enough_takes_a_permit_from_the_script_too(
    lasting_redis: RedisServer,
) -> None:
    burst = Act(1, "ask", 1, 0, 4, 9000.0, None, 0, 0, 0, (4, 0, 0), INTERACTIVE, (4, 0), 0, 0.0, 0)
    bulk = evolve(burst, owner=2, count=3, waiting=(0, 0, 3), arrived=(0, 0))
    patience = PASSES * HOUR / 9
    acts = [burst, *(evolve(bulk, after=after) for after in (1, patience - 1, 1))]

    pool, now, granted = pool_of(span=HOUR), 0.0, list[int]()
    for number, act in enumerate(acts):
        now += act.after
        step = Command(
            "ask", act.owner, 10 * number, act.count, 9000.0, waiting=act.waiting, arrived=act.arrived
        )
        granted.append(pool.step(step, now).granted)
    assert granted == [4, 0, 0, 1]
    asyncio.run(against_redis(lasting_redis.url, terms_of(span=HOUR), 0, acts))


async def against_redis(url: str, terms: QuotaConfig, reserve: int, plan: list[Act]) -> None:
    store = RedisStore(url, uuid4().hex, terms)
    with redis.Redis.from_url(url) as server:
        timed = server.register_script(SCRIPT.replace("redis.call('TIME')", "{ARGV[3], 0}"))

        def other(step: Command, now: float, known: int, total: int) -> Result:
            store._total = total
            arguments = [*store._arguments(step, known), f"{now:f}"]
            return store._read(timed(keys=store._keys, args=arguments), step)

        run_both(terms, reserve, plan, other)
        kept = {key.rpartition(":")[2]: server.pttl(key) for key in store._keys if server.exists(key)}
        assert all(isinstance(ttl, int) and ttl > 3_500_000 for ttl in kept.values())
        assert not plan or int(str(kept["meta"])) > 86_400_000, "which classes were seen is known for a day"
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
