"""``fathom watch``."""

import asyncio
import json
import signal
from pathlib import Path

import pytest
from aiohttp import web

from fathom_async.testing import Delay, FathomServer, Status
from tests.conftest import until

from .command import COMMAND, environment
from .conftest import Command
from .forked_command import PATIENCE

RULES = """
[rule.seen]
site_id = ["CDBUGS", "GCDFSX"]
metric = "pageviews"
above = 0

[rule.never]
site_id = "CDBUGS"
metric = "pageviews"
above = 1_000_000
"""


def written_to(folder: Path, rules: str) -> str:
    (folder / "rules.toml").write_text(rules, "utf-8")
    return str(folder / "rules.toml")


@pytest.fixture
def rules(tmp_path: Path) -> str:
    return written_to(tmp_path, RULES)


async def test_alerts_are_lines_of_json_each_once(command: Command, rules: str) -> None:
    first = await command("watch", rules)
    told = [json.loads(line) for line in first.out.splitlines()]
    assert [(each["rule"], each["site_id"], each["bound"]) for each in told] == [
        ("seen", "CDBUGS", 0),
        ("seen", "GCDFSX", 0),
    ]
    assert (first.code, first.err) == (0, "fathom: 3 rules, 2 alerts\n")
    again = await command("watch", rules, "-q")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert Path(rules).with_suffix(".db").exists()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_processes_at_once_tell_an_alert_once(
    command: Command, rules: str, kind: str, empty_redis: str
) -> None:
    store = "" if kind == "sqlite" else empty_redis
    ended = await asyncio.gather(*(command("watch", rules, FATHOM_STORE=store) for _ in range(3)))
    assert [each.code for each in ended] == [0, 0, 0], ended
    lines = [json.loads(line)["site_id"] for each in ended for line in each.out.splitlines()]
    assert sorted(lines) == ["CDBUGS", "GCDFSX"]


async def test_a_terminal_gets_a_sentence(command: Command, fathom_server: FathomServer, rules: str) -> None:
    fathom_server.inject(Delay(1.0), path="/aggregations")
    ended = await command.in_terminal("watch", rules, columns=40)
    assert "\x1b" not in ended.out, "nothing is drawn over alerts, which may go to a file"
    assert max(map(len, ended.out.splitlines())) > 50, "a line is one line"
    assert "seen: " in ended.out
    assert "pageviews of CDBUGS on " in ended.out
    assert "{" not in ended.out
    past = await command.in_terminal("watch", rules, "--replay", "2d")
    assert past.out.count("seen: ") == 4


async def test_a_replay_remembers_nothing_and_tells_the_webhook_nothing(command: Command, rules: str) -> None:
    hook = "http://127.0.0.1:9/hook"
    past = await command("watch", rules, "--replay", "3d", FATHOM_WEBHOOK=hook)
    assert past.code == 0
    assert past.err == "fathom: 9 of 9 reports, 2 of 2 requests\nfathom: 3 rules, 6 alerts\n"
    ends = [json.loads(line)["end"] for line in past.out.splitlines()]
    assert ends == sorted(ends)
    now = await command("watch", rules)
    assert len(now.out.splitlines()) == 2


async def test_what_fails_does_not_hold_up_the_rest(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    gone = '[rule.gone]\nsite_id = "NOSUCH"\nmetric = "visits"\nbelow_median = 2'
    rules = written_to(tmp_path, f"{RULES}\n{gone}")
    failed = await command("watch", rules, "-q")
    assert failed.code == 5
    assert len(failed.out.splitlines()) == 2
    assert failed.err.startswith("fathom: gone, NOSUCH: ")
    fathom_server.inject(Status(401), path="/sites/NOSUCH")
    refused = await command("watch", rules, "--store", rules + ".db")
    assert (refused.code, refused.out) == (3, "")


@pytest.mark.parametrize(
    "case",
    [
        ("[rule.a]\nmetric = 'visit'\n", [], "rule.a.metric: metric has no 'visit'; did you mean 'visits'"),
        ("rules", [], "this is not TOML"),
        (RULES, ["--every", "5s"], "--every must be a minute at least"),
        (RULES, ["--every", "1h", "--replay", "5d"], "--every and --replay exclude each other"),
        (
            RULES,
            ["--replay", "90"],
            '--replay: unable to convert "90" into a length of time; write 15m, 1h or',
        ),
        (None, [], "no such file"),
        (RULES, ["--store", "ftp://a"], "the store's URL is of no kind known here"),
    ],
)
async def test_what_cannot_be_is_told_before_any_request(
    command: Command, fathom_server: FathomServer, case: tuple[str | None, list[str], str], tmp_path: Path
) -> None:
    written, arguments, told = case
    file = str(tmp_path / "no.toml") if written is None else written_to(tmp_path, written)
    ended = await command("watch", file, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert not fathom_server.hits


async def test_a_rule_without_history_is_told_and_no_failure(command: Command, tmp_path: Path) -> None:
    new = 'site_id = "CDBUGS"\nmetric = "conversions"\nentity_name = "nobody did"\nabove_median = 2'
    ended = await command("watch", written_to(tmp_path, f"[rule.new]\n{new}"))
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("fathom: new, CDBUGS: not enough history, 0 of the 4 comparable periods")


class Hook:
    """A receiver of alerts."""

    def __init__(self) -> None:
        self.status = 204
        self.seen: list[dict[str, object]] = []
        self.runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/{rest:.*}", self._take)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}/s3cr3t-path?key=s3cr3t-key"

    async def _take(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        return web.Response(status=self.status)


async def test_a_webhook_that_refuses_loses_no_alert_and_shows_in_no_output(
    command: Command, rules: str
) -> None:
    hook = Hook()
    url = await hook.start()
    assert hook.runner is not None
    try:
        hook.status = 400
        failed = await command("watch", rules, "--verbose", FATHOM_WEBHOOK=url, FATHOM_DEBUG="1")
        assert failed.code == 5
        assert "400 Bad Request" in failed.err
        assert "s3cr3t" not in failed.out + failed.err
        hook.status, refused = 204, [each["id"] for each in hook.seen]
        told = await command("watch", rules, FATHOM_WEBHOOK=url)
        assert (told.code, told.out, told.err) == (0, "", "fathom: 3 rules, 2 alerts\n")
        assert [each["id"] for each in hook.seen] == refused * 2
        assert (await command("watch", rules, FATHOM_WEBHOOK=url)).code == 0
        assert len(hook.seen) == 4
        wrong = await command("watch", rules, FATHOM_WEBHOOK="host/s3cr3t-path")
        assert (wrong.code, "s3cr3t" in wrong.err) == (2, False)
    finally:
        await hook.runner.cleanup()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_service_goes_on_until_it_is_asked_to_end(
    command: Command, fathom_server: FathomServer, rules: str, number: signal.Signals
) -> None:
    fathom_server.inject(Status(401), path="/sites")
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("watch", rules, "--every", "1m"),
        env=environment() | command.env | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stderr.readline()).decode()
            assert "401" in line, "it goes on after an error"
            await until(lambda: len(fathom_server.hits) == 1)
            process.send_signal(number)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")
