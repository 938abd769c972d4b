"""Fathom's events in Secoda's catalog: a category for each site, the currency as a property. Pure functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from fathom_async.connectors.secoda._models import Resource
from fathom_async.connectors.sync import _changes as sync
from fathom_async.connectors.sync._changes import Change, titled
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._source import LONGEST, AccountEvents
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Site

CURRENCY = "currency"
"""Title of the property with the currency of an event's values."""

_EVENT_LEVEL = 2
_SHOWN = 3

Describe = Callable[[Site, Event], str]
Path = tuple[str, ...]
"""Titles from the category down, as `key` returns them."""

Currency = Callable[[Site, Event], str | None]


def known_currency(site: Site, event: Event) -> str | None:
    """Return an event's currency; Fathom's lists leave it out."""
    del site
    return event.currency


def usual_description(site: Site, event: Event) -> str:
    """Return the description of an event that has none."""
    del event
    return f"Event of {site.name} ({site.id}), counted by Fathom Analytics."


@frozen
class Documented:
    """The wanted entry of an event, and the currency of its values, if known."""

    category: str
    event: str
    description: str
    currency: str | None


@frozen
class Catalog:
    """The wanted catalog, and the titles of all sites; `overwrites` and `removes` as in `plan_sync`."""

    categories: tuple[str, ...]
    events: tuple[Documented, ...]
    notes: tuple[str, ...] = ()
    overwrites: bool = False
    removes: bool = False
    titles: frozenset[str] = frozenset()


def document(
    counted: AccountEvents, *, describe: Describe, currency: Currency, overwrites: bool, removes: bool
) -> Catalog:
    """Return the wanted catalog of some sites."""
    return Catalog(
        tuple(one.title for one in counted.sites if len(one.title) <= LONGEST),
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
        frozenset(counted.titles.values()),
    )


def _text(name: str, returned: object) -> str:
    if not isinstance(returned, str):
        raise ArgumentError(f"{name} must return a string, not {returned!r}")
    return returned.strip()


def catalog_changes(
    wanted: Catalog, present: Mapping[Path, Sequence[Resource]]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return the changes from the present entries, in a possible order, and notes on what stays as it is."""
    archived = {path for path, found in present.items() if all(resource.archived for resource in found)}
    events = {(key(event.category), key(event.event)) for event in wanted.events}
    titles = {key(category): category for category in wanted.categories}
    changes: list[Change] = [
        sync.CreateCategory(category) for category in wanted.categories if (key(category),) not in present
    ]
    for event in wanted.events:
        changes += _changes_of(event, present, archived, overwrite=wanted.overwrites)
    if wanted.removes:
        changes += [
            sync.DeleteEvent(titles[path[0]], path[1], sum(not resource.archived for resource in found))
            for path, found in present.items()
            if len(path) == _EVENT_LEVEL and path[0] in titles and path not in events
            if not {path, path[:1]} & archived
        ]
    ours = events | {(category,) for category in titles}
    notes = [*wanted.notes, *(f"{titled(*path)}: archived, left alone" for path in sorted(archived & ours))]
    for path in sorted((ours | {(*path, CURRENCY) for path in events}) & present.keys()):
        twins = [resource.id for resource in present[path] if not resource.archived]
        if len(twins) > 1:
            notes.append(
                f"{titled(*path)}: {len(twins)} of this title, {', '.join(twins)}; delete all but one"
            )
    if any(isinstance(change, sync.CreateCategory) for change in changes):
        notes += _left_over({*wanted.titles, *wanted.categories}, present)
    return tuple(changes), tuple(notes)


def _left_over(titles: Iterable[str], present: Mapping[Path, Sequence[Resource]]) -> Iterator[str]:
    """Yield a note on categories that a new one may repeat, because a site was renamed, or shared its name before."""
    known = set(map(key, titles))
    others = sorted(path[0] for path, found in present.items() if len(path) == 1 and not found[0].archived)
    if others := [title for title in others if title not in known]:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        some = ", ".join(map(titled, others[:_SHOWN]))
        yield f"{some}{more}: no site has this name, left alone; was a site renamed?"


def _changes_of(
    event: Documented, present: Mapping[Path, Sequence[Resource]], archived: set[Path], *, overwrite: bool
) -> Iterator[Change]:
    path = key(event.category), key(event.event)
    if {path, path[:1]} & archived:
        return
    if path not in present:
        yield sync.CreateEvent(event.category, event.event, event.description)
    elif event.description and _is_due(event.description, present[path][0], overwrite=overwrite):
        yield sync.UpdateEvent(event.category, event.event, event.description)
    if event.currency is None or (*path, CURRENCY) in archived:
        return
    found = present.get((*path, CURRENCY))
    if found is None:
        yield sync.CreateProperty(event.category, event.event, CURRENCY, event.currency)
    elif _is_due(event.currency, found[0], overwrite=overwrite):
        yield sync.UpdateProperty(event.category, event.event, CURRENCY, event.currency)


def _is_due(text: str, resource: Resource, *, overwrite: bool) -> bool:
    current = (resource.description or "").strip()
    return not current or (overwrite and current != text)


def by_path(
    categories: Iterable[Resource], events: Iterable[Resource], properties: Iterable[Resource]
) -> Mapping[Path, Sequence[Resource]]:
    """Arrange the catalog's entries by path; archived ones come last.

    Entries below an archived one are left out. Titles of properties are case-insensitive.
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
    """Return an id without dashes; the service uses both forms."""
    return name.replace("-", "").lower()
