"""Worker processes for the tests of a shared budget."""

import asyncio
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from attrs import frozen

from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan
from fathom_async._ratelimit.shared.file import FileStore
from fathom_async._ratelimit.shared.redis import RedisStore
from tests.support.fathom_process import Options
from tests.support.forked import Forked

LIMIT = Options(requests=10, per=1.0)
TOKEN = "very-secret-token"


def start_workers(number: int, url: str, budget: str, requests: int) -> list[Forked]:
    """Start processes that begin at the same time, when all of them are ready."""
    workers = [Forked(work, url, budget, requests) for _ in range(number)]
    for worker in workers:
        assert worker.said(str) == "ready"
    for worker in workers:
        worker.tell("go")
    return workers


@frozen
class Outcome:
    """The results of a worker's requests, and how often it asked the shared budget for permits."""

    answered: int
    failed: Sequence[str]
    asked: int


def query_of(number: int) -> PageviewQuery:
    """A query that differs for each number, so that no answer serves two."""
    return PageviewQuery("CDBUGS", aggregates=["pageviews"], limit=number + 1, date_to="1999-12-31")


def work(test: Connection, url: str, budget: str, requests: int) -> None:
    """Send requests concurrently when the test says so."""
    test.send("ready")
    test.recv()
    test.send(asyncio.run(_work(url, budget, requests)))


async def _work(url: str, budget: str, requests: int) -> Outcome:
    asked = 0

    def counting(kind: Any) -> None:
        submit = kind.submit

        def counted(self: Any, step: Any, done: Any = None) -> None:
            nonlocal asked
            asked += step.action == "ask"
            submit(self, step, done)

        kind.submit = counted

    counting(FileStore)
    counting(RedisStore)
    plan = RatePlan(reports=RateLimit(LIMIT.requests, per=LIMIT.per))
    async with FathomClient(TOKEN, base_url=url, plan=plan, budget=budget) as fathom:
        answers = await asyncio.gather(
            *(fathom.reports.aggregate(query_of(number)) for number in range(requests)),
            return_exceptions=True,
        )
    failed = [str(answer) for answer in answers if isinstance(answer, BaseException)]
    return Outcome(len(answers) - len(failed), failed, asked)
