"""Stop event streams on a signal: the server waits for all responses, and such streams never end."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def when_told_to_stop(act: Callable[[], None]) -> Generator[None]:
    """Call a function in the event loop when the process gets SIGINT or SIGTERM, which the server gets all the same.

    Args:
        act: Ends what would keep the server waiting.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone has signals
        yield
        return
    loop = asyncio.get_running_loop()

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        servers = before[number]
        if callable(servers):
            servers(number, frame)

    before = {int(number): signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
