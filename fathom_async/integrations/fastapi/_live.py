"""Current visitors for all workers of an application, requested by one of them while somebody looks.

1. Ten reports a minute are too few for every worker to watch the sites itself. The worker that holds a claim in the
   shared store watches the sites and writes each number to the store; the others read it. When that worker stops or
   dies, its claim ends or expires, and another worker takes over.
2. Every request is billed. A site is asked about only while somebody looks at it: while an iterator of `updates` is
   open, and for some seconds after `look` or `latest`. After the last one left, at most one more request is sent.
3. The worker that watches begins with the sites whose counts are oldest, once one of them is due, and asks for those
   that others look at too: they leave marks in the store.
4. Only workers of one account share counts: another account or server may have a site of the same id.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Self

import msgspec
from attrs import frozen

from fathom_async._bulk.live import LiveVisitors, check_sites
from fathom_async._cache.entry import SKEW, CacheEntry, digest, replaces
from fathom_async._cache.store import ReportStore
from fathom_async._reports.query import PageviewQuery
from fathom_async.client import FathomClient
from fathom_async.errors import ClosedError, StoreError

_log = logging.getLogger("fathom_async")

LOOK: Final = 60.0
"""Seconds for which somebody who read `LiveFeed.latest` counts as looking."""
_MARK: Final = 15.0
"""Seconds for which a mark says that somebody looks at a site with another worker."""

_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_LINGER: Final = 3600.0
"""Seconds for which the store keeps a number after its last refresh."""

_TOTAL: Final = msgspec.json.Decoder(int)


@frozen
class LiveCount:
    """The current visitors of a site.

    Attributes:
        site_id: Id of the site.
        visitors: Number of visitors.
        at: When the answer arrived, in UTC.
    """

    site_id: str
    visitors: int
    at: datetime


@frozen
class _Keys:
    """What a feed has in the store, for one account (rule 4): the claim, and each site's count and mark."""

    claim: str
    counts: Mapping[str, str]
    marks: Mapping[str, str]

    @classmethod
    def of(cls, space: str, site_ids: Iterable[str]) -> Self:
        sites = sorted(site_ids)
        return cls(
            digest(space, "live", *sites),
            {site: digest(space, "live count", site) for site in sites},
            {site: digest(space, "live mark", site) for site in sites},
        )


class LiveFeed:
    """The current visitors of some sites, for any number of listeners; made by `live_feed`.

    Counts are requested only while somebody looks; see `look` and `updates`.
    """

    def __init__(self, site_ids: tuple[str, ...], store: ReportStore) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._sites = site_ids
        self._latest: dict[str, LiveCount] = {}
        self._changed = asyncio.Event()
        self._looked = asyncio.Event()
        self._listeners = 0
        self._look_until: dict[str, float] = {}
        self._marked_at: dict[str, float] = {}
        self._noted_at: dict[str, float] = {}
        self._is_over = False

    @property
    def sites(self) -> tuple[str, ...]:
        """Ids of the sites."""
        return self._sites

    @property
    def latest(self) -> Mapping[str, LiveCount]:
        """The newest count of each site that has one, by id; reading it keeps counts coming for `LOOK` seconds."""
        return self.look(self._sites)

    def look(self, site_ids: Iterable[str], seconds: float = LOOK) -> Mapping[str, LiveCount]:
        """Return the newest counts of some sites, and keep new ones coming for this long.

        Args:
            site_ids: Ids of the sites; those that the feed does not know have no count.
            seconds: Seconds for which somebody looks at them.
        """
        sites = [site for site in site_ids if site in self._sites]
        self._look_until |= dict.fromkeys(sites, self._loop.time() + seconds)
        self._looked.set()
        return {site: self._latest[site] for site in sites if site in self._latest}

    async def updates(self) -> AsyncGenerator[LiveCount, None]:
        """Yield the latest count of each site, then each newer one, until the feed ends.

        Counts are requested while the iterator is open. A slow reader skips counts, but never the newest.
        """
        seen: dict[str, LiveCount] = {}
        self._listeners += 1
        self._looked.set()
        try:
            while not self._is_over:
                changed = self._changed
                for count in tuple(self._latest.values()):
                    if seen.get(count.site_id) != count:
                        seen[count.site_id] = count
                        yield count
                await changed.wait()
        finally:
            self._listeners -= 1

    async def run(self, fathom: FathomClient, *, every: float, share: float) -> None:
        """While somebody looks, watch the sites or read the watching worker's counts.

        Ends when it is cancelled, or the client is closed.
        """
        try:
            while True:
                await self._looked.wait()
                try:
                    while self._is_looked_at():
                        await self._take_part(fathom, every, share)
                    self._looked.clear()
                except StoreError as error:
                    _log.warning("cannot share current visitors, so they do not update: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
        except ClosedError:
            pass
        finally:
            self._is_over = True
            self._changed.set()

    def _is_looked_at(self) -> bool:
        return bool(self._looked_at())

    def _looked_at(self) -> AbstractSet[str]:
        """Return the sites that somebody looks at with this worker."""
        if self._listeners:
            return set(self._sites)
        now = self._loop.time()
        return {site for site, until in self._look_until.items() if now < until}

    async def _take_part(self, fathom: FathomClient, every: float, share: float) -> None:
        keys = _Keys.of(await fathom.namespace(self._store), self._sites)
        await self._read(keys)
        async with self._store.claim([keys.claim]) as mine:
            if mine:
                await self._watch(fathom, keys, every, share)
        if not mine:
            await self._follow(keys)

    async def _watch(self, fathom: FathomClient, keys: _Keys, every: float, share: float) -> None:
        """Ask about the sites that somebody looks at, until that changes (rules 2 and 3)."""
        known, wanted = self._latest, await self._wanted(keys)
        if not wanted:
            return
        sites = (site for site in self._sites if site in wanted)
        oldest_first = sorted(sites, key=lambda site: known[site].at.timestamp() if site in known else 0.0)
        async with aclosing(fathom.reports.live(oldest_first, every=every, share=share)) as rounds:
            seen: asyncio.Future[LiveVisitors] | None = None
            try:
                while self._is_looked_at() and await self._wanted(keys) == wanted:
                    if seen is None and not self._is_due(oldest_first[0], every):
                        await asyncio.sleep(_POLL_SECONDS)
                        continue
                    seen = asyncio.ensure_future(anext(rounds)) if seen is None or seen.done() else seen
                    await asyncio.wait((seen,), timeout=_POLL_SECONDS)
                    if seen.done():
                        # Newer counts show that another process took over after this one slept past its lease.
                        if await self._read(keys):
                            return
                        await self._put(keys, seen.result())
            finally:
                if seen is not None:
                    seen.cancel()
                    await asyncio.gather(seen, return_exceptions=True)

    def _is_due(self, site: str, every: float) -> bool:
        return self._loop.time() >= self._noted_at.get(site, -math.inf) + every

    async def _wanted(self, keys: _Keys) -> AbstractSet[str]:
        """Return the sites that somebody looks at with any worker."""
        kept = await self._store.get_many(keys.marks.values())
        now = datetime.now(UTC).timestamp()
        current = {key for key, mark in kept.items() if now - _MARK < mark.asked_at <= now + SKEW}
        return self._looked_at() | {site for site, key in keys.marks.items() if key in current}

    async def _mark(self, keys: _Keys) -> None:
        """Tell the worker that watches which sites somebody looks at with this one."""
        now, time = datetime.now(UTC).timestamp(), self._loop.time()
        due = [s for s in self._looked_at() if self._marked_at.get(s, -math.inf) + _MARK / 2 < time]
        self._marked_at |= dict.fromkeys(due, time)
        marks = {keys.marks[site]: CacheEntry(b"1", now, drop_after=now + _MARK) for site in due}
        if marks:
            await self._store.put_many(marks)

    async def _put(self, keys: _Keys, seen: LiveVisitors) -> None:
        if seen.visitors is None:
            _log.warning("cannot get the current visitors of %s: %s", seen.site_id, seen.error)
            return
        count = LiveCount(seen.site_id, seen.visitors.total, seen.at)
        at = seen.at.timestamp()
        kept = CacheEntry(msgspec.json.encode(count.visitors), at, drop_after=at + _LINGER)
        await self._store.put_many({keys.counts[seen.site_id]: kept})
        self._note([count])

    async def _follow(self, keys: _Keys) -> None:
        gone = asyncio.ensure_future(self._store.wait(keys.claim))
        try:
            while not gone.done() and self._is_looked_at():
                await self._mark(keys)
                await self._read(keys)
                await asyncio.wait((gone,), timeout=_POLL_SECONDS)
            if gone.done():
                gone.result()
        finally:
            gone.cancel()
            await asyncio.wait((gone,))

    async def _read(self, keys: _Keys) -> bool:
        """Read newer counts of other workers from the store; return whether there were any."""
        kept = await self._store.get_many(keys.counts.values())
        newer = list[LiveCount]()
        for site, key in keys.counts.items():
            if key in kept and self._is_newer(site, at := kept[key].asked_at):
                with suppress(msgspec.DecodeError):  # a damaged entry counts as absent
                    newer.append(
                        LiveCount(site, _TOTAL.decode(kept[key].body), datetime.fromtimestamp(at, UTC))
                    )
        self._note(newer)
        return bool(newer)

    def _is_newer(self, site: str, at: float) -> bool:
        """Whether a count is newer than the known one; those of a clock that was wrong give way (`replaces`)."""
        now, known = datetime.now(UTC).timestamp(), self._latest.get(site)
        before = -math.inf if known is None else known.at.timestamp()
        return at <= now + SKEW and at != before and replaces(at, before, now)

    def _note(self, counts: Iterable[LiveCount]) -> None:
        newer = {count.site_id: count for count in counts}
        if newer:
            self._latest |= newer
            self._noted_at |= dict.fromkeys(newer, self._loop.time())
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
    """Watch the current visitors of sites while somebody looks, together with all workers that share the store.

    Somebody looks at a site after `LiveFeed.look`, and at all sites while an iterator of `LiveFeed.updates` is open
    or for a minute after `LiveFeed.latest`. Without anybody, no request is sent. One of the workers sends them;
    `share` is the total of all workers. If that worker is killed, another one takes over within
    `fathom_async.store.LEASE` seconds.

    Args:
        fathom: Client that sends the requests. Set no ``max_wait``: a late number is better than none.
        site_ids: Ids of the sites; the same in all workers.
        store: The store that the workers share; stays open.
        every: Seconds from one request for a site to the next; more if `share` requires it.
        share: Largest part of the reports lane to spend, from 0 to 1.

    Raises:
        ArgumentError: An argument is out of range, or an id is empty.
        ConfigurationError: The client's token may change, and its ``budget_key`` is not set.
    """
    feed = LiveFeed(check_sites(site_ids), store)
    # These raise for wrong arguments here, not in the task.
    _ = fathom.reports.live(feed.sites, every=every, share=share)
    _ = fathom.reports.run(list[PageviewQuery](), store=store)
    task = asyncio.create_task(feed.run(fathom, every=every, share=share))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()
