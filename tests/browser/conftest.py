"""Pages in a real browser. `make browser` runs these, on a machine with Chromium; `make test` asks for no browser."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = os.environ.get("CHROMIUM")

collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A headless Chromium."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        await chromium.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go, to be looked at: ``PICTURES``, or a directory that is dropped."""
    directory = Path(os.environ.get("PICTURES") or tmp_path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory
