"""Faults that a test injects into the server, one per matching request."""

from collections.abc import Mapping

from attrs import define, field, frozen


@frozen
class Status:
    """Answer with this status instead of running the endpoint.

    The server gives a `401` or `429` before it counts the request; every other status spends budget, like an endpoint
    that fails.

    Attributes:
        code: The HTTP status.
        body: The JSON body; `{"message": …}` with the usual words of the status by default.
        headers: Further headers, for example `Retry-After`.
    """

    code: int
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class Disconnect:
    """Drop the connection without an answer.

    Attributes:
        after_processing: Whether to count and carry out the request first.
    """

    after_processing: bool = False


@frozen
class Truncate:
    """Carry out the request, announce the whole body, send a part of it and close the connection."""


@frozen
class Delay:
    """Delay the request.

    Attributes:
        seconds: Server seconds, which `speed` shortens.
    """

    seconds: float


@frozen
class Html:
    """Answer 200 with an HTML page, as a proxy or a login page does."""


@frozen
class Redirect:
    """Answer 302.

    Attributes:
        url: The `Location`.
    """

    url: str


@frozen
class Body:
    """Answer 200 with exactly these bytes.

    Attributes:
        content: The bytes.
        content_type: Their media type.
    """

    content: bytes
    content_type: str = "application/json"


Fault = Status | Disconnect | Truncate | Delay | Html | Redirect | Body


@frozen
class _Order:
    fault: Fault
    method: str | None
    path: str | None

    def matches(self, method: str, path: str) -> bool:
        return self.method in (None, method) and self.path in (None, path)


@define
class FaultQueue:
    """The faults still to come, in the order of their injection."""

    _orders: list[_Order] = field(factory=list[_Order], init=False)

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, *faults: Fault, method: str | None, path: str | None) -> None:
        """Append faults for requests of this method and path; `None` matches all."""
        wanted = method.upper() if method else None
        self._orders.extend(_Order(fault, wanted, path) for fault in faults)

    def peek(self, method: str, path: str) -> Fault | None:
        """Return the next fault for such a request, and leave it in the queue."""
        return next((order.fault for order in self._orders if order.matches(method, path)), None)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the next fault for such a request, and remove it from the queue."""
        order = next((order for order in self._orders if order.matches(method, path)), None)
        if order is not None:
            self._orders.remove(order)
        return None if order is None else order.fault


def is_uncounted(fault: Fault | None) -> bool:
    """Tell whether the fault comes before the rate limit."""
    match fault:
        case Disconnect(after_processing=False) | Status(code=401 | 429):
            return True
        case _:
            return False
