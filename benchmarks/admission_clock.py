"""Virtual time for a whole process, including limiters that read the clock themselves.

`install` replaces the functions of the `time` module, so it must run before the limiters are imported: some of them
take ``from time import monotonic``. `time.perf_counter` and `time.process_time` stay real, for measuring.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple, Unpack

from fathom_async.testing._virtual_time import VirtualTimeLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_UNIX = 1_700_000_000.0
_LOOK = 1e-7
_NANO = 1_000_000_000


class _Clock:
    """A clock that continues from run to run, although each run has its own loop."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def unix(self) -> float:
        return _UNIX + self.seconds


_clock = _Clock()


class SteppingLoop(VirtualTimeLoop):
    """A virtual event loop that continues at the time at which the last one ended.

    Each reading of the clock takes a tenth of a microsecond, as on a real machine: otherwise, code that polls for a
    time slightly ahead through rounding would wait for ever. The loop runs work for threads at once.
    """

    def __init__(self) -> None:
        self._begin = _clock.seconds
        super().__init__()

    def time(self) -> float:
        self._begin += _LOOK
        _clock.seconds = now = self._begin + super().time()
        return now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        del executor
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done


def install() -> None:
    """Make `time` return the time of the loop from now on."""
    time.monotonic = _clock.monotonic
    time.time = _clock.unix
    time.monotonic_ns = lambda: int(_clock.monotonic() * _NANO)
    time.time_ns = lambda: int(_clock.unix() * _NANO)


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a new loop."""
    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        return runner.run(main)
