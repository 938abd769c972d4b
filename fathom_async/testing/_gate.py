"""What happens to a request before and after its endpoint: delays, authentication, limits, faults, records.

In the order of the live service: network, authentication (a 401 spends nothing), concurrency cap, rate limit
(counted before the endpoint runs, so its errors spend budget too), endpoint, `X-RateLimit-Remaining` read
after it, network.
"""

import asyncio
import http.client
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from random import Random
from typing import Literal

from aiohttp import web
from attrs import define, evolve, field, frozen

from fathom_async.testing._clock import ServerClock
from fathom_async.testing._faults import (
    Body,
    Delay,
    Disconnect,
    Fault,
    FaultQueue,
    Html,
    Redirect,
    Status,
    Truncate,
    is_uncounted,
)
from fathom_async.testing._problems import Problem
from fathom_async.testing._throttle import ConcurrencyCap, Throttle, Verdict
from fathom_async.testing._tokens import Tokens
from fathom_async.testing._traffic import Hit, lane_of

Duration = float | tuple[float, float] | Callable[[], float]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Log in</title></head><body><form>Log in to Fathom</form></body></html>"
)


@frozen(kw_only=True)
class Conditions:
    """How the server treats requests.

    Attributes:
        throttles: The limit of each lane; one object may serve both lanes, `None` is no limit.
        cap: The limit of requests in flight, if any.
        latency: Network time, drawn once before the limiter and once after the endpoint.
        handler_time: Time between being counted and being carried out.
        login: What an unauthenticated request gets if it does not ask for JSON.
        lane_of: The lane of a method and a path.
    """

    throttles: Mapping[str, Throttle | None]
    cap: ConcurrencyCap | None
    latency: Duration
    handler_time: Duration
    login: Literal["page", "redirect"]
    lane_of: Callable[[str, str], str] = lane_of


@define
class Gate:
    """The server's middleware."""

    conditions: Conditions
    clock: ServerClock
    tokens: Tokens
    random: Random
    faults: FaultQueue = field(factory=FaultQueue)
    hits: list[Hit] = field(factory=list[Hit])

    async def handle(self, request: web.Request, endpoint: Handler) -> web.StreamResponse:
        """Lead one request through."""
        await self._spend(self.conditions.latency)
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
        if is_uncounted(fault):
            response = await self._commit(self.faults.take(hit.method, hit.path), request, endpoint)
        elif unrouted := request.match_info.http_exception:
            response = _unrouted(request, unrouted)
        elif self.tokens.find(request.headers) is None:
            response = self._unauthenticated(request)
        else:
            return await self._admit(hit, request, endpoint)
        return await self._answer(hit, response)

    async def _admit(self, hit: Hit, request: web.Request, endpoint: Handler) -> web.StreamResponse:
        throttle, cap = self.conditions.throttles[hit.lane], self.conditions.cap
        if cap is not None and not cap.enter():
            return await self._answer(hit, _crowded(throttle, cap, hit.at))
        try:
            verdict = throttle.hit(hit.at) if throttle is not None else None
            if verdict is not None and not verdict.allowed:
                response: web.StreamResponse = _refusal(verdict, hit.at)
            else:
                hit = evolve(hit, counted=True)
                fault = self.faults.take(hit.method, hit.path)
                await self._spend(self.conditions.handler_time)
                response = await self._commit(fault, request, endpoint)
                if throttle is not None and not response.prepared:
                    response.headers["X-RateLimit-Limit"] = str(throttle.limit)
                    response.headers["X-RateLimit-Remaining"] = str(throttle.remaining(self.clock.time()))
        finally:
            if cap is not None:
                cap.leave()
        return await self._answer(hit, response)

    async def _answer(self, hit: Hit, response: web.StreamResponse) -> web.StreamResponse:
        dropped = isinstance(response, _Dropped)
        self.hits.append(evolve(hit, status=None if dropped else response.status))
        if not dropped:
            await self._spend(self.conditions.latency)
        return response

    async def _commit(
        self, fault: Fault | None, request: web.Request, endpoint: Handler
    ) -> web.StreamResponse:
        """Carry out the request, in the way that the fault demands."""
        instead = _substitute(fault)
        if instead is not None:
            return instead
        match fault:
            case Disconnect(after_processing=after_processing):
                if after_processing:
                    await _run(request, endpoint)
                return _Dropped.from_request(request)
            case Truncate():
                return await _truncated(request, await _run(request, endpoint))
            case Delay(seconds=seconds):
                await self.clock.sleep(seconds)
            case _:
                pass
        return await _run(request, endpoint)

    def _unauthenticated(self, request: web.Request) -> web.Response:
        if "application/json" in request.headers.get("Accept", ""):
            return _json(401, {"message": "Unauthenticated."})
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


class _Dropped(web.Response):
    """Stands for an answer that nobody gets."""

    @classmethod
    def from_request(cls, request: web.Request) -> "_Dropped":
        if request.transport is not None:
            request.transport.abort()
        return cls()


def _substitute(fault: Fault | None) -> web.Response | None:
    """The answer that a fault gives in place of the endpoint, if it does."""
    match fault:
        case Status():
            return _json(fault.code, fault.body or {"message": _reason(fault.code)}, fault.headers)
        case Html():
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        case Redirect(url=url):
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": url})
        case Body(content=content, content_type=content_type):
            return web.Response(body=content, content_type=content_type)
        case _:
            return None


async def _run(request: web.Request, endpoint: Handler) -> web.StreamResponse:
    try:
        return await endpoint(request)
    except Problem as problem:
        return _json(problem.status, problem.body)


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


def _crowded(throttle: Throttle | None, cap: ConcurrencyCap, now: float) -> web.Response:
    """The refusal of a request too many at once: it has not spent budget, and the headers say so."""
    limit, remaining = (throttle.limit, throttle.remaining(now)) if throttle is not None else (cap.limit, 0)
    return _refusal(Verdict(allowed=False, limit=limit, remaining=remaining, retry_after=1), now)


def _refusal(verdict: Verdict, now: float) -> web.Response:
    return _json(
        429,
        {"message": "Too Many Attempts."},
        {
            "X-RateLimit-Limit": str(verdict.limit),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "Retry-After": str(verdict.retry_after),
            "X-RateLimit-Reset": str(math.floor(now) + verdict.retry_after),
        },
    )


def _unrouted(request: web.Request, reason: web.HTTPException) -> web.Response:
    route = request.path.lstrip("/")
    if isinstance(reason, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(reason.allowed_methods))
        message = (
            f"The {request.method} method is not supported for route {route}. Supported methods: {allowed}."
        )
        return _json(405, {"message": message}, {"Allow": allowed})
    return _json(404, {"message": f"The route {route} could not be found."})


def _json(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        text=json.dumps(dict(body)),
        content_type="application/json",
        headers=dict(headers or {}),
    )


def _reason(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "Too Many Attempts."
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Server Error"
    return http.client.responses.get(status, "Error")
