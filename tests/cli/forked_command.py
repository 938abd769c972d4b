"""The command as a process that is forked from one that has loaded it."""

import os
import signal
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import frozen

from fathom_async._cli import main

PATIENCE = 60


@frozen
class Call:
    """One call of the command.

    Attributes:
        arguments: What follows ``fathom``.
        env: Its environment.
        directory: Where it runs.
        streams: The files, or the terminal, that are its three streams.
        columns: The width of its terminal.
    """

    arguments: Sequence[str]
    env: Mapping[str, str]
    directory: Path
    streams: Sequence[Path]
    columns: int | None = None


def carry_out(_: Connection, call: Call) -> None:
    """Turn into the process that a shell would have started, and end as the command ends."""
    signal.alarm(PATIENCE)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whether or not the tests run in the background
    os.setsid()  # the terminal that it opens first is the one whose Ctrl-C reaches it
    for number, stream in enumerate(call.streams):
        opened = os.open(stream, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    if call.columns:
        termios.tcsetwinsize(0, (50, call.columns))
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(call.env)
    time.tzset()
    os.chdir(call.directory)
    sys.path[1:1] = call.env.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv[1:] = call.arguments
    sys.exit(main())
