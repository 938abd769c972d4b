"""A Fathom server for tests and demonstrations, inside the process.

    async with FathomServer() as server:
        async with FathomClient("any", base_url=server.url) as fathom: ...

It speaks the whole API over real sockets, limits like the live service, and computes reports from data that
can be looked at: see `FathomServer`, `Dataset`, and the throttles and faults below. The names load when they
are first used, because the pytest plugin of the package imports this module in every test run.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fathom_async.testing.connectors.emma import EmmaServer
    from fathom_async.testing.connectors.secoda import SecodaServer
    from fathom_async.testing.dataset import Completion, Dataset, Event, Milestone, Pageview, Record, Site
    from fathom_async.testing.faults import Body, Delay, Disconnect, Fault, Html, Redirect, Status, Truncate
    from fathom_async.testing.server import FathomServer, ServerOptions
    from fathom_async.testing.throttle import (
        AlignedWindow,
        ConcurrencyCap,
        LaravelWindow,
        SlidingLog,
        Throttle,
        TokenBucket,
        Verdict,
    )
    from fathom_async.testing.traffic import Hit

__all__ = [
    "AlignedWindow",
    "Body",
    "Completion",
    "ConcurrencyCap",
    "Dataset",
    "Delay",
    "Disconnect",
    "EmmaServer",
    "Event",
    "FathomServer",
    "Fault",
    "Hit",
    "Html",
    "LaravelWindow",
    "Milestone",
    "Pageview",
    "Record",
    "Redirect",
    "SecodaServer",
    "ServerOptions",
    "Site",
    "SlidingLog",
    "Status",
    "Throttle",
    "TokenBucket",
    "Truncate",
    "Verdict",
]

_HOMES = {
    "connectors.emma": ("EmmaServer",),
    "connectors.secoda": ("SecodaServer",),
    "dataset": ("Completion", "Dataset", "Event", "Milestone", "Pageview", "Record", "Site"),
    "faults": ("Body", "Delay", "Disconnect", "Fault", "Html", "Redirect", "Status", "Truncate"),
    "server": ("FathomServer", "ServerOptions"),
    "throttle": (
        "AlignedWindow",
        "ConcurrencyCap",
        "LaravelWindow",
        "SlidingLog",
        "Throttle",
        "TokenBucket",
        "Verdict",
    ),
    "traffic": ("Hit",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
