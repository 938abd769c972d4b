"""An Emma server inside the process: event types and members' events, over real sockets."""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import Literal, Unpack, cast

from aiohttp import web

from fathom_async.testing._http_errors import HttpError
from fathom_async.testing._listening import CommonOptions
from fathom_async.testing._throttle import SlidingLog, Throttle
from fathom_async.testing._tokens import Grant, Tokens
from fathom_async.testing.connectors._server import ServiceServer, read_object

_MAX_SPAN = 500
_MAX_EVENTS = 10

Entry = dict[str, object]


class EmmaServer(ServiceServer):
    """A local server that speaks Emma's Events API.

    Args:
        account_id: The account's number.
        members: The members' addresses by number.
        throttle: The limit of all requests; 180 a minute by default, None for none.
        keys: The public and the private key to accept; any by default.
        **options: See `CommonOptions`.

    Attributes:
        types: The event types by number; tests may add to them.
        events: The members' events, in the order of their creation.
    """

    def __init__(
        self,
        *,
        account_id: int = 100,
        members: Mapping[int, str] | None = None,
        throttle: Throttle | Literal["documented"] | None = "documented",
        keys: tuple[str, str] | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        limit = SlidingLog(180, per=60) if throttle == "documented" else throttle
        super().__init__({"account": limit}, _Keys(keys), options)
        self.account_id = account_id
        self.members: dict[int, str] = dict(
            members or {555: "homer@simpsonsfamily.doh", 444: "marge@simpsonsfamily.doh"}
        )
        self.types: dict[int, Entry] = {}
        self.events: list[Entry] = []
        self._type_numbers, self._event_numbers = count(200), count(1)

    def add_type(self, event_type: str, display_name: str | None = None) -> int:
        """Add an event type, and return its number."""
        number = next(number for number in self._type_numbers if number not in self.types)
        self.types[number] = {
            "account_id": self.account_id,
            "created_at": self._now(),
            "display_name": event_type if display_name is None else display_name,
            "event_type": event_type,
            "event_type_id": number,
        }
        return number

    def add_event(self, event_type_id: int, member_id: int, **fields: object) -> Entry:
        """Add a member's event, and return it."""
        now = self._now()
        event = {
            "account_id": self.account_id,
            "attributes": None,
            "event_timestamp": now,
            "event_id": next(self._event_numbers),
            "event_type_id": event_type_id,
            "event_monetary_value": None,
            "inserted_at": now,
            "mailing_id": None,
            "member_id": member_id,
            **fields,
        }
        self.events.append(event)
        return event

    def _now(self) -> str:
        return self.clock.now().strftime("@D:%Y-%m-%dT%H:%M:%S")

    def _routes(self) -> Sequence[web.RouteDef]:
        events = f"/{self.account_id}/events"
        one = rf"{events}/{{type:\d+}}"
        return [
            web.get(events, self._list_types),
            web.post(events, self._create_type),
            web.get(one, self._get_type),
            web.put(one, self._update_type),
            web.delete(one, self._delete_type),
            web.post(f"{events}/members", self._create_events),
            web.get(rf"{events}/members/{{member:\d+}}", self._list_events),
        ]

    def _lane_of(self, method: str, path: str) -> str:
        del method, path
        return "account"

    def _reword(self, response: web.StreamResponse) -> web.StreamResponse:
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            return web.json_response({"error": "Rate Limit Exceeded"}, status=HTTPStatus.FORBIDDEN)
        if response.status == HTTPStatus.UNAUTHORIZED:
            return web.json_response({"error": "Unauthorized"}, status=HTTPStatus.UNAUTHORIZED)
        return response

    async def _list_types(self, request: web.Request) -> web.Response:
        return _page(request, [*self.types.values()])

    async def _create_type(self, request: web.Request) -> web.Response:
        names = self._names(await _read_body(request), own=None)
        return web.json_response(self.types[self.add_type(*names)])

    async def _get_type(self, request: web.Request) -> web.Response:
        return web.json_response(self._type(int(request.match_info["type"])))

    async def _update_type(self, request: web.Request) -> web.Response:
        entry = self._type(int(request.match_info["type"]))
        entry["event_type"], entry["display_name"] = self._names(await _read_body(request), own=entry)
        return web.json_response(entry)

    async def _delete_type(self, request: web.Request) -> web.Response:
        number = int(request.match_info["type"])
        self._type(number)
        del self.types[number]
        self.events = [event for event in self.events if event["event_type_id"] != number]
        return web.json_response(data=True)

    async def _create_events(self, request: web.Request) -> web.Response:
        given = cast("list[Entry]", (await _read_body(request)).get("events"))
        if not isinstance(given, list) or not given:
            raise _bad("No events were provided.")
        if not all(isinstance(event, dict) for event in given):
            raise _bad("Each event must be a JSON object.")
        if len(given) > _MAX_EVENTS:
            raise _bad(f"At most {_MAX_EVENTS} events can be created at once.")
        made = [(self._type_of(event), self._member_of(event), _further(event)) for event in given]
        return web.json_response([self.add_event(*ids, **fields) for *ids, fields in made])  # type: ignore[arg-type]

    async def _list_events(self, request: web.Request) -> web.Response:
        member = int(request.match_info["member"])
        if member not in self.members:
            raise _missing("member")
        shown = [
            {name: value for name, value in event.items() if name not in ("event_id", "attributes")}
            for event in self.events
            if event["member_id"] == member
        ]
        return _page(request, shown)

    def _names(self, fields: Mapping[str, object], own: Entry | None) -> tuple[str, str]:
        names = fields.get("event_type"), fields.get("display_name")
        if not all(isinstance(name, str) and name for name in names):
            raise _bad("event_type and display_name are required.")
        if any(entry["event_type"] == names[0] and entry is not own for entry in self.types.values()):
            raise _bad("This event type already exists.")
        return str(names[0]), str(names[1])

    def _type(self, number: int) -> Entry:
        if number not in self.types:
            raise _missing("event type")
        return self.types[number]

    def _type_of(self, event: Entry) -> int:
        for number, entry in self.types.items():
            if number == event.get("event_type_id") or entry["event_type"] == event.get("event_type"):
                return number
        raise _bad("The event type does not exist.")

    def _member_of(self, event: Entry) -> int:
        for number, email in self.members.items():
            if number == event.get("member_id") or email == event.get("email"):
                return number
        raise _bad("The member does not exist.")


class _Keys(Tokens):
    def __init__(self, keys: tuple[str, str] | None) -> None:
        super().__init__(None)
        self._keys = keys

    def find(self, headers: Mapping[str, str]) -> Grant | None:
        """Return what a request's keys grant; None if they are missing or unknown."""
        scheme, _, secret = headers.get("Authorization", "").partition(" ")
        try:
            public, _, private = b64decode(secret, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        is_known = self._keys in (None, (public, private))
        return Grant(("*",)) if scheme == "Basic" and public and private and is_known else None


def _page(request: web.Request, found: Sequence[Entry]) -> web.Response:
    if request.query.get("count") == "true":
        return web.json_response(len(found))
    start = _position(request, "start", 0)
    end = _position(request, "end", start + _MAX_SPAN)
    if not start <= end <= start + _MAX_SPAN:
        raise _bad(f"end must be at least start, and at most {_MAX_SPAN} more.")
    return web.json_response(list(found[start:end]))


def _position(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise _bad(f"{name} must be an integer from 0.")
    return int(text)


def _further(event: Entry) -> Entry:
    fields = {name: event[name] for name in _OPTIONAL if event.get(name) is not None}
    for name, value in fields.items():
        if not _OPTIONAL[name](value):
            raise _bad(f"{name} is not valid.")
    return fields


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: object) -> bool:
    try:
        datetime.strptime(str(value).partition(".")[0], "@D:%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - it has no zone
    except ValueError:
        return False
    return True


_OPTIONAL: Mapping[str, Callable[[object], bool]] = {
    "attributes": lambda value: isinstance(value, dict),
    "event_monetary_value": _is_number,
    "mailing_id": lambda value: isinstance(value, int) and _is_number(value),
    "event_timestamp": _is_date,
}


async def _read_body(request: web.Request) -> Mapping[str, object]:
    return await read_object(request, _bad("The request is not valid JSON."))


def _bad(words: str) -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, {"error": words})


def _missing(what: str) -> HttpError:
    return HttpError(HTTPStatus.NOT_FOUND, {"error": f"No {what} with this ID was found."})
