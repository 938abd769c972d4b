"""Endpoints of Emma's events. Source: http://myemma.com/api-docs/, "Events"."""

from collections.abc import Iterable, Mapping

from fathom_async._util import checks
from fathom_async._util.checks import Check, body
from fathom_async._util.tasks import gather_all
from fathom_async.connectors._reading import delete_request
from fathom_async.connectors.emma._batches import Batch, Creation, in_batches
from fathom_async.connectors.emma._models import LONGEST, EventType, MemberEvent, NewMemberEvent
from fathom_async.connectors.emma._wire import Dates, in_ranges
from fathom_async.errors import DecodeError, FathomError
from fathom_async.models import Deleted
from fathom_async.service import Caller, Listing, Request, object_decoder, path

LANE = "account"

_FIELDS: dict[str, Check] = dict.fromkeys(("event_type", "display_name"), checks.text(LONGEST))
_COUNT = {"count": "true"}
_NUMBER = object_decoder(int)


def type_creation(
    dates: Dates, extra: Mapping[str, object] | None = None, /, *, event_type: str, display_name: str
) -> Request[EventType]:
    fields = body(_FIELDS, extra, event_type=event_type, display_name=display_name)
    return Request("POST", "/events", dates.one(EventType), body=fields, lane=LANE)


def _numbered(template: str, name: str, number: int) -> str:
    return path(template, str(checks.count(name, number)))


class EventTypesResource:
    """Event types; methods that take the number of one raise `NotFoundError` if there is none."""

    def __init__(self, send: Caller, dates: Dates) -> None:
        self._send = send
        self._dates = dates
        self._read = dates.one(EventType)

    def list(self, *, start: int = 0, end: int | None = None) -> Listing[EventType]:
        """List types: await it for the first 500, iterate over it for all.

        Args:
            start: Position of the first one, from 0.
            end: Position after the last one; None for all.
        """
        read = self._dates.many(EventType)
        return in_ranges(self._send, "/events", read, start=start, end=end, lane=LANE)

    async def count(self) -> int:
        """Return the number of types."""
        return await self._send(Request("GET", "/events", _NUMBER, _COUNT, lane=LANE))

    async def get(self, event_type_id: int) -> EventType:
        """Return a type."""
        at = _numbered("/events/{}", "event_type_id", event_type_id)
        return await self._send(Request("GET", at, self._read, lane=LANE))

    async def create(
        self, *, event_type: str, display_name: str, extra: Mapping[str, object] | None = None
    ) -> EventType:
        """Create a type. Never retried: see `TransportError.sent` if the answer is lost.

        Args:
            event_type: Its name in events.
            display_name: Its name for people.
            extra: Further fields, as JSON, that this version does not know.
        """
        creation = type_creation(self._dates, extra, event_type=event_type, display_name=display_name)
        return await self._send(creation)

    async def update(
        self,
        event_type_id: int,
        *,
        event_type: str,
        display_name: str,
        extra: Mapping[str, object] | None = None,
    ) -> EventType:
        """Replace both names of a type.

        Args:
            event_type_id: Its number.
            event_type: Its name in events.
            display_name: Its name for people.
            extra: Further fields, as JSON, that this version does not know.

        Raises:
            ValidationError: Another type has the name.
        """
        at = _numbered("/events/{}", "event_type_id", event_type_id)
        fields = body(_FIELDS, extra, event_type=event_type, display_name=display_name)
        return await self._send(Request("PUT", at, self._read, body=fields, lane=LANE))

    async def delete(self, event_type_id: int) -> Deleted:
        """Delete a type and all its events permanently."""
        at = _numbered("/events/{}", "event_type_id", event_type_id)
        gone = Deleted(str(event_type_id), object="event_type")
        return await self._send(delete_request(at, gone, lane=LANE))


class MemberEventsResource:
    """Members' events; methods that take the number of a member raise `NotFoundError` if there is none."""

    def __init__(self, send: Caller, dates: Dates) -> None:
        self._send = send
        self._dates = dates

    async def create(self, events: Iterable[NewMemberEvent]) -> Creation:
        """Create any number of events, ten per request, in parallel as far as the rate limit allows.

        A failed batch does not stop the others. A batch is retried only if it certainly was not processed. After a
        cancellation, batches in flight may have been created.

        Returns:
            The result of each batch. Its `.result()` raises if any batch failed.

        Raises:
            ArgumentError: One of them is not an event, or cannot be sent; nothing was sent.
        """
        requests = [(batch, self._creation(batch)) for batch in in_batches(events)]
        return Creation(tuple(await gather_all(self._create(*request) for request in requests)))

    def list(self, member_id: int, *, start: int = 0, end: int | None = None) -> Listing[MemberEvent]:
        """List a member's events: await it for the first 500, iterate over it for all.

        Args:
            member_id: Number of the member.
            start: Position of the first one, from 0.
            end: Position after the last one; None for all.
        """
        at = _numbered("/events/members/{}", "member_id", member_id)
        read = self._dates.many(MemberEvent)
        return in_ranges(self._send, at, read, start=start, end=end, lane=LANE)

    async def count(self, member_id: int) -> int:
        """Return the number of a member's events."""
        at = _numbered("/events/members/{}", "member_id", member_id)
        return await self._send(Request("GET", at, _NUMBER, _COUNT, lane=LANE))

    def _creation(self, events: tuple[NewMemberEvent, ...]) -> Request[tuple[MemberEvent, ...]]:
        fields = {"events": [event.to_json(self._dates) for event in events]}
        read_all = self._dates.many(MemberEvent)

        def read(body: bytes) -> tuple[MemberEvent, ...]:
            created = read_all(body)
            if len(created) != len(events):
                words = f"Emma returned {len(created)} events for {len(events)} sent"
                raise DecodeError(words, body=body[:200])
            return created

        return Request("POST", "/events/members", read, body=fields, lane=LANE)

    async def _create(
        self, events: tuple[NewMemberEvent, ...], request: Request[tuple[MemberEvent, ...]]
    ) -> Batch:
        try:
            return Batch(events, await self._send(request))
        except FathomError as error:
            return Batch(events, error=error)
