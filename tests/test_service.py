"""Clients of services that differ from Fathom's, against servers of the same pieces."""

import asyncio
import json
import pickle
from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from aiohttp import web
from attrs import evolve, field, frozen
from multidict import CIMultiDict

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    DecodeError,
    PagingError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from fathom_async.models import Page
from fathom_async.service import (
    LimitHeaders,
    LinkedPage,
    Priority,
    RateLimit,
    Request,
    Service,
    ServiceClient,
    by_link,
    by_next,
    object_decoder,
    parse,
    with_link,
)
from fathom_async.testing import LaravelWindow, ServiceServer

pytestmark = pytest.mark.virtual_time

LIMITS = {"all": RateLimit(100, per=60)}
JSON = "application/json"
Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serving(endpoint: Endpoint, *, limit: int | None = None) -> ServiceServer:
    """A server that answers everything alike."""
    throttle = None if limit is None else LaravelWindow(limit, per=60)
    return ServiceServer([web.route("*", "/{rest:.*}", endpoint)], {"all": throttle}, limit_headers="none")


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "headers": dict(request.headers),
            "query": request.query_string,
            "body": (await request.read()).decode(),
        }
    )


async def echoed(
    settings: Callable[[str], Service], request: Request[object]
) -> tuple[dict[str, str], str, str]:
    async with serving(echo) as server, ServiceClient(settings(server.url)) as client:
        found = json.loads(json.dumps(await client.send(request)))
    return found["headers"], found["query"], found["body"]


def keyed(url: str) -> Service:
    return Service(
        base_url=url,
        authorization="s3cret-of-the-service",
        auth_header="X-Api-Key",
        headers={"Api-Version": "2", "Accept": "application/vnd.api+json"},
        limits=LIMITS,
    )


async def test_the_key_goes_into_the_header_that_the_service_wants() -> None:
    seen: list[dict[str, str]] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.json_response(None)

    async with serving(look) as server, ServiceClient(keyed(server.url)) as client:
        await client.send(Request("GET", "/x", parse, lane="all"))
    (headers,) = seen
    assert (headers["X-Api-Key"], headers["Api-Version"]) == ("s3cret-of-the-service", "2")
    assert headers["Accept"] == "application/vnd.api+json"
    assert "Authorization" not in headers


@pytest.mark.parametrize("key", ["a+key/=&of%41-the-service", "short-key"])
async def test_a_key_in_the_query_is_sent_with_each_page_and_shown_by_nothing(key: str) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    events: list[object] = []

    async def listed(request: web.Request) -> web.Response:
        seen.append((request.query.getall("key"), request.query.getall("label")))
        page = len(seen)
        if page == 3:
            return web.Response(status=400, text=f"bad request {request.url} {request.query['key']}")
        link = f'<{request.url.update_query(page=page + 1)}>; rel="next"'
        return web.json_response([{"number": page}], headers={"Link": link})

    async with serving(listed) as server:
        settings = evolve(keyed(server.url), auth_query="key", authorization=key, on_event=events.append)
        async with ServiceClient(settings) as client:
            params = {"label": ["a,b", "c d"]}
            first = Request("GET", "/things", things, params, lane="all", with_headers=with_link)
            with pytest.raises(ValidationError, match=r"bad request .*label=.*page=3") as caught:
                _ = [thing async for thing in client.listing(first, by_link)]
            shown = f"{caught.value!r} {caught.value} {pickle.dumps(caught.value)!r} {events} {client!r} {settings!r}"
    assert seen == [([key], params["label"])] * 3
    assert not [form for form in (key, quote(key), quote(key, safe=""), quote_plus(key)) if form in shown]


async def test_a_key_in_the_query_changes_with_what_its_function_returns() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.query["key"])
        return web.json_response({}, status=401 if len(seen) == 2 else 200)

    keys = iter(["the-first-key", "the-second-key"])
    async with serving(answer) as server:
        settings = evolve(keyed(server.url), auth_query="key", authorization=lambda: next(keys))
        async with ServiceClient(settings) as client:
            for _ in range(2):
                await client.request("GET", "/x")
    assert seen == ["the-first-key", "the-first-key", "the-second-key"]


async def test_no_error_and_no_repr_shows_the_key() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"bad key {request.headers['X-Api-Key']}")

    async with serving(refuse) as server, ServiceClient(keyed(server.url)) as client:
        with pytest.raises(AuthenticationError, match="bad key") as caught:
            await client.send(Request("GET", "/x", parse, lane="all"))
        assert (
            "s3cret-of-the-service" not in f"{caught.value!r} {caught.value} {client!r} {keyed(server.url)!r}"
        )


async def test_a_query_parameter_may_repeat() -> None:
    params = {"site": ["a&b", "ü"], "limit": "2", "none": []}
    _, query, _ = await echoed(keyed, Request("GET", "/x", parse, params, lane="all"))
    assert parse_qsl(query) == [("site", "a&b"), ("site", "ü"), ("limit", "2")]


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [
        ({"a": 1}, JSON, '{"a":1}'),
        ([1, "x"], JSON, '[1,"x"]'),
        ("text", JSON, '"text"'),
        (0, JSON, "0"),
        (b"a=1&b=2", "application/x-www-form-urlencoded", "a=1&b=2"),
        (b"", "text/plain", ""),
    ],
)
async def test_a_body_may_be_anything(body: object, kind: str, sent: str) -> None:
    request = Request("POST", "/x", parse, body=body, lane="all", content_type=kind)
    headers, _, arrived = await echoed(keyed, request)
    assert (arrived, headers["Content-Type"]) == (sent, kind)


async def test_an_unknown_lane_is_named_before_anything_is_sent() -> None:
    async with serving(echo) as server, ServiceClient(keyed(server.url)) as client:
        with pytest.raises(ArgumentError, match="there is no lane 'crud': pass one of all"):
            await client.send(Request("GET", "/x", parse))
        with pytest.raises(ArgumentError, match="lane must be one of all, not 'crud'"):
            client.eta(lane="crud")
        assert client.eta() == 0
        assert server.hits == ()


@pytest.mark.parametrize("named", [True, False])
async def test_limits_are_read_from_the_headers_that_the_service_names(named: bool) -> None:
    async def answer(request: web.Request) -> web.Response:
        del request
        headers = {"RateLimit-Limit": "5", "RateLimit-Remaining": "1", "X-RateLimit-Limit": "1"}
        return web.json_response(None, headers=headers)

    names = LimitHeaders("RateLimit-Limit", "RateLimit-Remaining") if named else LimitHeaders(None, None)
    async with serving(answer) as server:
        service = Service(base_url=server.url, authorization="key", limits=LIMITS, limit_headers=names)
        async with ServiceClient(service) as client:
            for _ in range(2):
                await client.send(Request("GET", "/x", parse, lane="all"))
            status = client.limits["all"]
    assert (status.limit, status.used) == ((5, 4) if named else (100, 2))


async def test_a_refusal_in_the_services_own_header_is_waited_for() -> None:
    async def refuse_once(request: web.Request) -> web.Response:
        del request
        if asyncio.get_running_loop().time() < 20:
            return web.json_response({}, status=429, headers={"X-Wait": "30"})
        return web.json_response("done")

    async with serving(refuse_once) as server:
        names = LimitHeaders(retry_after="X-Wait")
        service = Service(base_url=server.url, authorization="key", limits=LIMITS, limit_headers=names)
        async with ServiceClient(service) as client:
            assert await client.send(Request("GET", "/x", parse, lane="all")) == "done"
    assert len(server.hits) == 2
    assert 30 <= asyncio.get_running_loop().time() < 35


async def test_a_service_without_headers_is_kept_to_its_limit() -> None:
    async with serving(echo, limit=100) as server, ServiceClient(keyed(server.url)) as client:
        await asyncio.gather(
            *(client.send(Request("GET", f"/{number}", parse, lane="all")) for number in range(250))
        )
    assert (server.refused, server.max_in_window("all")) == (0, 100)


@frozen
class Thing:
    number: int
    more: object = None
    extra: dict[str, object] = field(factory=dict[str, object])


read_things = object_decoder(tuple[Thing, ...])


async def linked(request: web.Request) -> web.Response:
    """Lists seven things, two on a page, and link to the next page in all the ways there are."""
    start = int(request.query.get("from", 0))
    shown = [{"number": number, "more": {"a": [1]}, "new": 1} for number in range(start, min(7, start + 2))]
    after = start + 2 if start + 2 < 7 else None
    at = f"https://elsewhere.test/v9?from={after}&sort={request.query.get('sort', '')}"
    headers = (
        {} if after is None else {"Link": f'</first>; rel="first", <{at}>; title="a, b"; rel="prev next"'}
    )
    return web.json_response(shown, headers=headers)


@frozen
class Items:
    items: tuple[int, ...]
    after: int


read_items = object_decoder(Items)


def things(body: bytes) -> Page[Thing]:
    return Page(read_things(body), has_more=False)


async def test_a_list_follows_the_link_header_and_goes_nowhere_else() -> None:
    async with serving(linked) as server, ServiceClient(keyed(server.url)) as client:
        first = Request("GET", "/things", things, {"sort": "up"}, lane="all", with_headers=with_link)
        listing = client.with_options(priority=Priority.BULK).listing(first, by_link)
        found = [thing async for thing in listing]
        page = await listing
    assert [thing.number for thing in found] == [*range(7)]
    assert (found[0].more, found[0].extra) == ({"a": [1]}, {"new": 1})
    assert isinstance(page, LinkedPage)
    assert [hit.path for hit in server.hits] == ["/things"] * 5
    assert {hit.query["sort"] for hit in server.hits} == {"up"}


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://a.test/?page=2>; rel="next"', "https://a.test/?page=2"),
        ("<?page=2>;rel=next", "?page=2"),
        ('<?page=1>; rel="prev", <?page=3>; REL="Next"', "?page=3"),
        ('<?page=1>; rel="prev", <?q=a,b&page=3>; rel="next last"', "?q=a,b&page=3"),
        ('<?page=9>; rel="nextgen"', None),
        ('<?page=9>; rel="last"', None),
        ("nonsense; rel=next", None),
        ("", None),
    ],
)
def test_the_next_link_is_found(header: str, link: str | None) -> None:
    page = with_link(Page((1,), has_more=False), {"Link": header})
    assert isinstance(page, LinkedPage)
    assert (page.next, page.has_more, page.data) == (link, link is not None, (1,))


@pytest.mark.parametrize("shows_key", [False, True])
@pytest.mark.parametrize("place", range(3))
async def test_the_next_link_is_found_in_whichever_line_it_is(place: int, shows_key: bool) -> None:
    async def listed(request: web.Request) -> web.Response:
        number = int(request.query.get("page", 1))
        lines = ['<?page=1>; rel="first"', '<?page=9>; rel="last", <?page=8>; rel="penultimate"']
        if number < 3:
            lines.insert(place, f'<?page={number + 1}>; rel="next"')
        headers = CIMultiDict([("link" if index else "LINK", line) for index, line in enumerate(lines)])
        shown = request.headers["X-Api-Key"] if shows_key else ""
        return web.json_response([{"number": number, "shown": shown}], headers=headers)

    async with serving(listed) as server, ServiceClient(keyed(server.url)) as client:
        first = Request("GET", "/things", things, lane="all", with_headers=with_link)
        assert [thing.number async for thing in client.listing(first, by_link)] == [1, 2, 3]


async def test_a_list_follows_the_cursor_of_its_bodies() -> None:
    async def listed(request: web.Request) -> web.Response:
        start = int(request.query.get("after", 0))
        return web.json_response({"items": [start, start + 1], "after": start + 2 if start < 4 else None})

    def page(body: bytes) -> Page[int]:
        found = object_decoder(dict[str, object])(body)
        items, after = object_decoder(tuple[int, ...])(json.dumps(found["items"]).encode()), found["after"]
        return LinkedPage(items, after is not None, next=None if after is None else str(after))

    async with serving(listed) as server, ServiceClient(keyed(server.url)) as client:
        listing = client.listing(Request("GET", "/items", page, lane="all"), by_next("after"))
        assert [item async for item in listing] == [*range(6)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("11 11 2", [1, 1, 1, 1, 2]),
        ("_ 5", [5]),
        ("1 _ _ 2 _", [1, 2]),
        ("_ _", []),
        ("7 7", [7, 7]),
    ],
)
async def test_a_page_with_a_cursor_may_be_empty_or_like_the_one_before(
    written: str, expected: list[int]
) -> None:
    pages = [[int(item) for item in items if item != "_"] for items in written.split()]

    async def listed(request: web.Request) -> web.Response:
        number = int(request.query.get("after", 0))
        return web.json_response({"items": pages[number], "after": (number + 1) % len(pages)})

    def page(body: bytes) -> Page[int]:
        found = read_items(body)
        return LinkedPage(found.items, found.after > 0, next=str(found.after))

    async with serving(listed) as server, ServiceClient(keyed(server.url)) as client:
        listing = client.listing(Request("GET", "/items", page, lane="all"), by_next("after"))
        assert [item async for item in listing] == expected
        assert [list(page) async for page in listing.pages()] == pages
    assert len(server.hits) == 2 * len(pages)


async def test_a_page_that_links_to_itself_ends() -> None:
    async def endless(request: web.Request) -> web.Response:
        del request
        return web.json_response([{"number": 1}], headers={"Link": "</things>; rel=next"})

    async with serving(endless) as server, ServiceClient(keyed(server.url)) as client:
        first = Request("GET", "/things", things, lane="all", with_headers=with_link)
        with pytest.raises(PagingError, match="go in circles"):
            [thing async for thing in client.listing(first, by_link)]
    assert len(server.hits) == 1


async def test_what_is_no_such_object_is_a_typed_error() -> None:
    async def wrong(request: web.Request) -> web.Response:
        del request
        return web.json_response([{"number": "x"}])

    async with serving(wrong) as server, ServiceClient(keyed(server.url)) as client:
        with pytest.raises(DecodeError, match="number") as caught:
            await client.send(Request("GET", "/things", things, lane="all"))
    assert caught.value.url.endswith("/things")


async def test_every_way_to_send_asks_the_function_for_its_key_and_asks_again_after_a_401() -> None:
    keys = ["no key", *(f"the key of hour {hour}" for hour in range(1, 4))]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response([], status=200 if request.headers["X-Api-Key"] == keys[0] else 401)

    def ask() -> str:
        return keys[0]

    def discard(body: bytes) -> Page[int]:
        del body
        return Page((), has_more=False)

    async with serving(answer) as server:
        settings = evolve(keyed(server.url), authorization=ask)
        async with ServiceClient(settings) as client:
            ways: list[Callable[[], Awaitable[object]]] = [
                lambda: client.send(Request("GET", "/x", parse, lane="all")),
                lambda: client.with_options(timeout=5).send(Request("GET", "/x", parse, lane="all")),
                lambda: client.listing(Request("GET", "/x", discard, lane="all"), by_link),
                lambda: client.request("GET", "/x"),
            ]
            for way in ways:
                await way()
            for way in ways:
                keys.insert(0, f"{keys[0]}, changed")
                await way()
    assert [hit.status for hit in server.hits] == [200] * 4 + [401, 200] * 4


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH", "MERGE"])
@pytest.mark.parametrize("said", [None, True, False])
async def test_a_request_is_sent_twice_only_if_its_method_or_its_author_says_that_it_may_be(
    method: str, said: bool | None
) -> None:
    async def fail(request: web.Request) -> web.Response:
        del request
        return web.json_response({}, status=503)

    request = Request(method, "/x", parse, lane="all")
    request = request if said is None else evolve(request, idempotent=said)
    async with serving(fail) as server:
        settings = evolve(keyed(server.url), retry=RetryPolicy(attempts=2))
        async with ServiceClient(settings) as client:
            with pytest.raises(ServerError):
                await client.send(request)
    may = method in {"GET", "PUT", "DELETE"} if said is None else said
    assert len(server.hits) == 1 + may


@pytest.mark.parametrize(
    ("method", "said", "times"),
    [("GET", None, 3), ("GET", False, 1), ("POST", None, 1), ("POST", True, 3), ("PUT", None, 1),
     ("DELETE", None, 1), ("PATCH", True, 1)],
)  # fmt: skip
async def test_an_answer_that_is_no_json_is_asked_for_again_if_the_request_only_reads(
    method: str, said: bool | None, times: int
) -> None:
    async def garble(request: web.Request) -> web.Response:
        del request
        return web.Response(text="<html>", content_type="text/html")

    request = Request(method, "/x", parse, lane="all")
    request = request if said is None else evolve(request, idempotent=said)
    async with serving(garble) as server, ServiceClient(keyed(server.url)) as client:
        with pytest.raises(DecodeError, match="web page"):
            await client.send(request)
    assert len(server.hits) == times


class Reader:
    """Reads answers by a method."""

    def read(self, body: bytes) -> object:
        return self, parse(body)


def beside(found: object, headers: Mapping[str, str]) -> object:
    return found, headers["Content-Type"]


READER = Reader()
SHARED = Request("POST", "/x", READER.read, {"a": "1"}, body={"a": 1}, lane="all", is_shared=True)


CHANGES: list[tuple[dict[str, object], bool]] = [
    ({}, True),
    ({"decode": READER.read}, True),
    ({"body": {"a": 1}, "params": {"a": "1"}}, True),
    ({"body": {"a": 2}}, False),
    ({"body": None}, False),
    ({"params": {"a": "2"}}, False),
    ({"method": "PATCH"}, False),
    ({"content_type": "application/vnd.api+json"}, False),
    ({"decode": parse}, False),
    ({"decode": Reader().read}, False),
    ({"with_headers": beside}, False),
    ({"lane": "other"}, False),
    ({"idempotent": True}, False),
    ({"already_gone_result": "gone"}, False),
]


@pytest.mark.parametrize(("change", "is_one"), CHANGES)
async def test_requests_that_differ_in_what_is_sent_or_how_it_is_read_are_not_one(
    change: dict[str, object], is_one: bool
) -> None:
    async with serving(echo) as server:
        settings = evolve(keyed(server.url), limits={**LIMITS, "other": RateLimit(100, per=60)})
        async with ServiceClient(settings) as client:
            other = cast("Callable[..., Request[object]]", evolve)(SHARED, **change)
            both = await asyncio.gather(client.send(SHARED), client.send(other))
            alone = await client.send(other)
    assert both[1] == alone
    assert len(server.hits) == (2 if is_one else 3)


WRONG_SETTINGS: list[tuple[str, object, str]] = [
    ("base_url", b"https://x", "is not a URL"),
    ("authorization", "", "must not be empty"),
    ("authorization", "s3cret\nline", "must be a string of printable ASCII"),
    ("authorization", "s3cret\x00", "must be a string of printable ASCII"),
    ("authorization", "s3crét", "must be a string of printable ASCII"),
    ("authorization", " s3cret", "must be a string of printable ASCII"),
    ("authorization", b"s3cret", "must be a string of printable ASCII"),
    ("authorization", None, "must be a string of printable ASCII"),
    ("authorization", "Basic s3cret", "those of Basic are base64"),
    ("authorization", "basic czNjcmV0", "those of Basic are base64 of user:password"),
    ("auth_header", "X Key", "auth_header must be the name of a header"),
    ("auth_header", "", "auth_header must be the name of a header"),
    ("headers", {"X A": "b"}, "a name in headers must be the name of a header"),
    ("headers", {"X-A": "a\nb"}, r"headers\['X-A'\] must be a string of printable ASCII"),
    ("headers", {"X-A": 1}, "headers must be a mapping of strings to str"),
    ("headers", [("X-A", "1")], "headers must be a mapping of strings to str"),
    ("limits", {}, "limits must name at least one lane"),
    ("limits", {"all": 5}, "limits must be a mapping of strings to RateLimit"),
    ("limits", {5: RateLimit(1, per=1)}, "limits must be a mapping of strings to RateLimit"),
    ("limits", RateLimit(1, per=1), "limits must be a mapping of strings to RateLimit"),
    ("concurrency", 0, "concurrency must be a whole number of at least 1"),
    ("concurrency", -1, "concurrency must be a whole number of at least 1"),
    ("concurrency", "5", "concurrency must be a whole number of at least 1"),
    ("max_body", 0, "max_body must be a whole number of at least 1"),
    ("retry", 5, "retry must be RetryPolicy or NoneType, not int"),
    ("limit_headers", None, "limit_headers must be LimitHeaders, not NoneType"),
    ("proxy", 5, "proxy must be str or NoneType, not int"),
    ("trust_env", "yes", "trust_env must be bool, not str"),
    ("on_event", 5, "on_event must be a function, not 5"),
    ("is_refusal", None, "is_refusal must be a function, not None"),
    ("timeout", "3", "timeout must be a number of seconds"),
    ("timeout", 0, "timeout must be a number of seconds of at least 0.001"),
    ("max_header", 0, "max_header must be a whole number of at least 1"),
    ("max_connections", True, "max_connections must be a whole number of at least 1"),
    ("adaptive", 1, "adaptive must be bool, not int"),
    ("account", None, "account must be str, not NoneType"),
    ("not_found_hint", 5, "not_found_hint must be str, not int"),
    ("reserves", {"all": -1}, r"reserves\['all'\] must be a whole number of at least 0"),
    ("reserves", {"all": True}, r"reserves\['all'\] must be a whole number of at least 0"),
    ("reserves", {"all": 100}, r"reserves\['all'\] leaves nothing of 100 requests"),
    ("reserves", {"reports": 1}, "a lane in reserves must be one of all, not 'reports'"),
    ("reserves", 5, "reserves must be a mapping of strings to int, not 5"),
    ("aliases", {"crud": "al"}, r"aliases\['crud'\] must be one of all, not 'al'; did you mean 'all'"),
    ("aliases", "all", "aliases must be a mapping of strings to str"),
    ("budget", 5, "the budget is not a URL"),
    ("budget", "redis://", "the budget's URL names no host"),
    ("budget_key", " ", "budget_key must be a name"),
    ("budget_key", 5, "budget_key must be a name"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG_SETTINGS)
def test_a_setting_that_cannot_be_is_an_error_at_once_which_shows_no_secret(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        cast("Callable[..., Service]", evolve)(keyed("https://a.test"), **{name: value})
    assert "s3cr" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.parametrize("said", [row[1] for row in WRONG_SETTINGS if row[0] == "authorization"])
async def test_a_function_may_return_no_other_credentials_than_can_be_written(said: str) -> None:
    def settings(url: str) -> Service:
        return evolve(keyed(url), authorization=lambda: said)

    async with serving(echo) as server, ServiceClient(settings(server.url)) as client:
        with pytest.raises(ArgumentError) as caught:
            await client.request("GET", "/x")
        assert server.hits == ()
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("said", ["k", "Basic dXNlcjpwYXNz", "Bearer a.b=", "Token token=abc, org=7"])
async def test_credentials_of_any_scheme_are_sent_as_they_are(said: str) -> None:
    def settings(url: str) -> Service:
        return Service(base_url=url, authorization=said, limits=LIMITS, auth_header="X-Auth")

    async with serving(echo) as server, ServiceClient(settings(server.url)) as client:
        await client.request("GET", "/x")
        assert server.hits[0].status == 200


@pytest.mark.parametrize(
    ("method", "at", "more"),
    [
        ("G ET", "/x", {}),
        ("get", "/x", {}),
        ("", "/x", {}),
        (None, "/x", {}),
        *(
            ("GET", at, {})
            for at in ("x", "", 5, None, "/x\n", "/a b", "/x?a=1", "/x#a", "/é", "/../x", "/a/./b", "/%")
        ),
        ("GET", "/x", {"params": {"n": None}}),
        ("GET", "/x", {"params": {"n": [None]}}),
        ("GET", "/x", {"params": {"n": {"a": 1}}}),
        ("GET", "/x", {"params": {"n": "\ud800"}}),
        ("GET", "/x", {"params": "n=1"}),
        ("POST", "/x", {"body": {"a": object()}}),
        ("POST", "/x", {"body": {"a": "\ud800"}}),
        ("POST", "/x", {"body": b"a", "content_type": "a\r\nX-Y: z"}),
        ("POST", "/x", {"body": b"a", "content_type": None}),
    ],
)
async def test_a_request_that_cannot_be_sent_is_an_error_before_anything_is(
    method: str, at: str, more: dict[str, object]
) -> None:
    make = cast("Callable[..., Request[Page[object]]]", Request)
    request = make(method, at, things, lane="all", **more)
    async with serving(echo) as server, ServiceClient(keyed(server.url)) as client:
        with pytest.raises(ArgumentError):
            await client.send(request)
        with pytest.raises(ArgumentError):
            await client.listing(request, by_link)
        assert server.hits == ()
        assert client.limits["all"].used == 0
