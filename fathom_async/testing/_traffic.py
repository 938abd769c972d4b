"""Records of the requests that reached the server, and figures about them."""

from collections.abc import Iterable, Mapping

from attrs import frozen


@frozen
class Hit:
    """One request that reached the server.

    Attributes:
        at: Server time at the rate limit, in unix seconds.
        method: The HTTP method.
        path: The path, such as `/v1/sites`.
        query: The query string's parameters.
        status: The status of the answer; `None` if the connection was dropped instead.
        lane: The lane whose limit applies to it.
        counted: Whether it spent budget.
    """

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    status: int | None
    lane: str
    counted: bool


def lane_of(method: str, path: str) -> str:
    del method
    return "reports" if path in ("/v1/aggregations", "/v1/current_visitors") else "crud"


def max_in_window(times: Iterable[float], per: float) -> int:
    """Return the most moments in any half-open window of `per` seconds."""
    ordered = sorted(times)
    first = most = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= per:
            first += 1
        most = max(most, last - first + 1)
    return most
