"""What the server saw: a record of every request, and questions about it."""

from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import frozen

Lane = Literal["crud", "reports"]


@frozen
class Hit:
    """One request that reached the server.

    Attributes:
        at: Server time when it passed the limiter, in unix seconds.
        method: The HTTP method.
        path: The path, such as `/v1/sites`.
        query: The query string's parameters.
        status: The status that was answered; `None` if the connection was dropped instead.
        lane: The limit that it falls under.
        counted: Whether it spent budget.
    """

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    status: int | None
    lane: str
    counted: bool


def lane_of(method: str, path: str) -> Lane:
    """The limit that a request falls under."""
    del method
    return "reports" if path in ("/v1/aggregations", "/v1/current_visitors") else "crud"


def max_in_window(times: Iterable[float], per: float) -> int:
    """The most moments that lie in any half-open window of `per` seconds."""
    ordered = sorted(times)
    first = most = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= per:
            first += 1
        most = max(most, last - first + 1)
    return most
