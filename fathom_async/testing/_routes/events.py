"""`/sites/{site_id}/events`, in both shapes: known by id (classic) or by name."""

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account import DEFAULT_CURRENCY
from fathom_async.testing._paging import page
from fathom_async.testing._problems import gone
from fathom_async.testing._routes.context import Context, read_form
from fathom_async.testing._validation import Form

_CURRENCIES = (
    "dollar",
    "pound",
    "euro",
    "yuan",
    "peso",
    "shekel",
    "yen",
    "won",
    "hryvnia",
    "franc",
    "rupee",
    "integer",
    "none",
)


@frozen
class EventRoutes:
    """Events."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        events = "/v1/sites/{site_id}/events"
        return [
            web.get(events, self.list_events),
            web.post(events, self.create),
            web.delete(events, self.delete_by_name),
            web.post(f"{events}/currency", self.set_currency),
            web.get(f"{events}/{{event_id}}", self.get),
            web.post(f"{events}/{{event_id}}", self.update),
            web.delete(f"{events}/{{event_id}}", self.delete),
            web.delete(f"{events}/{{event_id}}/data", self.wipe),
        ]

    async def list_events(self, request: web.Request) -> web.Response:
        """One page of events."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_read(site_id)
        shape = self.context.event_shape
        return web.json_response(
            page(
                self.context.account.events(site_id),
                request.query,
                url=f"/v1/sites/{site_id}/events",
                cursor=lambda event: event.id if shape == "classic" else event.name,
                render=lambda event: event.to_json(shape),
            )
        )

    async def create(self, request: web.Request) -> web.Response:
        """A new event."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        self._classic_only("Events are created by the first completion of that name.")
        self.context.account.site(site_id)
        form = await read_form(request)
        form.require("name")
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event = self.context.account.add_event(site_id, name or "", currency or DEFAULT_CURRENCY)
        return web.json_response(event.to_json("classic", with_currency=True))

    async def get(self, request: web.Request) -> web.Response:
        """One event."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_read(site_id)
        self._classic_only("List the site's events instead.")
        event = self.context.account.event(site_id, request.match_info["event_id"])
        return web.json_response(event.to_json("classic"))

    async def update(self, request: web.Request) -> web.Response:
        """Change some fields of an event."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        self._classic_only("Use POST /sites/{site_id}/events/currency to set a currency.")
        event = self.context.account.event(site_id, request.match_info["event_id"])
        form = await read_form(request)
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event.name = name or event.name
        event.currency = currency or event.currency
        return web.json_response(event.to_json("classic", with_currency=True))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an event."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        self._classic_only("Use DELETE /sites/{site_id}/events?name= instead.")
        event = self.context.account.event(site_id, request.match_info["event_id"])
        self.context.account.remove_event(event)
        return web.json_response({"id": event.id, "object": "event", "deleted": True})

    async def wipe(self, _request: web.Request) -> web.Response:
        """Retired."""
        raise gone("It is no longer possible to wipe an event's completion data via the API.")

    async def delete_by_name(self, request: web.Request) -> web.Response:
        """Delete every event of that name and its currency, but not its history."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        self.context.account.site(site_id)
        form = Form(request.query)
        form.require("name")
        name = form.text("name")
        form.check()
        for event in self.context.account.events_named(site_id, name or ""):
            self.context.account.remove_event(event)
        return web.json_response({"object": "event", "name": name, "deleted": True})

    async def set_currency(self, request: web.Request) -> web.Response:
        """Set the currency of every event of that name, which need not have been tracked yet."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
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

    def _classic_only(self, instead: str) -> None:
        if self.context.event_shape == "names":
            raise gone(instead)
