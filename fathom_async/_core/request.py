"""What goes out and what comes back, as plain values, and what carries them."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

from fathom_async._util.values import fast_frozen
from fathom_async.errors import ArgumentError

T_co = TypeVar("T_co", covariant=True)

_NOTHING: Mapping[str, str] = MappingProxyType({})
_UNSAFE = frozenset("/\\?#")


def path(template: str, *segments: str) -> str:
    """Fill a path template such as ``/sites/{}``, so that no segment can reach another endpoint.

    Each segment is quoted, and refused if it could be taken for more than a segment even so, since some servers
    unquote before they route.

    Raises:
        ArgumentError: A segment cannot be an id.
    """
    return template.format(*map(_quote, segments))


def _quote(segment: str) -> str:
    if not isinstance(segment, str):
        raise ArgumentError(f"an id must be a string, not {segment!r}")
    if segment.isalnum() and segment.isascii():
        return segment
    if (
        not segment.strip()
        or segment in (".", "..")
        or not _UNSAFE.isdisjoint(segment)
        or not segment.isprintable()
    ):
        raise ArgumentError(f"{segment!r} cannot be an id: give the id as the API returned it")
    return quote(segment, safe="")


@fast_frozen
class Request(Generic[T_co]):
    """One call of one endpoint.

    Attributes:
        method: HTTP method.
        path: Path below the base URL, encoded; made with `path`.
        decode: Makes the result out of the answer's body.
        params: Query parameters.
        body: JSON body; None for none.
        lane: The rate limit it counts against.
        idempotent: Whether sending it twice does the same as sending it once. A request that is not is tried again
            only when it certainly was not processed.
        already_gone_result: The result when a repeated attempt finds nothing (404): the attempt before it, whose
            answer was lost, has done the work. None where a 404 is always an error.
        retired_hint: What to use when the server says that the endpoint is gone (410).
        is_shared: Whether identical requests under way at the same time may be one.
        on_admitted: Awaited when an attempt has a permit, before it is sent. If it raises, the permit is released and
            the error goes to the caller. Only for a request that is not shared.
        on_sent: Is called whenever the bytes of an attempt leave. Who shares a request that another one made is
            not told.
    """

    method: str
    path: str
    decode: Callable[[bytes], T_co]
    params: Mapping[str, str] = _NOTHING
    body: Mapping[str, object] | None = None
    lane: str = "crud"
    idempotent: bool = True
    already_gone_result: T_co | None = None
    retired_hint: str = ""
    is_shared: bool = False
    on_admitted: Callable[[], Awaitable[None]] | None = None
    on_sent: Callable[[], None] | None = None

    @property
    def target(self) -> str:
        """Path and query, encoded: what is appended to the base URL."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path


@fast_frozen
class Response:
    """An answer as it came over the wire.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive headers.
        body: The whole body, decompressed.
        reason: The words beside the status; empty where there are none, as in HTTP/2.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reason: str = ""


class Transport(Protocol):
    """Sends one request and brings its answer; knows nothing of limits, retries or models."""

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        """Send a request once.

        Args:
            request: What to send.
            within: Seconds until the whole answer must be there.
            sent: Called when the request's bytes begin to leave.

        Raises:
            TransportError: No complete answer arrived; its `sent` says whether the server may have seen any of
                the request.
            DecodeError: The answer is larger than the bound.
        """
        ...

    def url(self, request: Request[object]) -> str:
        """Return the full URL of a request, for messages."""
        ...

    async def close(self) -> None:
        """Break all connections."""
        ...
