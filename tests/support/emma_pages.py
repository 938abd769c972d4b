"""Emma's event endpoints, as its page tells them (ranges, dates and limits: `beyond-the-docs`).

Written from the page alone, never from the connectors: what those misread is not repeated here.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import count
from typing import Unpack, cast

from aiohttp import web

from fathom_async.testing import LaravelWindow, ServiceServer, Throttle
from fathom_async.testing._listening import CommonOptions

Item = dict[str, object]

MEMBERS = {555: "homer@simpsonsfamily.doh", 444: "marge@simpsonsfamily.doh"}
_ACCOUNT = 100
_SPAN = 500
_BATCH = 10
_STAMP = "@D:2025-11-24T10:23:10"


class EmmaPages(ServiceServer):
    """Event types of account 100, and the events of its members.

    Args:
        keys: The public and the private key to let in; any by default.
        limit: The limit of all requests; more are answered 403 "Rate Limit Exceeded".
        ranges: Whether lists are cut to `start` and `end`, 500 apart at most; else they are always whole.
        members: The addresses of members by their ids.
        **options: See `CommonOptions`.

    Attributes:
        types: The event types by their ids.
        events: The events of members, in order.
        members: The addresses of members by their ids.
    """

    def __init__(
        self,
        *,
        keys: tuple[str, str] | None = None,
        limit: Throttle | None = None,
        ranges: bool = True,
        members: Mapping[int, str] = MEMBERS,
        **options: Unpack[CommonOptions],
    ) -> None:
        wanted = keys and f"Basic {b64encode(':'.join(keys).encode()).decode()}"
        base = f"/{_ACCOUNT}/events"
        routes = [
            web.post(f"{base}/members", self._create_events),
            web.get(rf"{base}/members/{{id:\d+}}", self._list_events),
            web.get(base, self._list),
            web.post(base, self._create),
            web.get(rf"{base}/{{id:\d+}}", self._get),
            web.put(rf"{base}/{{id:\d+}}", self._update),
            web.delete(rf"{base}/{{id:\d+}}", self._delete),
        ]
        super().__init__(
            routes,
            {"account": limit},
            is_known=lambda headers: wanted is None or headers.get("Authorization") == wanted,
            reword=_reworded,
            limit_headers="none",
            **options,
        )
        self.types: dict[int, Item] = {}
        self.events: list[Item] = []
        self.members: Mapping[int, str] = members
        self._ranges = ranges
        self._type_ids, self._event_ids = count(200), count(1)

    def add_type(self, event_type: object, display_name: object = None) -> int:
        """Add an event type, and return its id."""
        number = next(self._type_ids)
        self.types[number] = {
            "account_id": _ACCOUNT,
            "created_at": _STAMP,
            "display_name": display_name or event_type,
            "event_type": event_type,
            "event_type_id": number,
        }
        return number

    def add_event(self, event_type_id: object, member_id: object, **fields: object) -> Item:
        """Add an event of a member, and return it as it is sent."""
        optional = dict.fromkeys(("attributes", "event_monetary_value", "mailing_id"))
        event = {
            "account_id": _ACCOUNT,
            "event_id": next(self._event_ids),
            "event_type_id": event_type_id,
            "member_id": member_id,
            "event_timestamp": _STAMP,
            "inserted_at": _STAMP,
            **optional,
            **fields,
        }
        self.events.append(event)
        return event

    async def _list(self, request: web.Request) -> web.Response:
        return self._range(request, [*self.types.values()])

    def _range(self, request: web.Request, items: Sequence[Item]) -> web.Response:
        if request.query.get("count") == "true":
            return web.json_response(len(items))
        if not self._ranges:
            return web.json_response(items)
        start = int(request.query.get("start", 0))
        end = int(request.query.get("end", start + _SPAN))
        if not 0 <= end - start <= _SPAN:
            return _problem("start and end are more than 500 apart")
        return web.json_response(items[start:end])

    async def _create(self, request: web.Request) -> web.Response:
        body = await _object(request)
        if not body.get("event_type") or not body.get("display_name"):
            return _problem("event_type and display_name are required")
        return web.json_response(self.types[self.add_type(body["event_type"], body["display_name"])])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._type(request))

    async def _update(self, request: web.Request) -> web.Response:
        item, body = self._type(request), await _object(request)
        if not body.get("event_type") or not body.get("display_name"):
            return _problem("event_type and display_name are required")
        if any(each["event_type"] == body["event_type"] for each in self.types.values() if each is not item):
            return _problem("the event type already exists")
        item.update(event_type=body["event_type"], display_name=body["display_name"])
        return web.json_response(item)

    async def _delete(self, request: web.Request) -> web.Response:
        number = cast("int", self._type(request)["event_type_id"])
        del self.types[number]
        self.events = [each for each in self.events if each["event_type_id"] != number]
        return web.Response()

    async def _create_events(self, request: web.Request) -> web.Response:
        given = cast("Sequence[Item]", (await _object(request)).get("events") or [])
        if not 1 <= len(given) <= _BATCH:
            return _problem("give 1 to 10 events")
        types = {item["event_type"]: key for key, item in self.types.items()} | {
            key: key for key in self.types
        }
        members = {email: key for key, email in self.members.items()} | {key: key for key in self.members}
        made: list[tuple[int, int, Item]] = []
        for event in given:
            kind = types.get(event.get("event_type_id") or event.get("event_type"))
            member = members.get(event.get("member_id") or event.get("email"))  # type: ignore[call-overload]
            if kind is None or member is None:
                return _problem("unknown event type or member")
            names = ("attributes", "event_monetary_value", "mailing_id", "event_timestamp")
            made.append((kind, member, {name: event[name] for name in names if name in event}))
        return web.json_response([self.add_event(kind, member, **rest) for kind, member, rest in made])

    async def _list_events(self, request: web.Request) -> web.Response:
        member = int(request.match_info["id"])
        if member not in self.members:
            return web.json_response("no such member", status=HTTPStatus.NOT_FOUND)
        mine = [
            {name: value for name, value in each.items() if name not in ("attributes", "event_id")}
            for each in self.events
            if each["member_id"] == member
        ]
        return self._range(request, mine)

    def _type(self, request: web.Request) -> Item:
        number = int(request.match_info["id"])
        if number not in self.types:
            raise web.HTTPNotFound(text="no such event type")
        return self.types[number]


def _reworded(answer: web.StreamResponse) -> web.StreamResponse:
    match answer.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return web.Response(status=HTTPStatus.FORBIDDEN, text="Rate Limit Exceeded")
        case HTTPStatus.UNAUTHORIZED:
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="Unauthorized")
        case _:
            return answer


def _problem(words: str) -> web.Response:
    return web.json_response(words, status=HTTPStatus.BAD_REQUEST)


async def _object(request: web.Request) -> Item:
    return cast("Item", await request.json())


def documented_limit() -> Throttle:
    """Return the limit that was reported, 180 requests a minute."""
    return LaravelWindow(180, per=60)
