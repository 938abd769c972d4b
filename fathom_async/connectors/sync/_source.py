"""Fathom's sites and events."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from attrs import frozen

from fathom_async._util.checks import identifier
from fathom_async._util.tasks import gather_all
from fathom_async.connectors.sync._names import Naming, key, naming
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Site

if TYPE_CHECKING:
    from fathom_async.client import FathomClient


@frozen
class CountedSite:
    """A site and its events.

    Attributes:
        site: The site.
        title: The title of its category.
        events: Its events, each name once, without the nameless ones.
        nameless: The number of events without a name.
    """

    site: Site
    title: str
    events: tuple[Event, ...]
    nameless: int = 0


@frozen
class Counted:
    """The chosen sites.

    Attributes:
        sites: The chosen sites.
        naming: The titles of all sites' categories.
    """

    sites: tuple[CountedSite, ...]
    naming: Naming

    @property
    def notes(self) -> tuple[str, ...]:
        """The objects that are left out, and why."""
        return tuple(
            f"{one.title}: {one.nameless} without a name left out" for one in self.sites if one.nameless
        )


def chosen_sites(sites: object) -> frozenset[str] | None:
    """Check the ids of the sites that were chosen; None for all.

    Raises:
        ArgumentError: They are not ids.
    """
    if sites is None:
        return None
    if isinstance(sites, str):
        raise ArgumentError(f"sites must be a list of ids: write sites=[{sites!r}]")
    if not isinstance(sites, Iterable):
        raise ArgumentError(f"sites must be a list of ids, not {sites!r}")
    return frozenset(identifier("sites", site) for site in cast("Iterable[object]", sites))


async def read_sites(fathom: "FathomClient", chosen: frozenset[str] | None) -> Counted:
    """Return the chosen sites with their events.

    This lists all sites, so that titles do not depend on the choice.

    Args:
        fathom: The client.
        chosen: Ids of the sites; None for all.

    Raises:
        ArgumentError: There is no such site.
    """
    sites = [site async for site in fathom.sites.list()]
    if missing := sorted((chosen or frozenset()) - {site.id for site in sites}):
        raise ArgumentError(f"there is no site {', '.join(missing)} in this account")
    named = naming(sites)
    wanted = [site for site in sites if chosen is None or site.id in chosen]
    read = await gather_all(_read_site(fathom, site, named.titles[site.id]) for site in wanted)
    return Counted(tuple(read), named)


async def _read_site(fathom: "FathomClient", site: Site, title: str) -> CountedSite:
    events = [event async for event in fathom.events.list(site.id)]
    named: dict[str, Event] = {}
    for event in events:
        named.setdefault(key(event.name), event)
    nameless = sum(not key(event.name) for event in events)
    return CountedSite(site, title, tuple(event for name, event in named.items() if name), nameless)
