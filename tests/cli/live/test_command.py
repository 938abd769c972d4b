"""``fathom live`` as somebody at a terminal, or a pipe, meets it."""

import asyncio
import json
import signal

import pytest

from fathom_async.testing import FathomServer, Status
from tests.cli.command import COMMAND, environment
from tests.cli.conftest import Command
from tests.cli.forked_command import PATIENCE
from tests.cli.terminal import CTRL_C

ENTERS, LEAVES = "\x1b[?1049h", "\x1b[?1049l"
ONCE = ("--rounds", "1", "--every", "0.1", "--share", "1")


@pytest.mark.parametrize("columns", [100, 40])
async def test_ctrl_c_gives_the_terminal_back(command: Command, columns: int) -> None:
    ended = await command.in_terminal("live", "CDBUGS", acts=(("visitor", CTRL_C),), columns=columns)
    assert ended.code == 130
    assert ended.out.index(ENTERS) < ended.out.index("visitor") < ended.out.index(LEAVES)
    assert "\x1b[?25h" in ended.out, "the cursor is back"
    assert "Traceback" not in ended.out
    assert not ended.out.rpartition(LEAVES)[2].replace("\x1b[?25h", "").strip(), "nothing is left behind"


async def test_without_colour(command: Command) -> None:
    ended = await command.in_terminal("live", "CDBUGS", acts=(("visitor", CTRL_C),), NO_COLOR="1")
    assert ended.code == 130
    assert "\x1b[36m" not in ended.out
    assert "right now" in ended.out


async def test_in_a_pipe_each_answer_is_a_json_object(command: Command, fathom_server: FathomServer) -> None:
    ended = await command("live", "CDBUGS", *ONCE)
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["site"] == "Bugs Bunny Portfolio"
    assert told["visitors"] > 0
    assert told["pages"][0].keys() == {"hostname", "pathname", "visitors"}
    assert [hit.path for hit in fathom_server.hits] == ["/v1/sites", "/v1/current_visitors"]


@pytest.mark.slow
async def test_a_site_that_fails_ends_nothing(command: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(Status(404), path="/current_visitors")
    ended = await command(
        "live", "CDBUGS", "--rounds", "2", "--every", "0.1", "--share", "1", "--format", "table"
    )
    assert ended.code == 0
    assert ended.err.startswith("fathom: Bugs Bunny Portfolio (CDBUGS): 404")
    assert "visitor" in ended.out


@pytest.mark.fathom_server(tokens={"reader": ["read:CDBUGS"]})
async def test_a_token_that_may_not_list_sites(command: Command) -> None:
    ended = await command("live", "CDBUGS", *ONCE, FATHOM_API_TOKEN="reader")
    assert json.loads(ended.out)["site"] == "Bugs Bunny Portfolio"


async def test_a_site_that_is_not_there_costs_no_report(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command("live", "CDBUGS", "NOSITE")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == ("fathom: this token has no site NOSITE; `fathom sites list` shows its sites\n")
    assert [hit.path for hit in fathom_server.hits] == ["/v1/sites"]


async def test_once_in_a_blue_moon_is_not_live(command: Command) -> None:
    ended = await command("live", "CDBUGS", "--every", "inf")
    assert ended.code == 2
    assert "--every" in ended.err


async def test_termination_is_an_orderly_end(command: Command) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "live", "CDBUGS", env=environment() | command.env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert json.loads(await process.stdout.readline())["site_id"] == "CDBUGS"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 143
