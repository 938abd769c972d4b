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
    from fathom_async.testing._dataset import Completion, Dataset, Event, Milestone, Pageview, Record, Site
    from fathom_async.testing._faults import Body, Delay, Disconnect, Fault, Html, Redirect, Status, Truncate
    from fathom_async.testing._server import FathomServer, ServerOptions
    from fathom_async.testing._throttle import (
        AlignedWindow,
        ConcurrencyCap,
        LaravelWindow,
        SlidingLog,
        Throttle,
        TokenBucket,
        Verdict,
    )
    from fathom_async.testing._traffic import Hit
    from fathom_async.testing._virtual_time import VirtualTimeLoop, run_virtual
    from fathom_async.testing.connectors._emma import EmmaServer
    from fathom_async.testing.connectors._secoda import SecodaServer

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
    "VirtualTimeLoop",
    "run_virtual",
]

_HOMES = {
    "connectors._emma": ("EmmaServer",),
    "connectors._secoda": ("SecodaServer",),
    "_dataset": ("Completion", "Dataset", "Event", "Milestone", "Pageview", "Record", "Site"),
    "_faults": ("Body", "Delay", "Disconnect", "Fault", "Html", "Redirect", "Status", "Truncate"),
    "_server": ("FathomServer", "ServerOptions"),
    "_throttle": (
        "AlignedWindow",
        "ConcurrencyCap",
        "LaravelWindow",
        "SlidingLog",
        "Throttle",
        "TokenBucket",
        "Verdict",
    ),
    "_traffic": ("Hit",),
    "_virtual_time": ("VirtualTimeLoop", "run_virtual"),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
