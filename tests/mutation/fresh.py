"""A plugin of pytest that empties caches before each test.

mutmut tries mutants in copies of a process in which all tests have passed: what functions have kept from then would
hide what the mutant does.
"""

import sys
from collections.abc import Iterator
from typing import Protocol, cast, runtime_checkable


@runtime_checkable
class Cached(Protocol):
    def cache_clear(self) -> None: ...


def caches() -> Iterator[Cached]:
    """Yield the functions with a cache of the modules that compare texts and queries."""
    for name, module in tuple(sys.modules.items()):
        if name.startswith(("fathom_async._reports", "fathom_async._bulk")):
            for each in cast("dict[str, object]", vars(module)).values():
                if isinstance(each, Cached):
                    yield each


def pytest_runtest_setup() -> None:
    for each in caches():
        each.cache_clear()
