"""What happens to requests and lanes, as typed events and as counters."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from attrs import frozen

from fathom_async._util.values import fast_frozen


@fast_frozen
class Queued:
    """A request asks its lane for admission.

    Attributes:
        request: Number of the request, the same in all of its events.
        lane: Name of the lane.
        method: HTTP method.
        path: Path below the base URL.
        attempt: 1 for the first time.
        at: Seconds on the client's clock.
    """

    request: int
    lane: str
    method: str
    path: str
    attempt: int
    at: float


@fast_frozen
class Admitted:
    """The lane let a request through, after it `waited` so many seconds."""

    request: int
    lane: str
    at: float
    waited: float


@fast_frozen
class Sent:
    """A request's bytes began to leave."""

    request: int
    lane: str
    at: float


@fast_frozen
class Answered:
    """An answer arrived, whatever its `status`, so many `seconds` after admission."""

    request: int
    lane: str
    at: float
    status: int
    seconds: float


@fast_frozen
class Retried:
    """An attempt failed for this `reason`, and another follows after `delay` seconds."""

    request: int
    lane: str
    at: float
    attempt: int
    delay: float
    reason: str


@fast_frozen
class Failed:
    """A request ended with an error: `reason` is its type and message, which never hold the token."""

    request: int
    lane: str
    at: float
    reason: str


PauseReason = Literal["refused", "asked", "away", "forgotten"]


@fast_frozen
class Paused:
    """A lane admits nothing for so many seconds.

    Its `reason`: the server ``refused`` a request; your program ``asked`` for it; the server is ``away``, and one
    request will try then; or the shared budget was found ``forgotten``.
    """

    lane: str
    at: float
    seconds: float
    reason: PauseReason = "refused"


@fast_frozen
class Recovered:
    """A server that was away answers again."""

    lane: str
    at: float


@fast_frozen
class Adapted:
    """A lane changed what it keeps to: its ``limit``, or its ``concurrency``."""

    lane: str
    at: float
    what: str
    before: int
    after: int


Event = Queued | Admitted | Sent | Answered | Retried | Failed | Paused | Recovered | Adapted
Hook = Callable[[Event], None]

_log = logging.getLogger("fathom_async")


@frozen
class Stats:
    """What a client has done so far.

    Attributes:
        sent: Requests that left, by lane.
        refused: How many of them the server refused for going over a limit.
        retried: Attempts after the first ones.
        shared: Requests that were spared, because an identical one was under way.
        waited: Seconds that requests waited for admission, in all.
    """

    sent: Mapping[str, int]
    refused: int
    retried: int
    shared: int
    waited: float

    @property
    def pageviews(self) -> int:
        """What the requests cost on the account's bill, where each counts as a pageview."""
        return sum(self.sent.values()) - self.refused


_PAUSES: Mapping[PauseReason, str] = {
    "refused": "paused for {:.1f} s after a refusal by the server",
    "asked": "paused for {:.1f} s by its user",
    "away": "the server is away, trying again in {:.1f} s",
    "forgotten": "the shared budget was lost, going on in {:.1f} s",
}


class Telemetry:
    """Counts what happens, and tells it to whoever wants to hear it.

    Args:
        hook: Is called with every event, in the event loop; it must be quick. What it raises is logged and goes
            no further.
    """

    __slots__ = ("_hook", "listens", "refused", "retried", "sent", "shared", "waited")

    def __init__(self, hook: Hook | None = None) -> None:
        self._hook = hook
        self.listens: bool = hook is not None
        self.sent: Counter[str] = Counter()
        self.refused: int = 0
        self.retried: int = 0
        self.shared: int = 0
        self.waited: float = 0.0

    def emit(self, event: Event) -> None:
        """Call the hook, if there is one."""
        if self._hook is None:
            return
        try:
            self._hook(event)
        except Exception:  # noqa: BLE001 - an observer must not disturb what it observes
            _log.exception("the on_event hook failed on %r", event)

    def paused(self, event: Paused, detail: str = "") -> None:
        """Log and emit a pause of a lane."""
        facts = {"lane": event.lane, "seconds": event.seconds, "reason": event.reason}
        level = logging.INFO if event.reason == "asked" else logging.WARNING
        message = _PAUSES[event.reason].format(event.seconds) + (f": {detail}" if detail else "")
        _log.log(level, "%s lane: %s", event.lane, message, extra=facts)
        self.emit(event)

    def recovered(self, event: Recovered) -> None:
        """Log and emit that the server is back."""
        _log.warning("%s lane: the server answers again", event.lane, extra={"lane": event.lane})
        self.emit(event)

    def adapted(self, event: Adapted) -> None:
        """Log and emit a change of what a lane keeps to."""
        facts = {"lane": event.lane, "what": event.what, "before": event.before, "after": event.after}
        change = event.lane, event.what, event.before, event.after
        _log.warning("%s lane: %s changed from %d to %d by the server", *change, extra=facts)
        self.emit(event)

    def stats(self) -> Stats:
        """Return the counts as they are now."""
        return Stats(MappingProxyType(dict(self.sent)), self.refused, self.retried, self.shared, self.waited)
