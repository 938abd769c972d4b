"""Client of Secoda."""

from typing import ClassVar, Literal, Unpack

from attrs import frozen

from fathom_async._util import checks
from fathom_async.connectors.secoda._resources import (
    READS,
    WRITES,
    CatalogEventsResource,
    CatalogResource,
    CategoriesResource,
    PropertiesResource,
)
from fathom_async.service import (
    Caller,
    Credentials,
    RateLimit,
    Service,
    ServiceClient,
    ServiceOptions,
    bearer,
)

BASE_URL = "https://api.secoda.co"

_PREFIX = "/api/v1"
_WRITES = RateLimit(30, per=60)
_READS = RateLimit(600, per=60)
_reads = checks.choice(("catalog", "events"))


@frozen
class SecodaPlan:
    """The limits of a workspace.

    Attributes:
        writes: Limit of POST, PUT and PATCH, as documented.
        reads: Limit of GET and DELETE; a courtesy, because the service documents none.
        concurrency: Requests in flight at once, per lane.
    """

    writes: RateLimit = _WRITES
    reads: RateLimit = _READS
    concurrency: int = 10


class SecodaClient(ServiceClient):
    """A client of Secoda's Events API, used as ``async with SecodaClient(token) as secoda``.

    Args:
        token: API key of the workspace, or a function that returns it; see `FathomClient`.
        base_url: The API's address: ``https://api.secoda.co``, ``https://eapi.secoda.co`` (Europe),
            ``https://aapi.secoda.co`` (Asia and Pacific), or your own domain.
        plan: The workspace's rate limits.
        reads: Where to read events: the ``catalog``, or the deprecated ``events`` endpoints of older servers.
        **options: The common settings; see `fathom_async.service.ServiceOptions`.

    Attributes:
        categories: Categories, the parents of events.
        events: Events.
        properties: Properties of events.
        resources: The whole catalog.

    Raises:
        ArgumentError: The token or a limit is malformed, or the base URL would expose the token on the network.
    """

    categories: CategoriesResource
    events: CatalogEventsResource
    properties: PropertiesResource
    resources: CatalogResource

    _scarcest: ClassVar[str] = WRITES

    def __init__(
        self,
        token: str | Credentials,
        *,
        base_url: str = BASE_URL,
        plan: SecodaPlan | None = None,
        reads: Literal["catalog", "events"] = "catalog",
        **options: Unpack[ServiceOptions],
    ) -> None:
        plan = plan or SecodaPlan()
        root = checks.base_url(base_url).removesuffix(_PREFIX)
        settings = Service(
            base_url=root + _PREFIX,
            authorization=bearer("the token", token),
            limits={READS: plan.reads, WRITES: plan.writes},
            concurrency=plan.concurrency,
            **self._known(options),
        )
        self._reads = _reads("reads", reads)
        self._start(settings)

    def _bind(self, send: Caller) -> None:
        self.resources = CatalogResource(send)
        self.categories = CategoriesResource(send)
        catalog = self.resources if self._reads == "catalog" else None
        self.events = CatalogEventsResource(send, catalog=catalog)
        self.properties = PropertiesResource(send)
