"""A server of any service inside the process, of the same pieces as `FathomServer`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Unpack

from aiohttp import web

from fathom_async.testing._listening import CommonOptions, ListeningServer
from fathom_async.testing._middleware import Conditions, Handler, LimitHeaders
from fathom_async.testing._throttle import Throttle
from fathom_async.testing._tokens import Grant, Tokens


class ServiceServer(ListeningServer):
    """A local server of a service of your own; it listens while its `async with` block runs.

    Args:
        routes: Its endpoints, as ``[web.get("/sites", list_sites)]`` of aiohttp.
        throttles: The rate limit of each lane; None for none.
        lane_of: Returns the lane of a method and a path; by default there is one.
        is_known: Whether the headers of a request hold good credentials; by default, all do.
        reword: Turns each answer, also refusals (429) and those to strangers (401), into the service's own.
        limit_headers: Which answers have `X-RateLimit-*` headers: ``all``, the ``allowed``, or ``none``.
        **options: See `CommonOptions`.
    """

    def __init__(
        self,
        routes: Sequence[web.RouteDef],
        throttles: Mapping[str, Throttle | None],
        *,
        lane_of: Callable[[str, str], str] | None = None,
        is_known: Callable[[Mapping[str, str]], bool] = lambda _: True,
        reword: Callable[[web.StreamResponse], web.StreamResponse] = lambda answer: answer,
        limit_headers: LimitHeaders = "all",
        **options: Unpack[CommonOptions],
    ) -> None:
        only = next(iter(throttles))
        conditions = Conditions(
            throttles=throttles,
            limit_headers=limit_headers,
            login="none",
            lane_of=lane_of or (lambda _method, _path: only),
        )
        super().__init__(conditions, _Strangers(is_known), options)
        self._endpoints = routes
        self._reword = reword

    def _routes(self) -> Sequence[web.RouteDef]:
        return self._endpoints

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await self._middleware.handle(request, handler)
        return answer if answer.prepared else self._reword(answer)


class _Strangers(Tokens):
    def __init__(self, is_known: Callable[[Mapping[str, str]], bool]) -> None:
        super().__init__(None)
        self._is_known = is_known

    def find(self, headers: Mapping[str, str]) -> Grant | None:
        """Return what a request may do; None if it comes from a stranger."""
        return Grant(("*",)) if self._is_known(headers) else None
