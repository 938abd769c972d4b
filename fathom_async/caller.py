"""A session as resources see it: with one set of options, and without a way to close it."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import TypeVar

from attrs import evolve

from fathom_async.ratelimit.lane import Lane
from fathom_async.ratelimit.plan import Priority
from fathom_async.request import Request
from fathom_async.session import ClosableT, Options, Session

T = TypeVar("T")


class Caller:
    """A session seen with one set of options: what resources send their requests through."""

    __slots__ = ("_options", "_session")

    def __init__(self, session: Session, options: Options) -> None:
        self._session = session
        self._options = options

    def __call__(self, request: Request[T]) -> Coroutine[object, object, T]:
        """Carry out a request; see `Session.send`."""
        return self._session.send(request, self._options)

    def ahead(self, request: Request[T]) -> asyncio.Task[T]:
        """Start to carry out a request that will be needed soon; cancelled at the latest with the session."""
        return self._session.helper(self(request))

    def lane(self, name: str) -> Lane:
        """Return the lane that requests of a name go through."""
        return self._session.lanes[name]

    def with_priority(self, priority: Priority) -> "Caller":
        """Return a caller that sends with another priority."""
        return Caller(self._session, evolve(self._options, priority=priority))

    def in_the_background(self) -> "Caller":
        """Return a caller for what nobody waits for: it goes behind everybody else, and has all the time."""
        return Caller(self._session, evolve(self._options, priority=Priority.BULK, max_wait=None))

    @property
    def max_wait(self) -> float | None:
        """Seconds to wait for admission at most; None for as long as it takes."""
        return self._options.max_wait

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a task that ends with the session at the latest; see `Session.helper`."""
        return self._session.helper(work)

    def owned(self, key: Hashable, make: Callable[[], ClosableT]) -> ClosableT:
        """Return what the session keeps under a key; see `Session.owned`."""
        return self._session.owned(key, make)

    def unix(self) -> float:
        """Return the present moment in Unix seconds."""
        return self._session.unix()

    @property
    def speed(self) -> float:
        """Seconds of the session's clock in one second of the event loop."""
        return self._session.speed

    @property
    def account(self) -> str:
        """What tells the answers of this session from those of others; a hash."""
        return self._session.account

    @property
    def timeout(self) -> float:
        """Seconds that an attempt takes at most, from its admission to its whole answer."""
        return self._options.timeout

    def now(self) -> float:
        """Return the seconds that the session's clock shows."""
        return self._session.now()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the session's clock; see `Session.sleep`."""
        await self._session.sleep(seconds)
