import asyncio
import signal
from collections.abc import Iterator

import pytest

from fathom_async.integrations.stopping import when_told_to_stop
from tests.conftest import until


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What is heard of SIGTERM, first by the handler of a server."""
    found: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: found.append("server"))
    yield found
    signal.signal(signal.SIGTERM, before)


async def test_a_signal_reaches_the_server_and_then_the_function(heard: list[str]) -> None:
    with when_told_to_stop(lambda: heard.append("function")):
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: len(heard) == 2)
    assert heard == ["server", "function"]
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    assert heard == ["server", "function", "server"]


async def test_a_signal_that_ends_the_process_keeps_doing_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with when_told_to_stop(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_outside_of_the_main_thread_nothing_is_changed() -> None:
    async def other() -> object:
        with when_told_to_stop(lambda: None):
            return signal.getsignal(signal.SIGINT)

    assert await asyncio.to_thread(lambda: asyncio.run(other())) is signal.getsignal(signal.SIGINT)
