"""An event loop whose clock jumps to the next timer instead of waiting for it.

An hour of rate-limited traffic passes in milliseconds, in the same code that runs in real time: everything that takes
its time from the loop follows (timers, `asyncio.sleep`, timeouts, `LoopClock`, the embedded servers). A test gets
such a loop with ``@pytest.mark.virtual_time``, other code with `run_virtual`.

When no callback is due and no descriptor is ready, the loop goes by these rules, in this order:

1. A subprocess of the loop runs, or a descriptor leads out of this process, or bytes are on their way between two
   sockets of the loop: time passes as it really does.
2. A job is in an executor (`run_in_executor`, `asyncio.to_thread`): time stands still until the job has ended.
3. Time jumps to the next timer.

So the outcome does not depend on the speed or load of the machine. The loop cannot see threads that it did not start,
nor processes that it neither started nor is connected to: test those in real time.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

from fathom_async.testing._descriptors import Descriptors

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Started = tuple[asyncio.SubprocessTransport, object]

_PATIENCE = 30.0
"""Real seconds of silence after which a job is assumed to wait for one of the loop's timers (rule 2)."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that keeps the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: set[object] = set()
        self.processes: set[asyncio.SubprocessTransport] = set()
        self._descriptors = Descriptors()
        self._elapsed = 0.0
        self._real_since: float | None = None

    def time(self) -> float:
        return self._elapsed + (0.0 if self._real_since is None else time.monotonic() - self._real_since)

    def register(self, fileobj: object, events: int, data: object = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)  # type: ignore[arg-type]
        self._descriptors.add(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:  # there is no timer to jump to
            return super().select(None)
        if self._is_real():  # rule 1
            self._real_since = self._real_since or time.monotonic()
            return super().select(timeout)
        self._elapsed, self._real_since = self.time(), None
        if self.jobs and (ready := super().select(_PATIENCE)):  # rule 2
            return ready
        self._elapsed += timeout  # rule 3
        return []

    def _is_real(self) -> bool:
        self.processes = {each for each in self.processes if each.get_returncode() is None}
        return bool(self.processes) or self._descriptors.is_anything_coming(self.get_map().values())


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at second 0 and jumps to the next timer instead of waiting.

    Args:
        now: The date and time at second 0; the machine's by default.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.jumping: _JumpingSelector = _JumpingSelector()
        self._start = time.time() if now is None else now.timestamp()
        super().__init__(self.jumping)
        self._threads = ThreadPoolExecutor(thread_name_prefix="virtual-time")
        self.set_default_executor(self._threads)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self.jumping.time()

    def unix(self) -> float:
        """Return the virtual date in unix seconds, for `LoopClock` and the embedded servers."""
        return self._start + self.time()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in an executor; time stands still until it ends."""
        job = (executor or self._threads).submit(func, *args)
        self.jumping.jobs.add(job)
        future = asyncio.wrap_future(job, loop=self)
        job.add_done_callback(
            self._job_ended
        )  # after the future's own callback: time goes on once the result is there
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as the base has it
        """Wait for the threads of the default executor, however long they really take."""
        del timeout
        await super().shutdown_default_executor()

    def _job_ended(self, job: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.call_soon_threadsafe(self.jumping.jobs.discard, job)

    if not TYPE_CHECKING:  # to type checkers, both are as the base class has them

        async def subprocess_exec(self, *args: object, **kwargs: object) -> _Started:
            return self._in_real_time(await super().subprocess_exec(*args, **kwargs))

        async def subprocess_shell(self, *args: object, **kwargs: object) -> _Started:
            return self._in_real_time(await super().subprocess_shell(*args, **kwargs))

        def _in_real_time(self, started: _Started) -> _Started:
            self.jumping.processes.add(started[0])
            return started


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a `VirtualTimeLoop`, as `asyncio.run` does on a real one."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
