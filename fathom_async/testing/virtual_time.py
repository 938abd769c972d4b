"""An event loop whose clock jumps to the next timer instead of waiting for it.

An hour of rate-limited traffic passes in milliseconds, through the same code that waits in earnest: everything
that takes time from the loop (timers, `asyncio.sleep`, timeouts, `LoopClock`) follows. Sockets within the process
work, because a loop with bytes to read does not jump.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

_IDLE_SELECT = 0.001
"""Real seconds to look for bytes that the kernel has not handed over yet, before time jumps."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        # The loop's own wake-up pipe is always registered; anything more is a socket that may yet have bytes.
        if len(self.get_map()) > 1 or timeout is None:
            ready = super().select(_IDLE_SELECT if timeout is not None else None)
        if not ready and timeout is not None:
            self.elapsed += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at second 0 and never sleeps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._jumping.elapsed


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a `VirtualTimeLoop`, as `asyncio.run` does on a real one."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
