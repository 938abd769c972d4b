"""What Fathom counts."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from attrs import frozen

from fathom_async.connectors.sync.names import category_titles, key
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Site
from fathom_async.together import together

if TYPE_CHECKING:
    from fathom_async.client import FathomClient


@frozen
class CountedSite:
    """A site and its events.

    Attributes:
        site: The site.
        title: What its category is called.
        events: Its events, each name once; those without a name are left out.
        nameless: How many events have no name.
    """

    site: Site
    title: str
    events: tuple[Event, ...]
    nameless: int = 0


async def read_sites(fathom: "FathomClient", chosen: Collection[str] | None) -> tuple[CountedSite, ...]:
    """Return sites with their events.

    All sites are listed, whichever were chosen, so that their titles do not depend on the choice.

    Args:
        fathom: The client.
        chosen: Ids of the sites; None for all.

    Raises:
        ArgumentError: There is no such site.
    """
    if isinstance(chosen, str):
        raise ArgumentError(f"sites must be a list of ids: write sites=[{chosen!r}]")
    sites = [site async for site in fathom.sites.list()]
    if missing := sorted(set(chosen or ()) - {site.id for site in sites}):
        raise ArgumentError(f"there is no site {', '.join(missing)} in this account")
    titles = category_titles(sites)
    wanted = [site for site in sites if chosen is None or site.id in chosen]
    return tuple(await together(_read_site(fathom, site, titles[site.id]) for site in wanted))


async def _read_site(fathom: "FathomClient", site: Site, title: str) -> CountedSite:
    events = [event async for event in fathom.events.list(site.id)]
    named: dict[str, Event] = {}
    for event in events:
        named.setdefault(key(event.name), event)
    nameless = sum(not key(event.name) for event in events)
    return CountedSite(site, title, tuple(event for name, event in named.items() if name), nameless)
