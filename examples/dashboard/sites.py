"""The sites of the page, refreshed regularly; after a failure, the last known ones stay."""

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
"""Seconds that a worker that starts waits for the API, before it goes on with what is kept."""
_DEFAULT_COUNT = 3

_log = logging.getLogger("examples.dashboard")
_SITES = msgspec.json.Decoder(tuple[Site, ...])


class Sites:
    """Knows the sites.

    Args:
        fathom: Asks.
        store: Keeps the answer for a worker that starts while the API is out of reach.
        account: Tells the account from others in the store.
        wanted: Ids of the sites; the account's first three if there are none.
        speed: Seconds of the client's clock in a real one.

    Attributes:
        all: The sites, in order.
        notes: What a visitor should know about those that are missing.
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
        self.all: Sequence[Site] = ()
        self.notes: Sequence[str] = ("The sites are on their way; load the page again in a moment.",)

    @property
    def ids(self) -> Sequence[str]:
        """Their ids."""
        return [site.id for site in self.all]

    def get(self, site_id: str) -> Site | None:
        """Return one of them."""
        return next((site for site in self.all if site.id == site_id), None)

    async def start(self) -> None:
        """Ask for them, or take those that are kept where the API does not answer soon."""
        try:
            for kept in (await self._store.get_many([self._key])).values():
                self.all, self.notes = _SITES.decode(kept.body), ()
        except (FathomError, msgspec.DecodeError) as error:
            _log.warning("the sites that are kept cannot be read: %s", error)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.refresh()

    async def refresh_later(self) -> None:
        """Ask for them again when it is time: soon after a failure, else in ten minutes."""
        await asyncio.sleep(self._ask_in / self._speed)
        await self.refresh()

    async def refresh(self) -> None:
        """Ask for them; those that cannot be asked for stay as they were."""
        self._ask_in = _RETRY_SECONDS
        if not self._wanted:
            await self._ask_for_list()
            return
        async with asyncio.TaskGroup() as group:
            tasks = {site_id: group.create_task(self._ask_for(site_id)) for site_id in self._wanted}
        await self._take({site_id: task.result() for site_id, task in tasks.items()})

    async def _ask_for_list(self) -> None:
        try:
            listed = (await self._fathom.sites.list(limit=_DEFAULT_COUNT)).data
        except FathomError as error:
            _log.warning("the sites stay as they were: %s", error)
            if not self.all:
                self.notes = ("The sites cannot be asked for at the moment; it is tried again.",)
        else:
            await self._take({site.id: site for site in listed})

    async def _ask_for(self, site_id: str) -> Site | FathomError:
        try:
            return await self._fathom.sites.get(site_id)
        except FathomError as error:
            _log.warning("site %s cannot be asked for: %s", site_id, error)
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
                    notes.append(f"Site {site_id} cannot be asked for at the moment; it is tried again.")
        self.all, self.notes, self._ask_in = tuple(sites), tuple(notes), ask_in
        if ask_in == _EVERY_SECONDS:
            await self._keep()

    async def _keep(self) -> None:
        try:
            await self._store.put_many({self._key: CacheEntry(msgspec.json.encode(self.all), time.time())})
        except FathomError as error:
            _log.warning("the sites cannot be kept: %s", error)
