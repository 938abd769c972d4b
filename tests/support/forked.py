"""Processes that start quickly: they are forked from one that has loaded the package.

A process carries out a function of a module, which gets a connection to the test as its first argument.
"""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.preloaded"])


class Forked:
    """A process that executes a function, and its messages to the test.

    Args:
        work: What it carries out.
        *args: Its arguments, after the connection.
    """

    def __init__(
        self, work: Callable[Concatenate[Connection, P], None], *args: P.args, **_: P.kwargs
    ) -> None:
        self._line, theirs = _context.Pipe()
        self._process = _context.Process(target=work, args=(theirs, *args), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return cast("int", self._process.pid)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def said(self, kind: type[T]) -> T:
        """Wait for its next message."""
        said: object = self._line.recv()
        assert isinstance(said, kind)
        return said

    def tell(self, text: str) -> None:
        """Send it a message."""
        self._line.send(text)

    def rest(self) -> list[str]:
        """Wait for its end; return its remaining messages."""
        rest: list[str] = []
        with suppress(EOFError, ConnectionResetError):
            while not self._line.closed:
                rest.append(self.said(str))
        self._line.close()
        self.wait()
        return rest

    def wait(self) -> int | None:
        """Wait for its end; return its exit code."""
        self._process.join()
        return self._process.exitcode

    def kill(self) -> list[str]:
        """Kill it with SIGKILL; return the messages it had sent by then."""
        self._process.kill()
        return self.rest()
