"""How long commands wait for a server that is away, on virtual time."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest
from attrs import define, field

from fathom_async._cli import main
from fathom_async.testing import FathomServer, Status, run_virtual

T = TypeVar("T")
Main = Coroutine[object, object, T]

SOON = 60.0
"""Virtual seconds within which a person hears that the server is away; a request waits for 600 by default."""
JOB = """
[job.pages]
aggregates = ["pageviews"]
date_from = 2026-01-01
date_to = 2026-01-31
matrix.site_id = ["CDBUGS", "GCDFSX", "DAFFYD"]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@define
class Surroundings:
    """Runs commands on virtual time, beside a server that fails some requests, or that is not there at first.

    Attributes:
        port: Port of the server.
        failing: Paths of which each request is answered by 503; None in it for all.
        absent: Virtual seconds until the server listens.
        seconds: How long the last command took.
    """

    port: int = field(factory=free_port)
    failing: tuple[str | None, ...] = ()
    absent: float = 0.0
    seconds: float = 0.0

    def run(self, main: Main[T]) -> T:
        async def beside() -> T:
            serving = asyncio.create_task(self._serve())
            await asyncio.sleep(0.1)
            try:
                return await main
            finally:
                self.seconds = asyncio.get_running_loop().time()
                serving.cancel()
                await asyncio.wait([serving])

        return run_virtual(beside())

    async def _serve(self) -> None:
        await asyncio.sleep(self.absent)
        async with FathomServer(port=self.port) as server:
            for path in self.failing:
                server.inject(*[Status(503)] * 1000, path=path)
            await asyncio.Event().wait()


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    surroundings = Surroundings()
    for name in [name for name in os.environ if name.startswith("FATHOM_")]:
        monkeypatch.delenv(name)
    url = f"http://127.0.0.1:{surroundings.port}/v1"
    monkeypatch.setenv("FATHOM_API_TOKEN", "any")
    monkeypatch.setenv("FATHOM_BASE_URL", url)
    for name in ("EMMA_ACCOUNT_ID", "EMMA_PUBLIC_KEY", "EMMA_PRIVATE_KEY", "SECODA_API_TOKEN"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("EMMA_BASE_URL", url)
    monkeypatch.setenv("SECODA_BASE_URL", url)
    monkeypatch.setattr("fathom_async._cli.connection.asyncio.run", surroundings.run)
    return surroundings


def never(there: Surroundings) -> None:
    there.absent = 1e9


def always_503(there: Surroundings) -> None:
    there.failing = (None,)


def answers_but_for_reports(there: Surroundings) -> None:
    there.failing = ("/aggregations", "/current_visitors")


def answers_but_for_events(there: Surroundings) -> None:
    there.failing = tuple(f"/sites/{site}/events" for site in ("CDBUGS", "GCDFSX", "DAFFYD"))


COMMANDS = {
    "whoami": ["whoami"],
    "sites": ["sites", "list"],
    "events": ["events", "list", "CDBUGS"],
    "milestones": ["milestones", "list", "CDBUGS"],
    "report": ["report", "CDBUGS", "--period", "last 7 days"],
    "every row": ["report", "CDBUGS", "--by", "pathname", "--complete"],
    "events-report": ["events-report", "CDBUGS", "purchase"],
    "live": ["live", "--rounds", "1", "--every", "5"],
    "sync to Emma": ["sync", "emma"],
    "sync to Secoda": ["sync", "secoda", "--integration", "x"],
}


@pytest.mark.parametrize("is_away", [never, always_503])
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_person_hears_soon_that_the_server_is_away(
    there: Surroundings,
    is_away: Callable[[Surroundings], None],
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_away(there)
    assert main(arguments) == 1
    assert there.seconds < SOON
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "is_away", "code"),
    [
        (["live", "--rounds", "1", "--every", "5", "--share", "1"], answers_but_for_reports, 0),
        (["sync", "emma"], answers_but_for_events, 1),
    ],
)
def test_so_does_one_whose_command_has_three_requests_that_fail(
    there: Surroundings,
    is_away: Callable[[Surroundings], None],
    arguments: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_away(there)
    assert main(arguments) == code
    assert there.seconds < SOON
    assert "503" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "jobs.toml"],
        ["run", "one.toml"],
        [
            "backfill",
            "CDBUGS",
            "--target",
            "sqlite:stats.db#kept",
            "--since",
            "2026-01-01",
            "--timezone",
            "UTC",
        ],
    ],
    ids=["run", "run-one", "backfill"],
)
def test_a_long_job_waits_for_the_server_and_says_so(
    there: Surroundings,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jobs.toml").write_text(JOB)
    Path("one.toml").write_text(JOB.replace(', "GCDFSX", "DAFFYD"', ""))
    there.absent = 100.0  # longer than all attempts of a request take
    assert main(arguments) == 0
    assert there.seconds > there.absent
    assert "fathom: the server is away, trying again in " in capsys.readouterr().err
