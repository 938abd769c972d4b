"""``fathom completion``: the scripts, and what they ask the command for."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from fathom_async.testing import FathomServer

from .command import COMMAND, environment, run
from .conftest import Command

SHELLS = ("bash", "zsh", "fish")


def completed(tmp_path: Path, *words: str, **env: str) -> list[str]:
    """Return what bash completes the last word to."""
    program = tmp_path / "fathom"
    program.write_text(f'#!/bin/sh\nexec {COMMAND[0]} -m fathom_async "$@"\n')
    program.chmod(0o755)
    (tmp_path / "fathom.bash").write_text(run("completion", "bash").out)
    script = '. ./fathom.bash; COMP_WORDS=(./fathom "$@"); COMP_CWORD=$#; _fathom; printf "%s\\n" "${COMPREPLY[@]}"'
    ended = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment() | env,
    )
    assert ended.stderr == ""
    return [line for line in ended.stdout.splitlines() if line]


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sit"], ["sites"]),
        (["sites", "del"], ["delete"]),
        (["report", "CDBUGS", "--comp"], ["--complete", "--compare"]),
        (["report", "CDBUGS", "--per", "we"], ["week"]),
        (["report", "CDBUGS", "--by", "brow"], ["browser"]),
        (["report", "CDBUGS", "--by", "pathname,brow"], ["pathname,browser"]),
        (["report", "CDBUGS", "--metrics", "visits,pageviews,u"], ["visits,pageviews,uniques"]),
        (["report", "CDBUGS", "--by", "=", "city,coun"], ["city,country_code"]),
        (["report", "CDBUGS", "--by", "city,city"], []),
        (["run", "jobs.t"], ["jobs.toml"]),
        (["watch", "jobs.t"], ["jobs.toml"]),
        (["watch", "jobs.toml", "--re"], ["--replay"]),
        (["report", ""], []),
        (["--ver"], ["--verbose", "--version"]),
    ],
    ids=str,
)
def test_bash_completes(tmp_path: Path, words: Sequence[str], told: list[str]) -> None:
    (tmp_path / "jobs.toml").touch()
    assert sorted(completed(tmp_path, *words)) == sorted(told)


async def test_the_sites_that_the_store_knows_are_completed(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    store = str(tmp_path / "kept.db")
    await command("sites", "create", "shop.example")
    await command("events", "list", "shop.example", FATHOM_STORE=store)
    fathom_server.reset_stats()
    env = command.env | {"FATHOM_STORE": store}
    assert completed(tmp_path, "report", "CD", **env) == ["CDBUGS"]
    assert completed(tmp_path, "report", "sh", **env) == ["shop.example"]
    assert not fathom_server.hits, "nothing is sent"


@pytest.mark.parametrize("shell", SHELLS)
async def test_an_installed_script_is_found_by_the_shell(
    command: Command, tmp_path: Path, shell: str
) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "ZDOTDIR": ""}
    start = tmp_path / {"bash": ".bashrc", "zsh": ".zshrc", "fish": "none"}[shell]
    start.write_text("mine=1")
    for _ in range(2):
        assert (await command("completion", "--install", SHELL=f"/usr/bin/{shell}", **home)).code == 0
    script = (await command("completion", shell)).out
    found = [file for file in files_in(tmp_path) if file.read_text() == script]
    assert len(found) == 1
    if shell == "fish":
        assert found == [tmp_path / ".config/fish/completions/fathom.fish"]
        assert "complete -c fathom -f" in script, "files are completed only where they are wanted"
    else:
        mine, added = start.read_text().splitlines()
        assert mine == "mine=1"
        assert "completes fathom" in added
        assert f'"{tmp_path}/.local/share/fathom/' in added


async def test_a_shell_that_is_not_known_is_asked_for(command: Command) -> None:
    ended = await command("completion", SHELL="/bin/dash")
    assert (ended.code, ended.err) == (2, "fathom: name a shell: bash, zsh, fish\n")


def test_zsh_calls_the_function_both_sourced_and_from_its_folders() -> None:
    script = run("completion", "zsh").out
    assert script.startswith("#compdef fathom\n")
    assert '_fathom "$@"\nelse\n' in script
    assert script.rstrip().endswith("compdef _fathom fathom\nfi")
