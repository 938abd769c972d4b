"""Fathom's events in Secoda: under a category for each site, with their currency as a property. Pure functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from fathom_async.connectors.secoda.models import Resource
from fathom_async.connectors.sync.changes import (
    Change,
    CreateCategory,
    CreateEvent,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync.names import key
from fathom_async.connectors.sync.source import CountedSite
from fathom_async.models import Event, Site

CURRENCY = "currency"
"""Title of the property that says what an event's value is counted in."""

_EVENT_LEVEL = 2

Describe = Callable[[Site, Event], str]
Path = tuple[str, ...]
"""Titles from the category down, in the form in which they are compared."""


Currency = Callable[[Site, Event], str | None]


def known_currency(site: Site, event: Event) -> str | None:
    """Return what Fathom says of an event's currency, which its lists leave out."""
    del site
    return event.currency


def usual_description(site: Site, event: Event) -> str:
    """Return what is said of an event that nobody has described yet."""
    del event
    return f"Event of {site.name} ({site.id}), counted by Fathom Analytics."


@frozen
class Documented:
    """What the catalogue should say of an event.

    Attributes:
        category: Title of its category.
        event: Its title.
        description: What it is.
        currency: What its value is counted in, where that is known.
    """

    category: str
    event: str
    description: str
    currency: str | None


@frozen
class Catalogue:
    """What should be in the catalogue.

    Attributes:
        categories: Titles of the categories.
        events: The events.
        notes: What is left out, and why.
        overwrites: Whether a description that somebody has written is replaced.
        removes: Whether events of these categories that Fathom does not have are deleted.
    """

    categories: tuple[str, ...]
    events: tuple[Documented, ...]
    notes: tuple[str, ...] = ()
    overwrites: bool = False
    removes: bool = False


def document(
    sites: Iterable[CountedSite],
    describe: Describe,
    currency: Currency,
    *,
    overwrites: bool,
    removes: bool,
) -> Catalogue:
    """Return what should be in the catalogue for these sites."""
    sites = tuple(sites)
    return Catalogue(
        tuple(counted.title for counted in sites),
        tuple(
            Documented(
                counted.title,
                key(event.name),
                describe(counted.site, event).strip(),
                currency(counted.site, event) or None,
            )
            for counted in sites
            for event in counted.events
        ),
        tuple(
            f"{counted.title}: {counted.nameless} without a name left out"
            for counted in sites
            if counted.nameless
        ),
        overwrites,
        removes,
    )


def differences(
    wanted: Catalogue, present: Mapping[Path, Sequence[Resource]]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Compare what should be in the catalogue with what is.

    Args:
        wanted: What should be there.
        present: What is there, by its path; several things may have the same one.

    Returns:
        The changes, in an order in which they can be made, and what is left alone.
    """
    archived = {path for path, found in present.items() if all(resource.archived for resource in found)}
    events = {(key(event.category), key(event.event)) for event in wanted.events}
    titles = {key(category): category for category in wanted.categories}
    changes: list[Change] = [
        CreateCategory(category) for category in wanted.categories if (key(category),) not in present
    ]
    for event in wanted.events:
        changes += _changes_of(event, present, archived, overwrites=wanted.overwrites)
    if wanted.removes:
        changes += [
            DeleteEvent(titles[path[0]], path[1])
            for path in present
            if len(path) == _EVENT_LEVEL and path[0] in titles and path not in events
            if not {path, path[:1]} & archived
        ]
    left = sorted(archived & (events | {(category,) for category in titles}))
    return tuple(changes), (*wanted.notes, *(f"{' / '.join(path)}: archived, left alone" for path in left))


def _changes_of(
    event: Documented, present: Mapping[Path, Sequence[Resource]], archived: set[Path], *, overwrites: bool
) -> Iterator[Change]:
    path = key(event.category), key(event.event)
    if {path, path[:1]} & archived:
        return
    if path not in present:
        yield CreateEvent(event.category, event.event, event.description)
    else:
        said = (present[path][0].description or "").strip()
        if event.description and (not said or (overwrites and said != event.description)):
            yield UpdateEvent(event.category, event.event, event.description)
    if event.currency is None or (*path, CURRENCY) in archived:
        return
    found = present.get((*path, CURRENCY))
    if found is None:
        yield CreateProperty(event.category, event.event, CURRENCY, event.currency)
    elif found[0].description != event.currency:
        yield UpdateProperty(event.category, event.event, CURRENCY, event.currency)


def by_path(
    categories: Iterable[Resource], events: Iterable[Resource], properties: Iterable[Resource]
) -> Mapping[Path, Sequence[Resource]]:
    """Arrange what is in the catalogue by its path; what is archived comes after what is not."""
    paths: dict[str, Path] = {}
    found: dict[Path, list[Resource]] = {}
    for level, resources in enumerate((categories, events, properties)):
        for resource in resources:
            above = paths.get(bare_id(resource.parent or ""), ()) if level else ()
            if len(above) == level:
                path = *above, key(resource.title)
                paths[bare_id(resource.id)] = path
                found.setdefault(path, []).append(resource)
    return {path: sorted(same, key=lambda one: bool(one.archived)) for path, same in found.items()}


def bare_id(name: str) -> str:
    """Return an id without dashes: the service has it with and without."""
    return name.replace("-", "").lower()
