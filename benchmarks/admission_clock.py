"""A process whose time is the event loop's: limiters that read the clock themselves follow it too.

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
    """Never goes back, though every run has a loop of its own."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def unix(self) -> float:
        return _UNIX + self.seconds


_clock = _Clock()


class SteppingLoop(VirtualTimeLoop):
    """A virtual loop that goes on where the last one ended.

    Looking at the clock takes a tenth of a microsecond, as it does on a real machine. Without that, code that waits
    for a moment which rounding put a hair away would wait for ever. Work for threads is done at once.
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
    """Let `time` tell the loop's time from now on."""
    time.monotonic = _clock.monotonic
    time.time = _clock.unix
    time.monotonic_ns = lambda: int(_clock.monotonic() * _NANO)
    time.time_ns = lambda: int(_clock.unix() * _NANO)


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=SteppingLoop) as runner:
        return runner.run(main)
