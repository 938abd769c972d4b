"""Runs the real command, piped and in a pseudo-terminal."""

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from tests.support.forked import Forked

from .forked_command import PATIENCE, Call, carry_out

COMMAND = (sys.executable, "-m", "fathom_async")

LOG_LINE = (
    '192.0.2.{visitor} - - [{day:02d}/May/2015:{hour:02d}:05:03 +0000] "GET {path} HTTP/1.1" 200 2032 '
    '"https://www.google.com/" "Mozilla/5.0 (X11; Linux x86_64; rv:45.0) Gecko/20100101 Firefox/45.0"'
)


@frozen
class Ended:
    code: int
    out: str
    err: str = ""


def write_log(path: Path, *, days: int = 2) -> Path:
    """Write a small log in combined format; the first page is the most popular."""
    lines = [
        LOG_LINE.format(visitor=hour, day=17 + day, hour=hour, path=page)
        for day in range(days)
        for hour in range(0, 24, 2)
        for page in ("/popular", "/rare")[: 1 + (hour == 2)]
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def environment() -> dict[str, str]:
    """Return an environment in which nothing decides about colours or widths but the terminal itself."""
    ignored = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    kept = {name: value for name, value in os.environ.items() if name not in ignored}
    return kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"}


def run(*arguments: str, env: dict[str, str] | None = None) -> Ended:
    return piped(*arguments, env=env)


def piped(*arguments: str, typed: str = "", env: dict[str, str] | None = None) -> Ended:
    """Run the command without a terminal; its input holds what is typed."""
    if env and "PYTHONIOENCODING" in env:  # Python reads this when it starts
        return _piped([*COMMAND, *arguments], env, typed)
    with TemporaryDirectory() as directory:
        streams = [Path(directory, name) for name in ("in", "out", "err")]
        streams[0].write_text(typed, "utf-8")
        call = Call(arguments, environment() | (env or {}), Path.cwd(), streams)
        code = Forked(carry_out, call).wait()
        assert code is not None
        return Ended(code, *(stream.read_text("utf-8") for stream in streams[1:]))


def in_shell(line: str, *, env: dict[str, str] | None = None) -> Ended:
    """Run the command as a shell does that reads what follows ``fathom``."""
    return _piped(["/bin/sh", "-c", f"{shlex.join(COMMAND)} {line}"], env or {})


def run_python(code: str) -> Ended:
    return _piped([sys.executable, "-c", code], {})


def _piped(command: list[str], env: dict[str, str], typed: str = "") -> Ended:
    ended = subprocess.run(
        command,
        input=typed,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        env=environment() | env,
        timeout=PATIENCE,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_in_terminal(*arguments: str, columns: int = 80, interrupt_at: str | None = None) -> Ended:
    """Run the command in a pseudo-terminal, and press Ctrl-C once a text has appeared."""
    master, slave = pty.openpty()
    # The shell leads a session, so that the terminal it opens first is the one whose Ctrl-C reaches it.
    script = f'exec <"$0" >"$0" 2>&1; stty cols {columns} rows 50; exec "$@"'
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, os.ttyname(slave), *COMMAND, *arguments],
        env=environment(),
        start_new_session=True,
    )
    seen = b""
    pressed = False
    deadline = time.monotonic() + PATIENCE
    try:
        while process.poll() is None and time.monotonic() < deadline:
            seen += _read(master)
            if interrupt_at is not None and not pressed and interrupt_at.encode() in seen:
                os.write(master, b"\x03")
                pressed = True
        while rest := _read(master):
            seen += rest
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)
    return Ended(process.returncode, seen.decode())


def _read(descriptor: int) -> bytes:
    """Return what the terminal shows next, or nothing if that is a while."""
    readable, _, _ = select.select([descriptor], [], [], 0.1)
    return os.read(descriptor, 65536) if readable else b""
