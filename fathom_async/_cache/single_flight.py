"""One request for the same answer per client: other tasks wait for it, unless they are more urgent.

Without this, every page that needs the same missing report would wait in the lane by itself, and the lane would
estimate as many minutes as there are pages.
"""

import asyncio
from collections.abc import Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager
from typing import TypeVar

from attrs import frozen

from fathom_async._ratelimit.plan import Priority

KeyT = TypeVar("KeyT", bound=Hashable)


@frozen(eq=False)
class _Intent:
    priority: Priority
    end: "asyncio.Future[None]"


class SingleFlight:
    """Keeps the declared intents by the key of their answer; used from one event loop."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, list[_Intent]] = {}

    @contextmanager
    def declare(
        self, keys: Iterable[KeyT], priority: Priority
    ) -> Generator[Mapping[KeyT, "asyncio.Future[None]"]]:
        """Declare what is about to be requested, until the end of the block.

        Args:
            keys: Keys of the wanted answers.
            priority: Priority of the request.

        Yields:
            Keys that another run has declared at the same or higher priority, mapped to a future that resolves when
            it is done.
        """
        wanted = tuple(keys)
        theirs = {key: end for key in wanted if (end := self._end_of(key, priority)) is not None}
        intent = _Intent(priority, asyncio.get_running_loop().create_future())
        mine = [key for key in wanted if key not in theirs]
        for key in mine:
            self._by_key.setdefault(key, []).append(intent)
        try:
            yield theirs
        finally:
            for key in mine:
                self._by_key[key].remove(intent)
                if not self._by_key[key]:
                    del self._by_key[key]
            intent.end.set_result(None)

    async def aclose(self) -> None:
        """Do nothing: an intent ends with its task."""

    def _end_of(self, key: Hashable, priority: Priority) -> "asyncio.Future[None] | None":
        found = [intent.end for intent in self._by_key.get(key, ()) if intent.priority <= priority]
        return found[0] if found else None
