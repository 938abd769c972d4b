"""The server's clock: the event loop's time, or time that runs faster, or time that a test turns by hand."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field

from fathom_async._util.clock import unix_time


@define
class ServerClock:
    """Unix time as the server sees it.

    Attributes:
        monotonic: Where real seconds come from; the event loop that the server runs in unless told.
        speed: Server seconds per real second.
        start: Server time at creation; that of the event loop or the machine unless told. Its fraction of a second
            is what whole-second headers are rounded against.
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
        """Begin at `start` and go by the running event loop, unless told to go by something else."""
        if self.monotonic is None:
            loop = asyncio.get_running_loop()
            self.monotonic = loop.time
            self._begin(self.monotonic, unix_time(loop))

    def _begin(self, seconds: Callable[[], float], unix: float) -> None:
        self._seconds, self._origin = seconds, seconds()
        self._unix = unix if self.start is None else self.start.timestamp()

    def time(self) -> float:
        """Unix seconds on the server."""
        return self._unix + (self._seconds() - self._origin) * self.speed

    def now(self) -> datetime:
        """The same as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many server seconds."""
        if seconds > 0:
            await asyncio.sleep(seconds / self.speed)
