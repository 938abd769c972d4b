"""The sites of the page: asked for once in a while, and kept when they cannot be asked for."""

import asyncio
import logging
from collections.abc import Sequence

from fathom_async import FathomClient, FathomError, Site

_GOOD_FOR = 600.0
_DEFAULT_COUNT = 3

_log = logging.getLogger("examples.dashboard")


class Sites:
    """Knows the sites.

    Args:
        fathom: Asks.
        wanted: Their ids; the account's first three if there are none.
    """

    def __init__(self, fathom: FathomClient, wanted: Sequence[str] = ()) -> None:
        self._fathom = fathom
        self._wanted = wanted
        self._sites: dict[str, Site] = {}
        self._ask_at = 0.0
        self._lock = asyncio.Lock()

    async def all(self) -> Sequence[Site]:
        """Return the sites, in order.

        Raises:
            FathomError: They were never known, and cannot be asked for.
        """
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if not self._sites or now >= self._ask_at:
                await self._refresh()
                self._ask_at = now + _GOOD_FOR
        return tuple(self._sites.values())

    async def get(self, site_id: str) -> Site | None:
        """Return one of them."""
        await self.all()
        return self._sites.get(site_id)

    async def _refresh(self) -> None:
        try:
            self._sites = {site.id: site for site in await self._ask()}
        except FathomError as error:
            if not self._sites:
                raise
            _log.warning("the sites stay as they were: %s", error)

    async def _ask(self) -> Sequence[Site]:
        if not self._wanted:
            return (await self._fathom.sites.list(limit=_DEFAULT_COUNT)).data
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._fathom.sites.get(site_id)) for site_id in self._wanted]
        return [task.result() for task in tasks]
