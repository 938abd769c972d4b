"""Runs the real command in a pseudo-terminal, with somebody who reads and types."""

import contextlib
import os
import pty
import signal
from pathlib import Path

from pexpect import EOF, TIMEOUT  # type: ignore[import-untyped]
from pexpect.fdpexpect import fdspawn  # type: ignore[import-untyped]

from tests.support.forked import Forked

from .command import Ended, environment
from .forked_command import PATIENCE, Call, carry_out

Act = tuple[str, str]
"""A regular expression to wait for, and what to type then."""

CTRL_C = "\x03"
CTRL_D = "\x04"


def in_terminal(
    *arguments: str, acts: tuple[Act, ...] = (), columns: int = 100, env: dict[str, str] | None = None
) -> Ended:
    """Run the command, and return all that the terminal has shown, from both streams."""
    master, slave = pty.openpty()
    terminal = [Path(os.ttyname(slave))] * 3
    process = Forked(carry_out, Call(arguments, environment() | (env or {}), Path.cwd(), terminal, columns))
    screen: fdspawn[str] = fdspawn(master, encoding="utf-8", timeout=PATIENCE)
    shown = ""
    try:
        for text, typed in acts:
            screen.expect(text)
            shown += f"{screen.before}{screen.after}"
            os.write(master, typed.encode())
        shown += screen.buffer
        while process.is_alive():
            shown += _next(screen)
        while rest := _next(screen):
            shown += rest
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        os.close(slave)
        os.close(master)
    assert code is not None
    return Ended(code, shown.replace("\r\n", "\n"))


def _next(screen: "fdspawn[str]") -> str:
    try:
        return str(screen.read_nonblocking(65536, timeout=0.1))
    except (EOF, TIMEOUT):
        return ""
