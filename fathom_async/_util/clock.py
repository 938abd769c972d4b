"""The clock of lanes and retries; injected, so that tests need no patching."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call."""


class Clock(Protocol):
    """Monotonic time in seconds, and calls scheduled by it."""

    @property
    def speed(self) -> float:
        """Seconds of this clock per second of the event loop."""
        ...

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once this clock shows `when`."""
        ...

    def unix(self) -> float:
        """Return the time in Unix seconds, for what outlives this process."""
        ...


@runtime_checkable
class _DatedLoop(Protocol):
    """An event loop with a date of its own, such as a virtual one."""

    def unix(self) -> float: ...


def unix_time(loop: asyncio.AbstractEventLoop) -> float:
    """Return the time in Unix seconds by a loop's own date, or else by the machine."""
    return loop.unix() if isinstance(loop, _DatedLoop) else time.time()


class LoopClock:
    """The running event loop's clock, optionally sped up.

    Args:
        speed: Seconds of this clock per second of the loop. With ``speed=30`` and a server of the same speed
            (`FathomServer(speed=30)`), a minute of rate-limited traffic takes two seconds.
    """

    __slots__ = ("speed",)

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed: float = speed

    def now(self) -> float:
        """Return the loop's time, in seconds of this clock."""
        return asyncio.get_running_loop().time() * self.speed

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once this clock shows `when`."""
        return asyncio.get_running_loop().call_at(when / self.speed, callback)

    def unix(self) -> float:
        """Return the time in Unix seconds, regardless of `speed`."""
        return unix_time(asyncio.get_running_loop())
