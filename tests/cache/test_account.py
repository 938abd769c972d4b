"""A new token of an account goes on with the budget and the answers of the old one."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from attrs import define, field

from fathom_async import AuthenticationError, FathomClient, PageviewQuery, Priority, RateLimit, RatePlan
from fathom_async._cache.account import AGAIN
from fathom_async.service import Request, Response
from fathom_async.store import open_store
from fathom_async.testing import FathomServer, LaravelWindow
from tests.support.forked import Forked
from tests.support.redis_server import RedisServer, redis_server

OLD, NEW, READS = "the-old-token", "the-new-token", "a-token-that-reads"
TOKENS = {OLD: ["*"], NEW: ["*"], READS: ["all-sites-readonly"]}
PLAN = RatePlan(reports=RateLimit(10, per=2))


def query_of(day: int) -> PageviewQuery:
    """A query whose answer tells nothing about those of other days."""
    date = f"1999-12-{day + 1:02}"
    return PageviewQuery("CDBUGS", aggregates=["pageviews"], date_from=date, date_to=date)


QUERIES = [query_of(day) for day in range(5)]


@pytest.fixture(params=["file", "redis"])
def budget(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(request.getfixturevalue("empty_redis"))
        if request.param == "redis"
        else f"file://{tmp_path}/budget"
    )


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(tokens=TOKENS) as running:
        yield running


def _files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def asked(server: FathomServer) -> Counter[str]:
    """How often each endpoint was asked."""
    return Counter(hit.path for hit in server.hits)


async def test_a_new_token_finds_the_budget_and_the_answers(
    server: FathomServer, budget: str, tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db")
    for token in (OLD, OLD, NEW, OLD, NEW):
        async with FathomClient(token, base_url=server.url, budget=budget) as fathom:
            await fathom.reports.gather(QUERIES, store=store, fuse=False)
            assert (await fathom.look())["reports"].used == 5
    assert asked(server) == {"/v1/account": 2, "/v1/aggregations": 5}
    async with FathomClient(NEW, base_url=server.url, budget=budget) as fathom:
        assert (await fathom.look())["crud"].used == 2  # the requests for the account count, too
    assert [file.name for file in _files(tmp_path) if OLD.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_after_old_answers_are_pruned_a_new_token_still_finds_the_others(
    server: FathomServer, budget: str, tmp_path: Path, empty_redis: str, kind: str
) -> None:
    where = empty_redis if kind == "redis" else str(tmp_path / "store.db")
    async with FathomClient(OLD, base_url=server.url, budget=budget) as fathom:
        await fathom.reports.gather(QUERIES[:1], store=where)
    async with FathomClient(NEW, base_url=server.url, budget=budget) as fathom:
        await asyncio.sleep(0.01)
        began = time.time()
        await fathom.reports.gather(QUERIES[1:2], store=where)
    async with open_store(where) as store:
        assert await store.prune(began) > 0
    async with FathomClient(NEW, base_url=server.url, budget=budget) as fathom:
        await fathom.reports.gather(QUERIES[1:2], store=where)
    assert asked(server)["/v1/aggregations"] == 2


async def test_answers_of_a_client_without_a_budget_are_those_of_its_account(
    server: FathomServer, budget: str, tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db")
    async with FathomClient(OLD, base_url=server.url) as alone:
        await alone.reports.gather(QUERIES, store=store)
    assert asked(server)["/v1/account"] == 0
    for token in (OLD, NEW):
        async with FathomClient(token, base_url=server.url, budget=budget) as fathom:
            await fathom.reports.gather(QUERIES, store=store)
    assert asked(server) == {"/v1/account": 2, "/v1/aggregations": 1}


async def test_the_account_is_kept_on_a_server_behind_a_socket(server: FathomServer, tmp_path: Path) -> None:
    budget = f"unix://{tmp_path}/redis.sock?db=1"
    with redis_server(tmp_path, "--unixsocket", f"{tmp_path}/redis.sock"):
        for number, token in enumerate((OLD, NEW, OLD, NEW)):
            async with FathomClient(token, base_url=server.url, budget=budget) as fathom:
                await fathom.reports.aggregate(QUERIES[number])
                assert (await fathom.look())["reports"].used == number + 1
    assert asked(server)["/v1/account"] == 2


async def test_a_token_that_cannot_read_its_account_keeps_what_is_its_own(
    server: FathomServer, budget: str, tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db")
    for token in (OLD, READS, READS):
        async with FathomClient(token, base_url=server.url, budget=budget) as fathom:
            await fathom.reports.gather(QUERIES[:2], store=store, fuse=False)
    assert asked(server) == {"/v1/account": 2, "/v1/aggregations": 4}  # and asks only once


async def test_a_budget_key_names_the_account_without_a_request(
    server: FathomServer, budget: str, tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db")
    for token in (OLD, READS):
        async with FathomClient(token, base_url=server.url, budget=budget, budget_key="acme") as fathom:
            await fathom.reports.gather(QUERIES[:2], store=store, fuse=False)
            assert (await fathom.look())["reports"].used == 2
    assert asked(server) == {"/v1/aggregations": 2}


async def test_a_token_that_is_rejected_is_asked_for_once_and_not_remembered(
    server: FathomServer, budget: str
) -> None:
    for _ in range(2):
        before = len(server.hits)
        async with FathomClient("another-token", base_url=server.url, budget=budget) as fathom:
            calls = (fathom.sites.get("CDBUGS"), fathom.reports.aggregate(QUERIES[0]))
            ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in ended} == {AuthenticationError}
        assert len(server.hits) == before + 1


def rotate(test: Connection, url: str, budget: str, store: str, token: str) -> None:
    async def run() -> int:
        async with FathomClient(token, base_url=url, budget=budget, plan=PLAN) as fathom:
            queries = [query_of(number) for number in range(25)]
            outcomes = [each async for each in fathom.reports.run(queries, store=store, fuse=False)]
        return sum(each.report is not None for each in outcomes)

    test.send("ready")
    test.recv()
    test.send(str(asyncio.run(run())))


async def test_while_a_token_is_replaced_nothing_is_refused_and_no_answer_asked_twice(
    budget: str, tmp_path: Path
) -> None:
    store = str(tmp_path / "store.db") if budget.startswith("file") else budget
    async with FathomServer(tokens=TOKENS, reports_throttle=LaravelWindow(10, per=2)) as server:
        workers = [Forked(rotate, server.url, budget, store, token) for token in (OLD, NEW, OLD, NEW)]
        for worker in workers:
            assert await asyncio.to_thread(worker.said, str) == "ready"
        for worker in workers:
            worker.tell("go")
        assert [await asyncio.to_thread(worker.said, str) for worker in workers] == ["25"] * 4
        assert [hit for hit in server.hits if hit.status != 200] == []
        assert asked(server)["/v1/aggregations"] == 25
        assert asked(server)["/v1/account"] == 2


@define
class Network:
    """A server that answers all but the account, for which it takes its time, and then what the test says."""

    answers: list[int]
    seconds: float = 0.0
    hits: list[str] = field(factory=list[str])

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        self.hits.append(request.path)
        status, body = 200, b"[]"
        if request.path == "/account":
            await asyncio.sleep(self.seconds)
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            body = json.dumps({"id": 7, "name": "Homer", "email": "h@example.com"}).encode()
        return Response(status, {}, body if status == 200 else b'{"error": "no"}')

    def url(self, request: Request[object]) -> str:
        return request.path

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.virtual_time
async def test_a_server_that_does_not_tell_the_account_keeps_nobody_from_starting(tmp_path: Path) -> None:
    budget, network = f"file://{tmp_path}/budget", Network([500])
    async with (
        FathomClient(OLD, transport=network, budget=budget) as early,
        FathomClient(NEW, transport=Network([200]), budget=budget) as late,
    ):
        await early.reports.aggregate(QUERIES[0])
        await late.reports.aggregate(QUERIES[1])
        failed = network.hits.count("/account")
        await early.reports.aggregate(QUERIES[2])
        assert network.hits.count("/account") == failed  # not for each request
        assert (await late.look())["reports"].used == 1
        network.answers = [200]
        await asyncio.sleep(AGAIN)
        await early.reports.aggregate(QUERIES[3])
        await asyncio.sleep(1)
        before = (await late.look())["reports"].used
        await early.reports.aggregate(QUERIES[4])
        assert early.limits["reports"].used == (await late.look())["reports"].used == before + 1
        assert network.hits.count("/account") == failed + 1


@pytest.mark.parametrize(("status", "is_asked_again"), [(302, True), (402, True), (400, False), (404, False)])
async def test_what_is_no_answer_about_the_account_is_not_kept(
    tmp_path: Path, status: int, is_asked_again: bool
) -> None:
    network = Network([status])
    for number in range(2):
        budget = f"file://{tmp_path}/budget"
        async with FathomClient(OLD, transport=network, budget=budget) as fathom:
            await fathom.reports.aggregate(QUERIES[number])
    assert network.hits.count("/account") == 1 + is_asked_again


@pytest.mark.virtual_time
async def test_to_wait_for_the_account_counts_as_waiting(tmp_path: Path) -> None:
    network = Network([200], seconds=20.0)
    async with FathomClient(OLD, transport=network, budget=f"file://{tmp_path}/budget") as fathom:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await fathom.with_options(max_wait=2.0).reports.aggregate(QUERIES[0])
        assert 2.0 <= loop.time() - began < 3.0
        await asyncio.sleep(20)
        assert fathom.limits["reports"].used == 0  # in the budget of the account, where it is not known
        await fathom.reports.aggregate(QUERIES[1])
        assert fathom.limits["reports"].used == 1


@pytest.mark.virtual_time
async def test_whoever_is_expected_is_expected_in_the_budget_of_the_account(tmp_path: Path) -> None:
    budget = f"file://{tmp_path}/budget"
    async with (
        FathomClient(OLD, transport=Network([200]), budget=budget) as pages,
        FathomClient(NEW, transport=Network([200]), budget=budget) as job,
    ):
        await asyncio.sleep(1)
        pages.expect(Priority.INTERACTIVE)
        await asyncio.gather(pages.sites.list(limit=1), job.sites.list(limit=1), return_exceptions=True)
        bulk = job.with_options(priority=Priority.BULK).reports.aggregate
        running = [asyncio.create_task(bulk(query_of(day))) for day in range(10)]
        await asyncio.sleep(5)
        assert sum(task.done() for task in running) == 8, "two are left for whoever comes first"
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_a_budget_that_is_out_of_reach_keeps_nobody_from_starting(
    server: FathomServer, mortal_redis: RedisServer
) -> None:
    mortal_redis.kill()
    async with FathomClient(OLD, base_url=server.url, budget=mortal_redis.url, on_budget_lost=0.5) as fathom:
        await fathom.reports.aggregate(QUERIES[0])
        assert asked(server)["/v1/account"] == 1
        mortal_redis.start()
        give_up = time.monotonic() + 20
        while (await fathom.look())["reports"].budget != "ok":
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
    async with FathomClient(NEW, base_url=server.url, budget=mortal_redis.url) as other:
        await other.reports.aggregate(QUERIES[1])
        assert (await other.look())["reports"].used == 2
