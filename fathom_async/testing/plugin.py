"""The pytest plugin: the fixture `fathom_server`, the marker that sets its options, and a marker for virtual time.

    @pytest.mark.virtual_time
    @pytest.mark.fathom_server(concurrency=5)
    async def test_reports(fathom_server): ...

Every test run of everybody who has the package installed imports this module, so it imports nothing but pytest, and
leaves tests without its markers alone.
"""

from collections.abc import Callable, Generator, Mapping
from typing import NoReturn

import pytest

_MARKERS = (
    "fathom_server(**options): keyword arguments for the FathomServer of the fixture `fathom_server`",
    "virtual_time(now=None): an event loop that jumps to the next timer instead of waiting; `now` is its start",
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the fixture for the event loop plugin at hand."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.import_plugin("fathom_async.testing._fixture")
    else:
        config.pluginmanager.register(_WithoutAsyncio(), "fathom_async_without_asyncio")


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, None, None]:
    """Have pytest-asyncio choose a virtual loop for a test with the marker `virtual_time`."""
    marker = metafunc.definition.get_closest_marker("virtual_time")
    if marker is None:
        return (yield)
    manager = metafunc.config.pluginmanager
    if not hasattr(metafunc.config.hook, "pytest_asyncio_loop_factories"):
        pytest.fail("the marker `virtual_time` needs pytest-asyncio 1.4 or newer", pytrace=False)
    chooser = _VirtualLoops(marker)
    manager.register(chooser)
    try:
        return (yield)
    finally:
        manager.unregister(chooser)


class _VirtualLoops:
    """Registered only while pytest-asyncio asks for one test's loop: its hook applies to all tests."""

    def __init__(self, marker: pytest.Mark) -> None:
        self._marker = marker

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], object]]:
        from fathom_async.testing._virtual_time import VirtualTimeLoop  # noqa: PLC0415 - loads asyncio

        return {"virtual_time": lambda: VirtualTimeLoop(*self._marker.args, **self._marker.kwargs)}


class _WithoutAsyncio:
    @pytest.fixture
    def fathom_server(self) -> NoReturn:
        """Explain what is missing."""
        pytest.fail(
            "the fixture `fathom_server` needs pytest-asyncio: pip install pytest-asyncio", pytrace=False
        )
