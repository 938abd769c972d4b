"""What goes out and what comes back, as plain values."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

from attrs import field, frozen

from fathom_async.errors import ArgumentError

T_co = TypeVar("T_co", covariant=True)

_NOTHING: Mapping[str, str] = MappingProxyType({})
_UNSAFE = frozenset("/\\?#")


def _check_segments(_: object, __: object, segments: tuple[str, ...]) -> None:
    for segment in segments:
        if not isinstance(segment, str):
            raise ArgumentError(f"an id must be a string, not {segment!r}")
        if segment in ("", ".", "..") or not _UNSAFE.isdisjoint(segment) or not segment.isprintable():
            raise ArgumentError(f"{segment!r} cannot be an id: give the id as the API returned it")


def _quote(segment: str) -> str:
    return segment if segment.isalnum() and segment.isascii() else quote(segment, safe="")


@frozen
class Request(Generic[T_co]):
    """One call of one endpoint.

    Attributes:
        method: HTTP method.
        path: Path template below the base URL, such as ``/sites/{}``.
        decode: Makes the result out of the answer's body.
        segments: What fills the template, in order. Each is quoted, and refused if it could reach
            another endpoint even so, since some servers unquote before they route.
        params: Query parameters.
        body: JSON body; None for none.
        lane: The rate limit it counts against.
        repeatable: Whether sending it twice does the same as sending it once. A request that is not is tried
            again only when it certainly was not processed.
        if_gone: The result when a repeated attempt finds nothing (404): the attempt before it, whose answer was
            lost, has done the work. None where a 404 is always an error.
        instead: What to use when the server says that the endpoint is gone (410).

    Raises:
        ArgumentError: A segment cannot be an id.
    """

    method: str
    path: str
    decode: Callable[[bytes], T_co]
    segments: tuple[str, ...] = field(default=(), validator=_check_segments)
    params: Mapping[str, str] = _NOTHING
    body: Mapping[str, object] | None = None
    lane: str = "crud"
    repeatable: bool = True
    if_gone: T_co | None = None
    instead: str = ""

    @property
    def target(self) -> str:
        """Path and query, encoded: what is appended to the base URL."""
        path = self.path.format(*map(_quote, self.segments)) if self.segments else self.path
        return f"{path}?{urlencode(self.params)}" if self.params else path


@frozen
class Response:
    """An answer as it came over the wire.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive headers.
        body: The whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
