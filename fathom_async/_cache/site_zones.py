"""The time zones of an account's sites: kept in the store, and requested in one list for all of them.

A store has an entry for each site, stamped with the moment at which its time zone was requested; an empty one says
that it was forgotten then. The store's rule that an older entry never replaces a newer one decides between processes,
and `SiteZones.note` follows the same rule in memory.
"""

import asyncio
import json
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import aclosing, suppress
from zoneinfo import ZoneInfo

import msgspec
from attrs import evolve

from fathom_async import _endpoints as endpoints
from fathom_async._cache.entry import CacheEntry, digest, replaces
from fathom_async._cache.store import ReportStore
from fathom_async._core.pagination import Listing, by_cursor
from fathom_async._core.session import Caller
from fathom_async._util.checks import MISSING, NotGiven, known_zone, site_zone
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ClosedError, FathomError, NotFoundError, PermissionDeniedError
from fathom_async.models import Site

KNOWN_FOR = 86_400.0
"""Seconds after which a site's time zone is requested again. Once it is known to have changed, answers that were kept
on the former clock are not served."""

_ASK_AGAIN_AFTER = 60.0
"""The same after a failure."""

_log = logging.getLogger("fathom_async")


class SiteZones:
    """Knows the time zones of sites."""

    def __init__(self) -> None:
        self._zones: dict[str, str | None] = {}
        self._learned_at: dict[str, float] = {}
        """When they were requested, or forgotten."""
        self._failed_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    def zone(self, site_id: str) -> ZoneInfo | None:
        """Return a site's time zone, if it was learned."""
        return known_zone(self._zones.get(site_id))

    def note(self, sites: Iterable[Site], now: float) -> None:
        """Learn the time zones of sites that were requested for any purpose at a Unix time."""
        for site in sites:
            if replaces(now, self._learned_at.get(site.id, -math.inf), now):
                self._zones[site.id], self._learned_at[site.id] = site.timezone, now

    async def aclose(self) -> None:
        """Forget everything."""
        self._zones.clear()
        self._learned_at.clear()

    async def load(self, caller: Caller, store: ReportStore, sites: Collection[str], *, now: float) -> bool:
        """Read from the store what another process has learned of these sites; return whether that is news."""
        by_key = {_key(caller, site): site for site in sites if self._is_outdated(site, now)}
        if not by_key:
            return False
        before = dict(self._zones)
        for key, kept in (await store.get_many(by_key)).items():
            site, zone = by_key[key], _zone_in(kept.body)
            if zone is not MISSING and kept.asked_at > self._learned_at.get(site, -math.inf):
                self._learned_at[site] = kept.asked_at
                self._zones.pop(site, None)
                if kept.body:
                    self._zones[site] = zone
        return self._zones != before

    async def learn(self, caller: Caller, store: ReportStore, sites: Collection[str], *, now: float) -> bool:
        """Request the time zones of sites that are unknown or outdated, and keep them; return whether any was.

        A site whose time zone cannot be had keeps its former one, or has none: its ranges are over once they are
        over everywhere on Earth. The arguments are those of `load`.
        """
        async with self._asking:
            failed = {site for site, at in self._failed_at.items() if 0 <= now - at < _ASK_AGAIN_AFTER}
            todo = {site for site in sites if self._is_outdated(site, now)} - failed
            if not todo:
                return False
            try:
                await self._ask(caller, todo, now)
            except ClosedError:
                raise
            except FathomError as error:
                _log.info("the time zones of %d sites are unknown: %s", len(todo), error)
            self._failed_at |= {site: now for site in todo if self._is_outdated(site, now)}
            await self._keep_learned(caller, store, now)
            return True

    async def get(
        self, caller: Caller, store: ReportStore | None, sites: Collection[str], *, now: float
    ) -> dict[str, ZoneInfo]:
        """Return the time zones of those sites that have one, requested where they are unknown; see `load`."""
        if store is not None:
            await self.load(caller, store, sites, now=now)
        async with self._asking:
            names = {site: self._zones[site] for site in sites if not self._is_outdated(site, now)}
            if todo := set(sites) - names.keys():
                names |= await self._ask(caller, todo, now)
                if store is not None:
                    await self._keep_learned(caller, store, now)
        return {site: site_zone(site, name) for site in sites if (name := names[site])}

    async def forget(self, caller: Caller, store: ReportStore, site_id: str, *, now: float) -> None:
        """Forget the time zone of a site, here and in the store; the arguments are those of `load`."""
        self._zones.pop(site_id, None)
        self._learned_at[site_id] = now
        await _keep(caller, store, {site_id: ""}, now)

    async def _ask(self, caller: Caller, todo: Collection[str], now: float) -> Mapping[str, str | None]:
        """Request and return time zones, in one list or one by one; not noted are those forgotten meanwhile."""
        left, found = set(todo), dict[str, str | None]()
        if len(left) > 1:
            listing = Listing(caller, endpoints.sites({"limit": "100"}), by_cursor(lambda site: site.id))
            with suppress(PermissionDeniedError):  # the token may see single sites
                async with aclosing(listing.pages()) as pages:
                    async for page in pages:
                        self.note(page.data, now)
                        found |= {site.id: site.timezone for site in page.data}
                        left -= found.keys()
                        if not left:
                            break
        asked = sorted(left)
        answers = await gather_all(self._ask_for(caller, site_id, now) for site_id in asked)
        single = dict(zip(asked, answers, strict=True))
        if missing := {site_id: each for site_id, each in single.items() if isinstance(each, NotFoundError)}:
            raise _no_such_sites(missing)
        return found | {site_id: each.timezone for site_id, each in single.items() if isinstance(each, Site)}

    async def _keep_learned(self, caller: Caller, store: ReportStore, now: float) -> None:
        learned = [site for site in self._zones if self._learned_at[site] == now]
        await _keep(caller, store, {site: json.dumps(self._zones[site]) for site in learned}, now)

    async def _ask_for(self, caller: Caller, site_id: str, now: float) -> Site | NotFoundError:
        try:
            found = await caller(endpoints.site(site_id))
        except NotFoundError as error:
            return error
        site = evolve(found, id=site_id)  # servers may spell it in another way
        self.note([site], now)
        return site

    def _is_outdated(self, site_id: str, now: float) -> bool:
        is_recent = 0 <= now - self._learned_at.get(site_id, -math.inf) < KNOWN_FOR
        return site_id not in self._zones or not is_recent


def _no_such_sites(missing: Mapping[str, NotFoundError]) -> NotFoundError:
    """Return one error for all sites that there are not, so that all can be corrected at once."""
    first, *others = missing.values()
    if not others:
        return first
    words = f"no sites {', '.join(missing)}"
    return NotFoundError(first.status, words, method=first.method, url=first.url.rpartition("/")[0])


async def _keep(caller: Caller, store: ReportStore, bodies: Mapping[str, str], now: float) -> None:
    entries = {
        _key(caller, site): CacheEntry(body.encode(), now, drop_after=now + KNOWN_FOR)
        for site, body in bodies.items()
    }
    try:
        await store.put_many(entries)
    except FathomError as error:
        _log.warning("the time zones of %d sites could not be stored: %s", len(entries), error)


def _zone_in(body: bytes) -> str | NotGiven | None:
    """Return the time zone in an entry, `MISSING` if it is damaged."""
    try:
        return msgspec.json.decode(body or b"null", type=str | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return MISSING


def _key(caller: Caller, site_id: str) -> str:
    return digest(caller.session.account, "time zone", site_id)
