"""The command in a process of its own, without the time that Python takes to load it.

A process that has loaded everything forks for each call. The child gets the caller's arguments, environment,
directory and streams, and ends as the command ends; the loaded process itself ends with its standard input.
"""

import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import cattrs
from attrs import frozen

import fathom_async.cli

ROOT = Path(__file__).parents[2]
PATIENCE = 60


@frozen
class Call:
    """What a child is to do."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    directory: str

    @classmethod
    def read(cls, text: str) -> Self:
        return cattrs.structure(json.loads(text), cls)

    def write(self) -> str:
        return json.dumps(cattrs.unstructure(self))


@frozen
class LoadedCommand:
    """The command that is loaded already: the address of the process that forks."""

    address: str

    def __call__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], typed: str = ""
    ) -> tuple[int, str, str]:
        """Run it; return its exit code and what it wrote to both streams."""
        with ExitStack() as stack:
            streams = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            streams[0].write(typed.encode())
            streams[0].seek(0)
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(self.address)
            socket.send_fds(connection, [b"."], [stream.fileno() for stream in streams])
            connection.sendall(Call(arguments, env, str(Path.cwd())).write().encode())
            connection.shutdown(socket.SHUT_WR)
            code = int(_read(connection))
            for stream in streams:
                stream.seek(0)
            return code, streams[1].read().decode(), streams[2].read().decode()


@contextmanager
def loaded_command(directory: Path, env: Mapping[str, str]) -> Generator[LoadedCommand]:
    """Keep a process that has loaded the command while the block runs."""
    address = str(directory / "loaded")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.loaded", address],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        yield LoadedCommand(address)
        process.stdin.close()


def _read(connection: socket.socket) -> str:
    with connection.makefile() as file:
        return file.read()


def _load() -> None:
    for module in pkgutil.walk_packages(fathom_async.cli.__path__, "fathom_async.cli."):
        importlib.import_module(module.name)
    importlib.import_module("aiohttp")


def _serve(address: str) -> Call | None:
    """Fork for each call; return what to do in each child, and None when nobody calls any more."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b".")
        while True:
            ready, _, _ = select.select([0, listener.fileno()], [], [])
            if 0 in ready:
                return None
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0 and (call := _begin(connection)):
                    return call


def _begin(connection: socket.socket) -> Call | None:
    """Return what to do in a child; wait for it to end in its parent, and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    call = Call.read(_read(connection))
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return call


def _become(call: Call) -> None:
    """Turn into the process that the caller would have started."""
    signal.alarm(PATIENCE)
    os.environ.clear()
    os.environ.update(call.env)
    os.chdir(call.directory)
    time.tzset()
    sys.path[1:1] = call.env.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv[1:] = call.arguments
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the parents of the children
    found = _serve(sys.argv[1])
    if found is not None:
        _become(found)
        sys.exit(fathom_async.cli.main())
