"""Fathom's sites and events."""

from collections.abc import Iterable, Mapping
from typing import cast

from attrs import frozen

from fathom_async._util.checks import identifier
from fathom_async._util.tasks import gather_all
from fathom_async._util.text import cut
from fathom_async.client import FathomClient
from fathom_async.connectors.sync._changes import titled
from fathom_async.connectors.sync._names import category_titles, key
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Site

LONGEST = 1000
"""The most characters of a name or a title that services take."""


@frozen
class SiteEvents:
    """A site and its events.

    Attributes:
        site: The site.
        title: The title of its category.
        events: Its events, each name once, without the nameless ones.
        notes: The events that are left out, and why.
    """

    site: Site
    title: str
    events: tuple[Event, ...]
    notes: tuple[str, ...] = ()


@frozen
class AccountEvents:
    """The chosen sites of an account, with their events.

    Attributes:
        sites: The chosen sites.
        titles: The titles of all sites' categories, by the site's id.
    """

    sites: tuple[SiteEvents, ...]
    titles: Mapping[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """The objects that are left out, and why."""
        return tuple(note for one in self.sites for note in one.notes)


def chosen_sites(sites: object) -> frozenset[str] | None:
    """Check the ids of the sites that were chosen; None for all."""
    if sites is None:
        return None
    if isinstance(sites, str):
        raise ArgumentError(f"sites must be a list of ids: write sites=[{sites!r}]")
    if not isinstance(sites, Iterable):
        raise ArgumentError(f"sites must be a list of ids, not {sites!r}")
    return frozenset(identifier("sites", site) for site in cast("Iterable[object]", sites))


async def read_sites(fathom: FathomClient, chosen: frozenset[str] | None) -> AccountEvents:
    """Return the chosen sites with their events.

    This lists all sites, so that titles do not depend on the choice.
    """
    sites = [site async for site in fathom.sites.list()]
    if missing := sorted((chosen or frozenset()) - {site.id for site in sites}):
        raise ArgumentError(f"there is no site {', '.join(missing)} in this account")
    titles = category_titles(sites)
    wanted = [site for site in sites if chosen is None or site.id in chosen]
    read = await gather_all(_read_site(fathom, site, titles[site.id]) for site in wanted)
    return AccountEvents(tuple(read), titles)


async def _read_site(fathom: FathomClient, site: Site, title: str) -> SiteEvents:
    events = [event async for event in fathom.events.list(site.id)]
    named: dict[str, Event] = {}
    for event in events:
        named.setdefault(key(event.name), event)
    nameless = sum(not key(event.name) for event in events)
    notes = [f"{titled(title)}: {nameless} without a name left out"] if nameless else []
    long = [name for name in named if max(len(name), len(title)) > LONGEST]
    notes += [
        f"{titled(cut(title, 40), cut(name, 40))}: over {LONGEST:,} characters, left out" for name in long
    ]
    kept = tuple(event for name, event in named.items() if name and name not in long)
    return SiteEvents(site, title, kept, tuple(notes))
