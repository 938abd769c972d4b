"""One account's view of a store: queries and reports instead of keys and bytes, and the time zones of sites."""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from os import PathLike, fspath
from typing import Generic
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from fathom_async import _endpoints as endpoints
from fathom_async._cache.entry import CacheEntry, CachePolicy, answer_key, freshness
from fathom_async._cache.open import open_store
from fathom_async._cache.single_flight import SingleFlight
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import RowT, RowT_co
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ArgumentError, ClosedError, DecodeError, FathomError

KNOWN_FOR = 3600.0
"""Seconds after which a site's time zone is requested again."""

_ASK_AGAIN_AFTER = 60.0
"""The same after a failure."""

_log = logging.getLogger("fathom_async")


class SiteClocks:
    """Knows the time zones of sites."""

    def __init__(self) -> None:
        self._zones: dict[str, ZoneInfo | None] = {}
        self._learned_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def learn(self, caller: Caller, sites: Collection[str], *, now: float) -> bool:
        """Request the time zones of sites that are unknown or outdated; return whether any was.

        A site whose request fails keeps its former time zone, or has none: its ranges are over once they are over
        everywhere on Earth.

        Args:
            caller: Asks.
            sites: Ids of the sites.
            now: Unix seconds.
        """
        if not any(self._is_to_ask(site, now) for site in sites):
            return False
        async with self._asking:
            await gather_all(self._learn(caller, site, now) for site in sites if self._is_to_ask(site, now))
        return True

    def zone(self, site_id: str) -> ZoneInfo | None:
        """Return a site's time zone, if it was learned."""
        return self._zones.get(site_id)

    async def aclose(self) -> None:
        """Forget everything."""
        self._zones.clear()
        self._learned_at.clear()

    def _is_to_ask(self, site_id: str, now: float) -> bool:
        learned = now - self._learned_at.get(site_id, -math.inf)
        failed = now - self._failed_at.get(site_id, -math.inf)
        return not 0 <= learned < KNOWN_FOR and not 0 <= failed < _ASK_AGAIN_AFTER

    async def _learn(self, caller: Caller, site_id: str, now: float) -> None:
        try:
            name = (await caller(endpoints.site(site_id))).timezone
            self._zones[site_id] = ZoneInfo(name) if name else None
            self._learned_at[site_id] = now
        except ClosedError:
            raise
        except (FathomError, ZoneInfoNotFoundError, ValueError) as error:
            self._failed_at[site_id] = now
            _log.info("the time zone of site %s is unknown: %s", site_id, error)


_log = logging.getLogger("fathom_async")


@attrs.frozen
class Found(Generic[RowT_co]):
    """An answer that may be served.

    Attributes:
        report: The answer.
        is_fresh: Whether it can be served without a refresh.
        asked_at: Unix time of its request.
    """

    report: Report[RowT_co]
    is_fresh: bool
    asked_at: float


@attrs.frozen
class ReportCache:
    """One account's answers in a store.

    Args:
        caller: Requests the time zones of sites; the answers are those of its account.
        store: Holds the answers; not closed here.
        keeping: How long answers stay fresh.
        clocks: The time zones of sites.
        single_flight: Requests that the client's runs are about to send.
    """

    caller: Caller
    store: ReportStore
    keeping: CachePolicy
    clocks: SiteClocks
    single_flight: SingleFlight

    def now(self) -> float:
        """Return the present moment in Unix seconds."""
        return self.caller.session.unix()

    async def learn(self, queries: Iterable[Query[RowT]]) -> bool:
        """Learn the time zones that these queries need; return whether any was requested."""
        return await self.clocks.learn(
            self.caller, {query.site_id for query in queries if query.timezone is None}, now=self.now()
        )

    async def look(
        self, queries: Iterable[Query[RowT]], *, since: float = math.inf
    ) -> dict[Query[RowT], Found[RowT]]:
        """Return the stored answers that may be served.

        Until the time zone of a site is known, that of the stored answer stands in for it.

        Args:
            queries: What is asked.
            since: Unix seconds; what was asked for then or later is fresh whatever its age.

        Raises:
            StoreError: The store cannot be used.
        """
        by_key = {self._key(query): query for query in queries}
        found: dict[Query[RowT], Found[RowT]] = {}
        for key, kept in (await self.store.get_many(by_key)).items():
            query = by_key[key]
            zone = self.clocks.zone(query.site_id) or _zone_of(kept)
            judged = freshness(kept, query, self.keeping, now=self.now(), zone=zone)
            is_fresh = judged == "fresh" or kept.asked_at >= since
            if judged == "expired" and not is_fresh:
                continue
            try:
                found[query] = Found(kept.report(query), is_fresh, kept.asked_at)
            except DecodeError as error:
                _log.warning("an answer in the store cannot be read and is requested again: %s", error)
        return found

    async def look_for_fresh(
        self, queries: Iterable[Query[RowT]], *, since: float = math.inf
    ) -> dict[Query[RowT], Found[RowT]]:
        """Return the stored answers that are fresh; see `look`."""
        found = await self.look(queries, since=since)
        return {query: answer for query, answer in found.items() if answer.is_fresh}

    async def kept_for_good(self, query: Query[RowT]) -> Report[RowT] | None:
        """Return the stored answer about a range that is over."""
        patient = attrs.evolve(
            self, keeping=attrs.evolve(self.keeping, max_age=0.0, stale_while_revalidate=0.0)
        )
        found = (await patient.look_for_fresh([query])).get(query)
        return None if found is None else found.report

    async def put(self, reports: Mapping[Query[RowT], Report[RowT]], asked_at: float) -> None:
        """Store answers, all or none. If that fails, it is logged; the caller still has the answers.

        Args:
            reports: The answer to each query.
            asked_at: Unix seconds when they were asked for.
        """
        answers: dict[str, CacheEntry] = {}
        for query, report in reports.items():
            zone = self.clocks.zone(query.site_id)
            answers[self._key(query)] = CacheEntry.of(
                report,
                asked_at,
                timezone=None if zone is None else zone.key,
                drop_after=self.keeping.drop_after(query, asked_at, zone),
            )
        try:
            await self.store.put_many(answers)
        except FathomError as error:
            _log.warning("%d answers could not be stored: %s", len(answers), error)

    async def recall(self) -> bytes:
        """Return what runs have remembered of the account's server."""
        found = await self.store.get_many([self._memory])
        return found[self._memory].body if found else b""

    async def remember(self, body: bytes) -> None:
        """Keep what runs have learned of the account's server. If that fails, it is logged."""
        try:
            await self.store.put_many({self._memory: CacheEntry(body, self.now())})
        except FathomError as error:
            _log.warning("what was learned of the server could not be stored: %s", error)

    @property
    def _memory(self) -> str:
        return f"{self.caller.session.account} server"

    @contextmanager
    def declare(
        self, queries: Iterable[Query[RowT]], priority: Priority
    ) -> Generator[Mapping[Query[RowT], "asyncio.Future[None]"]]:
        """Tell the client's other runs what is about to be asked; see `SingleFlight.declare`."""
        by_key = {(id(self.store), self._key(query)): query for query in queries}
        with self.single_flight.declare(by_key, priority) as theirs:
            yield {by_key[key]: end for key, end in theirs.items()}

    @asynccontextmanager
    async def claim(self, queries: Iterable[Query[RowT]]) -> AsyncGenerator[frozenset[Query[RowT]]]:
        """Claim the queries that are free, until the end of the block."""
        by_key = {self._key(query): query for query in queries}
        async with self.store.claim(by_key) as mine:
            yield frozenset(by_key[key] for key in mine)

    async def wait(self, query: Query[RowT]) -> None:
        """Wait until the holder of the claim has stored the answer or given up."""
        await self.store.wait(self._key(query))

    def _key(self, query: Query[RowT]) -> str:
        return answer_key(self.caller.session.account, query)


Store = ReportStore | str | PathLike[str]
"""A store, or the place of one."""


def open_cache(caller: Caller, store: Store, keeping: CachePolicy) -> ReportCache:
    """Return the answers of a caller's account; the client keeps the store at a place open for the next run.

    Raises:
        ArgumentError: `store` is neither a store nor the place of one.
        ClosedError: The client is closed.
    """
    session, scope = caller.session, caller.session.scope
    if not isinstance(store, ReportStore | str | PathLike):
        raise ArgumentError(
            f"store must be a path, memory://, a redis:// URL or a ReportStore, not {store!r}"
        )
    if not isinstance(store, ReportStore):
        place = store
        store = scope.resource(("store", fspath(place)), lambda: open_store(place, clock=session.unix))
    clocks = scope.resource("site clocks", SiteClocks)
    single_flight = scope.resource("single flight", SingleFlight)
    return ReportCache(caller, store, keeping, clocks, single_flight)


def _zone_of(kept: CacheEntry) -> ZoneInfo | None:
    try:
        return ZoneInfo(kept.timezone) if kept.timezone else None
    except (ZoneInfoNotFoundError, ValueError):  # another machine may know zones that this one does not
        return None
