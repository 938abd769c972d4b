"""Stop event streams on a signal: the server waits for open responses, and these never end by themselves."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def when_told_to_stop(act: Callable[[], None]) -> Generator[None]:
    """Call a function in the event loop on SIGINT or SIGTERM, then run the server's own handler.

    Args:
        act: Ends the responses that the server would wait for.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
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
