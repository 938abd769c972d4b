"""The time zones of sites: each asked for now and then, as somebody may change it."""

import asyncio
import logging
import math
from collections.abc import Collection
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fathom_async import _endpoints as endpoints
from fathom_async._core.session import Caller
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ClosedError, FathomError

KNOWN_FOR = 3600.0
"""Seconds after which a site is asked about again."""

_ASK_AGAIN_AFTER = 60.0
"""The same where that failed."""

_log = logging.getLogger("fathom_async")


class SiteClocks:
    """Knows the time zones of sites."""

    def __init__(self) -> None:
        self._zones: dict[str, ZoneInfo | None] = {}
        self._learned_at: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._asking = asyncio.Lock()

    async def learn(self, caller: Caller, sites: Collection[str], *, now: float) -> bool:
        """Ask for the time zones of sites that are not known, or have not been asked for in a while.

        Returns whether any had to be asked for.

        A site that cannot be asked about keeps the one that it had, or has none: its ranges are over when they are so
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
            _log.info("the time zone of site %s is not known: %s", site_id, error)
