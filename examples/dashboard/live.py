"""Current visitors: a feed that restarts when the sites change."""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from examples.dashboard.sites import Sites
from fathom_async import FathomClient
from fathom_async.integrations.fastapi import LiveCount, LiveFeed, live_feed
from fathom_async.store import ReportStore

_EVERY = 60.0
_SHARE = 0.3
_KNOWN_SECONDS = 3600.0


class Live:
    """The current visitors of the sites; `run` keeps both up to date.

    Args:
        fathom: Client that sends the requests.
        store: The store in which the workers share the counts.
        sites: The sites, which `run` refreshes.
        speed: Speed of the client's clock; 1 is real time.
    """

    def __init__(self, fathom: FathomClient, store: ReportStore, sites: Sites, speed: float = 1.0) -> None:
        self._fathom = fathom
        self._store = store
        self._sites = sites
        self._every = _EVERY / speed
        self._feed: LiveFeed | None = None

    def look(self, site_ids: Iterable[str], seconds: float) -> Mapping[str, LiveCount]:
        """Return the current visitors of sites, where known, and keep them up to date for some seconds."""
        if self._feed is None:
            return {}
        counts = self._feed.look(site_ids, seconds)
        return {site: count for site, count in counts.items() if age(count) <= _KNOWN_SECONDS}

    async def run(self) -> None:
        """Keep sites and counts up to date until cancelled."""
        while True:
            ids = self._sites.ids
            async with AsyncExitStack() as stack:
                self._feed = None
                if ids:
                    feed = live_feed(self._fathom, ids, store=self._store, every=self._every, share=_SHARE)
                    self._feed = await stack.enter_async_context(feed)
                while self._sites.ids == ids:
                    await self._sites.refresh_later()


def age(count: LiveCount) -> float:
    """Return the age of a count in seconds."""
    return (datetime.now(UTC) - count.at).total_seconds()
