"""Act on SIGTERM at once, while the process's server still waits for open requests."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def when_told_to_stop(act: Callable[[], object]) -> Generator[None]:
    """Call a function in the event loop on SIGINT or SIGTERM, after the server's own handler.

    A signal without a handler still ends the process at once. Outside of the main thread, this does nothing.

    Args:
        act: The function, for example one that ends event streams, for which a server would wait forever.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return
    loop = asyncio.get_running_loop()

    def told(number: int, frame: FrameType | None) -> None:
        before[number](number, frame)
        # This wakes the loop, which a signal alone does not: taskiq would stop when Redis next replies, and miss it.
        loop.call_soon_threadsafe(act)

    found = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if callable(handler)}
    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
