"""Real processes for the tests of a shared budget: a Redis server, a Fathom server, workers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan
from fathom_async.ratelimit.file_store import FileStore
from fathom_async.ratelimit.redis_store import RedisStore
from fathom_async.testing import FathomServer, LaravelWindow

PER = 1.0
REPORTS = 10
ROOT = Path(__file__).parents[2]
TOKEN = "very-secret-token"


@contextmanager
def fathom_server() -> Generator[tuple[str, list[dict[str, Any]]]]:
    """A Fathom server in its own process: its URL, and after the block what it saw."""
    seen: list[dict[str, Any]] = []
    process = _start("serve")
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), seen
        seen.append(json.loads(process.communicate("\n", timeout=20)[0]))
    finally:
        process.kill()
        process.communicate()


def start_worker(url: str, budget: str, requests: int) -> "subprocess.Popen[str]":
    return _start("work", url, budget, str(requests))


def outcome_of(worker: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = worker.communicate(timeout=50)
    assert worker.returncode == 0
    return dict(json.loads(output))


def _start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ratelimit.processes", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def query_of(number: int) -> PageviewQuery:
    """A query unlike those of other numbers, so that no answer serves two of them."""
    return PageviewQuery("CDBUGS", aggregates=["pageviews"], limit=number + 1, date_to="1999-12-31")


async def _serve() -> None:
    throttle = LaravelWindow(REPORTS, per=PER)
    async with FathomServer(reports_throttle=throttle, latency=(0.0, 0.005)) as server:
        print(server.url, flush=True)  # noqa: T201 - to the test
        await asyncio.to_thread(sys.stdin.readline)
        times = [hit.at for hit in server.hits if hit.counted]
        seen = {
            "refused": server.refused,
            "counted": len(times),
            "densest": server.max_in_window("reports"),
            "makespan": max(times) - min(times),
            "optimum": throttle.optimum(len(times)),
        }
    print(json.dumps(seen))  # noqa: T201


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
    plan = RatePlan(reports=RateLimit(REPORTS, per=PER))
    async with FathomClient(TOKEN, base_url=url, plan=plan, budget=budget) as fathom:
        answers = await asyncio.gather(
            *(fathom.reports.aggregate(query_of(number)) for number in range(requests)),
            return_exceptions=True,
        )
    failed = [str(answer) for answer in answers if isinstance(answer, BaseException)]
    print(json.dumps({"answered": len(answers) - len(failed), "failed": failed, "asked": asked}))  # noqa: T201


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(_serve())
        case ["work", its_url, its_budget, number]:
            asyncio.run(_work(its_url, its_budget, int(number)))
        case _:
            raise SystemExit("serve, or work")
