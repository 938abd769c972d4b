"""`/sites/{site_id}/events`, in both shapes: identified by id (classic), or by name."""

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account_state import DEFAULT_CURRENCY, EventEntry
from fathom_async.testing._cursor_pages import page
from fathom_async.testing._http_errors import gone
from fathom_async.testing._routes.context import Context, deleted, read_form
from fathom_async.testing._validation import Form

_CURRENCIES = (
    *("dollar", "pound", "euro", "yuan", "peso", "shekel", "yen"),
    *("won", "hryvnia", "franc", "rupee", "integer", "none"),
)


@frozen
class EventRoutes:
    """Events."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        events = "/v1/sites/{site_id}/events"
        one = f"{events}/{{event_id}}"
        return [
            web.get(events, self._list),
            web.post(events, self._create),
            web.delete(events, self._delete_by_name),
            web.post(f"{events}/currency", self._set_currency),
            web.get(one, self._get),
            web.post(one, self._update),
            web.delete(one, self._delete),
            web.delete(f"{one}/data", self._wipe),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        site_id = self.context.readable(request)
        shape = self.context.event_shape
        return page(
            self.context.account.events(site_id),
            request,
            url=f"/v1/sites/{site_id}/events",
            cursor=lambda event: event.id if shape == "classic" else event.name,
            render=lambda event: event.to_json(shape),
        )

    async def _create(self, request: web.Request) -> web.Response:
        site_id = self.context.manageable(request)
        self._classic_only("Events are created by the first completion of that name.")
        self.context.account.site(site_id)
        form = await read_form(request)
        form.require("name")
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event = self.context.account.add_event(site_id, name or "", currency or DEFAULT_CURRENCY)
        return web.json_response(event.to_json("classic", with_currency=True))

    async def _get(self, request: web.Request) -> web.Response:
        site_id = self.context.readable(request)
        event = self._find(site_id, request, "List the site's events instead.")
        return web.json_response(event.to_json("classic"))

    async def _update(self, request: web.Request) -> web.Response:
        site_id = self.context.manageable(request)
        event = self._find(site_id, request, "Use POST /sites/{site_id}/events/currency to set a currency.")
        form = await read_form(request)
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event.name = name or event.name
        event.currency = currency or event.currency
        return web.json_response(event.to_json("classic", with_currency=True))

    async def _delete(self, request: web.Request) -> web.Response:
        site_id = self.context.manageable(request)
        event = self._find(site_id, request, "Use DELETE /sites/{site_id}/events?name= instead.")
        self.context.account.remove_event(event)
        return deleted("event", event.id)

    async def _wipe(self, _request: web.Request) -> web.Response:
        raise gone("It is no longer possible to wipe an event's completion data via the API.")

    async def _delete_by_name(self, request: web.Request) -> web.Response:
        """Delete every event of that name and its currency, but not its history."""
        site_id = self.context.manageable(request)
        self.context.account.site(site_id)
        form = Form(request.query)
        form.require("name")
        name = form.text("name")
        form.check()
        for event in self.context.account.events_named(site_id, name or ""):
            self.context.account.remove_event(event)
        return web.json_response({"object": "event", "name": name, "deleted": True})

    async def _set_currency(self, request: web.Request) -> web.Response:
        """Set the currency of every event of that name, even before its first completion."""
        site_id = self.context.manageable(request)
        self.context.account.site(site_id)
        form = await read_form(request)
        form.require("name")
        form.require("currency")
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        named = self.context.account.events_to_be(site_id, name or "")
        for event in named:
            event.currency = currency or event.currency
        return web.json_response(named[0].to_json(self.context.event_shape, with_currency=True))

    def _find(self, site_id: str, request: web.Request, instead: str) -> EventEntry:
        self._classic_only(instead)
        return self.context.account.event(site_id, request.match_info["event_id"])

    def _classic_only(self, instead: str) -> None:
        if self.context.event_shape == "names":
            raise gone(instead)
