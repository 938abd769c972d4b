"""A Secoda server inside the process: categories, events, properties and the catalog, over real sockets."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from itertools import count
from json import JSONDecodeError
from typing import Literal, Unpack, cast
from uuid import UUID

from aiohttp import web

from fathom_async.testing._http_errors import HttpError
from fathom_async.testing._listening import CommonOptions
from fathom_async.testing._middleware import Handler
from fathom_async.testing._throttle import LaravelWindow, Throttle
from fathom_async.testing._tokens import Tokens
from fathom_async.testing.connectors._server import ServiceServer, read_object

_API = "/api/v1"
_LIMITED = ("POST", "PUT", "PATCH")
_LISTS = ("teams", "owners", "collections", "tags", "subscribers")
_FLAGS = ("pii", "verified", "published")
_CHANGEABLE = ("description", "definition", *_FLAGS, *_LISTS)
_MAX_RESOURCES = 10_000
_PARENT_OF = {"event": "event_category", "event_property": "event"}

_WORDS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Authentication credentials were not provided.",
    HTTPStatus.TOO_MANY_REQUESTS: "Request was throttled.",
}

Entry = dict[str, object]


class SecodaServer(ServiceServer):
    """A local server that speaks Secoda's Events API.

    Args:
        envelope: The envelope of lists: ``links`` as on newer servers, or ``plain`` as on older ones.
        page_size: Objects per page.
        writes_throttle: The limit of POST, PUT and PATCH; 30 a minute by default, None for none.
        tokens: The tokens to accept; any by default.
        **options: See `CommonOptions`.

    Attributes:
        entries: The catalog's entries by id; tests may add to them.
    """

    def __init__(
        self,
        *,
        envelope: Literal["links", "plain"] = "links",
        page_size: int = 100,
        writes_throttle: Throttle | Literal["documented"] | None = "documented",
        tokens: Collection[str] | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        throttle = LaravelWindow(30, per=60) if writes_throttle == "documented" else writes_throttle
        known = None if tokens is None else dict.fromkeys(tokens, ("*",))
        super().__init__({"writes": throttle, "reads": None}, Tokens(known), options)
        self.entries: dict[str, Entry] = {}
        self._envelope = envelope
        self._page_size = page_size
        self._numbers = count(1)

    def add(self, kind: str, title: str | None, *, parent: str | None = None, **fields: object) -> str:
        """Add an entry to the catalog, and return its id.

        Args:
            kind: ``event_category``, ``event`` or ``event_property``.
            title: Its name.
            parent: Id of its parent.
            **fields: Further fields.
        """
        name = str(UUID(int=next(self._numbers) + (0x5EC0DA << 100)))
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        defaults = dict.fromkeys(("description", "definition", "integration"), None)
        flags = dict.fromkeys(("pii", "verified", "published", "archived"), False)
        lists = {field: list[str]() for field in _LISTS}
        stamps = {"created_at": now, "updated_at": now}
        own = {"id": name, "title": title, "entity_type": kind, "native_type": kind, "parent": parent}
        self.entries[name] = {**own, **stamps, **defaults, **flags, **lists, **fields}
        return name

    def _routes(self) -> Sequence[web.RouteDef]:
        routes = [
            web.get(f"{_API}/resource/catalog/", self._catalog),
            web.get(f"{_API}/resource/all/{{id}}/", partial(self._get, None)),
        ]
        for at, kind in (
            ("category", "event_category"),
            ("events", "event"),
            ("event_properties", "event_property"),
        ):
            one = f"{_API}/event/{at}/{{id}}/"
            routes += [
                web.get(f"{_API}/event/{at}/", partial(self._list, kind)),
                web.post(f"{_API}/event/{at}/", partial(self._create, kind)),
                web.get(one, partial(self._get, kind)),
            ]
            if kind in _PARENT_OF:
                routes += [
                    web.patch(one, partial(self._update, kind)),
                    web.delete(one, partial(self._delete, kind)),
                ]
        return routes

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.endswith("/"):
            target = str(request.rel_url.with_path(f"{request.path}/", keep_query=True))
            return web.Response(status=HTTPStatus.MOVED_PERMANENTLY, headers={"Location": target})
        return await self._middleware.handle(request, handler)

    def _lane_of(self, method: str, path: str) -> str:
        del path
        return "writes" if method in _LIMITED else "reads"

    def _reword(self, response: web.StreamResponse) -> web.StreamResponse:
        words = _WORDS.get(response.status)
        if isinstance(response, web.Response) and words is not None:
            response.text = json.dumps({"detail": words})
        return response

    async def _list(self, kind: str, request: web.Request) -> web.Response:
        fields = {"integration_id": "integration", "parent_id": "parent", "title": "title"}
        wanted = {fields[name]: text for name, text in request.query.items() if name in fields}
        wanted["entity_type"] = kind
        found = [
            entry
            for entry in self.entries.values()
            if all(_same(entry[field], text) for field, text in wanted.items())
        ]
        return self._page(request, found)

    async def _catalog(self, request: web.Request) -> web.Response:
        condition = _read_json(request.query.get("filter", '{"operator": "and"}'))
        found = [entry for entry in self.entries.values() if _holds(condition, entry)]
        sort = _read_json(request.query.get("sort", "{}"))
        if "field" in sort:
            found.sort(
                key=lambda entry: str(entry.get(str(sort["field"]))), reverse=sort.get("order") == "desc"
            )
        return self._page(request, found, within=_MAX_RESOURCES)

    async def _get(self, kind: str | None, request: web.Request) -> web.Response:
        return web.json_response(self._entry(kind, request.match_info["id"]))

    async def _create(self, kind: str, request: web.Request) -> web.Response:
        fields = await _read_body(request)
        needed = ("title", "integration", "parent") if kind in _PARENT_OF else ()
        missing = {name: ["This field is required."] for name in needed if not fields.get(name)}
        if missing:
            raise HttpError(HTTPStatus.BAD_REQUEST, missing)
        parent = None
        if kind in _PARENT_OF:
            parent = str(self._entry(_PARENT_OF[kind], str(fields["parent"]))["id"])
        given = {name: fields[name] for name in (*_CHANGEABLE, "integration") if name in fields}
        title = None if fields.get("title") is None else str(fields["title"])
        made = self.add(kind, title, parent=parent, **given)
        return web.json_response(self.entries[made], status=HTTPStatus.CREATED)

    async def _update(self, kind: str, request: web.Request) -> web.Response:
        entry = self._entry(kind, request.match_info["id"])
        fields = await _read_body(request)
        entry |= {name: fields[name] for name in _CHANGEABLE if name in fields}
        return web.json_response(entry)

    async def _delete(self, kind: str, request: web.Request) -> web.Response:
        gone = {str(self._entry(kind, request.match_info["id"])["id"])}
        gone |= {name for name, entry in self.entries.items() if entry["parent"] in gone}
        self.entries = {name: entry for name, entry in self.entries.items() if name not in gone}
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _entry(self, kind: str | None, name: str) -> Entry:
        for entry in self.entries.values():
            if _same(entry["id"], name) and kind in (None, entry["entity_type"]):
                return entry
        raise HttpError(HTTPStatus.NOT_FOUND, {"detail": "Not found."})

    def _page(
        self, request: web.Request, found: Sequence[Entry], *, within: int | None = None
    ) -> web.Response:
        reachable = found[:within]
        pages = max(1, -(-len(reachable) // self._page_size))
        wanted = request.query.get("page", "1")
        number = int(wanted) if wanted.isascii() and wanted.isdecimal() else 0
        if not 1 <= number <= pages:
            raise HttpError(HTTPStatus.NOT_FOUND, {"detail": "Invalid page."})
        after, before = (
            str(request.url.update_query(page=other)) if 1 <= other <= pages else None
            for other in (number + 1, number - 1)
        )
        results = reachable[(number - 1) * self._page_size : number * self._page_size]
        if self._envelope == "plain":
            return web.json_response(
                {"count": len(found), "next": after, "previous": before, "results": results}
            )
        return web.json_response(
            {
                "links": {"next": after, "previous": before or "None"},
                "meta": {
                    "page": number,
                    "previous_page": number - 1 if before else "None",
                    "next_page": number + 1 if after else None,
                },
                "count": len(found),
                "total_pages": pages,
                "results": results,
            }
        )


async def _read_body(request: web.Request) -> Mapping[str, object]:
    """Return the body's fields, or raise a 400 if one has the wrong type."""
    fields = await read_object(request, HttpError(HTTPStatus.BAD_REQUEST, {"detail": "JSON parse error"}))
    wrong = {name: [words] for name, value in fields.items() if (words := _objection(name, value))}
    if wrong:
        raise HttpError(HTTPStatus.BAD_REQUEST, wrong)
    return fields


def _objection(name: str, value: object) -> str | None:
    if name in _FLAGS:
        return None if isinstance(value, bool) else "Must be a valid boolean."
    if name in _LISTS:
        texts = cast("list[object]", value) if isinstance(value, list) else [None]
        return None if all(isinstance(text, str) for text in texts) else "Must be a list of strings."
    is_text = name in ("description", "definition", "title", "integration", "parent")
    return "Not a valid string." if is_text and not isinstance(value, str | None) else None


def _read_json(text: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(text)
    except JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise HttpError(HTTPStatus.BAD_REQUEST, {"detail": "filter and sort must be JSON objects"})
    return cast("Mapping[str, object]", found)


def _holds(condition: Mapping[str, object], entry: Entry) -> bool:
    names = {"type": "entity_type", "parent_id": "parent", "integration_id": "integration"}
    operands = _conditions(condition.get("operands", []))
    field = str(condition.get("field"))
    actual, wanted = entry.get(names.get(field, field)), condition.get("value")
    match condition.get("operator"):
        case "and":
            return all(_holds(operand, entry) for operand in operands)
        case "or":
            return any(_holds(operand, entry) for operand in operands)
        case "exact":
            return _same(actual, wanted)
        case "in":
            return isinstance(wanted, list) and any(
                _same(actual, one) for one in cast("list[object]", wanted)
            )
        case "contains":
            return str(wanted).lower() in str(actual).lower()
        case operator:
            raise HttpError(HTTPStatus.BAD_REQUEST, {"detail": f"{operator!r} is no operator"})


def _conditions(operands: object) -> Sequence[Mapping[str, object]]:
    found = cast("list[object]", operands) if isinstance(operands, list) else [None]
    if not all(isinstance(each, dict) for each in found):
        raise HttpError(HTTPStatus.BAD_REQUEST, {"detail": "operands must be a list of JSON objects"})
    return cast("list[Mapping[str, object]]", found)


def _same(actual: object, wanted: object) -> bool:
    """Tell whether two values are equal; ids are, with and without dashes."""
    return actual == wanted or _bare_id(actual) == _bare_id(wanted) is not None


def _bare_id(value: object) -> str | None:
    try:
        return UUID(str(value)).hex
    except ValueError:
        return None
