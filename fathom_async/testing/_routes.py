"""The endpoints of the API. Events have two shapes: they are identified by id (classic), or by name."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from json import JSONDecodeError
from typing import TypeVar, cast

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account_state import (
    DEFAULT_CURRENCY,
    AccountState,
    EventEntry,
    EventShape,
    MilestoneEntry,
    SiteEntry,
    stamp,
)
from fathom_async.testing._aggregation import Subject, read_aggregation, read_subject
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._dataset import Dataset
from fathom_async.testing._dialect import ServerDialect
from fathom_async.testing._http_errors import gone
from fathom_async.testing._query_engine import ResultRow
from fathom_async.testing._tokens import Grant, Tokens
from fathom_async.testing._validation import Form
from fathom_async.testing._visitors import count_visitors, describe_visitors, recent_views

T = TypeVar("T")

_SHARING = ("none", "private", "public")
_MULTI_DOMAIN = ("combined", "separate")
_CURRENCIES = (
    *("dollar", "pound", "euro", "yuan", "peso", "shekel", "yen"),
    *("won", "hryvnia", "franc", "rupee", "integer", "none"),
)


@frozen
class Endpoints:
    """All endpoints, over the account's objects and the records of its sites."""

    account: AccountState
    clock: ServerClock
    tokens: Tokens
    event_shape: EventShape
    data: Dataset
    seed: int
    dialect: ServerDialect

    def table(self) -> list[web.RouteDef]:
        site = "/v1/sites/{site_id}"
        events, event = f"{site}/events", f"{site}/events/{{event_id}}"
        milestones, milestone = f"{site}/milestones", f"{site}/milestones/{{milestone_id}}"
        return [
            web.get("/v1/account", self._account),
            web.get("/v1/token", self._token),
            web.get("/v1/sites", self._list_sites),
            web.post("/v1/sites", self._create_site),
            web.get(site, self._get_site),
            web.post(site, self._update_site),
            web.delete(site, self._delete_site),
            web.delete(f"{site}/data", self._wipe_site),
            web.get(events, self._list_events),
            web.post(events, self._create_event),
            web.delete(events, self._delete_events_by_name),
            web.post(f"{events}/currency", self._set_currency),
            web.get(event, self._get_event),
            web.post(event, self._update_event),
            web.delete(event, self._delete_event),
            web.delete(f"{event}/data", self._wipe_event),
            web.get(milestones, self._list_milestones),
            web.post(milestones, self._create_milestone),
            web.get(milestone, self._get_milestone),
            web.post(milestone, self._update_milestone),
            web.delete(milestone, self._delete_milestone),
            web.get("/v1/aggregations", self._aggregate),
            web.get("/v1/current_visitors", self._current_visitors),
        ]

    def _grant(self, request: web.Request) -> "Grant":
        """Return the abilities of the request's token, which the middleware has let in."""
        return cast("Grant", self.tokens.find(request.headers))

    def _readable(self, request: web.Request) -> str:
        """Return the id of the request's site, if its token may read it."""
        site_id = request.match_info["site_id"]
        self._grant(request).require_read(site_id)
        return site_id

    def _manageable(self, request: web.Request) -> str:
        """Return the id of the request's site, if its token may manage it."""
        site_id = request.match_info["site_id"]
        self._grant(request).require(f"manage:{site_id}")
        return site_id

    # The account, its token and its sites.

    async def _account(self, request: web.Request) -> web.Response:
        self._grant(request).require()
        name, email = "Homer Simpson", "homer@simpsonsfamily.doh"
        return web.json_response({"id": 500302232, "object": "account", "name": name, "email": email})

    async def _token(self, request: web.Request) -> web.Response:
        now = stamp(self.clock.now())
        return web.json_response(
            {
                "name": "Production server",
                "version": 4,
                "abilities": list(self._grant(request).abilities),
                "last_used_at": now,
                "expires_at": None,
                "created_at": "2024-01-01 12:00:00",
                "updated_at": now,
            }
        )

    async def _list_sites(self, request: web.Request) -> web.Response:
        self._grant(request).require("all-sites-readonly")
        sites = self.account.sites()
        return _page(sites, request, url="/v1/sites", cursor=lambda site: site.id, render=SiteEntry.to_json)

    async def _create_site(self, request: web.Request) -> web.Response:
        self._grant(request).require()
        form = await _read_form(request)
        form.require("name")
        fields = _read_site(form)
        site = self.account.add_site(fields.pop("name"))
        return _changed(site, fields)

    async def _get_site(self, request: web.Request) -> web.Response:
        return web.json_response(self.account.site(self._readable(request)).to_json())

    async def _update_site(self, request: web.Request) -> web.Response:
        site = self.account.site(self._manageable(request))
        return _changed(site, _read_site(await _read_form(request)))

    async def _delete_site(self, request: web.Request) -> web.Response:
        self._grant(request).require()
        site_id = request.match_info["site_id"]
        self.account.remove_site(site_id)
        return _deleted("site", site_id)

    async def _wipe_site(self, _request: web.Request) -> web.Response:
        raise gone("It is no longer possible to wipe a site's data via the API.")

    # Events.

    async def _list_events(self, request: web.Request) -> web.Response:
        site_id, shape = self._readable(request), self.event_shape
        return _page(
            self.account.events(site_id),
            request,
            url=f"/v1/sites/{site_id}/events",
            cursor=lambda event: event.id if shape == "classic" else event.name,
            render=lambda event: event.to_json(shape),
        )

    async def _create_event(self, request: web.Request) -> web.Response:
        site_id = self._manageable(request)
        self._classic_only("Events are created by the first completion of that name.")
        self.account.site(site_id)
        form = await _read_form(request)
        name, currency = form.required("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event = self.account.add_event(site_id, name, currency or DEFAULT_CURRENCY)
        return web.json_response(event.to_json("classic", with_currency=True))

    async def _get_event(self, request: web.Request) -> web.Response:
        event = self._event(self._readable(request), request, "List the site's events instead.")
        return web.json_response(event.to_json("classic"))

    async def _update_event(self, request: web.Request) -> web.Response:
        site_id = self._manageable(request)
        event = self._event(site_id, request, "Use POST /sites/{site_id}/events/currency to set a currency.")
        form = await _read_form(request)
        name, currency = form.text("name"), form.choice("currency", _CURRENCIES)
        form.check()
        event.name = name or event.name
        event.currency = currency or event.currency
        return web.json_response(event.to_json("classic", with_currency=True))

    async def _delete_event(self, request: web.Request) -> web.Response:
        site_id = self._manageable(request)
        event = self._event(site_id, request, "Use DELETE /sites/{site_id}/events?name= instead.")
        self.account.remove_event(event)
        return _deleted("event", event.id)

    async def _wipe_event(self, _request: web.Request) -> web.Response:
        raise gone("It is no longer possible to wipe an event's completion data via the API.")

    async def _delete_events_by_name(self, request: web.Request) -> web.Response:
        """Delete every event of that name and its currency, but not its history."""
        site_id = self._manageable(request)
        self.account.site(site_id)
        form = Form(request.query)
        name = form.required("name")
        form.check()
        for event in self.account.events_named(site_id, name):
            self.account.remove_event(event)
        return web.json_response({"object": "event", "name": name, "deleted": True})

    async def _set_currency(self, request: web.Request) -> web.Response:
        """Set the currency of every event of that name, even before its first completion."""
        site_id = self._manageable(request)
        self.account.site(site_id)
        form = await _read_form(request)
        name = form.required("name")
        form.require("currency")
        currency = form.choice("currency", _CURRENCIES)
        form.check()
        named = self.account.events_to_be(site_id, name)
        for event in named:
            event.currency = currency or event.currency
        return web.json_response(named[0].to_json(self.event_shape, with_currency=True))

    def _event(self, site_id: str, request: web.Request, instead: str) -> EventEntry:
        self._classic_only(instead)
        return self.account.event(site_id, request.match_info["event_id"])

    def _classic_only(self, instead: str) -> None:
        if self.event_shape == "names":
            raise gone(instead)

    # Milestones.

    async def _list_milestones(self, request: web.Request) -> web.Response:
        site_id = self._readable(request)
        milestones = self.account.milestones(site_id)
        url = f"/api/v1/{site_id}/milestones"  # not quite the URL, as on the live service
        return _page(milestones, request, url=url, cursor=lambda each: each.id, render=MilestoneEntry.to_json)

    async def _create_milestone(self, request: web.Request) -> web.Response:
        site_id = self._manageable(request)
        self.account.site(site_id)
        milestone = self.account.add_milestone(site_id, *await _read_milestone(request))
        return web.json_response(milestone.to_json(), status=201)

    async def _get_milestone(self, request: web.Request) -> web.Response:
        return web.json_response(self._milestone(self._readable(request), request).to_json())

    async def _update_milestone(self, request: web.Request) -> web.Response:
        milestone = self._milestone(self._manageable(request), request)
        milestone.name, milestone.milestone_date = await _read_milestone(request)  # both are required
        milestone.updated_at = self.clock.now()
        return web.json_response(milestone.to_json())

    async def _delete_milestone(self, request: web.Request) -> web.Response:
        milestone = self._milestone(self._manageable(request), request)
        self.account.remove_milestone(milestone)
        return _deleted("milestone", milestone.id)

    def _milestone(self, site_id: str, request: web.Request) -> MilestoneEntry:
        return self.account.milestone(site_id, request.match_info["milestone_id"])

    # Reports. A thread computes them, so that a heavy one does not block the clients in the same event loop.

    async def _aggregate(self, request: web.Request) -> web.Response:
        subject = read_subject(request.query, self.account, by_id=self.event_shape == "classic")
        self._grant(request).require_read(subject.site_id)
        timezone = self.account.site(subject.site_id).timezone
        return web.json_response(
            await asyncio.to_thread(self._report, dict(request.query), subject, timezone)
        )

    async def _current_visitors(self, request: web.Request) -> web.Response:
        form = Form(request.query)
        site_id, detailed = form.required("site_id"), form.boolean("detailed")
        form.check()
        self._grant(request).require_read(site_id)
        self.account.site(site_id)
        views = await asyncio.to_thread(recent_views, self.data, site_id, self.clock.now())
        return web.json_response(describe_visitors(views) if detailed else {"total": count_visitors(views)})

    def _report(self, query: Mapping[str, str], subject: Subject, timezone: str) -> Sequence[ResultRow]:
        engine = self.data.query_engine
        wanted = read_aggregation(
            query,
            subject,
            site_timezone=timezone,
            clock=self.clock,
            first_record=engine.first_record,
            dialect=self.dialect,
        )
        return engine.report(wanted, self.seed)


def _read_site(form: Form) -> dict[str, str]:
    """Return the fields that are given and that a site shows."""
    read = form.text("name"), form.choice("sharing", _SHARING), form.timezone("timezone")
    fields = {name: value for name, value in zip(("name", "sharing", "timezone"), read, strict=True) if value}
    if fields.get("sharing") == "private":
        form.require("share_password", "when sharing is private")
    if form.boolean("multi_domain"):
        form.require("multi_domain_option", "when multi domain is true")
    form.text("share_password")
    form.choice("multi_domain_option", _MULTI_DOMAIN)
    form.check()
    return fields


def _changed(site: SiteEntry, fields: Mapping[str, str]) -> web.Response:
    for name, value in fields.items():
        setattr(site, name, value)
    return web.json_response(site.to_json())


async def _read_milestone(request: web.Request) -> tuple[str, date]:
    form = await _read_form(request)
    name = form.required("name", 30)
    form.require("milestone_date")
    day = form.day("milestone_date")
    form.check()
    return name, cast("date", day)


async def _read_form(request: web.Request) -> Form:
    """Return the fields of a JSON or form body; as in Laravel, an unreadable body has none."""
    if request.content_type == "application/json":
        try:
            body: object = await request.json()
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            return Form({})
        return Form(cast("Mapping[str, object]", body) if isinstance(body, dict) else {})
    return Form(dict(await request.post()))


def _deleted(kind: str, name: str) -> web.Response:
    return web.json_response({"id": name, "object": kind, "deleted": True})


def _page(
    items: Sequence[T],
    request: web.Request,
    *,
    url: str,
    cursor: Callable[[T], str],
    render: Callable[[T], Mapping[str, object]],
) -> web.Response:
    """Return one page of a list that is given oldest first.

    `starting_after` goes forwards in chronological order, `ending_before` backwards: the newest object before the
    cursor comes first.
    """
    form = Form(request.query)
    limit = form.integer("limit", 1, 100) or 10
    after, before = form.text("starting_after"), form.text("ending_before")
    if after is not None and before is not None:
        form.fail("starting_after", "The starting after field is prohibited when ending before is present.")
    positions = {cursor(item): position for position, item in enumerate(items)}
    for name, value in (("starting_after", after), ("ending_before", before)):
        if value is not None and value not in positions:
            form.fail(name, f"The selected {name.replace('_', ' ')} is invalid.")
    form.check()
    if before is not None:
        rest = items[: positions[before]][::-1]
    else:
        rest = items[positions[after] + 1 :] if after is not None else items
    data = [render(item) for item in rest[:limit]]
    return web.json_response({"object": "list", "url": url, "has_more": len(rest) > limit, "data": data})
