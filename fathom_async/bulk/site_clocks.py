"""The time zones of sites, each asked for once, and again after a while where that failed."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fathom_async.codec.rows import Row
from fathom_async.errors import ClosedError, FathomError
from fathom_async.reports.query import Query
from fathom_async.store.freshness import is_over
from fathom_async.together import together

_ASK_AGAIN_AFTER = 60.0
"""Seconds after which a site is asked about again where that failed."""

_EARLIEST = ZoneInfo("Etc/GMT-14")

_log = logging.getLogger("fathom_async")


class SiteClocks:
    """Knows the time zones of sites.

    Args:
        ask: Returns the TZ database name of a site's time zone.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._zones: dict[str, ZoneInfo | None] = {}
        self._failed_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def learn(self, queries: Iterable[Query[Row]], *, now: float, grace: float) -> None:
        """Ask for the time zones on which it depends whether a range is over.

        A site that cannot be asked about has none: its ranges are over when they are so everywhere on Earth.

        Args:
            queries: Whose ranges.
            now: Unix seconds.
            grace: Seconds from a range's end until it is taken for over.
        """
        sites = {query.site_id for query in queries if _depends_on_zone(query, now, grace)}
        if sites <= self._zones.keys():
            return
        async with self._asking:
            await together(self._learn(site, now) for site in sites if self._is_to_ask(site, now))

    def zone(self, site_id: str) -> ZoneInfo | None:
        """Return a site's time zone, if it was learned."""
        return self._zones.get(site_id)

    async def aclose(self) -> None:
        """Forget everything."""
        self._zones.clear()

    def _is_to_ask(self, site_id: str, now: float) -> bool:
        age = now - self._failed_at.get(site_id, -math.inf)
        return site_id not in self._zones and not 0 <= age < _ASK_AGAIN_AFTER

    async def _learn(self, site_id: str, now: float) -> None:
        try:
            name = await self._ask(site_id)
            self._zones[site_id] = ZoneInfo(name) if name else None
        except ClosedError:
            raise
        except (FathomError, ZoneInfoNotFoundError, ValueError) as error:
            self._failed_at[site_id] = now
            _log.info("the time zone of site %s is not known: %s", site_id, error)


def _depends_on_zone(query: Query[Row], now: float, grace: float) -> bool:
    if query.timezone is not None:
        return False
    return is_over(query, now, _EARLIEST, grace) and not is_over(query, now, None, grace)
