"""Fathom's events in Secoda: under a category for each site, with their currency as a property. Pure functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from fathom_async.connectors.secoda._models import Resource
from fathom_async.connectors.sync._changes import (
    Change,
    CreateCategory,
    CreateEvent,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync._names import Naming, key
from fathom_async.connectors.sync._source import Counted
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Site

CURRENCY = "currency"
"""Title of the property that says what an event's value is counted in."""

_EVENT_LEVEL = 2
_SHOWN = 3

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
        overwrites: Whether a description or a currency that somebody has written is replaced.
        removes: Whether events of these categories that Fathom does not have are deleted.
        naming: What the categories of all sites are called.
    """

    categories: tuple[str, ...]
    events: tuple[Documented, ...]
    notes: tuple[str, ...] = ()
    overwrites: bool = False
    removes: bool = False
    naming: Naming = field(factory=Naming)


def document(
    counted: Counted,
    describe: Describe,
    currency: Currency,
    *,
    overwrites: bool,
    removes: bool,
) -> Catalogue:
    """Return what should be in the catalogue for these sites.

    Raises:
        ArgumentError: `describe` or `currency` return something else than texts.
    """
    return Catalogue(
        tuple(one.title for one in counted.sites),
        tuple(
            Documented(
                one.title,
                key(event.name),
                _text("describe", describe(one.site, event)),
                _text("currency", currency(one.site, event) or "") or None,
            )
            for one in counted.sites
            for event in one.events
        ),
        counted.notes,
        overwrites,
        removes,
        counted.naming,
    )


def _text(name: str, returned: object) -> str:
    if not isinstance(returned, str):
        raise ArgumentError(f"{name} must return a text, not {returned!r}")
    return returned.strip()


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
    wanted = _as_titled(wanted, present)
    archived = {path for path, found in present.items() if all(resource.archived for resource in found)}
    events = {(key(event.category), key(event.event)) for event in wanted.events}
    titles = {key(category): category for category in wanted.categories}
    changes: list[Change] = [
        CreateCategory(category) for category in wanted.categories if (key(category),) not in present
    ]
    for event in wanted.events:
        changes += _changes_of(event, present, archived, overwrite=wanted.overwrites)
    if wanted.removes:
        changes += [
            DeleteEvent(titles[path[0]], path[1], sum(not resource.archived for resource in found))
            for path, found in present.items()
            if len(path) == _EVENT_LEVEL and path[0] in titles and path not in events
            if not {path, path[:1]} & archived
        ]
    left = sorted(archived & (events | {(category,) for category in titles}))
    notes = [*wanted.notes, *(f"{' / '.join(path)}: archived, left alone" for path in left)]
    if any(isinstance(change, CreateCategory) for change in changes):
        notes += _left_over(wanted.naming, present)
    return tuple(changes), tuple(notes)


def _as_titled(wanted: Catalogue, present: Mapping[Path, Sequence[Resource]]) -> Catalogue:
    """Return what is wanted under the titles that categories have had since more, or fewer, sites had their names."""
    titles = wanted.naming.titles
    had = {
        titles[site]: former
        for site, former in wanted.naming.formerly.items()
        if (key(titles[site]),) not in present and (key(former),) in present
    }
    return evolve(
        wanted,
        categories=tuple(had.get(title, title) for title in wanted.categories),
        events=tuple(
            evolve(event, category=had.get(event.category, event.category)) for event in wanted.events
        ),
    )


def _left_over(naming: Naming, present: Mapping[Path, Sequence[Resource]]) -> Iterator[str]:
    """Tell of categories that a new one may be about to repeat: a site may have been renamed."""
    known, contested = set(map(key, naming.known)), set(map(key, naming.contested))
    titles = sorted(path[0] for path, found in present.items() if len(path) == 1 and not found[0].archived)
    yield from (
        f"{title}: several sites have this name, left alone" for title in titles if title in contested
    )
    others = [title for title in titles if title not in known | contested]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield f"{', '.join(others[:_SHOWN])}{more}: no site has this name, left alone; was a site renamed?"


def _changes_of(
    event: Documented, present: Mapping[Path, Sequence[Resource]], archived: set[Path], *, overwrite: bool
) -> Iterator[Change]:
    path = key(event.category), key(event.event)
    if {path, path[:1]} & archived:
        return
    if path not in present:
        yield CreateEvent(event.category, event.event, event.description)
    elif event.description and _may_be_said(event.description, present[path][0], overwrite=overwrite):
        yield UpdateEvent(event.category, event.event, event.description)
    if event.currency is None or (*path, CURRENCY) in archived:
        return
    found = present.get((*path, CURRENCY))
    if found is None:
        yield CreateProperty(event.category, event.event, CURRENCY, event.currency)
    elif _may_be_said(event.currency, found[0], overwrite=overwrite):
        yield UpdateProperty(event.category, event.event, CURRENCY, event.currency)


def _may_be_said(text: str, resource: Resource, *, overwrite: bool) -> bool:
    said = (resource.description or "").strip()
    return not said or (overwrite and said != text)


def by_path(
    categories: Iterable[Resource], events: Iterable[Resource], properties: Iterable[Resource]
) -> Mapping[Path, Sequence[Resource]]:
    """Arrange what is in the catalogue by its path; what is archived comes after what is not.

    What is below something archived is left out. Titles of properties are the same in capitals and small letters.
    """
    paths: dict[str, Path] = {}
    found: dict[Path, list[Resource]] = {}
    for level, resources in enumerate((categories, events, properties)):
        for resource in resources:
            above = paths.get(bare_id(resource.parent or ""), ()) if level else ()
            if len(above) == level:
                title = key(resource.title)
                path = *above, title.casefold() if level == _EVENT_LEVEL else title
                if not resource.archived:
                    paths[bare_id(resource.id)] = path
                found.setdefault(path, []).append(resource)
    return {path: sorted(same, key=lambda one: bool(one.archived)) for path, same in found.items()}


def bare_id(name: str) -> str:
    """Return an id without dashes: the service has it with and without."""
    return name.replace("-", "").lower()
