"""The sites of the page: refresh them regularly, and keep the last known ones after a failure."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from fathom_async import ArgumentError, FathomClient, FathomError, NotFoundError, PermissionDeniedError, Site
from fathom_async.store import CacheEntry, ReportStore

_EVERY_SECONDS = 600.0
_RETRY_SECONDS = 10.0
_PATIENCE = 2.0
"""Seconds for which a starting worker waits for the API before it uses the stored sites."""
_DEFAULT_COUNT = 3
_MOST = 6
"""Most sites that a visitor may choose, as each takes several of ten reports a minute."""

_log = logging.getLogger("examples.dashboard")
_SITES = msgspec.json.Decoder(tuple[Site, ...])


class Sites:
    """The sites of the page.

    Args:
        fathom: Client that sends the requests.
        store: Stores the sites for a worker that starts while the API is unreachable.
        account: Name of the account in the store.
        wanted: Ids of the sites; all sites of the account if empty.
        speed: Speed of the client's clock; 1 is real time.

    Attributes:
        all: The sites, in order.
        notes: Messages to visitors about missing sites.
        most: Most sites that a visitor may choose.
        are_known: Whether the API has named the sites since the worker started.
    """

    def __init__(
        self,
        fathom: FathomClient,
        store: ReportStore,
        account: str,
        wanted: Sequence[str] = (),
        speed: float = 1.0,
    ) -> None:
        self._fathom = fathom
        self._store = store
        self._key = f"sites:{account}:{','.join(wanted)}"
        self._wanted = wanted
        self._speed = speed
        self._ask_in = _RETRY_SECONDS
        self.most = max(_MOST, len(wanted))
        self.are_known = False
        self.all: Sequence[Site] = ()
        self.notes: Sequence[str] = ("The sites are loading; reload the page in a moment.",)

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the sites."""
        return [site.id for site in self.all]

    def get(self, site_id: str) -> Site | None:
        """Return the site with this id; None if unknown."""
        return next((site for site in self.all if site.id == site_id), None)

    def pick(self, site_ids: Sequence[str]) -> Sequence[Site]:
        """Return the sites that a visitor chose; by default the wanted ones, or the first few of the account."""
        chosen = [site for site in self.all if site.id in site_ids]
        return chosen[: self.most] or self.all[: len(self._wanted) or _DEFAULT_COUNT]

    async def start(self) -> None:
        """Request the sites; use the stored ones if the API does not answer soon."""
        try:
            for kept in (await self._store.get_many([self._key])).values():
                self.all, self.notes = _SITES.decode(kept.body), ()
        except (FathomError, msgspec.DecodeError) as error:
            _log.warning("cannot read the stored sites: %s", error)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.refresh()

    async def refresh_later(self) -> None:
        """Wait, then refresh: soon after a failure, else after ten minutes."""
        await asyncio.sleep(self._ask_in / self._speed)
        await self.refresh()

    async def refresh(self) -> None:
        """Request the sites; keep the last known state of those whose request fails."""
        self._ask_in = _RETRY_SECONDS
        if not self._wanted:
            await self._ask_for_list()
            return
        async with asyncio.TaskGroup() as group:
            tasks = {site_id: group.create_task(self._ask_for(site_id)) for site_id in self._wanted}
        await self._take({site_id: task.result() for site_id, task in tasks.items()})

    async def _ask_for_list(self) -> None:
        try:
            listed = [site async for site in self._fathom.sites.list()]
        except FathomError as error:
            _log.warning("cannot refresh the sites: %s", error)
            if not self.all:
                self.notes = ("The sites are unavailable at the moment; the dashboard will try again.",)
        else:
            await self._take({site.id: site for site in listed})

    async def _ask_for(self, site_id: str) -> Site | FathomError:
        try:
            return await self._fathom.sites.get(site_id)
        except FathomError as error:
            _log.warning("cannot get site %s: %s", site_id, error)
            return error

    async def _take(self, answers: Mapping[str, Site | FathomError]) -> None:
        sites: list[Site] = []
        notes: list[str] = []
        ask_in = _EVERY_SECONDS
        for site_id, answer in answers.items():
            if isinstance(answer, Site):
                sites.append(answer)
            elif isinstance(answer, NotFoundError | PermissionDeniedError | ArgumentError):
                notes.append(f"Site {site_id} is unknown: this account has no such site.")
            else:
                ask_in = _RETRY_SECONDS
                if (known := self.get(site_id)) is not None:
                    sites.append(known)
                else:
                    notes.append(
                        f"Site {site_id} is unavailable at the moment; the dashboard will try again."
                    )
        self.all, self.notes, self._ask_in = tuple(sites), tuple(notes), ask_in
        self.are_known = self.are_known or ask_in == _EVERY_SECONDS
        if ask_in == _EVERY_SECONDS:
            await self._keep()

    async def _keep(self) -> None:
        try:
            await self._store.put_many({self._key: CacheEntry(msgspec.json.encode(self.all), time.time())})
        except FathomError as error:
            _log.warning("cannot store the sites: %s", error)
