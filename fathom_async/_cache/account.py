"""Finds the account of a token, so that a new token goes on with the budget and the answers of the old one.

1. A client whose budget is shared asks the server once for each token, before its first request. The answer is kept
   where the budget is, under a hash of the token; processes that start together ask once.
2. The request is admitted by the token's budget, and held in the account's, to which the client then moves.
3. A token without full access, and a server without accounts, stay with the budget of the token.
4. A server that cannot be reached keeps nobody from starting: after `timeout` or `max_wait`, requests go on with the
   budget of the token. The client asks again after `AGAIN`, and moves as soon as it knows.
5. A store keeps the answers of an account under the first of its tokens that came. Only tokens with full access learn
   their account, so that none is served what it may not see.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar
from urllib.parse import urlsplit

from attrs import define, evolve, field

from fathom_async import _endpoints as endpoints
from fathom_async._cache.entry import CacheEntry, digest
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.request import Options, Request
from fathom_async._core.session import Session
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority
from fathom_async.errors import (
    APIError,
    AuthenticationError,
    ClosedError,
    DecodeError,
    FathomError,
    RateLimitError,
    StoreError,
)

T = TypeVar("T")

AGAIN: Final = 30.0
"""Seconds until the account is looked for again, after the server or the budget was out of reach."""

_KNOWN_FOR: Final = 90 * 86_400.0
_NONE_FOR: Final = 86_400.0
_NEVER_OLD: Final = 253_402_300_799.0
"""When the name of an account's answers was asked for: without it they are lost, so no pruning may take it."""

_NO_ACCOUNT: Final = (400, 403, 404, 405, 410, 422)
"""Answers to those who may not know their account. Others, such as a redirect by a proxy, do not stay for a day."""

_log = logging.getLogger("fathom_async")


@define(eq=False)
class AccountFinder:
    """Finds the account of a session's token; see `fathom_async._core.session.Finder`.

    `root` is the base URL, `token` tells the token without showing it, and `budget` is the URL of the budget.
    """

    session: Session
    root: str
    token: str
    budget: str
    is_searching: bool = field(init=False, default=True)
    _is_named: bool = field(init=False, default=False)
    _account: str = field(init=False, default="")
    _search: asyncio.Task[None] | None = field(init=False, default=None)
    _began: float = field(init=False, default=0.0)
    _again_at: float = field(init=False, default=-math.inf)

    async def send(self, request: Request[T], options: Options) -> T:
        """Carry out a request once the account is known; waiting for that counts as waiting for admission."""
        clock = self.session.clock
        began = clock.now()
        await self.wait(options)
        if options.max_wait is not None:
            options = evolve(options, max_wait=max(0.0, options.max_wait - (clock.now() - began)))
        return await self.session.send(request, options)

    async def wait(self, options: Options) -> None:
        """Wait until the account is known, or turns out not to be for now (rule 4).

        Raises:
            AuthenticationError: The server does not accept the token.
            ClosedError: The client was closed.
        """
        session, is_first = self.session, self._again_at == -math.inf
        if session.scope.is_shut:
            raise ClosedError("the client is closed")
        now = session.clock.now()
        if self._search is None and now >= self._again_at:
            self._search, self._began = session.scope.spawn(self._find()), now
        if (search := self._search) is None or not is_first:
            return
        left = options.timeout - (now - self._began) / session.clock.speed
        if options.max_wait is not None:
            left = min(left, options.max_wait / session.clock.speed)
        await asyncio.wait([search], timeout=max(left, 0.0))
        if search.cancelled():
            raise ClosedError("the client was closed while this request was waiting")
        if search.done():
            search.result()

    async def look(self) -> None:
        """Move to the account's budget if that is known, without a request."""
        with suppress(StoreError):
            async with self._kept() as kept:
                if found := await _recalled(kept, self._key, self.session.clock.unix()):
                    self._use(found.body.decode(), None)

    async def use(self, store: ReportStore, options: Options) -> None:
        """Let the session know its answers in a store by the account (rule 5); see `wait`."""
        with suppress(AuthenticationError):  # which the first request meets, too
            if self.is_searching:
                await self.wait(options)
        if not self._account or self._is_named or isinstance(store, MemoryStore):
            return

        async def name() -> CacheEntry:
            return CacheEntry(self.token.encode(), _NEVER_OLD)

        key = digest(self.root, "answers of the account", self._account)
        self.session.account = await _once(store, key, name, self.session.clock.unix())
        self._is_named = True

    async def _find(self) -> None:
        try:
            await self._find_once()
        except (AuthenticationError, ClosedError):
            raise
        except FathomError as error:
            _log.info("the account of the token is not known yet, which a new token needs: %s", error)
        finally:
            self._search, self._again_at = None, self.session.clock.now() + AGAIN

    async def _find_once(self) -> None:
        lanes = list[Lane]()

        async def ask() -> CacheEntry:
            now, account = self.session.clock.unix(), await self._ask()
            lanes.append(self.session.lanes["crud"])
            return CacheEntry(account.encode(), now, drop_after=now + (_KNOWN_FOR if account else _NONE_FOR))

        try:
            async with self._kept() as kept:
                found = await _once(kept, self._key, ask, self.session.clock.unix())
        except StoreError as error:
            # The budget may be out of reach too, and requests go on (`on_budget_lost`).
            _log.info("the account of the token cannot be kept: %s", error)
            found = (await ask()).body.decode()
        self._use(found, lanes[0] if lanes else None)

    def _use(self, account: str, asked: Lane | None) -> None:
        is_news, self._account, self.is_searching = self.is_searching, account, False
        if account and is_news and self.session.rekey is not None:
            self.session.rekey(f"{self.root} account {account}", asked)

    async def _ask(self) -> str:
        """Return the id of the account; empty if the token or the server has none (rule 3)."""
        try:
            options = Options(priority=Priority.INTERACTIVE)
            return str((await self.session.send(endpoints.account(), options)).id)
        except (AuthenticationError, RateLimitError):
            raise
        except APIError as error:
            if error.status not in _NO_ACCOUNT:
                raise
        except DecodeError as error:
            if error.is_garbled:
                raise
        return ""

    @property
    def _key(self) -> str:
        return digest(self.token, "account")

    def _kept(self) -> ReportStore:
        """Open the store of accounts: beside a budget's file, or on its server."""
        parts = urlsplit(self.budget)
        where = self.budget.replace("valkey", "redis", 1) if "valkey" in parts.scheme else self.budget
        if parts.scheme == "file":
            where = f"sqlite://{parts.path}.accounts"
        return open_store(where, clock=self.session.clock.unix)


async def _once(store: ReportStore, key: str, ask: Callable[[], Awaitable[CacheEntry]], now: float) -> str:
    """Return what a store keeps under a key; ask for it unless another task or process is about to."""
    while (kept := await _recalled(store, key, now)) is None:
        async with store.claim([key]) as mine:
            # Whoever held the claim until now may have put it since we looked.
            if mine and (kept := await _recalled(store, key, now)) is None:
                kept = await ask()
                with suppress(StoreError):
                    await store.put_many({key: kept})
            if kept is not None:
                break
        await store.wait(key)
    return kept.body.decode()


async def _recalled(store: ReportStore, key: str, now: float) -> CacheEntry | None:
    kept = (await store.get_many([key])).get(key)
    return None if kept is None or (kept.drop_after or math.inf) <= now else kept
