"""`pytest -p tests.support.on_uvloop` runs every test without virtual time on uvloop, which has to be installed."""

import asyncio
from collections.abc import Callable
from importlib import import_module

_init = asyncio.Runner.__init__
_new_loop: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop


def _init_on_uvloop(
    runner: asyncio.Runner,
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    _init(runner, debug=debug, loop_factory=loop_factory or _new_loop)


asyncio.Runner.__init__ = _init_on_uvloop  # type: ignore[assignment]
