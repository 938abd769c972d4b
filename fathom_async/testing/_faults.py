"""Faults that a test can order from the server, one per matching request."""

from collections.abc import Mapping

from attrs import define, field, frozen


@frozen
class Status:
    """Answer with this status instead of running the endpoint.

    `401` and `429` stand for an answer given before the request was counted; every other status spends
    budget, like a controller that fails.

    Attributes:
        code: The HTTP status.
        body: The JSON body; `{"message": …}` with the usual words of the status unless told.
        headers: Further headers, for example `Retry-After`.
    """

    code: int
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class Disconnect:
    """Drop the connection without an answer.

    Attributes:
        after_processing: Whether the request was counted and really carried out first.
    """

    after_processing: bool = False


@frozen
class Truncate:
    """Carry out the request, promise its whole body, send a part and close."""


@frozen
class Delay:
    """Take so much longer to carry out the request.

    Attributes:
        seconds: Server seconds, so `speed` shortens them.
    """

    seconds: float


@frozen
class Html:
    """Answer 200 with a page of HTML, as a proxy or a login wall does."""


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
    """The faults still to come, in the order they were injected."""

    _orders: list[_Order] = field(factory=list[_Order], init=False)

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, *faults: Fault, method: str | None, path: str | None) -> None:
        """Append faults for requests of this method and path (`None` matches every one)."""
        wanted = method.upper() if method else None
        self._orders.extend(_Order(fault, wanted, path) for fault in faults)

    def peek(self, method: str, path: str) -> Fault | None:
        """The fault that this request is due, left in the queue."""
        return next((order.fault for order in self._orders if order.matches(method, path)), None)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request is due, removed from the queue."""
        for index, order in enumerate(self._orders):
            if order.matches(method, path):
                del self._orders[index]
                return order.fault
        return None


def is_uncounted(fault: Fault | None) -> bool:
    """Whether the fault strikes before the limiter sees the request."""
    match fault:
        case Disconnect(after_processing=False) | Status(code=401 | 429):
            return True
        case _:
            return False
