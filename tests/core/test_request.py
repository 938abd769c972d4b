"""Requests that a caller writes by hand."""

import json
import math
from collections.abc import Callable

import pytest

from fathom_async import (
    ArgumentError,
    ConnectError,
    FathomClient,
    FathomError,
    NotFoundError,
    RetryPolicy,
    ServerError,
    ValidationError,
    WaitTooLongError,
)
from fathom_async.service import Request, Response
from fathom_async.testing import FathomServer, Html

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"


class Wire:
    """A transport that answers with what it was given, one after the other, and keeps the requests."""

    def __init__(self, *answers: bytes | int | FathomError) -> None:
        self._answers = [*answers]
        self.requests: list[Request[object]] = []

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, FathomError):
            raise answer
        return Response(answer, {}, b"") if isinstance(answer, int) else Response(200, {}, answer)

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


def client(wire: Wire) -> FathomClient:
    return FathomClient("any", transport=wire, retry=RetryPolicy(base=0.001))


async def test_an_endpoint_that_is_not_known_answers_with_parsed_json() -> None:
    wire = Wire(b'{"new": [1, 2.5, null]}', b"[]", 204)
    async with client(wire) as fathom:
        assert await fathom.request("GET", f"/sites/{SITE}/anything") == {"new": [1, 2.5, None]}
        assert await fathom.request("get", "/anything/") == []
        assert await fathom.request("DELETE", "/anything") is None
    sent = [(request.method, request.target) for request in wire.requests]
    assert sent == [("GET", "/sites/CDBUGS/anything"), ("GET", "/anything/"), ("DELETE", "/anything")]


async def test_parameters_and_a_body_are_sent_as_they_are_meant(
    server: FathomServer, fathom: FathomClient
) -> None:
    params: dict[str, str | float | bool | None] = {
        "limit": 3,
        "detailed": True,
        "rate": 0.5,
        "q": "a&b=c \u00e9",
        "none": None,
    }
    await fathom.request("GET", "/sites", params=params)
    expected = {"limit": "3", "detailed": "true", "rate": "0.5", "q": "a&b=c \u00e9"}
    assert dict(server.hits[-1].query) == expected
    assert "Acme" in str(await fathom.request("POST", "/sites", json={"name": "Acme"}))
    assert "Acme" in [site.name async for site in fathom.sites.list()]


@pytest.mark.parametrize(
    "path",
    ["sites", "", "/", "//evil.example/x", "/sites/../account", "/sites/./x", "/sites//x", "/sites?limit=1",
     "/sites#x", "/sites\\x", "https://evil.example/", "/sites/\n"],
)  # fmt: skip
async def test_a_path_that_could_reach_another_place_is_refused(
    server: FathomServer, fathom: FathomClient, path: str
) -> None:
    with pytest.raises(ArgumentError):
        await fathom.request("GET", path)
    assert not server.hits


async def test_lists_repeat_a_parameter_and_are_a_body() -> None:
    wire = Wire(b"1")
    async with client(wire) as fathom:
        await fathom.request("POST", "/x", params={"id": ["a", 2, "c&d"], "no": []}, json=["a", {"b": 1}])
    assert wire.requests[0].target == "/x?id=a&id=2&id=c%26d"
    assert wire.requests[0].body_bytes == b'["a",{"b":1}]'


async def test_a_path_is_quoted_once() -> None:
    wire = Wire(b"1")
    async with client(wire) as fathom:
        await fathom.request("GET", "/sites/a b%2F:\u00e9")
    assert wire.requests[0].target == "/sites/a%20b%252F%3A%C3%A9"


@pytest.mark.parametrize(
    ("method", "arguments", "words"),
    [
        ("BREW", {}, "method must be one of GET, PUT, DELETE, POST, PATCH, not 'BREW'"),
        ("GET", {"lane": "fast"}, "lane must be one of crud, reports, not 'fast'"),
        (None, {}, "method must be one of GET, PUT, DELETE, POST, PATCH, not None"),
        ("GET", {"path": 5}, "path must begin with a slash, such as /sites/CDBUGS, not 5"),
        ("GET", {"path": b"/sites"}, "path must begin with a slash, .* not b'/sites'"),
        ("GET", {"params": "a=b"}, "params must be a mapping of names, not 'a=b'"),
        ("GET", {"params": [("a", "b")]}, "params must be a mapping of names, not"),
        ("GET", {"params": {"a": [["b"]]}}, "parameter a must be a string or a finite number"),
        ("GET", {"params": {"a": math.nan}}, "parameter a must be a string or a finite number, not nan"),
        ("GET", {"params": {5: "b"}}, "params must be a mapping of names"),
        ("POST", {"json": {"a": [math.nan]}}, "json cannot be sent as JSON"),
        ("POST", {"json": {"a": {"b": (math.inf,)}}}, "json cannot be sent as JSON"),
        ("POST", {"json": {"a": {-math.inf}}}, "json cannot be sent as JSON"),
        ("GET", {"params": {"a": "\ud800"}}, "surrogate"),
        ("POST", {"json": {"a": object()}}, "json cannot be sent as JSON"),
    ],
)
async def test_what_cannot_be_sent_is_an_error_before_anything_is(
    server: FathomServer, fathom: FathomClient, method: str, arguments: dict[str, object], words: str
) -> None:
    given = {"path": "/sites", **arguments}
    with pytest.raises(ArgumentError, match=words):
        await fathom.request(method, **given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert not server.hits


@pytest.mark.parametrize("fault", [503, ConnectError("broke", sent=True)], ids=repr)
@pytest.mark.parametrize(
    ("method", "is_repeated"),
    [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False)],
)
async def test_only_methods_that_may_be_repeated_are(
    fault: int | FathomError, method: str, is_repeated: bool
) -> None:
    wire = Wire(fault, b"1")
    async with client(wire) as fathom:
        if is_repeated:
            assert await fathom.request(method, "/anything") == 1
        else:
            with pytest.raises((ServerError, ConnectionError)):
                await fathom.request(method, "/anything")
    assert len(wire.requests) == 1 + is_repeated


async def test_it_passes_its_lane_with_the_options_and_errors_of_all_others(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Html())
    params = {"site_id": SITE}
    found = await fathom.request("GET", "/current_visitors", params=params, lane="reports")
    assert isinstance(found, dict)
    assert fathom.limits["reports"].used == 2
    fathom.pause(100)
    with pytest.raises(WaitTooLongError):
        await fathom.with_options(max_wait=1).request("GET", "/account", lane="reports")
    with pytest.raises(NotFoundError):
        await fathom.request("GET", "/sites/NOSUCH")
    with pytest.raises(ValidationError):
        await fathom.request("POST", "/sites", json={"name": ""})


async def test_it_works_on_an_hourly_plan(server: FathomServer) -> None:
    policy = RetryPolicy(attempts=1)
    async with FathomClient("any", base_url=server.url, plan="hourly:600:5", retry=policy) as fathom:
        account = await fathom.request("GET", "/account")
        assert json.dumps(account)
        assert await fathom.request("GET", "/account", lane="reports") == account
        assert fathom.limits["crud"].used == 2
