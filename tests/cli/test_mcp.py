"""``fathom mcp``, as a program that assistants start runs it."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import TextContent

from fathom_async._cli.failures import ExitCode
from fathom_async.testing import Delay, FathomServer
from tests.conftest import until

from .command import COMMAND, environment, run, run_python

TOKEN = "secret-token-of-the-account"


def settings(server: FathomServer, **more: str) -> dict[str, str]:
    return environment() | {"FATHOM_BASE_URL": server.url, "FATHOM_API_TOKEN": TOKEN} | more


@asynccontextmanager
async def started(env: dict[str, str], *options: str) -> AsyncGenerator[Process]:
    """Start the command, and wait for its answer to the handshake."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "mcp", *options, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        await say(process, {"id": 1, "method": "initialize", "params": hello})
        assert "fathom" in await heard(process)
        await say(process, {"method": "notifications/initialized"})
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            _ = await process.communicate()


async def say(process: Process, message: dict[str, object]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    await process.stdin.drain()


async def call(process: Process, number: int, tool: str, **arguments: object) -> None:
    params = {"name": tool, "arguments": arguments}
    await say(process, {"id": number, "method": "tools/call", "params": params})


async def heard(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


async def test_an_assistant_asks_and_the_store_keeps_answers(server: FathomServer, tmp_path: Path) -> None:
    query = {"site_id": "CDBUGS", "aggregates": ["visits"], "period": "2026-01"}
    env = settings(server, FATHOM_STORE=str(tmp_path / "store.db"))
    options = StdioServerParameters(command=sys.executable, args=["-m", "fathom_async", "mcp"], env=env)
    texts: list[str] = []
    for _ in range(2):
        async with Client(options) as client:
            [content] = (await client.call_tool("report", {"queries": [query]})).content
            assert isinstance(content, TextContent)
            texts.append(content.text)
    assert texts[0].startswith("# CDBUGS, 2026-01-01 00:00 to 2026-01-31 23:59")
    assert texts[0] == texts[1]
    assert [hit.lane for hit in server.hits].count("reports") == 1


@pytest.mark.parametrize(
    ("how", "code"),
    [("end", ExitCode.OK), (signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGINT, ExitCode.INTERRUPTED)],
    ids=["end", "term", "int"],
)
async def test_the_end_of_the_input_and_signals_end_it_at_once(
    server: FathomServer, how: str | signal.Signals, code: ExitCode
) -> None:
    async with started(settings(server)) as process:
        server.inject(Delay(1000))
        await call(process, 2, "list_sites")
        await until(lambda: server.pending_faults == 0)
        if isinstance(how, signal.Signals):
            process.send_signal(how)
        else:
            assert process.stdin is not None
            process.stdin.close()
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
        assert await process.wait() == code
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
    told = {"end": b"", signal.SIGTERM: b"fathom: terminated\n", signal.SIGINT: b"fathom: interrupted\n"}
    assert err == told[how]


async def test_the_log_goes_to_standard_error_and_has_no_token(server: FathomServer) -> None:
    async with started(settings(server, FATHOM_DEBUG="1", FATHOM_VERBOSE="1")) as process:
        await call(process, 2, "list_events", site_id="NOSUCH")
        answer = await heard(process)
        process.terminate()
        out, err = await process.communicate()
    assert "list_sites has the ids of the sites" in answer
    assert b"NOSUCH" in err, "it is logged"
    assert out == b""
    assert TOKEN.encode() not in err
    assert TOKEN not in answer


async def test_an_option_bounds_the_requests(server: FathomServer) -> None:
    async with started(settings(server), "--max-requests", "1") as process:
        await call(process, 2, "list_sites")
        assert "CDBUGS" in await heard(process)
        await call(process, 3, "list_sites")
        assert "0 of 1 that are left" in await heard(process)


def test_a_mistake_of_the_user_is_one_line_on_standard_error() -> None:
    ended = run("mcp", env={"FATHOM_API_TOKEN": "", "FATHOM_BASE_URL": "http://127.0.0.1:9/v1"})
    assert (ended.code, ended.out, ended.err.count("\n")) == (ExitCode.UNAUTHENTICATED, "", 1)
    assert "FATHOM_API_TOKEN" in ended.err
    ended = run("mcp", "--max-requests", "0", env={"FATHOM_API_TOKEN": TOKEN})
    assert (ended.code, ended.out, ended.err.count("\n")) == (ExitCode.USAGE, "", 1)


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None; from fathom_async._cli import main; sys.exit(main(['mcp']))"
    )
    ended = run_python(code)
    assert ended.code == ExitCode.FAILED
    assert ended.err == 'fathom: The MCP SDK is missing: pip install "fathom_async[mcp]"\n'


def test_help_loads_no_sdk() -> None:
    code = (
        "import sys; from fathom_async._cli import main; main(['--help']); "
        "sys.exit(len({'mcp', 'pydantic'} & {*sys.modules}))"
    )
    assert run_python(code).code == 0
