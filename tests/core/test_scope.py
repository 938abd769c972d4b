"""Identical requests under way at the same time are one request."""

import asyncio
from collections.abc import Callable

import pytest

from fathom_async import ClosedError, FathomClient, NotFoundError, PageviewQuery, ServerError
from fathom_async._core.request import Request, Response
from fathom_async.testing import Delay, FathomServer, Status
from tests.conftest import until

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"
QUERY = PageviewQuery(SITE, aggregates=["pageviews"])


async def test_the_same_report_asked_for_at_once_is_sent_once(
    server: FathomServer, fathom: FathomClient
) -> None:
    reports = await asyncio.gather(*(fathom.reports.aggregate(QUERY) for _ in range(20)))
    assert len(server.hits) == 1
    assert len({report.rows for report in reports}) == 1
    assert fathom.stats.shared == 19
    await fathom.reports.aggregate(QUERY)
    assert len(server.hits) == 2  # what is over is not kept


async def test_other_questions_are_requests_of_their_own(server: FathomServer, fathom: FathomClient) -> None:
    await asyncio.gather(
        fathom.reports.aggregate(QUERY),
        fathom.reports.aggregate(QUERY.replace(aggregates=["visits"])),
        fathom.reports.current_visitors(SITE),
    )
    assert len(server.hits) == 3


async def test_a_write_or_a_read_after_it_is_never_shared(server: FathomServer, fathom: FathomClient) -> None:
    await asyncio.gather(*(fathom.sites.get(SITE) for _ in range(3)))
    await asyncio.gather(*(fathom.sites.create(name="Acme") for _ in range(3)))
    assert len(server.hits) == 6


async def test_an_error_reaches_everyone_who_waits(server: FathomServer, fathom: FathomClient) -> None:
    outcomes = await asyncio.gather(
        *(fathom.reports.current_visitors("NOSUCH") for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [NotFoundError] * 3
    assert len(server.hits) == 1


async def test_one_who_gives_up_leaves_the_others_theirs(server: FathomServer, fathom: FathomClient) -> None:
    server.inject(Delay(0.2))
    first, second = (asyncio.create_task(fathom.reports.aggregate(QUERY)) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    assert len(await second) == 1
    assert first.cancelled()
    assert len(server.hits) == 1


async def test_the_last_one_to_give_up_takes_the_request_along(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Delay(1000))
    tasks = [asyncio.create_task(fathom.reports.aggregate(QUERY)) for _ in range(2)]
    await until(lambda: server.pending_faults == 0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: fathom.limits["reports"].in_flight == 0)
    assert len(await fathom.reports.aggregate(QUERY)) == 1


async def test_a_failure_nobody_waits_for_is_no_noise(server: FathomServer) -> None:
    server.inject(*[Status(503)] * 9)
    async with FathomClient("any", base_url=server.url) as fathom:
        task = asyncio.create_task(fathom.reports.aggregate(QUERY))
        await until(lambda: bool(server.hits))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_shared_server_error_is_tried_again_once_for_all(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(*[Status(503)] * 4)
    outcomes = await asyncio.gather(
        *(fathom.reports.aggregate(QUERY) for _ in range(5)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ServerError] * 5
    assert len(server.hits) == 4


async def test_who_comes_when_the_last_one_has_just_given_up_starts_anew(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Delay(30))
    given_up = asyncio.create_task(fathom.reports.aggregate(QUERY))
    await until(lambda: fathom.limits["reports"].in_flight == 1)
    given_up.cancel()
    while not given_up.done():  # noqa: ASYNC110 - not a moment longer
        await asyncio.sleep(0)
    assert len(await fathom.reports.aggregate(QUERY)) == 1  # what it gave up has not ended yet


class Deaf:
    """A transport that never answers, and does not break when it is closed."""

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del request, within, sent
        await asyncio.Event().wait()
        raise AssertionError

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


async def test_closing_under_a_transport_that_is_stuck_says_so_to_everyone() -> None:
    fathom = FathomClient("token", transport=Deaf())
    waiting = [asyncio.create_task(fathom.reports.aggregate(QUERY)) for _ in range(3)]
    await until(lambda: fathom.limits["reports"].in_flight == 1)
    await fathom.aclose()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 3
