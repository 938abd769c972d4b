"""``fathom serve``."""

import asyncio
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import frozen

from fathom_async import FathomClient, PageviewQuery

from .command import COMMAND, environment, run, write_log
from .forked_command import PATIENCE
from .terminal import CTRL_C, in_terminal


@frozen
class Served:
    url: str
    told: str
    process: asyncio.subprocess.Process

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and return the exit code and what was said last."""
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            _, err = await self.process.communicate()
        return self.process.returncode or 0, err.decode()


@asynccontextmanager
async def serving(*arguments: str) -> AsyncGenerator[Served]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("serve", "--port", "0", *arguments),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            told = (await process.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
        found = re.search(r"export FATHOM_BASE_URL=(\S+) FATHOM_API_TOKEN=any", told)
        assert found is not None, told
        yield Served(found[1], told, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_the_api_until_it_is_asked_to_end(number: signal.Signals) -> None:
    async with serving() as served:
        assert "10 reports a minute" in served.told
        async with FathomClient("any", base_url=served.url) as fathom:
            assert [site.id async for site in fathom.sites.list()] == ["CDBUGS", "GCDFSX", "DAFFYD"]
            assert await fathom.reports.aggregate(PageviewQuery("CDBUGS", aggregates=["pageviews"]))
        assert await served.end(number) == (0, "fathom: 2 requests, 0 refused\n")


async def test_it_says_for_which_days_it_has_figures() -> None:
    async with serving() as served:
        found = re.search(r"made up for the last (\d+) days", served.told)
        assert found is not None, served.told
        assert int(found[1]) >= 730, "a year, and the one before to compare it with"
        first = datetime.now(UTC).date() - timedelta(days=int(found[1]))
        pageviews = PageviewQuery("CDBUGS", aggregates=["pageviews"])
        queries = [
            pageviews.replace(date_from=first - timedelta(days=90), date_to=first - timedelta(days=3)),
            pageviews.replace(date_from=first, date_to=first + timedelta(days=3)),
        ]
        async with FathomClient("any", base_url=served.url) as fathom:
            before, since = [(await fathom.reports.aggregate(query)).total("pageviews") for query in queries]
    assert before == 0
    assert since > 0


async def test_it_serves_a_log_without_limits_and_faster(tmp_path: Path) -> None:
    log = str(write_log(tmp_path / "access.log"))
    async with serving("--access-log", log, "--no-limits", "--speed", "30") as served:
        assert "26 pageviews of access.log" in served.told
        assert "Limits: none; a minute lasts 2 s, for clients with clock=LoopClock(30)" in served.told
        async with FathomClient("any", base_url=served.url) as fathom:
            (site,) = [site async for site in fathom.sites.list()]
            report = await fathom.reports.aggregate(PageviewQuery(site.id, aggregates=["pageviews"]))
        assert report.rows[0].pageviews == 26


async def test_it_serves_the_plan_that_is_named() -> None:
    async with serving("--plan", "hourly:600:5", "--limit-headers", "allowed") as served:
        assert "Limits: 600 requests an hour, 5 at once; a minute lasts a minute" in served.told
        async with FathomClient("any", base_url=served.url) as fathom:
            await fathom.reports.aggregate(PageviewQuery("CDBUGS", aggregates=["pageviews"]))
            assert fathom.limits["crud"].limit == 600


def test_ctrl_c_in_a_terminal_is_an_orderly_end() -> None:
    ended = in_terminal("serve", "--port", "0", acts=(("Ctrl-C ends it", CTRL_C),))
    assert ended.code == 0
    assert ended.out.endswith("fathom: 0 requests, 0 refused\n")


async def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    async with serving() as served:
        port = served.url.split(":")[2].partition("/")[0]
        taken = await asyncio.to_thread(run, "serve", "--port", port)
    assert (taken.code, taken.out) == (1, "")
    assert taken.err == (
        f"fathom: port {port} is in use; choose another one with --port, or --port 0 for any that is free\n"
    )
    missing = await asyncio.to_thread(run, "serve", "--access-log", str(tmp_path / "none.log"))
    assert missing.code == 2
    assert missing.err.count("\n") == 1


def test_its_help_names_the_plan_that_it_enforces_by_default() -> None:
    told = " ".join(run("serve", "--help").out.replace("│", " ").split())
    assert "without it, what the server's answers show, or classic for serve" in told
