import asyncio
import logging
import pickle
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import aiohttp
import attrs
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.params import Depends as DependsParameter

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    BudgetError,
    BulkError,
    ClosedError,
    ConfigurationError,
    ConnectError,
    DecodeError,
    FathomClient,
    FathomError,
    GoneError,
    NotFoundError,
    Outcome,
    PageviewQuery,
    PageviewRow,
    PagingError,
    PermissionDeniedError,
    Priority,
    QueryError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    StoreError,
    TimeoutError,  # noqa: A004
    ValidationError,
    WaitTooLongError,
)
from fathom_async._cache.entry import CacheEntry, digest
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.sqlite import SqliteStore
from fathom_async.integrations.fastapi import (
    Fathom,
    FathomState,
    LiveFeed,
    fathom,
    fathom_lifespan,
    health_router,
    install_error_handlers,
    live_feed,
    reply_to,
)
from fathom_async.testing import Dataset, FathomServer, Html, Site, Status
from tests.conftest import until
from tests.support.redis_server import RedisServer
from tests.support.serving import serving

pytestmark = pytest.mark.virtual_time

TOKEN = "very-secret-token"
SECRET = "upstream words about very-secret-token"
QUERY = PageviewQuery("CDBUGS", aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")

Urgent = Annotated[FathomClient, Depends(fathom(max_wait=0.0))]


def client_of(server: FathomServer) -> FathomClient:
    return FathomClient(TOKEN, base_url=server.url, retry=RetryPolicy(attempts=1))


def application(server: FathomServer) -> FastAPI:
    app = FastAPI(lifespan=fathom_lifespan(lambda: client_of(server)))
    install_error_handlers(app)
    app.include_router(health_router())

    @app.get("/visits/{site_id}")
    async def visits(site_id: str, fathom: Fathom) -> int:
        report = await fathom.reports.aggregate(PageviewQuery(site_id, aggregates=["visits"]))
        return report.total("visits")

    @app.get("/urgent/{limit}")
    async def urgent(limit: int, fathom: Urgent) -> int:
        return len(await fathom.reports.aggregate(QUERY.replace(limit=limit)))

    @app.get("/words")
    async def words(period: str) -> str:
        return repr(QUERY.over(period, now=datetime(2026, 2, 1, tzinfo=UTC)))

    @app.get("/both")
    async def both(fathom: Fathom) -> int:
        async with asyncio.TaskGroup() as group:
            for site_id in ("NOSUCH", "CDBUGS"):
                group.create_task(fathom.sites.get(site_id))
        return 2

    return app


@pytest.fixture
async def visitor(server: FathomServer) -> AsyncGenerator[aiohttp.ClientSession]:
    async with serving(application(server)) as session:
        yield session


def outcome(error: FathomError) -> Outcome[PageviewRow]:
    return Outcome(QUERY, error=error)


async def test_a_route_has_the_clients_answer(visitor: aiohttp.ClientSession) -> None:
    async with visitor.get("/visits/CDBUGS") as response:
        assert response.status == 200
        assert await response.json() > 0


async def test_all_requests_of_an_application_share_one_client(
    visitor: aiohttp.ClientSession, server: FathomServer
) -> None:
    async with AsyncExitStack() as pages:
        asked = (pages.enter_async_context(visitor.get("/visits/CDBUGS")) for _ in range(50))
        assert {response.status for response in await asyncio.gather(*asked)} == {200}
    assert len(server.hits) < 10, "identical questions in flight are asked once"
    assert server.refused == 0


async def test_a_full_lane_is_503_with_the_seconds_until_it_is_free(
    visitor: aiohttp.ClientSession, server: FathomServer
) -> None:
    for limit in range(1, 11):
        async with visitor.get(f"/urgent/{limit}") as response:
            assert response.status == 200
    async with visitor.get("/urgent/11") as response:
        assert response.status == 503
        assert 50 <= int(response.headers["Retry-After"]) <= 62
        assert await response.json() == {"detail": "Waiting for Fathom's rate limit."}
    assert len(server.hits) == 10, "nothing was spent on it"


async def test_what_is_wrong_about_the_question_is_422_and_says_so(visitor: aiohttp.ClientSession) -> None:
    async with visitor.get("/words", params={"period": "last 30 dyas"}) as response:
        assert response.status == 422
        assert "did you mean 'last 30 days'" in (await response.json())["detail"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Status(401, {"error": SECRET}), 502),
        (Status(403, {"error": SECRET}), 502),
        (Status(404, {"error": SECRET}), 404),
        (Status(422, {"message": SECRET}), 502),
        (Status(500, {"error": SECRET}), 502),
        (Html(), 502),
    ],
    ids=repr,
)
async def test_no_answer_shows_the_servers_words_or_the_token(
    visitor: aiohttp.ClientSession, server: FathomServer, fault: Status | Html, status: int
) -> None:
    server.inject(fault)
    async with visitor.get("/visits/CDBUGS") as response:
        assert response.status == status
        assert "secret" not in await response.text() + repr(response.headers)


async def test_a_task_group_of_failures_is_answered_like_the_failure(visitor: aiohttp.ClientSession) -> None:
    async with visitor.get("/both") as response:
        assert response.status == 404


async def test_what_the_operator_must_mend_is_an_error_in_the_log(
    visitor: aiohttp.ClientSession, server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(Status(401))
    async with visitor.get("/visits/CDBUGS") as response:
        assert response.status == 502
    records = [record for record in caplog.records if "replied to" in record.message]
    assert [record.levelno for record in records] == [logging.ERROR]
    assert "replied to GET /visits/CDBUGS with 502: AuthenticationError: 401" in records[0].message
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (WaitTooLongError("reports", 41.2, 5.0), 503, 42),
        (WaitTooLongError("reports", 0.0, 5.0), 503, 5),
        (WaitTooLongError("reports", 0.4, 0.0), 503, 1),
        (ConfigurationError("/secret/place is no store"), 500, None),
        (WaitTooLongError("reports", float("inf"), 5.0), 503, 60),
        (RateLimitError(429, SECRET, retry_after=17.0), 503, 17),
        (RateLimitError(429, SECRET), 503, 60),
        (BudgetError(SECRET), 503, 5),
        (StoreError(SECRET), 503, 5),
        (ClosedError(SECRET), 503, 1),
        (ConnectError(SECRET), 502, None),
        (TimeoutError(SECRET), 504, None),
        (ServerError(503, SECRET), 502, None),
        (DecodeError(SECRET), 502, None),
        (PagingError(SECRET), 502, None),
        (AuthenticationError(401, SECRET), 502, None),
        (PermissionDeniedError(403, SECRET), 502, None),
        (ValidationError(422, SECRET), 502, None),
        (GoneError(410, SECRET), 502, None),
        (NotFoundError(404, SECRET), 404, None),
        (FathomError(SECRET), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_has_its_reply(error: FathomError, status: int, retry_after: int | None) -> None:
    reply = reply_to(pickle.loads(pickle.dumps(error)))  # noqa: S301 - it may come from another process
    assert (reply.status, reply.retry_after) == (status, retry_after)
    assert "secret" not in reply.detail


@pytest.mark.parametrize("kind", [ArgumentError, QueryError])
def test_only_what_we_say_about_the_callers_input_is_shown(kind: type[FathomError]) -> None:
    assert reply_to(kind("limit must be 1 or more")).detail == "limit must be 1 or more"


def test_of_many_failures_the_longest_wait_counts_and_what_waiting_does_not_mend_goes_first() -> None:
    soon, late = (outcome(WaitTooLongError("reports", eta, 1.0)) for eta in (3.0, 40.0))
    broken = outcome(ServerError(500, SECRET))
    assert reply_to(BulkError([soon, late])).retry_after == 40
    assert reply_to(BulkError([late, broken, soon])).status == 502


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (WaitTooLongError("reports", 41.2, 5.0), 1013, "Waiting for Fathom's rate limit."),
        (NotFoundError(404, SECRET), 1011, "There is no such site or object."),
        (
            ExceptionGroup("", [ConnectError(SECRET)]),
            1011,
            "The analytics service returned an error.",
        ),
    ],
    ids=repr,
)
async def test_a_web_socket_is_closed_with_a_reason(
    server: FathomServer, error: Exception, code: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(server)

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        raise error

    async with serving(app) as visitor, visitor.ws_connect("/ws") as socket:
        message = await socket.receive()
        assert (message.data, message.extra) == (code, reason)
    assert "Traceback" not in caplog.text


async def test_health_tells_when_the_shared_budget_is_lost(
    server: FathomServer, mortal_redis: RedisServer
) -> None:
    def client() -> FathomClient:
        return FathomClient(TOKEN, base_url=server.url, budget=mortal_redis.url)

    app = FastAPI(lifespan=fathom_lifespan(client))
    install_error_handlers(app)
    app.include_router(health_router())

    @app.get("/sites")
    async def sites(fathom: Fathom) -> int:
        return len((await fathom.sites.list()).data)

    async def look(visitor: aiohttp.ClientSession) -> tuple[int, str, str]:
        async with visitor.get("/sites") as answered, visitor.get("/health/fathom") as health:
            found = await health.json()
            return answered.status, found["status"], found["lanes"]["crud"]["budget"]

    async with serving(app) as visitor:
        assert await look(visitor) == (200, "ok", "ok")
        mortal_redis.kill()
        assert await look(visitor) == (503, "lost", "lost")


async def test_health_tells_the_budget_and_spends_nothing(
    visitor: aiohttp.ClientSession, server: FathomServer
) -> None:
    async with visitor.get("/health/fathom") as response:
        assert (await response.json())["status"] == "ok"
    assert not server.hits
    for limit in range(1, 11):
        async with visitor.get(f"/urgent/{limit}") as response:
            assert response.status == 200
    async with visitor.get("/health/fathom") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        health = await response.json()
    assert health["status"] == "busy"
    assert health["sent"]["reports"] == 10
    lane = health["lanes"]["reports"]
    assert (lane["limit"], lane["per"], lane["used"], lane["queued"]) == (10, 60.0, 10, 0)
    assert lane["next_slot_in"] > 50


async def test_beside_a_bulk_job_the_first_two_pages_and_then_as_many_as_usual_are_answered_in_time(
    server: FathomServer,
) -> None:
    finished: list[int] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[FathomState]:
        async with asyncio.TaskGroup() as jobs, fathom_lifespan(lambda: client_of(server))(app) as state:

            async def job() -> None:
                run = state["fathom"].reports.gather([query_of(1000 - n) for n in range(40)], fuse=False)
                finished.append(len(await run))

            jobs.create_task(job())
            yield state

    app = FastAPI(lifespan=lifespan)
    install_error_handlers(app)

    @app.get("/pages/{limit}")
    async def page(limit: int, fathom: Fathom) -> int:
        return len(await fathom.reports.aggregate(query_of(limit)))

    statuses: list[int] = []
    async with serving(app) as visitor:
        for limit in range(1, 13):
            await asyncio.sleep(15)
            async with visitor.get(f"/pages/{limit}") as response:
                statuses.append(response.status)
        await until(lambda: bool(finished))
    assert (statuses[:2], set(statuses[4:])) == ([200, 200], {200}), "a minute is over after the fourth"
    assert (finished, server.refused) == ([40], 0)


def query_of(limit: int) -> PageviewQuery:
    return QUERY.replace(limit=limit)


async def test_the_lifespan_goes_together_with_the_applications_own(server: FathomServer) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object]]:
        async with fathom_lifespan(lambda: client_of(server))(app) as state:
            events.append("opened")
            yield {**state, "mine": "too"}
            events.append("closed")

    app = FastAPI(lifespan=lifespan)
    part = APIRouter()

    @part.get("/site")
    async def site(fathom: Fathom, request: Request) -> list[str]:
        return [(await fathom.sites.get("CDBUGS")).id, request.state.mine]

    mounted = FastAPI()
    mounted.include_router(part)
    app.mount("/mounted", mounted)
    app.include_router(part)
    async with serving(app) as visitor:
        for path in ("/site", "/mounted/site"):
            async with visitor.get(path) as response:
                assert await response.json() == ["CDBUGS", "too"]
        assert events == ["opened"]
    assert events == ["opened", "closed"]


async def test_without_the_lifespan_a_route_says_what_to_write(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    @app.get("/")
    async def nothing(fathom: Fathom) -> None: ...

    async with serving(app) as visitor, visitor.get("/") as response:
        assert response.status == 500
    assert any("fathom_lifespan()" in str(record.exc_info) for record in caplog.records)


async def test_a_route_says_how_its_requests_go(server: FathomServer) -> None:
    app = FastAPI(lifespan=fathom_lifespan(lambda: client_of(server)))
    background = Depends(fathom(max_wait=None, priority=Priority.BULK, timeout=3.0))
    assert isinstance(background, DependsParameter)

    @app.get("/")
    async def options(
        page: Fathom, job: Annotated[FathomClient, background]
    ) -> list[dict[str, float | str | None]]:
        return [attrs.asdict(vars(view)["_options"]) for view in (page, job)]

    async with serving(app) as visitor, visitor.get("/") as response:
        assert await response.json() == [
            {"flow": "", "max_wait": 5.0, "priority": 0, "timeout": 30.0},
            {"flow": "", "max_wait": None, "priority": 2, "timeout": 3.0},
        ]


@pytest.mark.fathom_server(reports_throttle=None)
async def test_one_worker_watches_the_live_visitors_for_all(
    fathom_server: FathomServer, tmp_path: Path
) -> None:
    sites = ["CDBUGS", "GCDFSX"]
    async with AsyncExitStack() as workers:
        feeds = [
            await workers.enter_async_context(
                live_feed(
                    await workers.enter_async_context(client_of(fathom_server)),
                    sites,
                    store=await workers.enter_async_context(SqliteStore(tmp_path / "shared.db")),
                )
            )
            for _ in range(4)
        ]
        await until(lambda: any(feed.latest for feed in feeds))
        await until(lambda: all("CDBUGS" in feed.latest for feed in feeds))
        assert len({feed.latest["CDBUGS"] for feed in feeds}) == 1
    asked = [hit.query["site_id"] for hit in fathom_server.hits]
    assert asked == sites[: len(asked)]


@pytest.mark.fathom_server(reports_throttle=None)
async def test_another_worker_goes_on_when_the_watching_one_is_gone(fathom_server: FathomServer) -> None:
    async with MemoryStore() as store, client_of(fathom_server) as first, client_of(fathom_server) as second:
        feeds = (live_feed(client, ["CDBUGS"], store=store) for client in (first, second))
        async with next(feeds) as watching, next(feeds) as following:
            await until(lambda: bool(watching.latest))
            await until(lambda: bool(following.latest))
            assert len(fathom_server.hits) == 1
            await first.aclose()
            await until(lambda: following.latest["CDBUGS"].at > watching.latest["CDBUGS"].at)
            assert len(fathom_server.hits) == 2


@pytest.mark.fathom_server(reports_throttle=None)
@pytest.mark.parametrize(("body", "ahead"), [(b"7000", 3000), (b"{}", 0), (b"", 0)])
async def test_a_count_of_a_clock_that_was_ahead_or_a_damaged_one_gives_way(
    fathom_server: FathomServer, body: bytes, ahead: float
) -> None:
    async with MemoryStore() as store, client_of(fathom_server) as one, client_of(fathom_server) as other:
        at = datetime.now(UTC).timestamp() + ahead
        key = digest(await one.namespace(store), "live count", "CDBUGS")
        await store.put_many({key: CacheEntry(body, at - 1)})
        feeds = [live_feed(client, ["CDBUGS"], store=store) for client in (one, other)]
        async with feeds[0] as first, feeds[1] as second:
            await until(lambda: all("CDBUGS" in feed.latest for feed in (first, second)))
            assert first.latest == second.latest
            assert first.latest["CDBUGS"].visitors < 7000


@pytest.mark.fathom_server(reports_throttle=None)
async def test_a_mark_of_a_clock_that_was_ahead_costs_no_request(fathom_server: FathomServer) -> None:
    async with MemoryStore() as store, client_of(fathom_server) as fathom:
        key = digest(await fathom.namespace(store), "live mark", "GCDFSX")
        await store.put_many({key: CacheEntry(b"1", datetime.now(UTC).timestamp() + 3000)})
        async with live_feed(fathom, ["CDBUGS", "GCDFSX"], store=store) as feed:
            feed.look(["CDBUGS"], seconds=300)
            await asyncio.sleep(300)
    assert {hit.query["site_id"] for hit in fathom_server.hits} == {"CDBUGS"}


async def test_a_listener_has_what_is_known_then_what_is_newer_and_ends_with_the_feed(
    fathom: FathomClient,
) -> None:
    async with MemoryStore() as store:
        key = digest(await fathom.namespace(store), "live count", "CDBUGS")
        await store.put_many({key: CacheEntry(b"7000", 1_000.0)})
        heard: asyncio.Queue[int] = asyncio.Queue()

        async def listen(feed: LiveFeed) -> None:
            async for count in feed.updates():
                heard.put_nowait(count.visitors)

        async with asyncio.TaskGroup() as listeners, live_feed(fathom, ["CDBUGS"], store=store) as feed:
            listeners.create_task(listen(feed))
            assert await heard.get() == 7_000
            assert await heard.get() < 7_000


@pytest.mark.fathom_server(reports_throttle=None)
async def test_live_visitors_cost_requests_only_while_somebody_looks(fathom_server: FathomServer) -> None:
    sites = ["CDBUGS", "GCDFSX"]
    async with (
        MemoryStore() as store,
        client_of(fathom_server) as one,
        client_of(fathom_server) as other,
        live_feed(one, sites, store=store) as first,
        live_feed(other, sites, store=store) as second,
    ):
        await asyncio.sleep(3600)
        assert not fathom_server.hits

        for feed in (first, second, first):
            before = len(fathom_server.hits)
            known = {count.at for each in (first, second) for count in each.look(sites, 0).values()}
            async with aclosing(feed.updates()) as updates, asyncio.timeout(90):
                async for count in updates:
                    if count.at not in known:
                        break
            await asyncio.sleep(3600)
            assert before < len(fathom_server.hits) <= before + 2, "one count, and one request that was due"

        before = len(fathom_server.hits)
        assert set(first.latest) == {"CDBUGS", "GCDFSX"}
        await asyncio.sleep(3600)
        assert before < len(fathom_server.hits) <= before + 4, "a minute of two sites, and one more"


@pytest.mark.fathom_server(reports_throttle=None)
async def test_only_the_sites_that_somebody_looks_at_are_asked_about_with_whichever_worker(
    fathom_server: FathomServer,
) -> None:
    sites = ["CDBUGS", "GCDFSX", "DAFFYD"]
    async with (
        MemoryStore() as store,
        client_of(fathom_server) as one,
        client_of(fathom_server) as other,
        live_feed(one, sites, store=store) as first,
        live_feed(other, sites, store=store) as second,
    ):
        for _ in range(300):
            assert set(first.look(["CDBUGS", "NOSUCH"], seconds=5)) <= {"CDBUGS"}
            assert set(second.look(["DAFFYD"], seconds=5)) <= {"DAFFYD"}
            await asyncio.sleep(1)
        assert set(first.look(sites, seconds=0)) >= {"CDBUGS", "DAFFYD"}
    assert {hit.query["site_id"] for hit in fathom_server.hits} == {"CDBUGS", "DAFFYD"}
    assert len(fathom_server.hits) <= 2 * 300 / 60 + 2, (
        "each once a minute, and once when it was first looked at"
    )


@pytest.mark.fathom_server(reports_throttle=None)
async def test_who_looks_away_and_back_costs_no_request_before_one_is_due(
    fathom_server: FathomServer,
) -> None:
    async with (
        MemoryStore() as store,
        client_of(fathom_server) as fathom,
        live_feed(fathom, ["CDBUGS", "GCDFSX"], store=store) as feed,
    ):
        for _ in range(5):
            feed.look(feed.sites, seconds=4)
            await asyncio.sleep(8)
        assert len(fathom_server.hits) == 2
        await asyncio.sleep(60)
        feed.look(feed.sites, seconds=4)
        await asyncio.sleep(8)
        assert len(fathom_server.hits) == 4


@pytest.mark.fathom_server(reports_throttle=None)
async def test_accounts_and_servers_that_share_a_store_do_not_mix_their_counts(
    fathom_server: FathomServer,
) -> None:
    empty = Dataset(sites=[Site(id="CDBUGS", name="The same id elsewhere")], pageviews=[])
    async with (
        MemoryStore() as store,
        FathomServer(data=empty) as elsewhere,
        client_of(fathom_server) as one,
        FathomClient("another-token", base_url=fathom_server.url) as other,
        client_of(elsewhere) as third,
    ):
        feeds = [live_feed(client, ["CDBUGS"], store=store) for client in (one, other, third)]
        async with feeds[0] as first, feeds[1] as second, feeds[2] as away:
            await until(lambda: all(feed.latest for feed in (first, second, away)))
            assert first.latest["CDBUGS"].visitors > 0
            assert away.latest["CDBUGS"].visitors == 0
        assert len(fathom_server.hits) == 2
        assert len(elsewhere.hits) == 1


@pytest.mark.fathom_server(reports_throttle=None)
async def test_a_new_token_of_the_account_shares_the_counts_of_the_old_one(
    fathom_server: FathomServer, tmp_path: Path
) -> None:
    budget = f"file://{tmp_path}/budget"
    async with (
        SqliteStore(tmp_path / "shared.db") as store,
        FathomClient("old", base_url=fathom_server.url, budget=budget) as old,
        FathomClient("new", base_url=fathom_server.url, budget=budget) as new,
        live_feed(old, ["CDBUGS"], store=store) as first,
        live_feed(new, ["CDBUGS"], store=store) as second,
    ):
        await until(lambda: bool(first.latest and second.latest))
        assert first.latest == second.latest
    assert [hit.path for hit in fathom_server.hits].count("/v1/current_visitors") == 1


async def test_a_feed_refuses_wrong_arguments_before_it_runs(fathom: FathomClient) -> None:
    async with MemoryStore() as store:
        with pytest.raises(ArgumentError, match="share must be over 0"):
            async with live_feed(fathom, ["CDBUGS"], store=store, share=0):
                pass


async def test_a_feed_refuses_a_token_that_may_change_without_a_name_for_the_account(
    fathom_server: FathomServer,
) -> None:
    async with MemoryStore() as store, FathomClient(lambda: TOKEN, base_url=fathom_server.url) as fathom:
        with pytest.raises(ConfigurationError, match="name it by budget_key="):
            async with live_feed(fathom, ["CDBUGS"], store=store):
                pass
