"""The real command, as a subprocess."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from fathom_async import __version__
from fathom_async._cli import main
from fathom_async._cli.app import app as application

from .command import run, run_in_terminal, run_python, write_log

CONTROL = re.compile(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def figure(out: str, name: str) -> float:
    found = re.search(rf"^  {name} +([\d.,]+)", out, re.MULTILINE)
    assert found is not None, out
    return float(found[1].replace(",", ""))


@pytest.mark.slow
def test_demo_piped_reports_truthfully_in_plain_lines() -> None:
    ended = run("demo", "--reports", "12")
    assert ended.code == 0
    assert not CONTROL.search(ended.out + ended.err)
    assert "A minute lasts 2 seconds here" in ended.out
    assert re.search(
        r"10 of 12 reports, 10 of 12 requests, 2 requests queued; the rate limit admits the next one in \d+ s",
        ended.err,
    )
    assert ended.err.splitlines()[-1] == "fathom: 12 of 12 reports, 12 of 12 requests"
    assert figure(ended.out, "refused") == 0
    assert figure(ended.out, "failed") == 0
    assert "12 reports and 7 others" in ended.out
    assert re.search(r"best possible +1 min 00 s +of server time, 2.00 s here", ended.out)
    assert figure(ended.out, "ratio") >= 1
    for title in ("Pageviews by day", "Top pages"):
        assert title in ended.out


@pytest.mark.slow
def test_demo_in_a_terminal_shows_live_progress() -> None:
    ended = run_in_terminal("demo", "--reports", "11", columns=80)
    assert ended.code == 0
    assert "\x1b[?25l" in ended.out, "the cursor is hidden while the display is live"
    assert ended.out.rstrip().count("\x1b[?25h") == 1
    assert "10/11" in ended.out
    assert "1 request queued; the rate limit admits the next one in" in ended.out
    assert "How it went" in ended.out


@pytest.mark.slow
def test_ctrl_c_ends_with_one_line() -> None:
    ended = run_in_terminal("demo", interrupt_at="the rate limit admits")
    assert ended.code == 130
    assert ended.out.rstrip().endswith("fathom: interrupted")
    assert "Traceback" not in ended.out
    assert "\x1b[?25h" in ended.out, "the cursor is back"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_demo_on_an_access_log(tmp_path: Path, suffix: str) -> None:
    log = write_log(tmp_path / "access.log")
    if suffix:
        packed = tmp_path / f"access.log{suffix}"
        packed.write_bytes(gzip.compress(log.read_bytes()))
        log = packed
    ended = run("demo", "--access-log", str(log), "--reports", "10")
    assert ended.code == 0
    assert f"26 pageviews of access.log{suffix}" in ended.out
    assert "Pageviews by hour" in ended.out
    assert re.search(r"^  /popular +24 ", ended.out, re.MULTILINE)
    assert figure(ended.out, "refused") == 0
    assert "nothing had to wait" in ended.out


def test_ascii_terminal() -> None:
    ended = run("demo", "--reports", "4", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert ended.code == 0
    assert ended.out.isascii()
    assert "#" in ended.out
    assert "?" not in ended.out


def test_what_visitors_wrote_cannot_steer_the_terminal(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log")
    log.write_text(log.read_text().replace("/popular", "/%1b[2Jpopular[bold]"))
    ended = run("demo", "--access-log", str(log), "--reports", "4")
    assert ended.code == 0
    assert not CONTROL.search(ended.out)
    assert r"/\x1b[2Jpopular[bold]" in ended.out


def test_unusable_logs_end_with_one_line(tmp_path: Path) -> None:
    cut = tmp_path / "cut.log.gz"
    cut.write_bytes(gzip.compress(write_log(tmp_path / "access.log").read_bytes())[:-9])
    no_gzip = tmp_path / "no.gz"
    no_gzip.write_text("text")
    foreign = tmp_path / "foreign.log"
    foreign.write_text("one\ntwo\n")
    for path, reason in (
        (tmp_path / "missing.log", "No such file"),
        (tmp_path, "Is a directory"),
        (cut, "cannot read"),
        (no_gzip, "Not a gzipped file"),
        (foreign, "2 lines not understood"),
    ):
        ended = run("demo", "--access-log", str(path))
        assert (ended.code, ended.out) == (2, "")
        assert reason in ended.err
        assert ended.err.startswith("fathom: ")
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["demo", "--reports", "0"], "--reports"),
        (["demo", "--reports", "many"], "--reports"),
        (["demo", "--speed", "1000"], "--speed"),
        (["demo", "--speed", "nan"], "--speed"),
        (["demo", "--sped", "3"], "--sped"),
        (["bogus"], "bogus"),
        (["report", "CDBUGS", "DAFFYD"], "unexpected argument: DAFFYD"),
    ],
)
def test_unusable_arguments(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert reason in err
    assert err.count("\n") == 1


def test_more_reports_than_a_log_has_cannot_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "access.log")
    assert main(["demo", "--access-log", str(log), "--reports", "1000000"]) == 2
    err = capsys.readouterr().err
    assert "different reports" in err
    assert err.count("\n") == 1


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["demo", "--help"]) == 0
    out = capsys.readouterr().out
    assert "fathom demo --access-log access.log.gz --reports 60" in out
    for option in ("--access-log", "--reports", "--speed", "--seed"):
        assert option in out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("missing", ["rich", "cyclopts"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules['{missing}'] = None; "
        "from fathom_async._cli import main; sys.exit(main(['demo']))"
    )
    ended = run_python(code)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f'fathom: {missing} is not installed; pip install "fathom_async[cli]"\n'


def test_help_loads_neither_aiohttp_nor_the_commands() -> None:
    heavy = ("aiohttp", "keyring", "fathom_async.client", "fathom_async._cli.report")
    code = (
        "import sys; from fathom_async._cli import main; main(['--help']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert run_python(code).out.endswith("[]\n")


def commands(app: App = application, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command that can be called, with those of its groups."""
    for name in app:
        if not name.startswith("-"):
            found = app[name]
            yield from commands(found, *path, name)
            if not any(not each.startswith("-") for each in found):
                yield (*path, name)


@pytest.mark.parametrize("command", sorted(commands()), ids=" ".join)
def test_the_help_of_every_command_has_an_example(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"  fathom {' '.join(command)}" in out
    assert max(map(len, out.splitlines())) <= 80
