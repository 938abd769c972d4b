"""Requests and responses as plain values, and the transport that carries them."""

import re
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from http import HTTPStatus
from json import dumps
from math import isfinite
from types import MethodType
from typing import Generic, Protocol, TypeVar, cast
from urllib.parse import quote, urlencode

from attrs import Factory, define, field, frozen
from msgspec import to_builtins

from fathom_async._core.codec.objects import encode, parse
from fathom_async._core.codec.rows import utf8
from fathom_async._ratelimit.plan import Priority
from fathom_async._util import checks
from fathom_async._util.secrets import ESCAPES, Secrets
from fathom_async._util.values import fast_frozen
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.models import Site

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_NOTHING: Mapping[str, str | Sequence[str]] = {}
_UNSAFE = frozenset("/\\?#")
_SUCCESS = range(200, 300)
_EARLY = 4096
_METHOD = re.compile(r"[A-Z][A-Z-]*")
_PATH = re.compile(r"(?:/(?:[\w!$&'()*+,;=:@.~-]|%[0-9A-Fa-f]{2})*)+", re.ASCII)
_REPEATABLE, _OTHERS = ("GET", "PUT", "DELETE"), ("POST", "PATCH")
"""HTTP methods of which sending a request twice has the same effect as sending it once (RFC 9110, 9.2.2), or not."""


def path(template: str, *segments: str | Site) -> str:
    """Fill a path template such as ``/sites/{}``, so that no segment can reach another endpoint.

    Each segment is quoted. Since some servers unquote before they route, segments with a slash are refused even so.

    Raises:
        ArgumentError: A segment cannot be an id.
    """
    return template.format(*map(_quote, segments))


def id_of(site: str | Site) -> str:
    """Return the id of a site."""
    return site.id if isinstance(site, Site) else site


def _quote(segment: str | Site) -> str:
    segment = id_of(segment)
    if not isinstance(segment, str):
        kind = type(segment).__name__
        told = f"a {kind}; write {kind.lower()}.id" if hasattr(segment, "id") else repr(segment)
        raise ArgumentError(f"an id must be a string, not {told}")
    if segment.isalnum() and segment.isascii():
        return segment
    if (
        not segment.strip()
        or segment in (".", "..")
        or not _UNSAFE.isdisjoint(segment)
        or not segment.isprintable()
    ):
        raise ArgumentError(f"{segment!r} cannot be an id: pass the id as the API returned it")
    return quote(segment, safe="")


@fast_frozen
class Request(Generic[T_co]):
    """One call of one endpoint.

    Attributes:
        method: HTTP method.
        path: Path below the base URL, encoded by `path`.
        decode: Turns the answer's body into the result.
        params: Query parameters; a list of strings for one that repeats.
        body: What is sent as JSON, such as a mapping or a list, or bytes that are sent as they are; None for nothing.
        lane: Name of the lane whose rate limit it counts against.
        idempotent: Whether sending it twice has the same effect as sending it once, as by default with ``GET``,
            ``PUT`` and ``DELETE``. If not, it is retried only when it certainly was not processed.
        already_gone_result: The result when a success has no body, null or ``{}``, or when a retry finds nothing
            (404), because the attempt before it, whose answer was lost, did the work. None if both are errors.
        retired_hint: Advice for the error message when the server has retired the endpoint (410).
        is_shared: Whether equal requests under way at the same time may be one: those that send the same, and read
            the answer by the same functions.
        on_admitted: Awaited when an attempt has a permit, before it is sent. If it raises, the permit is released and
            the caller gets the error, and so do those who share the request.
        on_sent: Called whenever the bytes of an attempt leave.
        content_type: The body's media type.
        with_headers: Returns the result again, with what the answer's case-insensitive headers add to it.
    """

    method: str
    path: str
    decode: Callable[[bytes], T_co]
    params: Mapping[str, str | Sequence[str]] = _NOTHING
    body: object = field(default=None, repr=False)
    lane: str = "crud"
    idempotent: bool = Factory(lambda self: self.method in _REPEATABLE, takes_self=True)
    already_gone_result: T_co | None = None
    retired_hint: str = ""
    is_shared: bool = False
    on_admitted: Callable[[], Awaitable[None]] | None = None
    on_sent: Callable[[], None] | None = None
    content_type: str = "application/json"
    with_headers: Callable[[T_co, Mapping[str, str]], T_co] | None = None

    @property
    def subject(self) -> str:
        """What is asked about: the first two parts of the path, and the site or entity that the query names."""
        path = "/".join(self.path.split("/")[:3])
        return f"{path} {self.params.get('site_id') or self.params.get('entity_id') or ''}"

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing: a ``GET``, or a ``POST`` that may be repeated."""
        return self.idempotent and self.method in {"GET", "POST"}

    @property
    def target(self) -> str:
        """Path and query, encoded: the part after the base URL."""
        return f"{self.path}?{urlencode(self.params, doseq=True)}" if self.params else self.path

    @property
    def sameness(self) -> Hashable:
        """What requests have in common that may be one, while they are kept."""
        sent = (self.method, self.target, self.body_bytes, self.content_type, self.lane, self.idempotent)
        return (*sent, _same(self.decode), id(self.with_headers), id(self.already_gone_result))

    @property
    def body_bytes(self) -> bytes | None:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes | None) else encode(self.body)


def checked(request: Request[T]) -> Request[T]:
    """Return a request of a caller's own, if it can be sent.

    Raises:
        ArgumentError: It cannot.
    """
    if not isinstance(request, Request):
        raise ArgumentError(f"a Request is sent, not {request!r}")
    if not isinstance(request.method, str) or not _METHOD.fullmatch(request.method):
        raise ArgumentError(f"the method must be one such as GET or POST, not {request.method!r}")
    at = request.path
    if not isinstance(at, str) or not _PATH.fullmatch(at) or not {".", ".."}.isdisjoint(at.split("/")):
        raise ArgumentError(f"the path must begin with a slash, and be encoded as by path(), not {at!r}")
    if not isinstance(request.params, Mapping):
        raise ArgumentError(f"params must be a mapping, not {request.params!r}")
    for name, value in request.params.items():
        _parameters(name, value)
    _check_json("the body", request.body)
    checks.header_text("content_type", request.content_type)
    return request


def _check_json(name: str, body: object) -> None:
    try:
        if not isinstance(body, bytes):
            encode(body)
            dumps(body, allow_nan=False, default=to_builtins)  # `encode` writes nan as null
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ArgumentError(f"{name} cannot be sent as JSON: {error}") from None


def _same(decode: Callable[[bytes], object]) -> Hashable:
    """Return what equal decoders have in common: a method of equal objects, such as queries, is one."""
    if isinstance(decode, MethodType) and isinstance(owner := decode.__self__, Hashable):
        return decode.__func__, owner
    return id(decode)


def _flow_of(name: str | None) -> str:
    return name or ""


def _priority_of(value: int) -> Priority:
    try:
        return Priority(value)
    except ValueError:
        names = ", ".join(f"Priority.{each.name}" for each in Priority)
        raise ArgumentError(f"priority must be one of {names}, not {value!r}") from None


@frozen
class Options:
    """Settings of a single request.

    Attributes:
        priority: Order among waiting requests.
        max_wait: Longest wait for admission in seconds, over all attempts; None for no bound.
        timeout: Seconds from an attempt's admission to its whole answer.
        flow: Waiting requests of one priority take turns by flow.
    """

    priority: Priority = field(default=Priority.NORMAL, converter=_priority_of)
    max_wait: float | None = None
    timeout: float = 30.0
    flow: str = field(default="", converter=_flow_of)

    def __attrs_post_init__(self) -> None:
        checks.seconds("timeout", self.timeout, least=0.001)
        if self.max_wait is not None:
            checks.seconds("max_wait", self.max_wait, least=0)


Parameter = str | int | float | bool | None
"""The value of a query parameter; None for none."""


def free_request(
    method: str,
    at: str,
    params: Mapping[str, Parameter | Sequence[Parameter]],
    json: Mapping[str, object] | Sequence[object] | None,
    lane: str,
) -> Request[object]:
    """Return a request whose answer is parsed JSON, or None if it has no body.

    Args:
        method: ``GET``, ``PUT``, ``DELETE``, ``POST`` or ``PATCH``, in any case.
        at: Path below the base URL, not encoded.
        params: Query parameters.
        json: JSON body.
        lane: Name of the lane.

    Raises:
        ArgumentError: The method is unknown, the path could reach another endpoint, or a value cannot be sent.
    """
    verb = method.upper() if isinstance(method, str) else method
    checks.choice((*_REPEATABLE, *_OTHERS))("method", verb)
    if not isinstance(at, str) or not at.startswith("/") or at == "/":
        raise ArgumentError(f"the path must begin with a slash, such as /sites/CDBUGS, not {at!r}")
    *segments, last = at[1:].split("/")
    template = "/{}" * len(segments) + ("/{}" if last else "/")
    encoded = path(template, *segments, *([last] if last else []))
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise ArgumentError(f"params must be a mapping of names, not {params!r}")
    _check_json("json", json)
    given = {name: _parameters(name, value) for name, value in params.items() if value is not None}
    return Request(verb, encoded, _parsed_or_none, given, body=json, lane=lane)


def _parameters(name: str, value: object) -> str | list[str]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return _parameter(name, value)
    return [_parameter(name, each) for each in cast("Sequence[object]", value)]


def _parameter(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
        raise ArgumentError(f"the parameter {name} must be a string or a finite number, not {value!r}")
    return checks.encodable(name, str(value))


def _parsed_or_none(body: bytes) -> object:
    return parse(body) if body.strip() else None


@fast_frozen
class Response:
    """An HTTP response.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive headers.
        body: The whole body, decompressed.
        reason: The reason phrase; empty where there is none, as in HTTP/2.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reason: str = ""


def is_too_many(response: Response) -> bool:
    """Whether the answer is the usual refusal, 429."""
    return response.status == HTTPStatus.TOO_MANY_REQUESTS


class Transport(Protocol):
    """Sends one request and returns its answer; knows nothing of limits, retries or models."""

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        """Send a request once.

        Args:
            request: The request.
            within: Seconds within which the whole answer must arrive.
            sent: Called when the request's bytes begin to leave.

        Raises:
            TransportError: No complete answer arrived; its `sent` says whether the server may have seen any of
                the request.
            DecodeError: The answer is larger than the limit.
        """
        ...

    def url(self, request: Request[object]) -> str:
        """Return the full URL of a request, for messages."""
        ...

    async def close(self) -> None:
        """Close all connections, and abort what is in flight."""
        ...


@define(eq=False, repr=False)
class MaskingTransport:
    """Sends requests, and takes the credentials out of whatever comes back (see `fathom_async._util.secrets`).

    Args:
        transport: Sends the requests.
        secrets: The credentials.
    """

    transport: Transport
    secrets: Secrets

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        """Send a request once; see `Transport.send`."""
        try:
            response = await self.transport.send(request, within, sent)
        except FathomError as error:
            failure = self.secrets.masked(error)
        else:
            return self._masked(response) if self._may_hold_secrets(response) else response
        raise failure  # outside of the handler: what it followed from may hold the credentials

    def _may_hold_secrets(self, response: Response) -> bool:
        body = response.body
        if response.status not in _SUCCESS or body[:1] not in b"{[":
            return True
        secrets, said = self.secrets, "\n".join(response.headers.values()).encode()
        return (  # rule 3
            any(map(body.__contains__, secrets.marks))
            or any(map(said.__contains__, secrets.marks))
            or any(map(body[:_EARLY].__contains__, secrets.early_marks))
            or (ESCAPES.search(body) is not None and secrets.are_escaped_in(body))
        )

    def url(self, request: Request[object]) -> str:
        """Return the full URL of a request; see `Transport.url`."""
        return self.secrets.mask(self.transport.url(request))

    async def close(self) -> None:
        """Close all connections; see `Transport.close`."""
        await self.transport.close()

    def conceal(self, *secrets: str) -> None:
        """Take further credentials out of whatever comes back."""
        self.secrets = self.secrets.and_also(*secrets)

    def _masked(self, response: Response) -> Response:
        from multidict import CIMultiDict  # noqa: PLC0415 - aiohttp's own

        mask = self.secrets.mask
        headers = CIMultiDict([(name, mask(value)) for name, value in response.headers.items()])
        body = self.secrets.mask_bytes(utf8(response.body))
        return Response(response.status, headers, body, mask(response.reason))
