"""What is ahead of a run between two of its requests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from attrs import define

from fathom_async import FathomClient, PageviewQuery, Priority, Progress
from fathom_async._cli.bulk.eta import EtaEstimator
from fathom_async.testing import FathomServer
from tests.conftest import until


@define
class Hand:
    """A clock that the test sets."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def asking(server: FathomServer, requests: int) -> AsyncGenerator[FathomClient]:
    """Ask for so many reports, and give the client once the first ten are answered."""
    async with FathomClient("any", base_url=server.url) as fathom:
        bulk = fathom.with_options(priority=Priority.BULK)
        queries = [
            PageviewQuery("CDBUGS", aggregates=["visits"], limit=1 + number) for number in range(requests)
        ]
        tasks = [asyncio.create_task(bulk.reports.aggregate(query)) for query in queries]
        await until(lambda: sum(task.done() for task in tasks) == 10)
        yield fathom
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(
    ("in_all", "waiting", "minutes"),
    [
        pytest.param(20, 20, 1, id="all that are to come wait in the lane"),
        pytest.param(20, 15, 1, id="some of them do"),
        pytest.param(30, 15, 2, id="the last one comes in the window after the next"),
    ],
)
async def test_requests_that_wait_in_the_lane_are_counted_once(
    fathom_server: FathomServer, in_all: int, waiting: int, minutes: int
) -> None:
    async with asking(fathom_server, waiting) as fathom:
        progress = Progress(in_all, done=10, requests=in_all, answered=10, seconds_left=60.0)
        eta = EtaEstimator(fathom)
        eta.update(progress)
        assert 60 * minutes - 10 < eta.seconds_left(progress) < 60 * minutes + 5


async def test_nothing_is_left_when_the_last_request_is_under_way(fathom_server: FathomServer) -> None:
    async with asking(fathom_server, 10) as fathom:
        eta = EtaEstimator(fathom)
        assert eta.seconds_left(Progress(10, done=9, requests=10, answered=10)) == 0


async def test_a_pause_that_the_server_asked_for_changes_the_time_left(fathom_server: FathomServer) -> None:
    async with asking(fathom_server, 12) as fathom:
        progress = Progress(12, done=10, requests=12, answered=10, seconds_left=60.0)
        eta = EtaEstimator(fathom)
        eta.update(progress)
        fathom.pause(600.0, lane="reports")
        assert 590 < eta.seconds_left(progress) < 700


async def test_waiting_for_another_run_is_said_to_be_that(fathom_server: FathomServer) -> None:
    hand = Hand()
    progress = Progress(30, done=10, kept=10)
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        eta = EtaEstimator(fathom, hand)
        eta.update(progress)
        assert not eta.waits(progress), "it has hardly begun"
        hand.seconds = 2.0
        assert eta.waits(progress) == "waiting up to 0:28 for another run's answers"
        hand.seconds = 31.0
        assert eta.waits(progress) == "waiting for another run's answers"
        eta.update(Progress(30, done=11, kept=11))
        assert not eta.waits(progress), "something has come"
        assert not eta.waits(Progress(30, done=30, kept=30))
        assert not eta.waits(Progress(30)), "it looks up time zones"
