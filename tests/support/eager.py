"""`pytest -p tests.support.eager` starts every task at once, as `asyncio.eager_task_factory` does."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from contextvars import Context
from typing import TypeVar

import pytest

if sys.version_info < (3, 12):
    raise pytest.UsageError(
        "tasks start at once from Python 3.12 on: make eager PYTHON=python3.12 VENV=.venv-3.12"
    )

T = TypeVar("T")

_run = asyncio.Runner.run


def _run_eager(
    runner: asyncio.Runner, coro: Coroutine[object, object, T], *, context: Context | None = None
) -> T:
    if threading.current_thread() is threading.main_thread():  # libraries' own threads stay as they are
        runner.get_loop().set_task_factory(asyncio.eager_task_factory)
    return _run(runner, coro, context=context)


asyncio.Runner.run = _run_eager  # whoever runs a loop: pytest-asyncio, asyncio.run, run_virtual
