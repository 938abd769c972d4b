"""Secoda's event endpoints, as its pages tell them (the catalogue and the shapes of lists: `beyond-the-docs`).

Written from the pages alone, never from the connectors: what those misread is not repeated here.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Unpack, cast
from uuid import UUID

from aiohttp import web

from fathom_async.testing import LaravelWindow, ServiceServer, Throttle
from fathom_async.testing._listening import CommonOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = dict[str, object]
Endpoint = Callable[[web.Request], Awaitable[web.Response]]

_API = "/api/v1"
_WRITES = ("POST", "PUT", "PATCH")
_KINDS = {"category": "event_category", "events": "event", "event_properties": "event_property"}
_PARENT = {"event": "event_category", "event_property": "event"}
_FIELDS = {"type": "entity_type", "parent_id": "parent", "integration_id": "integration"}
_UPDATABLE = (
    *("description", "definition", "pii", "verified", "published"),
    *("teams", "owners", "collections", "tags", "subscribers"),
    *("type", "regex", "is_required", "is_array_type", "enum_values", "owners_groups"),
)
_MOST = 10_000


class SecodaPages(ServiceServer):
    """Categories, events and properties, and the catalogue of resources that replaces the deprecated reads.

    Args:
        token: The token to let in; any by default.
        writes: The limit of POST, PUT and PATCH.
        page_size: Items of a page of a list.
        lag: Seconds until a created resource is in the catalogue.
        lists_lag: Whether the deprecated lists lag, too.
        retired: The status of the deprecated list of events, which is empty then; None while it works.
        generated: Whether items of lists name their parent `parent_id`, and have neither `parent` nor `archived`.
        links: What links to other pages begin with; the server's own address by default.
        old: Whether lists have the shape of older servers.
        **options: See `CommonOptions`.

    Attributes:
        entries: All resources by their ids, oldest first.
        odd: Fields that replace those of every item that is sent.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        writes: Throttle | None = None,
        page_size: int = 20,
        lag: float = 0.0,
        lists_lag: bool = False,
        retired: int | None = None,
        generated: bool = False,
        links: str | None = None,
        old: bool = False,
        **options: Unpack[CommonOptions],
    ) -> None:
        routes = [
            web.get(f"{_API}/resource/catalog/", self._catalog),
            web.get(f"{_API}/resource/all/{{id}}/", self._get),
        ]
        for at, kind in _KINDS.items():
            one = f"{_API}/event/{at}/{{id}}/"
            routes += [web.get(f"{_API}/event/{at}/", self._listing(kind)), web.get(one, self._get)]
            routes += [web.post(f"{_API}/event/{at}/", self._creation(kind))]
            if kind in _PARENT:
                routes += [web.patch(one, self._update), web.delete(one, self._delete)]
        super().__init__(
            [*routes, web.route("*", "/{rest:.*[^/]}", _redirect)],
            {"reads": None, "writes": writes},
            lane_of=lambda method, _: "writes" if method in _WRITES else "reads",
            is_known=lambda headers: token is None or headers.get("Authorization") == f"Bearer {token}",
            reword=_reworded,
            limit_headers="none",
            **options,
        )
        self.entries: dict[str, Item] = {}
        self.odd: Item = {}
        self._listed_at: dict[str, float] = {}
        self._page_size, self._lag, self._lists_lag = page_size, lag, lists_lag
        self._retired = retired
        self._generated, self._links, self._old = generated, links, old

    def add(self, kind: str, title: object, *, parent: str | None = None, **fields: object) -> str:
        """Add a resource, and return its id."""
        name = str(UUID(int=len(self._listed_at) + (0x5EC0DA << 100)))
        self._listed_at[name] = self.clock.time() + self._lag
        known = dict.fromkeys(("integration", "description"))
        own = {"id": name, "entity_type": kind, "title": title, "parent": parent, "archived": False}
        self.entries[name] = {**known, **own, **fields}
        return name

    def of_kind(self, kind: str) -> list[Item]:
        """Return the resources of a kind, oldest first."""
        return [item for item in self.entries.values() if item["entity_type"] == kind]

    def _creation(self, kind: str) -> Endpoint:
        async def create(request: web.Request) -> web.Response:
            body = await _object(request)
            if kind in _PARENT and self._find(body.get("parent")).get("entity_type") != _PARENT[kind]:
                return _problem(HTTPStatus.NOT_FOUND, "There is no such parent.")
            name = self.add(kind, body.pop("title", None), **body)  # type: ignore[arg-type]
            return web.json_response(self.entries[name] | self.odd, status=HTTPStatus.CREATED)

        return create

    def _listing(self, kind: str) -> Endpoint:
        async def listing(request: web.Request) -> web.Response:
            if kind == "event" and self._retired is not None:
                return web.json_response({"count": 0, "results": []}, status=self._retired)
            items = [item for item in self.of_kind(kind) if not self._lists_lag or self._is_listed(item)]
            for name in ("integration_id", "parent_id"):
                if (value := request.query.get(name)) is not None:
                    items = [item for item in items if _is_same(item.get(_FIELDS[name]), value)]
            if (title := request.query.get("title")) is not None:
                items = [item for item in items if title.lower() in str(item.get("title", "")).lower()]
            return self._page(request, items)

        return listing

    async def _catalog(self, request: web.Request) -> web.Response:
        wanted = cast("Item", json.loads(request.query.get("filter", "{}")))
        items = [item for item in self.entries.values() if self._is_listed(item) and _holds(wanted, item)]
        return self._page(request, items[:_MOST], count=len(items))

    def _is_listed(self, item: Item) -> bool:
        return self._listed_at[str(item["id"])] <= self.clock.time()

    def _page(self, request: web.Request, items: Sequence[Item], count: int | None = None) -> web.Response:
        number, pages = int(request.query.get("page", 1)), max(1, -(-len(items) // self._page_size))
        if not 1 <= number <= pages:
            return _problem(HTTPStatus.NOT_FOUND, "Invalid page.")
        shown = items[(number - 1) * self._page_size : number * self._page_size]
        at = f"{self._links or self.url}{request.path}"
        after = f"{at}?page={number + 1}" if number < pages else None
        before = f"{at}?page={number - 1}" if number > 1 else None
        links = {"next": after, "previous": before}
        body = links if self._old else {"links": {**links, "previous": before or "None"}, "meta": {}}
        total = {"count": len(items) if count is None else count, "total_pages": pages}
        return web.json_response({**body, **total, "results": [*map(self._listed, shown)]})

    def _listed(self, item: Item) -> Item:
        sent = item | self.odd
        if self._generated:
            sent["parent_id"] = sent.pop("parent")
            del sent["archived"]
        return sent

    async def _get(self, request: web.Request) -> web.Response:
        found = self._find(request.match_info["id"])
        return web.json_response(found | self.odd) if found else _problem(HTTPStatus.NOT_FOUND, "Not found.")

    async def _update(self, request: web.Request) -> web.Response:
        found, body = self._find(request.match_info["id"]), await _object(request)
        found.update({field: body[field] for field in _UPDATABLE if field in body})
        return web.json_response(found | self.odd) if found else _problem(HTTPStatus.NOT_FOUND, "Not found.")

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._find(request.match_info["id"])
        if not found:
            return _problem(HTTPStatus.NOT_FOUND, "Not found.")
        del self.entries[str(found["id"])]
        return web.Response()

    def _find(self, name: object) -> Item:
        return next((item for item in self.entries.values() if _is_same(item["id"], name)), Item())


def _holds(condition: Item, item: Item) -> bool:
    if not condition:
        return True
    operands = cast("Iterable[Item]", condition.get("operands", ()))
    match condition["operator"]:
        case "and":
            return all(_holds(each, item) for each in operands)
        case "or":
            return any(_holds(each, item) for each in operands)
        case "exact":
            field = str(condition["field"])
            return _is_same(item.get(_FIELDS.get(field, field)), condition["value"])
        case unknown:
            raise web.HTTPBadRequest(text=json.dumps({"detail": f"unknown operator: {unknown}"}))


def _is_same(one: object, other: object) -> bool:
    """Compare values; ids are the same with and without dashes."""
    return str(one).replace("-", "").lower() == str(other).replace("-", "").lower()


async def _redirect(request: web.Request) -> web.Response:
    return web.Response(status=301, headers={"Location": f"{request.path}/"})


def _reworded(answer: web.StreamResponse) -> web.StreamResponse:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return _problem(answer.status, "Authentication credentials were not provided.")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return _problem(answer.status, "Request was throttled.", answer.headers.get("Retry-After"))
        case _:
            return answer


def _problem(status: int, words: str, retry_after: str | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.json_response({"detail": words}, status=status, headers=headers)


async def _object(request: web.Request) -> Item:
    return cast("Item", await request.json())


def documented_writes() -> Throttle:
    """Return the documented limit, 30 writes a minute."""
    return LaravelWindow(30, per=60)
