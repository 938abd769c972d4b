"""``fathom completion``: a script for the shell, which asks ``fathom __complete`` for what may follow."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import note

Shell = Literal["bash", "zsh", "fish"]

_SCRIPTS: Final[dict[str, str]] = {"bash": "fathom.bash", "zsh": "_fathom", "fish": "fathom.fish"}


def completion(
    shell: Shell | None = None,
    /,
    *,
    install: bool = False,
) -> None:
    """Write the script that completes commands, options and their values in your shell.

    Args:
        shell: The shell; by default that of SHELL.
        install: Write it where the shell finds it, instead of printing it.
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in _SCRIPTS:
        raise CommandError(f"name a shell: {', '.join(_SCRIPTS)}", ExitCode.USAGE)
    script = files("fathom_async._cli.completion").joinpath(_SCRIPTS[name]).read_text("utf-8")
    if not install:
        print(script, end="")  # noqa: T201 - the command's output
        return
    home, environ = Path.home(), os.environ
    if name == "fish":
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        file = config / "fish" / "completions" / _SCRIPTS[name]
    else:
        file = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "fathom" / _SCRIPTS[name]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script, "utf-8")
    note(f"wrote {file}")
    if name != "fish":  # which finds it there
        start = home / ".bashrc" if name == "bash" else Path(environ.get("ZDOTDIR") or home) / ".zshrc"
        _add_line(start, f'[ -f "{file}" ] && . "{file}"  # completes fathom')
    note(f"start a new {name} to use it")


def _add_line(file: Path, line: str) -> None:
    written = file.read_text("utf-8", "surrogateescape") if file.exists() else ""
    if line not in written.splitlines():
        end = "" if written.endswith("\n") or not written else "\n"
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"{end}{line}\n")
        note(f"added a line to {file}")
