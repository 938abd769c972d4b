"""The server's clock: real time, or time that runs faster, or time that a test turns by hand."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field


@define
class ServerClock:
    """Unix time as the server sees it.

    Attributes:
        monotonic: Where real seconds come from.
        speed: Server seconds per real second.
        start: Server time at creation; the real time unless told. Its fraction of a second is what
            whole-second headers are rounded against.
    """

    monotonic: Callable[[], float]
    speed: float = 1.0
    start: datetime | None = None
    _origin: float = field(init=False)
    _unix: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._origin = self.monotonic()
        self._unix = (self.start or datetime.now(UTC)).timestamp()

    def time(self) -> float:
        """Unix seconds on the server."""
        return self._unix + (self.monotonic() - self._origin) * self.speed

    def now(self) -> datetime:
        """The same as an aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many server seconds."""
        if seconds > 0:
            await asyncio.sleep(seconds / self.speed)
