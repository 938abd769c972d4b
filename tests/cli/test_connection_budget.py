"""The budget that commands of one user share by default."""

import asyncio
import stat
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fathom_async import RatePlan
from fathom_async._cli.connection import own_budget
from fathom_async.testing import Delay, FathomServer

from .command import piped
from .conftest import Command

PLAN = "hourly:600:2"


@pytest.fixture
def sharing(command: Command) -> Command:
    """The command as a user has it who has set nothing."""
    del command.env["FATHOM_BUDGET"]
    return command


@pytest.mark.fathom_server(plan=RatePlan.parse(PLAN))
async def test_ten_commands_at_once_are_not_refused(sharing: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(*[Delay(0.2)] * 20)
    env, loop = sharing.env | {"FATHOM_PLAN": PLAN}, asyncio.get_running_loop()
    with ThreadPoolExecutor(10) as threads:  # the server needs the loop's own
        report = partial(piped, "report", "CDBUGS", env=env)
        ended = await asyncio.gather(*(loop.run_in_executor(threads, report) for _ in range(10)))
    assert [(each.code, each.err) for each in ended] == [(0, "")] * 10
    assert (len(fathom_server.hits), fathom_server.refused) == (10, 0)


async def test_commands_one_after_the_other_see_what_is_left(sharing: Command) -> None:
    for _ in range(3):
        assert (await sharing("report", "CDBUGS")).err == ""
    ended = await sharing("budget", "--format", "csv")
    assert "reports,10,60,3,7,0" in ended.out


async def test_the_file_is_for_its_owner_and_tells_no_token(sharing: Command, state_home: Path) -> None:
    assert (await sharing("sites", "list", FATHOM_API_TOKEN="very-secret-token")).code == 0
    (file,) = (state_home / "fathom").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert b"secret" not in file.read_bytes() + file.name.encode()


async def test_each_account_has_a_file(state_home: Path) -> None:
    environ = {"XDG_STATE_HOME": str(state_home)}
    other = environ | {"FATHOM_BASE_URL": "http://127.0.0.1:8080/v1"}
    urls = {own_budget(environ, "one"), own_budget(environ, "two"), own_budget(other, "one")}
    assert len(urls) == 3


async def test_nothing_is_written_where_it_is_turned_off(sharing: Command, state_home: Path) -> None:
    assert (await sharing("sites", "list", FATHOM_BUDGET="")).code == 0
    assert not (state_home / "fathom").exists()
    told = await sharing("budget", FATHOM_BUDGET="")
    assert told.code == 2
    assert "FATHOM_BUDGET is empty" in told.err


@pytest.mark.parametrize("what", ["folder", "file"])
async def test_a_folder_that_cannot_be_used_is_told_and_the_command_goes_on(
    sharing: Command, state_home: Path, what: str
) -> None:
    if what == "folder":
        file = state_home / "fathom"
        file.parent.mkdir()
        file.write_text("in the way")
    else:
        assert (await sharing("sites", "list")).code == 0
        (file,) = (state_home / "fathom").iterdir()
        file.write_text("no budget")
    ended = await sharing("sites", "list")
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert ended.err.startswith("fathom: no rate limits are shared with other commands: ")
    assert "FATHOM_BUDGET= turns this off" in ended.err


async def test_a_command_that_sends_nothing_makes_no_file(
    sharing: Command, state_home: Path, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[job.pages]\nsite_id = "CDBUGS"\naggregates = ["pageviews"]\n')
    assert (await sharing("plan", str(jobs))).code == 0
    assert (await sharing("budget")).code == 0
    assert not list((state_home / "fathom").glob("*.budget"))
