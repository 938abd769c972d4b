"""Current visitors: a feed that restarts when the sites change."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from examples.dashboard.sites import Sites
from fathom_async import FathomClient
from fathom_async.integrations.fastapi import LiveCount, live_feed
from fathom_async.store import ReportStore

if TYPE_CHECKING:
    from fathom_async.integrations.fastapi import LiveFeed

_SHARE = 0.3
_NOW = timedelta(minutes=5)
"""Age up to which a count is current; the page's script has the same value."""


class Live:
    """The current visitors of the sites; `run` keeps both up to date.

    Args:
        fathom: Client that sends the requests.
        store: The store in which the workers share the counts.
        sites: The sites, which `run` refreshes.
    """

    def __init__(self, fathom: FathomClient, store: ReportStore, sites: Sites) -> None:
        self._fathom = fathom
        self._store = store
        self._sites = sites
        self._feed: LiveFeed | None = None

    def count(self, site_id: str) -> LiveCount | None:
        """Return the current visitors of a site; None if unknown or too old."""
        count = None if self._feed is None else self._feed.latest.get(site_id)
        return None if count is None or age(count) > _NOW else count

    async def updates(self) -> AsyncGenerator[LiveCount, None]:
        """Yield the latest count of each site, then each newer one.

        The stream ends with `run`, and when the sites change: browsers reconnect by themselves.
        """
        if self._feed is not None:
            async with aclosing(self._feed.updates()) as counts:
                async for count in counts:
                    if age(count) <= _NOW:
                        yield count

    async def run(self) -> None:
        """Keep sites and counts up to date until cancelled."""
        while True:
            ids = self._sites.ids
            async with AsyncExitStack() as stack:
                self._feed = None
                if ids:
                    feed = live_feed(self._fathom, ids, store=self._store, share=_SHARE)
                    self._feed = await stack.enter_async_context(feed)
                while self._sites.ids == ids:
                    await self._sites.refresh_later()


def age(count: LiveCount) -> timedelta:
    """Return the age of a count."""
    return datetime.now(UTC) - count.at
