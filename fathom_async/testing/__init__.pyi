from fathom_async.testing._dataset import (
    Completion as Completion,
    Dataset as Dataset,
    Event as Event,
    Milestone as Milestone,
    Pageview as Pageview,
    Record as Record,
    Site as Site,
)
from fathom_async.testing._dialect import ServerDialect as ServerDialect
from fathom_async.testing._faults import (
    Body as Body,
    Delay as Delay,
    Disconnect as Disconnect,
    Fault as Fault,
    Html as Html,
    Redirect as Redirect,
    Status as Status,
    Truncate as Truncate,
)
from fathom_async.testing._server import FathomServer as FathomServer, ServerOptions as ServerOptions
from fathom_async.testing._service_server import ServiceServer as ServiceServer
from fathom_async.testing._throttle import (
    AlignedWindow as AlignedWindow,
    ConcurrencyCap as ConcurrencyCap,
    LaravelWindow as LaravelWindow,
    SlidingLog as SlidingLog,
    Throttle as Throttle,
    TokenBucket as TokenBucket,
    Verdict as Verdict,
)
from fathom_async.testing._traffic import Hit as Hit
from fathom_async.testing._virtual_time import VirtualTimeLoop as VirtualTimeLoop, run_virtual as run_virtual
