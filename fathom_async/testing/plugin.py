"""The pytest plugin: the fixture `fathom_server` and the marker that sets its options.

    @pytest.mark.fathom_server(concurrency=5, speed=60)
    async def test_reports(fathom_server): ...

This module is imported in every test run of everybody who has the package installed, so it imports nothing
but pytest.
"""

from typing import NoReturn

import pytest

_MARKER = "fathom_server(**options): keyword arguments for the FathomServer of the fixture `fathom_server`"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixture for the event loop plugin at hand."""
    config.addinivalue_line("markers", _MARKER)
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.import_plugin("fathom_async.testing.fixture")
    else:
        config.pluginmanager.register(_WithoutAsyncio(), "fathom_async_without_asyncio")


class _WithoutAsyncio:
    @pytest.fixture
    def fathom_server(self) -> NoReturn:
        """Explain what is missing."""
        pytest.fail(
            "the fixture `fathom_server` needs pytest-asyncio: pip install pytest-asyncio", pytrace=False
        )
