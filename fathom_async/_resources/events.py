"""Endpoints of events (goals). Source: https://usefathom.com/api/v1#events."""

from collections.abc import Mapping

from attrs import frozen

from fathom_async._core.codec.objects import deletion, discard, object_decoder, page_decoder
from fathom_async._core.pagination import Listing, by_cursor
from fathom_async._core.request import Request, path
from fathom_async._core.session import Caller
from fathom_async._reports.fields import CURRENCIES, Currency
from fathom_async._util import checks
from fathom_async._util.checks import MISSING, Check, NotGiven, body, page_params
from fathom_async.errors import ArgumentError
from fathom_async.models import Deleted, Event, Site

_FIELDS: dict[str, Check] = {"name": checks.text(255), "currency": checks.choice(CURRENCIES)}

_EVENT = object_decoder(Event)
_EVENTS = page_decoder(Event)
_BY_NAME = "The service identifies events by name now: use {}."
_GET = _BY_NAME.format("events.list and look for the name")
_NEW = _BY_NAME.format("events.list; an event is created when it is first tracked")
_SET = _BY_NAME.format("events.set_currency(site_id, name, currency); an event's name cannot be changed")
_DELETE = _BY_NAME.format("events.delete_by_name(site_id, name)")
_WIPE = (
    "An event's data can no longer be wiped through the API: events.delete_by_name(site_id, name) removes the event "
    "and its currency, and keeps its history."
)


@frozen(eq=False, repr=False)
class EventsResource:
    """The events of a site. Source: https://usefathom.com/api/v1#events.

    Methods raise `ArgumentError` for arguments that the API would reject, and `NotFoundError` if there is no such
    event. The live service has retired those that take an event's id, and `create`: they raise `GoneError`, which
    names what to call instead. Recordings and mirrors of the older API still have them.
    """

    _send: Caller

    def list(
        self,
        site_id: str | Site,
        *,
        limit: int = 100,
        starting_after: str | None = None,
        ending_before: str | None = None,
    ) -> Listing[Event]:
        """List a site's events by `created_at`: await the listing for one page, iterate over it for all.

        Args:
            site_id: Id of the site.
            limit: Objects per page, 1 to 100.
            starting_after: Cursor of an event (its id, or its name if it has none); lists those after it.
            ending_before: Cursor of an event; lists those before it, newest first.
        """
        params = page_params(limit, starting_after, ending_before)
        return Listing(
            self._send,
            Request("GET", path("/sites/{}/events", site_id), _EVENTS, params),
            by_cursor(lambda event: event.id or event.name),
        )

    async def get(self, site_id: str | Site, event_id: str) -> Event:
        """Return an event by its id."""
        at = path("/sites/{}/events/{}", site_id, event_id)
        return await self._send(Request("GET", at, _EVENT, retired_hint=_GET))

    async def create(
        self,
        site_id: str | Site,
        *,
        name: str,
        currency: Currency | NotGiven = MISSING,
        extra: Mapping[str, object] | None = None,
    ) -> Event:
        """Create an event. It is never sent twice.

        Args:
            site_id: Id of the site.
            name: At most 255 characters.
            currency: One of `CURRENCIES`; ``dollar`` by default.
            extra: Further fields of the body, as JSON, that this version does not know.
        """
        fields = body(_FIELDS, extra, name=name, currency=currency)
        at = path("/sites/{}/events", site_id)
        decode = object_decoder(Event, name=name)
        return await self._send(Request("POST", at, decode, body=fields, retired_hint=_NEW))

    async def update(
        self,
        site_id: str | Site,
        event_id: str,
        *,
        name: str | NotGiven = MISSING,
        currency: Currency | NotGiven = MISSING,
        extra: Mapping[str, object] | None = None,
    ) -> Event:
        """Change an event. Arguments that are not given stay unchanged; they are those of `create`."""
        if event_id == "currency":
            raise ArgumentError("'currency' is another endpoint and not an id: use events.set_currency")
        fields = body(_FIELDS, extra, name=name, currency=currency)
        at = path("/sites/{}/events/{}", site_id, event_id)
        decode = object_decoder(
            Event, id=event_id, **{each: fields[each] for each in _FIELDS if each in fields}
        )
        return await self._send(Request("POST", at, decode, body=fields, retired_hint=_SET))

    async def delete(self, site_id: str | Site, event_id: str) -> Deleted:
        """Delete an event permanently."""
        at = path("/sites/{}/events/{}", site_id, event_id)
        gone = Deleted(event_id, object="event")
        return await self._send(
            Request("DELETE", at, deletion, already_gone_result=gone, retired_hint=_DELETE)
        )

    async def delete_by_name(self, site_id: str | Site, name: str) -> Deleted:
        """Delete the record of an event and its currency.

        Its history stays in reports, and the event reappears as soon as the site sends it again.
        """
        params = {"name": checks.identifier("name", name)}
        gone = Deleted(name, object="event")
        at = path("/sites/{}/events", site_id)
        return await self._send(Request("DELETE", at, deletion, params, already_gone_result=gone))

    async def set_currency(
        self, site_id: str | Site, name: str, currency: Currency, *, extra: Mapping[str, object] | None = None
    ) -> Event:
        """Set the currency in which an event's values are shown; nothing is converted.

        Args:
            site_id: Id of the site.
            name: Name of the event, even of one that was never tracked.
            currency: One of `CURRENCIES`.
            extra: Further fields of the body, as JSON, that this version does not know.
        """
        fields = body(_FIELDS, extra, name=name, currency=currency)
        at = path("/sites/{}/events/currency", site_id)
        decode = object_decoder(Event, name=name, currency=currency)
        return await self._send(Request("POST", at, decode, body=fields))

    async def wipe(self, site_id: str | Site, event_id: str) -> None:
        """Delete an event's data. The live service has retired this endpoint."""
        at = path("/sites/{}/events/{}/data", site_id, event_id)
        await self._send(Request("DELETE", at, discard, retired_hint=_WIPE))
