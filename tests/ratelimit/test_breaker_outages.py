"""Requests through a server that is away for a while, on a virtual clock, with the whole session in front of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import pytest
from attrs import define, field

from fathom_async import (
    BulkError,
    FathomClient,
    PageviewQuery,
    Priority,
    RetryPolicy,
    ServerError,
    Site,
    WaitTooLongError,
)
from fathom_async.errors import ConnectError, OutageError
from fathom_async.service import Request, Response
from fathom_async.telemetry import Paused, Recovered
from tests.support.soak import tries

if TYPE_CHECKING:
    from fathom_async.telemetry import Event

pytestmark = pytest.mark.virtual_time

T = TypeVar("T")

_SITE = (
    b'{"id": "CDBUGS", "object": "site", "name": "x", "sharing": "none", "created_at": "2026-01-01 00:00:00"}'
)


def now() -> float:
    return asyncio.get_running_loop().time()


@define
class Network:
    """Answers in 50 ms as `answer` says for the moment and the subject; None is a connection that is refused.

    Attributes:
        hits: When each request came, and what for.
    """

    answer: Callable[[float, str], Response | None]
    takes: float = 0.05
    hits: list[tuple[float, str]] = field(factory=list[tuple[float, str]])

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        assert within > self.takes
        self.hits.append((now(), request.path))
        answer = self.answer(now(), request.subject)
        if answer is None:
            raise ConnectError("connection refused", request.method, request.path, sent=False)
        sent()
        await asyncio.sleep(self.takes)
        return answer

    def url(self, request: Request[object]) -> str:
        return request.path

    async def close(self) -> None:
        """Nothing is open."""


OK = Response(200, {"X-RateLimit-Limit": "2000", "X-RateLimit-Remaining": "1999"}, _SITE)
REPORT = Response(200, {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "599"}, b'[{"visits": "1"}]')
UNAVAILABLE = Response(503, {}, b"")


def away_until(moment: float, answer: Response | None = UNAVAILABLE) -> Network:
    return Network(lambda at, _: answer if at < moment else OK)


def client(network: Network, **options: object) -> FathomClient:
    return FathomClient("token", transport=network, **options)  # type: ignore[arg-type]


async def outcome_of(work: Awaitable[T]) -> T | BaseException:
    return (await asyncio.gather(work, return_exceptions=True))[0]


async def outcome(fathom: FathomClient, site: str) -> Site | BaseException:
    return await outcome_of(fathom.sites.get(site))


async def many(fathom: FathomClient, count: int) -> list[Site | BaseException]:
    return await asyncio.gather(*(outcome(fathom, f"SITE{number}") for number in range(count)))


@pytest.mark.parametrize(("seconds", "hits", "over"), [(5.0, 200, 30.0), (30.0, 300, 120.0)])
async def test_five_bad_seconds_cost_hardly_a_request(seconds: float, hits: int, over: float) -> None:
    start = now()
    network = away_until(start + seconds)
    async with client(network) as fathom:
        outcomes = await many(fathom, 1_500)
    assert sum(at < start + seconds for at, _ in network.hits) <= hits
    assert sum(isinstance(each, BaseException) for each in outcomes) <= 5
    assert now() - start <= over


async def test_a_server_that_is_not_there_is_asked_rarely_and_given_up_in_time() -> None:
    start = now()
    network = away_until(start + 1e9, None)
    async with client(network) as fathom:
        outcomes = await many(fathom, tries(5_000, soak=20_000))
        assert len(network.hits) <= 100 + 20
        assert 600 <= now() - start <= 700
        kinds = {type(each) for each in outcomes}
        assert kinds <= {OutageError, ConnectError}
        told = next(each for each in outcomes if isinstance(each, OutageError))
        assert "away for 6" in str(told)
        assert "connection refused" in str(told)


async def test_how_long_is_a_setting() -> None:
    start = now()
    async with client(away_until(start + 1e9), retry=RetryPolicy(outage=60)) as fathom:
        outcomes = await many(fathom, 500)
    assert all(isinstance(each, OutageError | ServerError) for each in outcomes)
    assert now() - start <= 120


async def test_a_request_that_fails_by_itself_is_no_outage() -> None:
    broken = Network(lambda _, path: UNAVAILABLE if path.strip().endswith("SITE0") else OK)
    waits: list[float] = []

    async def ask(fathom: FathomClient, site: str, times: int) -> None:
        for _ in range(times):
            start = now()
            await outcome(fathom, site)
            if site != "SITE0":
                waits.append(now() - start)
            await asyncio.sleep(2)

    async with client(broken) as fathom:
        await asyncio.gather(*(ask(fathom, f"SITE{number}", 100) for number in range(10)))
    assert max(waits) < 1


async def test_one_failing_target_alone_never_trips() -> None:
    events: list[Event] = []
    async with client(Network(lambda _, __: UNAVAILABLE), on_event=events.append) as fathom:
        for _ in range(5):
            assert isinstance(await outcome(fathom, "SITE0"), ServerError)
    assert not [event for event in events if isinstance(event, Paused)]


async def test_those_that_did_not_fail_go_first() -> None:
    start = now()
    network = away_until(start + 5)
    async with client(network) as fathom:
        await many(fathom, 300)
    failed = {path for at, path in network.hits if at < start + 5}
    after = [path for at, path in network.hits if at >= start + 5]
    fresh = [place for place, path in enumerate(after) if path not in failed]
    again = [place for place, path in enumerate(after) if path in failed]
    assert sum(fresh) / len(fresh) < sum(again) / len(again)
    assert after[0] not in failed


async def test_whoever_cannot_wait_hears_of_the_outage_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    start = now()
    events: list[Event] = []
    async with (
        client(away_until(start + 100), on_event=events.append) as fathom,
        asyncio.TaskGroup() as tasks,
    ):
        work = tasks.create_task(many(fathom, 200))
        await asyncio.sleep(20)
        status = fathom.limits["crud"]
        assert status.away_for is not None
        assert status.away_for >= 19
        page = fathom.with_options(max_wait=60, priority=Priority.INTERACTIVE)
        asked = now()
        with pytest.raises(
            WaitTooLongError, match=r"the server is away, trying again in \d+ s \(it answers 503\)"
        ):
            await page.sites.get("CDBUGS")
        assert now() == asked
        await work
        assert fathom.limits["crud"].away_for is None
    away = [event for event in events if isinstance(event, Paused) and event.reason == "away"]
    assert 3 <= len(away) <= 15
    assert [event for event in events if isinstance(event, Recovered)]
    assert "the server is away, trying again in" in caplog.text
    assert "the server answers again" in caplog.text


async def test_a_server_that_says_when_it_is_back_is_believed_up_to_a_bound() -> None:
    start = now()
    network = Network(lambda at, _: Response(503, {"Retry-After": "40"}, b"") if at < start + 30 else OK)
    async with client(network) as fathom:
        await fathom.sites.get("CDBUGS")
        assert 40 <= now() - start <= 42
        start = now()
        network.answer = lambda at, _: Response(503, {"Retry-After": "86400"}, b"") if at < start + 30 else OK
        await fathom.sites.get("CDBUGS")
        assert 300 <= now() - start <= 302


async def test_a_probe_that_is_cancelled_lets_another_one_go() -> None:
    start = now()
    network = away_until(start + 20)
    network.takes = 5.0
    async with client(network) as fathom, asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(outcome(fathom, f"SITE{number}")) for number in range(10)]
        await asyncio.sleep(8)
        for task in work[:-1]:
            task.cancel()
        assert isinstance(await work[-1], Site)


async def test_a_site_whose_reports_always_fail_takes_no_others_along() -> None:
    """All reports of one site first, as a backfill asks for them."""
    network = Network(lambda _, subject: UNAVAILABLE if subject.endswith(" SITE0") else REPORT)
    queries = [
        PageviewQuery(
            f"SITE{site}", aggregates=["visits"], date_from="2026-01-01", date_to=f"2026-01-{day:02}"
        )
        for site in range(5)
        for day in range(1, 21)
    ]
    async with client(network, plan="hourly:600:5") as fathom:
        outcomes = [outcome async for outcome in fathom.reports.run(queries, fuse=False)]
    assert {outcome.query.site_id for outcome in outcomes if outcome.error} == {"SITE0"}
    assert sum(outcome.error is None for outcome in outcomes) == 80


async def test_pages_of_other_sites_go_on_beside_a_site_that_fails() -> None:
    network = Network(lambda _, subject: UNAVAILABLE if subject.endswith(" SITE0") else REPORT)
    failing = [
        PageviewQuery("SITE0", aggregates=["visits"], date_from="2026-01-01", date_to=f"2026-01-{day:02}")
        for day in range(1, 29)
    ]
    page = PageviewQuery("SITE1", aggregates=["visits"])
    async with client(network, plan="hourly:600:5") as fathom:
        job = asyncio.create_task(outcome_of(fathom.reports.gather(failing, fuse=False)))
        urgent = fathom.with_options(priority=Priority.INTERACTIVE, max_wait=5)
        for _ in range(20):
            await asyncio.sleep(1)
            await urgent.reports.aggregate(page)
        assert isinstance(await job, BulkError)


async def test_failures_long_ago_are_no_part_of_an_outage() -> None:
    away = {"/sites/OLD"}
    network = Network(lambda _, subject: UNAVAILABLE if subject.strip() in away else OK)
    events: list[Event] = []
    async with client(network, on_event=events.append) as fathom:
        assert isinstance(await outcome(fathom, "OLD"), ServerError)
        await asyncio.sleep(3600)
        away.update({"/sites/A", "/sites/B"})
        assert isinstance(await outcome(fathom, "A"), ServerError)
        assert isinstance(await outcome(fathom, "B"), ServerError)
    assert not [event for event in events if isinstance(event, Paused)]


async def test_one_target_that_says_when_it_is_back_stops_no_others() -> None:
    busy = Response(503, {"Retry-After": "60"}, b"")
    network = Network(lambda _, subject: busy if subject.strip() == "/sites/SITE0" else OK)
    waits: list[float] = []
    async with client(network) as fathom, asyncio.TaskGroup() as tasks:
        await fathom.sites.get("SITE1")
        broken = tasks.create_task(outcome(fathom, "SITE0"))
        for number in range(100):
            start = now()
            await fathom.sites.get(f"SITE{1 + number % 9}")
            waits.append(now() - start)
            await asyncio.sleep(2)
        assert isinstance(await broken, ServerError)
    assert max(waits) < 1


async def test_a_retry_that_would_come_too_late_fails_at_once() -> None:
    async with client(Network(lambda _, __: UNAVAILABLE)) as fathom:
        hurried = fathom.with_options(max_wait=5)
        for _ in range(30):
            start = now()
            with pytest.raises((ServerError, WaitTooLongError)):
                await hurried.sites.get("SITE0")
            assert now() - start <= 5.5


@pytest.mark.parametrize("queries", [1, 2, 3, 30])
@pytest.mark.parametrize("answer", [UNAVAILABLE, None], ids=["503", "no connection"])
async def test_a_bulk_job_of_any_size_waits_for_the_server(queries: int, answer: Response | None) -> None:
    """Which request of a job fails first is chance, and must not decide whether the job survives."""
    start = now()
    network = Network(lambda at, _: answer if at < start + 300 else REPORT)
    jobs = [PageviewQuery(f"SITE{site}", aggregates=["visits"]) for site in range(queries)]
    async with client(network, plan="hourly:600:5") as fathom:
        reports = await fathom.reports.gather(jobs)
    assert [report.rows[0].visits for report in reports] == [1] * queries
    assert sum(at < start + 300 for at, _ in network.hits) <= 40


async def test_a_query_that_fails_alone_keeps_no_job_waiting() -> None:
    network = Network(lambda _, subject: UNAVAILABLE if subject.endswith(" SITE0") else REPORT)
    jobs = [PageviewQuery(f"SITE{site}", aggregates=["visits"]) for site in range(20)]
    async with client(network, plan="hourly:600:5") as fathom:
        with pytest.raises(BulkError):
            await fathom.reports.gather(jobs)
    assert sum(path.endswith(" SITE0") for _, path in network.hits) <= RetryPolicy().attempts
    assert now() < 60
