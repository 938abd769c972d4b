"""Count the calls, functions and files of the package that one warm call runs through.

``python -m benchmarks.call_path`` prints the counts for each kind of call; ``--show`` lists the files in the order in
which the call enters them. The benchmark times nothing, so its figures are the same on every machine.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType

from attrs import define, field

import fathom_async
from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan
from fathom_async.testing import FathomServer
from tests.support.redis_server import redis_server

_PACKAGE = Path(fathom_async.__file__).parent
_TESTING = _PACKAGE / "testing"
_SITE = "CDBUGS"
_PLAN = RatePlan(crud=RateLimit(1_000, per=3600), reports=RateLimit(1_000, per=3600))
_VISITS = PageviewQuery(_SITE, aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")
_THREE = [_VISITS.replace(date_from=f"2026-0{month}-01", date_to=f"2026-0{month}-28") for month in (1, 2, 3)]


@define
class Passed:
    """The code that a call ran through.

    Attributes:
        calls: Number of calls of the package's functions, including resumptions of coroutines.
        functions: The functions called.
        files: Their files, in the order of the first call.
    """

    calls: int = 0
    functions: set[CodeType] = field(factory=set[CodeType])
    files: dict[Path, None] = field(factory=dict[Path, None])

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Count an event of the interpreter; a profile function for `sys.setprofile`."""
        code = frame.f_code
        file = Path(code.co_filename)
        if event == "call" and _PACKAGE in file.parents and _TESTING not in file.parents:
            self.calls += 1
            self.functions.add(code)
            self.files.setdefault(file.relative_to(_PACKAGE))


@contextmanager
def watched() -> Generator[Passed]:
    """Record the calls of this thread until the end of the block."""
    passed = Passed()
    sys.setprofile(passed.note)
    try:
        yield passed
    finally:
        sys.setprofile(None)


@contextmanager
def serving() -> Generator[str]:
    """Run an embedded server in another thread, which `watched` does not record; yield its base URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = FathomServer(crud_throttle=None, reports_throttle=None)
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        try:
            yield server.url
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


Call = Callable[[FathomClient, str], Awaitable[object]]
"""Makes one call with a client and the path of its store."""

CALLS: Mapping[str, Call] = {
    "sites.get": lambda fathom, _: fathom.sites.get(_SITE),
    "reports.aggregate": lambda fathom, _: fathom.reports.aggregate(_VISITS),
    "reports.run of 3": lambda fathom, _: fathom.reports.gather(_THREE),
    "reports.run of 3, with a store": lambda fathom, place: fathom.reports.gather(_THREE, store=place),
}


async def passed_by(call: Call, url: str, budget: str | None = None) -> Passed:
    """Record a call the second time, with everything imported and connected.

    Args:
        call: The call.
        url: Base URL of the API.
        budget: URL of the shared budget; None for a local one.
    """
    with TemporaryDirectory() as directory:
        async with FathomClient("any", base_url=url, plan=_PLAN, budget=budget) as fathom:
            await call(fathom, f"{directory}/warm.db")
            with watched() as passed:
                await call(fathom, f"{directory}/reports.db")
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.call_path", description=__doc__)
    parser.add_argument("--show", action="store_true", help="list the files")
    arguments = parser.parse_args()
    print(f"{'one warm call, own code':40}{'calls':>8}{'functions':>12}{'files':>8}")
    with serving() as url, TemporaryDirectory() as directory, redis_server(Path(directory)) as redis:
        calls: list[tuple[str, Call, str | None]] = [(name, call, None) for name, call in CALLS.items()]
        calls.insert(1, ("sites.get, Redis budget", CALLS["sites.get"], redis.url))
        for name, call, budget in calls:
            passed = asyncio.run(passed_by(call, url, budget))
            print(f"{name:40}{passed.calls:8,}{len(passed.functions):12,}{len(passed.files):8,}")
            if arguments.show:
                print("".join(f"    {file}\n" for file in passed.files))


if __name__ == "__main__":
    main()
