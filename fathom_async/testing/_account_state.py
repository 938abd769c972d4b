"""Current state of the account: its sites, events and milestones, which the endpoints change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Literal
from uuid import UUID

from attrs import asdict, define

from fathom_async.testing._clock import ServerClock
from fathom_async.testing._dataset import Dataset
from fathom_async.testing._http_errors import not_found

EventShape = Literal["classic", "names"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DEFAULT_CURRENCY = "dollar"
DEFAULT_TIMEZONE = "America/New_York"
_UNTOLD = frozenset({"site_id", "recorded_as", "deleted_at"})


def stamp(moment: datetime) -> str:
    """Return a moment as the API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


@define(kw_only=True)
class SiteEntry:
    """A site of the account."""

    id: str
    name: str
    sharing: str = "none"
    timezone: str = DEFAULT_TIMEZONE
    created_at: datetime

    def to_json(self) -> dict[str, object]:
        return _to_json(self, "site")


@define(kw_only=True)
class EventEntry:
    """An event of a site, and the dataset's name for its completions; a deleted one stays, as its history does."""

    site_id: str
    id: str
    name: str
    currency: str = DEFAULT_CURRENCY
    created_at: datetime
    recorded_as: str | None = None
    deleted_at: datetime | None = None

    def to_json(self, shape: EventShape, *, with_currency: bool = False) -> dict[str, object]:
        """Return the API's event object; its currency is null unless the request set it."""
        found = _to_json(self, "event")
        if shape == "names":
            del found["id"]
        return found if with_currency else found | {"currency": None}


@define(kw_only=True)
class MilestoneEntry:
    """A milestone of a site."""

    site_id: str
    id: str
    name: str
    milestone_date: date
    created_at: datetime
    updated_at: datetime

    def to_json(self) -> dict[str, object]:
        return _to_json(self, "milestone")


def _to_json(entry: SiteEntry | EventEntry | MilestoneEntry, kind: str) -> dict[str, object]:
    """Return an object as the API does, with moments as it writes them."""

    def written(_: object, __: object, value: object) -> object:
        if isinstance(value, datetime):
            return stamp(value)
        return f"{value} 00:00:00" if isinstance(value, date) else value

    told: dict[str, object] = asdict(
        entry, filter=lambda field, _: field.name not in _UNTOLD, value_serializer=written
    )
    return {"id": entry.id, "object": kind, **told}


class AccountState:
    """The account's objects, at first those of the data; `seed` is that of new ids."""

    def __init__(self, data: Dataset, clock: ServerClock, seed: int) -> None:
        self._data = data
        self._clock = clock
        self._random = Random(f"{seed}:ids")  # noqa: S311 - ids that a test can foresee
        self._sites = {site.id: SiteEntry(**asdict(site)) for site in data.sites}
        self._events = [EventEntry(**asdict(event), recorded_as=event.name) for event in data.events]
        self._milestones = [
            MilestoneEntry(**asdict(each), updated_at=each.created_at) for each in data.milestones
        ]

    def sites(self) -> list[SiteEntry]:
        """Return every site, oldest first."""
        return sorted(self._sites.values(), key=lambda site: site.created_at)

    def site(self, site_id: str) -> SiteEntry:
        if site_id not in self._sites:
            raise not_found("Site")
        return self._sites[site_id]

    def add_site(self, name: str) -> SiteEntry:
        site = SiteEntry(id=self._new_id(6), name=name, created_at=self._clock.now())
        self._sites[site.id] = site
        return site

    def remove_site(self, site_id: str) -> None:
        """Delete a site with its events and milestones."""
        del self._sites[self.site(site_id).id]
        self._events = [event for event in self._events if event.site_id != site_id]
        self._milestones = [milestone for milestone in self._milestones if milestone.site_id != site_id]

    def events(self, site_id: str) -> list[EventEntry]:
        mine = [event for event in self._of_site(self.site(site_id).id) if self._is_listed(event)]
        return sorted(mine, key=lambda event: event.created_at)

    def every_event(self) -> Iterator[EventEntry]:
        return filter(self._is_listed, self._events)

    def recorded_as(self, site_id: str, name: str) -> tuple[str, ...]:
        """Return the dataset's names for the completions of an event, even of a deleted one."""
        mine = self._of_site(site_id)
        own = {event.recorded_as for event in mine if event.name == name}
        by_itself = {name}.difference(event.recorded_as or "" for event in mine)
        return tuple(sorted(filter(None, own | by_itself)))

    def event(self, site_id: str, event_id: str) -> EventEntry:
        for event in self.events(site_id):
            if event.id == event_id:
                return event
        raise not_found("Event")

    def events_named(self, site_id: str, name: str) -> list[EventEntry]:
        """Return the events of a site with this name, or raise a 404."""
        named = [event for event in self.events(site_id) if event.name == name]
        if not named:
            raise not_found("Event")
        return named

    def add_event(self, site_id: str, name: str, currency: str) -> EventEntry:
        event = EventEntry(
            site_id=self.site(site_id).id,
            id=self._new_id(8),
            name=name,
            currency=currency,
            created_at=self._clock.now(),
        )
        self._events.append(event)
        return event

    def events_to_be(self, site_id: str, name: str) -> list[EventEntry]:
        """Return the events of a site with this name; add or restore one if there is none."""
        named = [event for event in self._of_site(self.site(site_id).id) if event.name == name]
        if listed := [event for event in named if self._is_listed(event)]:
            return listed
        for event in named:
            event.deleted_at = None
        return named or [self.add_event(site_id, name, DEFAULT_CURRENCY)]

    def remove_event(self, event: EventEntry) -> None:
        """Delete an event and its currency, but not its history."""
        event.currency, event.deleted_at = DEFAULT_CURRENCY, self._clock.now()

    def _of_site(self, site_id: str) -> list[EventEntry]:
        return [event for event in self._events if event.site_id == site_id]

    def _is_listed(self, event: EventEntry) -> bool:
        """Tell whether an event was not deleted, or was tracked again since."""
        deleted_at, now = event.deleted_at, self._clock.now()
        tracked_as = (event.site_id, event.recorded_as or event.name)
        return deleted_at is None or any(
            (seen.site_id, seen.event) == tracked_as and deleted_at < seen.at <= now
            for seen in self._data.completions
        )

    def milestones(self, site_id: str) -> list[MilestoneEntry]:
        mine = [milestone for milestone in self._milestones if milestone.site_id == self.site(site_id).id]
        return sorted(mine, key=lambda milestone: milestone.created_at)

    def milestone(self, site_id: str, milestone_id: str) -> MilestoneEntry:
        for milestone in self.milestones(site_id):
            if milestone.id == milestone_id:
                return milestone
        raise not_found("Milestone")

    def add_milestone(self, site_id: str, name: str, day: date) -> MilestoneEntry:
        now = self._clock.now()
        milestone = MilestoneEntry(
            site_id=self.site(site_id).id,
            id=str(UUID(int=self._random.getrandbits(128), version=4)),
            name=name,
            milestone_date=day,
            created_at=now,
            updated_at=now,
        )
        self._milestones.append(milestone)
        return milestone

    def remove_milestone(self, milestone: MilestoneEntry) -> None:
        self._milestones = [other for other in self._milestones if other is not milestone]

    def _new_id(self, length: int) -> str:
        return "".join(self._random.choices(_LETTERS, k=length))
