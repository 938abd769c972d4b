"""Middleware around every endpoint: delays, authentication, limits, faults, recorded requests.

The order is that of the live service:

1. Network.
2. Authentication: a 401 spends no budget.
3. Concurrency cap.
4. Rate limit: it counts a request before the endpoint runs, so that the endpoint's errors spend budget too.
5. Endpoint.
6. `X-RateLimit-Remaining`, read after the endpoint.
7. Network.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import responses
from ipaddress import ip_address
from random import Random
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web
from attrs import define, evolve, field, frozen

from fathom_async.testing import _faults
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._http_errors import HttpError
from fathom_async.testing._throttle import ConcurrencyCap, Throttle, Verdict
from fathom_async.testing._tokens import Tokens
from fathom_async.testing._traffic import Hit, lane_of

Duration = float | tuple[float, float] | Callable[[], float]
LimitHeaders = Literal["all", "allowed", "none"]
"""Which answers have `X-RateLimit-*` headers: all, those to requests that were allowed, or none."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Log in</title></head><body><form>Log in to Fathom</form></body></html>"
)


@frozen(kw_only=True)
class Conditions:
    """How the server treats requests; see `FathomServer`, `ServiceServer` and `CommonOptions`.

    With the login ``none``, an unauthenticated request is answered alike whatever it accepts.
    """

    throttles: Mapping[str, Throttle | None]
    cap: ConcurrencyCap | None = None
    limit_headers: LimitHeaders = "all"
    latency: Duration = 0.0
    handler_time: Duration = 0.0
    login: Literal["page", "redirect", "none"] = "page"
    lane_of: Callable[[str, str], str] = lane_of
    hosts: Collection[str] = ()


@define
class Middleware:
    """The server's middleware."""

    conditions: Conditions
    clock: ServerClock
    tokens: Tokens
    random: Random
    faults: _faults.FaultQueue = field(factory=_faults.FaultQueue)
    hits: list[Hit] = field(factory=list[Hit])

    async def handle(self, request: web.Request, endpoint: Handler) -> web.StreamResponse:
        if not _is_known_host(request.headers.get("Host"), self.conditions.hosts):
            message = f"The host {request.host} is not one of this server; see its hosts."
            return web.json_response({"message": message}, status=403)
        await self._spend(self.conditions.latency)  # step 1
        at = self.clock.time()
        hit = Hit(
            at=at,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            status=None,
            lane=self.conditions.lane_of(request.method, request.path),
            counted=False,
        )
        fault = self.faults.peek(hit.method, hit.path)
        if _faults.is_uncounted(fault):
            response = await self._commit(self.faults.take(hit.method, hit.path), request, endpoint)
        elif unrouted := request.match_info.http_exception:
            response = _unrouted(request, unrouted)
        elif self.tokens.find(request.headers) is None:  # step 2
            response = self._unauthenticated(request)
        else:
            return await self._admit(hit, request, endpoint)
        return await self._answer(hit, response)

    async def _admit(self, hit: Hit, request: web.Request, endpoint: Handler) -> web.StreamResponse:
        throttle, cap = self.conditions.throttles[hit.lane], self.conditions.cap
        tells = self.conditions.limit_headers
        if cap is not None and not cap.enter():  # step 3
            return await self._answer(hit, self._refusal(_crowded(throttle, cap, hit.at), hit.at))
        try:
            verdict = throttle.hit(hit.at) if throttle is not None else None  # step 4
            if verdict is not None and not verdict.allowed:
                response: web.StreamResponse = self._refusal(verdict, hit.at)
            else:
                hit = evolve(hit, counted=True)
                fault = self.faults.take(hit.method, hit.path)
                await self._spend(self.conditions.handler_time)
                response = await self._commit(fault, request, endpoint)  # step 5
                if throttle is not None and not response.prepared and tells != "none":  # step 6
                    response.headers["X-RateLimit-Limit"] = str(throttle.limit)
                    response.headers["X-RateLimit-Remaining"] = str(throttle.remaining(self.clock.time()))
        finally:
            if cap is not None:
                cap.leave()
        return await self._answer(hit, response)

    def _refusal(self, verdict: Verdict, now: float) -> web.Response:
        headers = {"Retry-After": str(verdict.retry_after)}
        if self.conditions.limit_headers == "all":
            headers |= {
                "X-RateLimit-Limit": str(verdict.limit),
                "X-RateLimit-Remaining": str(verdict.remaining),
                "X-RateLimit-Reset": str(math.floor(now) + verdict.retry_after),
            }
        return web.json_response({"message": "Too Many Attempts."}, status=429, headers=headers)

    async def _answer(self, hit: Hit, response: web.StreamResponse) -> web.StreamResponse:
        dropped = isinstance(response, _Dropped)
        self.hits.append(evolve(hit, status=None if dropped else response.status))
        if not dropped:
            await self._spend(self.conditions.latency)  # step 7
        return response

    async def _commit(
        self, fault: _faults.Fault | None, request: web.Request, endpoint: Handler
    ) -> web.StreamResponse:
        """Carry out the request as the fault says."""
        instead = _substitute(fault)
        if instead is not None:
            return instead
        match fault:
            case _faults.Disconnect(after_processing=after_processing):
                if after_processing:
                    await _run(request, endpoint)
                return _Dropped.from_request(request)
            case _faults.Truncate():
                return await _truncated(request, await _run(request, endpoint))
            case _faults.Delay(seconds=seconds):
                await self.clock.sleep(seconds)
            case _:
                pass
        return await _run(request, endpoint)

    def _unauthenticated(self, request: web.Request) -> web.Response:
        if self.conditions.login == "none" or "application/json" in request.headers.get("Accept", ""):
            return web.json_response({"message": "Unauthenticated."}, status=401)
        if self.conditions.login == "redirect":
            return web.Response(
                status=HTTPStatus.FOUND, headers={"Location": f"{request.url.origin()}/login"}
            )
        return web.Response(text=_LOGIN_PAGE, content_type="text/html")

    async def _spend(self, duration: Duration) -> None:
        match duration:
            case float() | int():
                seconds = float(duration)
            case (low, high):
                seconds = self.random.uniform(low, high)
            case draw:
                seconds = draw()
        await self.clock.sleep(seconds)


def _is_known_host(header: str | None, hosts: Collection[str]) -> bool:
    """Whether a request is meant for this server: a page of another site may point its own name to this address."""
    try:
        host = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if header is None or host in hosts or host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return bool(ip_address(host))
    return False


class _Dropped(web.Response):
    """The answer on a connection that was dropped; it is never sent."""

    @classmethod
    def from_request(cls, request: web.Request) -> "_Dropped":
        if request.transport is not None:
            request.transport.abort()
        return cls()


def _substitute(fault: _faults.Fault | None) -> web.Response | None:
    """Return the answer that a fault gives in place of the endpoint, if any."""
    match fault:
        case _faults.Status():
            body = dict(fault.body or {"message": _reason(fault.code)})
            return web.json_response(body, status=fault.code, headers=fault.headers)
        case _faults.Html():
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        case _faults.Redirect(url=url):
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": url})
        case _faults.Body(content=content, content_type=content_type):
            return web.Response(body=content, content_type=content_type)
        case _:
            return None


async def _run(request: web.Request, endpoint: Handler) -> web.StreamResponse:
    try:
        return await endpoint(request)
    except HttpError as error:
        return web.json_response(dict(error.body), status=error.status)


async def _truncated(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body) + 1
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    await asyncio.sleep(0)
    if request.transport is not None:
        request.transport.close()
    return response


def _crowded(throttle: Throttle | None, cap: ConcurrencyCap, now: float) -> Verdict:
    """Refuse a request over the concurrency cap: it spends no budget, and the headers say so."""
    limit, remaining = (throttle.limit, throttle.remaining(now)) if throttle is not None else (cap.limit, 0)
    return Verdict(allowed=False, limit=limit, remaining=remaining, retry_after=1)


def _unrouted(request: web.Request, reason: web.HTTPException) -> web.Response:
    route = request.path.lstrip("/")
    if isinstance(reason, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(reason.allowed_methods))
        message = (
            f"The {request.method} method is not supported for route {route}. Supported methods: {allowed}."
        )
        return web.json_response({"message": message}, status=405, headers={"Allow": allowed})
    return web.json_response({"message": f"The route {route} could not be found."}, status=404)


def _reason(status: int) -> str:
    return {429: "Too Many Attempts.", 500: "Server Error"}.get(status) or responses.get(status, "Error")
