"""The server's clock: the event loop's time, faster time, or time that a test sets by hand."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field

from fathom_async._util.clock import unix_time


@define
class ServerClock:
    """The server's unix time; the event loop's by default.

    The fraction of a second of `start` shows in headers of whole seconds.
    """

    monotonic: Callable[[], float] | None = None
    speed: float = 1.0
    start: datetime | None = None
    _seconds: Callable[[], float] = field(init=False)
    _origin: float = field(init=False)
    _unix: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._begin(self.monotonic or time.monotonic, time.time())

    def follow_loop(self) -> None:
        """Restart at `start` with the running event loop's time, unless there is a `monotonic`."""
        if self.monotonic is None:
            loop = asyncio.get_running_loop()
            self.monotonic = loop.time
            self._begin(self.monotonic, unix_time(loop))

    def _begin(self, seconds: Callable[[], float], unix: float) -> None:
        self._seconds, self._origin = seconds, seconds()
        self._unix = unix if self.start is None else self.start.timestamp()

    def time(self) -> float:
        return self._unix + (self._seconds() - self._origin) * self.speed

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds / self.speed)
