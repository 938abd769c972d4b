"""``config.toml``, its precedence, and how much commands tell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fathom_async._cli.settings import config_file, load_config
from fathom_async.testing import FathomServer, Status

from .conftest import Command

Write = Callable[[str], Path]


@pytest.fixture
def config(tmp_path: Path) -> Write:
    """Write the file, and return its path."""
    file = tmp_path / "config" / "fathom" / "config.toml"

    def write(text: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return file

    return write


async def test_an_option_overrides_the_environment_and_that_the_file(command: Command, config: Write) -> None:
    config('site = "GCDFSX"\nplan = "no plan"')
    failed = await command("report")
    assert failed.code == 2
    assert "no plan" in failed.err
    assert (await command("report", FATHOM_PLAN="")).code == 0, "set to nothing, it is off"
    assert "worse" in (await command("report", FATHOM_PLAN="worse")).err
    assert (await command("report", "--plan", "classic", FATHOM_PLAN="worse")).code == 0
    config('site = "GCDFSX"')
    for arguments, env, told in (
        ([], {}, "GCDFSX"),
        ([], {"FATHOM_SITE": "DAFFYD"}, "DAFFYD"),
        (["CDBUGS"], {"FATHOM_SITE": "DAFFYD"}, "CDBUGS"),
    ):
        assert json.loads((await command("sites", "get", *arguments, **env)).out)["id"] == told


async def test_config_tells_each_setting_and_where_it_comes_from(command: Command, config: Write) -> None:
    file = config('site = "GCDFSX"\nstore = "redis://user:secret@host:6379/0"')
    ended = await command("config", FATHOM_PLAN="classic")
    assert ended.err == f"fathom: {file}\n"
    told = {row["key"]: (row["value"], row["source"]) for row in map(json.loads, ended.out.splitlines())}
    assert told["site"] == ("GCDFSX", "file")
    assert told["plan"] == ("classic", "environment")
    assert "secret" not in ended.out


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('sites = "CDBUGS"', "has the unknown key sites; did you mean 'site'?"),
        ('colour = "red"', "has the unknown key colour; there are: site, plan, budget, store, base_url"),
        ('token = "x"', "has the unknown key token; store the token by `fathom login`"),
        ('api_token = "x"', "store the token by `fathom login`"),
        ("plan = 600", 'write plan = "…", a text in quotes'),
        ("plan", "is no TOML"),
    ],
)
async def test_a_file_that_cannot_be_right_says_what_to_write(
    command: Command, fathom_server: FathomServer, config: Write, written: str, told: str
) -> None:
    file = config(written)
    ended = await command("sites", "list")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert f"{file}" in ended.err
    assert told in ended.err
    assert not fathom_server.hits
    assert (await command("--help")).code == 0


def test_the_file_is_where_the_system_keeps_such_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert config_file({}) == Path("/home/me/.config/fathom/config.toml")
    assert config_file({"APPDATA": "/roaming"}) == Path("/home/me/.config/fathom/config.toml")
    assert config_file({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/fathom/config.toml")
    monkeypatch.setattr("sys.platform", "win32")
    assert config_file({"APPDATA": "/roaming"}) == Path("/roaming/fathom/config.toml")


def test_what_the_environment_has_stays(config: Write) -> None:
    file = config('site = "CDBUGS"\nbase_url = "http://127.0.0.1:1/v1"')
    environ = {"FATHOM_SITE": "", "XDG_CONFIG_HOME": str(file.parents[1])}
    load_config(environ)
    assert environ["FATHOM_SITE"] == ""
    assert environ["FATHOM_BASE_URL"] == "http://127.0.0.1:1/v1"


async def test_a_quiet_command_writes_its_result_and_errors_only(command: Command, tmp_path: Path) -> None:
    log = tmp_path / "many.jsonl"
    loud = await command("report", "CDBUGS", "--by", "pathname", "--html", str(tmp_path / "a.html"))
    assert loud.err
    quiet = await command(
        "-q", "report", "CDBUGS", "--by", "pathname", "--html", str(tmp_path / "a.html"), "-o", str(log)
    )
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    failed = await command("sites", "get", "NOSUCH", "--quiet")
    assert (failed.code, failed.err.count("\n")) == (4, 1)


async def test_a_quiet_run_names_the_reports_that_failed(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    fathom_server.inject(Status(404), path="/aggregations")
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[job.pages]\nsite_id = "CDBUGS"\naggregates = ["pageviews"]')
    ended = await command("run", str(jobs), "-q")
    assert ended.code == 5
    assert ended.err.startswith("fathom: pages: ")
    assert ended.err.splitlines()[-1].startswith("fathom: 1 of 1 report failed")


async def test_a_quiet_command_still_asks(command: Command) -> None:
    ended = await command.in_terminal("sites", "delete", "CDBUGS", "-q", acts=((r"\[y/N\] ", "n\n"),))
    assert ended.code == 1
    assert ended.out.rstrip().endswith("fathom: nothing was changed")
