"""The built documentation site. `make docs` builds it and runs these tests."""

import os
from pathlib import Path

import pytest

SITE = os.environ.get("SITE")

collect_ignore_glob = [] if SITE else ["test_*.py"]


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the site."""
    assert SITE is not None
    return Path(SITE)
