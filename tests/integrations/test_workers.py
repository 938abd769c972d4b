"""Batches as values, and the clients of one worker process."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import (
    ArgumentError,
    ClosedError,
    FathomClient,
    NotFoundError,
    PageviewQuery,
    QueryError,
    RateLimit,
    RatePlan,
)
from fathom_async._bulk.fusing import fuse
from fathom_async._cache.memory import MemoryStore
from fathom_async.integrations.workers import (
    Batch,
    WorkerClients,
    batches,
    client_from_env,
    in_order,
    interleaved,
    store_from_env,
)
from fathom_async.testing import Delay, FathomServer
from tests.conftest import until


def by_day(day: int, name: str = "pageviews", site: str = "CDBUGS") -> PageviewQuery:
    date = f"2026-01-{day:02}"
    return PageviewQuery.from_params(
        {"entity": "pageview", "entity_id": site, "aggregates": name, "date_from": date, "date_to": date}
    )


def by_browser(site: str, limit: int) -> PageviewQuery:
    """A query that can be asked only by itself."""
    return PageviewQuery(
        site,
        aggregates=["visits"],
        field_grouping=["browser"],
        sort_by="visits:desc",
        limit=limit,
        date_to=f"2026-01-{limit:02}",
    )


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(reports_throttle=None) as running:
        yield running


@pytest.fixture
async def clients(server: FathomServer) -> AsyncIterator[WorkerClients]:
    made = WorkerClients(
        lambda account: FathomClient(f"token-{account}", base_url=server.url), MemoryStore, keep=1
    )
    try:
        yield made
    finally:
        await made.aclose()


def test_what_can_be_fused_is_one_batch() -> None:
    queries = [by_day(1), by_browser("CDBUGS", 5), by_day(2, "visits"), by_day(1)]
    assert batches(queries) == [
        Batch((queries[0], queries[2], queries[3]), (0, 2, 3)),
        Batch((queries[1],), (1,)),
    ]


def test_several_requests_may_be_one_batch() -> None:
    queries = [by_browser("CDBUGS", limit) for limit in range(1, 6)]
    assert [batch.positions for batch in batches(queries, requests=2)] == [(0, 1), (2, 3), (4,)]


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.sampled_from(["pageviews", "visits"]), st.booleans()), max_size=20
    )
)
def test_every_query_is_in_one_batch_that_takes_one_request_wherever_it_arrives(
    drawn: Sequence[tuple[int, str, bool]],
) -> None:
    queries = [by_browser("CDBUGS", day) if alone else by_day(day, name) for day, name, alone in drawn]
    made = batches(queries)
    assert sorted(position for batch in made for position in batch.positions) == list(range(len(queries)))
    for batch in made:
        arrived: Batch[object] = pickle.loads(pickle.dumps(batch))  # type: ignore[type-var] # noqa: S301 - our own
        assert arrived == batch
        assert len(fuse(batch.queries)) == 1
        assert [queries[position] for position in batch.positions] == list(batch.queries)


def test_accounts_take_turns() -> None:
    one = batches([by_browser("CDBUGS", limit) for limit in (1, 2, 3)], account="one")
    two = batches([by_browser("CDBUGS", limit) for limit in (1,)], account="two")
    assert [(batch.account, batch.positions) for batch in interleaved([one, two])] == [
        ("one", (0,)),
        ("two", (0,)),
        ("one", (1,)),
        ("one", (2,)),
    ]


def test_what_cannot_be_asked_is_refused_before_anything_is_handed_out() -> None:
    with pytest.raises(ArgumentError, match=r"queries\[1\] must be a PageviewQuery"):
        batches(cast("list[PageviewQuery]", [by_day(1), "pageviews"]))
    with pytest.raises(QueryError):
        batches([PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="hour", sort_by="visits:desc")])
    with pytest.raises(ArgumentError, match="requests"):
        batches([by_day(1)], requests=0)


async def test_outcomes_have_the_positions_of_the_batch_and_errors_are_outcomes(
    clients: WorkerClients, server: FathomServer
) -> None:
    batch = Batch((by_browser("NOBODYS", 1), by_day(1), by_day(2)), (7, 3, 5))
    outcomes = await clients.ask(batch)
    assert [outcome.position for outcome in outcomes] == [7, 3, 5]
    assert [outcome.query for outcome in outcomes] == list(batch.queries)
    assert [type(outcome.error) for outcome in outcomes] == [NotFoundError, type(None), type(None)]
    assert [outcome.position for outcome in in_order(outcomes)] == [3, 5, 7]
    assert len([hit for hit in server.hits if hit.lane == "reports"]) == 2


async def test_what_an_engine_hands_out_twice_is_asked_once(
    clients: WorkerClients, server: FathomServer
) -> None:
    batch = Batch((by_day(1), by_day(2)), (0, 1))
    first, second = await asyncio.gather(clients.ask(batch), clients.ask(batch))
    third = await clients.ask(batch)
    assert (
        [each.report for each in first] == [each.report for each in second] == [each.report for each in third]
    )
    assert len([hit for hit in server.hits if hit.lane == "reports"]) == 1


async def test_clients_that_nobody_uses_are_closed_but_for_the_last(server: FathomServer) -> None:
    made: dict[str, FathomClient] = {}

    def connect(account: str) -> FathomClient:
        return made.setdefault(account, FathomClient(f"token-{account}", base_url=server.url))

    workers = WorkerClients(connect, lambda: None, keep=1)
    for account in ("one", "two", "one"):
        if account in made and account == "one":
            with pytest.raises(ClosedError):
                await made["one"].sites.get("CDBUGS")
            del made["one"]
        await workers.ask(Batch((by_day(1),), (0,), account))
    with pytest.raises(ClosedError):
        await made["two"].sites.get("CDBUGS")
    await made["one"].sites.get("CDBUGS")
    await workers.aclose()
    with pytest.raises(ClosedError, match="the worker is closing"):
        await workers.ask(Batch((by_day(1),), (0,)))


@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_a_worker_that_drains_stores_what_is_in_flight_and_hands_the_rest_back(
    server: FathomServer, requests: int, kind: str, empty_redis: str, tmp_path: Path
) -> None:
    store = MemoryStore()
    plan = RatePlan(reports=RateLimit(2, per=60))
    budget = empty_redis if kind == "redis" else f"file://{tmp_path}/budget"

    def connect(_: str) -> FathomClient:
        return FathomClient("any", base_url=server.url, plan=plan, budget=budget)

    workers = WorkerClients(connect, lambda: store)
    todo = batches([by_browser("CDBUGS", limit) for limit in range(1, 7)], requests=requests)
    server.inject(*[Delay(0.3)] * 6)
    async with asyncio.timeout(55):  # the window is over later
        calls = [asyncio.create_task(workers.ask(batch)) for batch in todo]
        await until(lambda: len(server.hits) == 2)
        await workers.drain()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(answered) == (2 if requests == 1 else 0)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {ClosedError}
    with pytest.raises(ClosedError, match="the worker is closing"):
        await workers.ask(todo[0])
    async with connect("") as beside:
        lane = (await beside.look())["reports"]
    assert (lane.used, lane.waiting) == (2, 0), "nothing is held but what was sent"
    another = WorkerClients(lambda _: FathomClient("any", base_url=server.url), lambda: store)
    for batch in todo:
        assert all(outcome.report is not None for outcome in await another.ask(batch))
    assert len(server.hits) == 6, "each was sent once, by one worker or the other"
    await workers.aclose()
    await another.aclose()


def test_a_worker_whose_environment_lacks_something_says_what() -> None:
    token = {"FATHOM_API_TOKEN": "very-secret-token"}
    with pytest.raises(ArgumentError, match="FATHOM_BUDGET"):
        client_from_env("", token)
    with pytest.raises(ArgumentError, match="FATHOM_API_TOKEN"):
        client_from_env("", {"FATHOM_BUDGET": "redis://localhost"})
    with pytest.raises(ArgumentError, match="`connect` a function that knows 'acme'"):
        client_from_env("acme", token)
    with pytest.raises(ArgumentError, match="FATHOM_STORE"):
        store_from_env({})
