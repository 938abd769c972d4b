"""Typed events and counters of requests and lanes."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal

from attrs import Factory, asdict, define, field, frozen

from fathom_async._util.values import fast_frozen
from fathom_async.errors import RateLimitError


@fast_frozen
class Queued:
    """A request waits for admission by its lane.

    Attributes:
        request: Number of the request, the same in all of its events.
        lane: Name of the lane.
        method: HTTP method.
        path: Path below the base URL.
        attempt: 1 for the first attempt.
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
    """The lane admitted a request after it had `waited` this many seconds."""

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
    """An answer of any `status` arrived, this many `seconds` after admission."""

    request: int
    lane: str
    at: float
    status: int
    seconds: float


@fast_frozen
class Retried:
    """An attempt failed for this `reason`; the next one follows after `delay` seconds."""

    request: int
    lane: str
    at: float
    attempt: int
    delay: float
    reason: str


@fast_frozen
class Failed:
    """A request ended with an error: `reason` is its type and message, which never contain the token."""

    request: int
    lane: str
    at: float
    reason: str


PauseReason = Literal["refused", "asked", "away", "forgotten"]


@fast_frozen
class Paused:
    """A lane admits nothing for this many seconds.

    The `reason`: the server ``refused`` a request; your program ``asked`` for the pause; the server is ``away``,
    until one request probes it; or the shared budget was ``forgotten`` by its file or Redis.
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
    """A lane changed its ``limit`` or its ``concurrency``, or an account its ``plan``.

    A plan is its number of requests an hour over all endpoints; the classic one is 0.
    """

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
    """Counts of a client so far.

    Attributes:
        sent: Requests that left, by lane.
        refused: How many of them the server refused for exceeding a limit.
        retried: Attempts after the first ones.
        shared: Requests saved because an identical one was under way.
        waited: Total seconds that requests waited for admission.
        queries: Queries of runs that were answered, by `Outcome.origin`: where their answers come from.
    """

    sent: Mapping[str, int]
    refused: int
    retried: int
    shared: int
    waited: float
    queries: Mapping[str, int] = field(factory=dict[str, int])

    @property
    def pageviews(self) -> int:
        """The requests as the account's bill counts them: each as a pageview."""
        return sum(self.sent.values()) - self.refused


_PAUSES: Mapping[PauseReason, str] = {
    "refused": "paused for {:.1f} s after a refusal by the server",
    "asked": "paused for {:.1f} s by its user",
    "away": "the server is away, trying again in {:.1f} s",
    "forgotten": "the shared budget was lost, going on in {:.1f} s",
}


@define(eq=False)
class Telemetry:
    """Counts what happens, and passes events to a hook.

    Args:
        hook: Called with every event, in the event loop; it must be quick. Its exceptions are logged and not raised.
    """

    _hook: Hook | None = None
    sent: Counter[str] = field(init=False, factory=Counter[str])
    refused: int = field(init=False, default=0)
    retried: int = field(init=False, default=0)
    shared: int = field(init=False, default=0)
    waited: float = field(init=False, default=0.0)
    queries: Counter[str] = field(init=False, factory=Counter[str])
    listens: bool = field(init=False, default=Factory(lambda self: self._hook is not None, takes_self=True))

    def emit(self, event: Event) -> None:
        """Call the hook, if there is one."""
        if self._hook is None:
            return
        try:
            self._hook(event)
        except Exception:  # noqa: BLE001 - an observer must not disturb what it observes
            _log.exception("the on_event hook failed on %r", event)

    def retry(self, event: Retried, error: Exception) -> None:
        """Count, log and emit that a request is tried again after this error."""
        self.retried += 1
        # The pause of the lane says everything about a refusal to readers who do not follow single requests.
        level = logging.INFO if isinstance(error, RateLimitError) else logging.WARNING
        what = event.attempt, event.delay, error
        self._tell(event, "attempt %d failed, trying again in %.1f s: %s", *what, level=level)

    def paused(self, event: Paused, detail: str = "") -> None:
        """Log and emit a pause of a lane."""
        message = _PAUSES[event.reason].format(event.seconds) + (f": {detail}" if detail else "")
        level = logging.INFO if event.reason == "asked" else logging.WARNING
        self._tell(event, "%s lane: %s", event.lane, message, level=level)

    def recovered(self, event: Recovered) -> None:
        """Log and emit that the server is back."""
        self._tell(event, "%s lane: the server answers again", event.lane)

    def adapted(self, event: Adapted) -> None:
        """Log and emit that a lane adapted its limit or concurrency, or an account its plan."""
        change = event.lane, event.what, event.before, event.after
        if event.what == "plan":
            before, after = (f"{each:,} an hour" if each else "classic" for each in change[2:])
            self._tell(event, "the account's rate plan is %s, not %s, as answers show", after, before)
        else:
            self._tell(event, "%s lane: %s changed from %d to %d by the server", *change)

    def _tell(self, event: Event, message: str, *values: object, level: int = logging.WARNING) -> None:
        _log.log(level, message, *values, extra=asdict(event))
        self.emit(event)

    def stats(self) -> Stats:
        """Return the current counts."""
        sent, queries = dict(self.sent), dict(self.queries)
        return Stats(sent, self.refused, self.retried, self.shared, self.waited, queries)
