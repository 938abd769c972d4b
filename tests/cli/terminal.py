"""Runs the real command in a pseudo-terminal, with somebody who reads and types."""

import contextlib
import os
import pty
import signal
import subprocess

from pexpect import EOF, TIMEOUT  # type: ignore[import-untyped]
from pexpect.fdpexpect import fdspawn  # type: ignore[import-untyped]

from .command import COMMAND, Ended, environment
from .forked_command import PATIENCE

Act = tuple[str, str]
"""A regular expression to wait for, and what to type then."""

CTRL_C = "\x03"
CTRL_D = "\x04"


def in_terminal(
    *arguments: str, acts: tuple[Act, ...] = (), columns: int = 100, env: dict[str, str] | None = None
) -> Ended:
    """Run the command, and return all that the terminal has shown, from both streams."""
    master, slave = pty.openpty()
    # The shell leads a session, so that the terminal it opens first is the one whose Ctrl-C reaches it.
    script = f'exec <"$0" >"$0" 2>&1; stty cols {columns} rows 50; exec "$@"'
    process = subprocess.Popen(
        ["/bin/sh", "-c", script, os.ttyname(slave), *COMMAND, *arguments],
        env=environment() | (env or {}),
        start_new_session=True,
    )
    screen: fdspawn[str] = fdspawn(master, encoding="utf-8", timeout=PATIENCE)
    shown = ""
    try:
        for text, typed in acts:
            screen.expect(text)
            shown += f"{screen.before}{screen.after}"
            os.write(master, typed.encode())
        shown += screen.buffer
        while process.poll() is None:
            shown += _next(screen)
        while rest := _next(screen):
            shown += rest
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(slave)
        os.close(master)
    return Ended(process.returncode, shown.replace("\r\n", "\n"))


def _next(screen: "fdspawn[str]") -> str:
    try:
        return str(screen.read_nonblocking(65536, timeout=0.1))
    except (EOF, TIMEOUT):
        return ""
