"""Worker processes for the tests of a shared budget."""

import asyncio
import json
import subprocess
import sys
from typing import Any

from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan
from fathom_async.ratelimit.file_store import FileStore
from fathom_async.ratelimit.redis_store import RedisStore
from tests.fathom_process import ROOT, Options

LIMIT = Options(requests=10, per=1.0)
TOKEN = "very-secret-token"


def start_workers(number: int, url: str, budget: str, requests: int) -> list["subprocess.Popen[str]"]:
    """Start processes that begin at the same time, when all of them are ready."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ratelimit.processes", url, budget, str(requests)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return workers


def outcome_of(worker: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = worker.communicate()
    assert worker.returncode == 0
    return dict(json.loads(output))


def query_of(number: int) -> PageviewQuery:
    """A query unlike those of other numbers, so that no answer serves two of them."""
    return PageviewQuery("CDBUGS", aggregates=["pageviews"], limit=number + 1, date_to="1999-12-31")


async def _work(url: str, budget: str, requests: int) -> None:
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
    print(json.dumps({"answered": len(answers) - len(failed), "failed": failed, "asked": asked}))  # noqa: T201


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    asyncio.run(_work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
