"""Prometheus metrics of a client: ``metrics = ClientMetrics(fathom)``, in its event loop.

1. A collection copies what the client counts, so that no request waits for it. Whoever collects in another thread, as
   ``start_http_server`` does, has the event loop copy it.
2. In prometheus_client's mode for many processes, a collection reads what each process wrote into files of its own.
   So each process calls `ClientMetrics.update` every few seconds.
3. The limit of a lane and what is used of it are the account's: of processes that share a budget, the latest is
   right. What waits or is in flight is the process's, and is added up.

Needs the extra ``fathom_async[prometheus]``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, Literal

from attrs import frozen

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Metric
    from prometheus_client.registry import Collector
except ImportError as _error:
    raise ImportError('prometheus_client is missing: pip install "fathom_async[prometheus]"') from _error

from fathom_async._ratelimit.plan import LaneStatus
from fathom_async.service import ServiceClient
from fathom_async.telemetry import Stats

_PATIENCE: Final = 1.0
"""Seconds that another thread waits for an event loop that is busy; it then tells what was copied last."""


@frozen
class ClientMetric:
    """A metric, which is read from an attribute of the client's `Stats`, or of the `LaneStatus` of each lane.

    Attributes:
        name: Its name, for counters without ``_total``.
        help: What it counts.
        source: Name of the attribute.
        label: Its label besides the account; empty for none.
        mode: How processes are put together (rule 3); empty for counters, which are added up.
    """

    name: str
    help: str
    source: str
    label: Literal["lane", "origin", ""] = ""
    mode: Literal["mostrecent", "livesum", ""] = ""


def _lane(
    name: str, help: str, source: str, mode: Literal["mostrecent", "livesum"] = "mostrecent"
) -> ClientMetric:
    return ClientMetric(f"fathom_lane_{name}", help, source, "lane", mode)


METRICS: Final = (
    ClientMetric("fathom_requests", "Requests sent, once they ended.", "sent", "lane"),
    ClientMetric(
        "fathom_requests_refused", "Requests that the server refused for exceeding a limit.", "refused"
    ),
    ClientMetric("fathom_requests_retried", "Attempts after the first ones.", "retried"),
    ClientMetric(
        "fathom_requests_shared", "Requests saved because an identical one was under way.", "shared"
    ),
    ClientMetric("fathom_wait_seconds", "Time that requests waited for admission.", "waited"),
    ClientMetric("fathom_queries", "Queries of runs, by where their answers came from.", "queries", "origin"),
    _lane("limit_requests", "Requests that the rate plan admits in a window.", "limit"),
    _lane("window_seconds", "Length of the window.", "per"),
    _lane("used_requests", "Requests that the server may still count, of all processes.", "used"),
    _lane("in_flight_requests", "Requests sent that have not ended.", "in_flight", "livesum"),
    _lane("queued_requests", "Requests that wait for admission.", "queued", "livesum"),
    _lane("waiting_processes", "Other processes that wait for the same budget.", "waiting"),
    _lane("next_permit_seconds", "Time until a new request would be admitted.", "next_slot_in"),
    _lane("paused_seconds", "Time left of a pause.", "paused_for"),
    _lane("away_seconds", "Time for which the server has been away; 0 while it answers.", "away_for"),
    _lane("budget_lost", "Processes that cannot reach the shared budget.", "budget", "livesum"),
)


class ClientMetrics(Collector):
    """The metrics of `METRICS`, registered for as long as the process runs.

    Args:
        clients: A client, or clients by the name of their account, which is then a label; names are shown as given.
        registry: Where they are registered.
    """

    def __init__(
        self,
        clients: ServiceClient | Mapping[str, ServiceClient],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._clients = clients if isinstance(clients, Mapping) else {"": clients}
        self._labels = ("account",) if isinstance(clients, Mapping) else ()
        self._loop = asyncio.get_running_loop()
        self._told = defaultdict[tuple[str, ...], float](float)
        self._made: list[tuple[ClientMetric, Counter | Gauge]] = []
        registry.register(self)  # a registry collects in this order: the copy comes first
        self._made += [(metric, self._make(metric, registry)) for metric in METRICS]

    def update(self) -> None:
        """Copy the current counts of the clients; call this in the event loop."""
        for account, client in self._clients.items():
            stats, limits = client.stats, client.limits
            for metric, made in self._made:
                for value_of, value in _values(metric, stats, limits).items():
                    labels = (account,) * len(self._labels) + (value_of,) * bool(metric.label)
                    child = made.labels(*labels) if labels else made
                    if isinstance(child, Gauge):
                        child.set(value)
                    else:
                        child.inc(value - self._told[metric.name, *labels])
                        self._told[metric.name, *labels] = value

    def collect(self) -> Iterable[Metric]:
        """Copy what the clients count, and yield nothing: their metrics are collected next."""
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            self.update()
        elif self._loop.is_running():
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._updated(), self._loop).result(_PATIENCE)
        return ()

    async def _updated(self) -> None:
        self.update()

    def _make(self, metric: ClientMetric, registry: CollectorRegistry) -> Counter | Gauge:
        labels = (*self._labels, *filter(None, [metric.label]))
        if metric.mode:
            return Gauge(metric.name, metric.help, labels, registry=registry, multiprocess_mode=metric.mode)
        return Counter(metric.name, metric.help, labels, registry=registry)


def _values(metric: ClientMetric, stats: Stats, limits: Mapping[str, LaneStatus]) -> Mapping[str, float]:
    """Return the values by label."""
    if metric.mode:
        found = {lane: getattr(status, metric.source) for lane, status in limits.items()}
        return {
            lane: value != "ok" if isinstance(value, str) else value or 0.0 for lane, value in found.items()
        }
    counted: float | Mapping[str, float] = getattr(stats, metric.source)
    return counted if isinstance(counted, Mapping) else {"": counted}
