"""Current visitors for all workers of an application, asked for by one of them.

Ten reports a minute are too few for every worker to watch the sites itself. Whoever holds a claim in the store that
the workers share watches, and puts each number there; the others read it. When the one is gone, its claim ends or
lapses, and the next one goes on.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec
from attrs import frozen

from fathom_async._bulk.live import LiveVisitors, check_sites
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.store import ReportStore
from fathom_async.client import FathomClient
from fathom_async.errors import ClosedError, StoreError

_log = logging.getLogger("fathom_async")

_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_LINGER: Final = 3600.0
"""Seconds for which a number is kept after its last refresh."""

_TOTAL: Final = msgspec.json.Decoder(int)


@frozen
class LiveCount:
    """How many visitors a site had.

    Attributes:
        site_id: The site.
        visitors: How many.
        at: When; UTC.
    """

    site_id: str
    visitors: int
    at: datetime


class LiveFeed:
    """The current visitors of some sites, for any number of listeners; made by `live_feed`."""

    def __init__(self, site_ids: tuple[str, ...], store: ReportStore) -> None:
        self._store = store
        self._keys = {site: f"live:{site}" for site in site_ids}
        self._watch_key = f"live:{blake2b(' '.join(sorted(site_ids)).encode(), digest_size=16).hexdigest()}"
        self._latest: dict[str, LiveCount] = {}
        self._changed = asyncio.Event()
        self._is_over = False

    @property
    def sites(self) -> tuple[str, ...]:
        """Ids of the sites."""
        return tuple(self._keys)

    @property
    def latest(self) -> Mapping[str, LiveCount]:
        """The newest number of each site that has one, by ID."""
        return dict(self._latest)

    async def updates(self) -> AsyncGenerator[LiveCount, None]:
        """Yield what is known of each site, then each newer number, until the feed ends.

        A slow reader misses numbers, but never the newest.
        """
        seen: dict[str, LiveCount] = {}
        while not self._is_over:
            changed = self._changed
            for count in tuple(self._latest.values()):
                if seen.get(count.site_id) != count:
                    seen[count.site_id] = count
                    yield count
            await changed.wait()

    async def run(self, fathom: FathomClient, *, every: float, share: float) -> None:
        """Watch, or read what the watching worker puts, until cancelled or the client is closed."""
        try:
            while True:
                try:
                    await self._take_part(fathom, every, share)
                except StoreError as error:
                    _log.warning("current visitors cannot be shared, and stand still: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
        except ClosedError:
            pass
        finally:
            self._is_over = True
            self._changed.set()

    async def _take_part(self, fathom: FathomClient, every: float, share: float) -> None:
        await self._read()
        async with self._store.claim([self._watch_key]) as mine:
            if mine:
                await self._watch(fathom, every, share)
        if not mine:
            await self._follow()

    async def _watch(self, fathom: FathomClient, every: float, share: float) -> None:
        async with aclosing(fathom.reports.live(self._keys, every=every, share=share)) as rounds:
            async for seen in rounds:
                # A process that slept past its lease finds that another one took over meanwhile.
                if await self._read():
                    return
                await self._put(seen)

    async def _put(self, seen: LiveVisitors) -> None:
        if seen.visitors is None:
            _log.warning("current visitors of %s are not known: %s", seen.site_id, seen.error)
            return
        count = LiveCount(seen.site_id, seen.visitors.total, seen.at)
        at = seen.at.timestamp()
        kept = CacheEntry(msgspec.json.encode(count.visitors), at, drop_after=at + _LINGER)
        await self._store.put_many({self._keys[seen.site_id]: kept})
        self._note([count])

    async def _follow(self) -> None:
        gone = asyncio.ensure_future(self._store.wait(self._watch_key))
        try:
            while not gone.done():
                await self._read()
                await asyncio.wait((gone,), timeout=_LOOK_SECONDS)
            gone.result()
        finally:
            gone.cancel()
            await asyncio.wait((gone,))

    async def _read(self) -> bool:
        """Take over what others have put; return whether there was anything."""
        kept = await self._store.get_many(self._keys.values())
        newer = [
            LiveCount(site, _TOTAL.decode(kept[key].body), datetime.fromtimestamp(kept[key].asked_at, UTC))
            for site, key in self._keys.items()
            if key in kept and self._is_newer(site, kept[key].asked_at)
        ]
        self._note(newer)
        return bool(newer)

    def _is_newer(self, site: str, at: float) -> bool:
        known = self._latest.get(site)
        return known is None or at > known.at.timestamp()

    def _note(self, counts: Iterable[LiveCount]) -> None:
        newer = {count.site_id: count for count in counts}
        if newer:
            self._latest |= newer
            self._changed.set()
            self._changed = asyncio.Event()


@asynccontextmanager
async def live_feed(
    fathom: FathomClient,
    site_ids: Iterable[str],
    *,
    store: ReportStore,
    every: float = 60.0,
    share: float = 0.5,
) -> AsyncGenerator[LiveFeed]:
    """Watch the current visitors of sites while the block runs, together with all workers that share the store.

    One of the workers sends the requests; `share` is the total of all workers. If that worker is killed, another one
    takes over within `fathom_async.store.LEASE` seconds.

    Args:
        fathom: Sends the requests. Set no ``max_wait``: a late number is better than none.
        site_ids: Ids of the sites; the same in all workers.
        store: What the workers share; not closed here.
        every: Seconds from one request for a site to the next; more of them where the share demands it.
        share: How much of the reports lane may be spent on this.

    Raises:
        ArgumentError: An argument is out of range, or an id is empty.
    """
    feed = LiveFeed(check_sites(site_ids), store)
    _ = fathom.reports.live(feed.sites, every=every, share=share)  # its complaints, before a task has them
    task = asyncio.create_task(feed.run(fathom, every=every, share=share))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()
