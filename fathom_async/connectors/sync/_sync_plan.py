"""Synchronise in two steps: plan the changes, then apply them."""

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal, overload

from attrs import field, frozen

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.checks import flag, identifier
from fathom_async._util.text import printable
from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.sync._catalog import (
    Currency,
    Describe,
    document,
    known_currency,
    usual_description,
)
from fathom_async.connectors.sync._changes import Change
from fathom_async.connectors.sync._emma_state import EmmaService, event_types
from fathom_async.connectors.sync._remote_state import RemoteService
from fathom_async.connectors.sync._secoda_state import SecodaService
from fathom_async.connectors.sync._source import chosen_sites, read_sites
from fathom_async.errors import ArgumentError, AuthenticationError, ClosedError, FathomError

if TYPE_CHECKING:
    from fathom_async.client import FathomClient


@frozen
class SyncPlan:
    """The changes of a synchronisation; ``print(plan)`` shows them.

    Attributes:
        service: The service to change.
        changes: The changes, in the order of `apply`.
        notes: What stays as it is, and why.
        seconds: Estimated duration under the rate limit.
        target: The service to apply them to.
    """

    service: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    seconds: float
    target: RemoteService = field(repr=False, eq=False)

    def __str__(self) -> str:
        head = f"{self.service}: nothing to change"
        if self.changes:
            count = "1 change" if len(self.changes) == 1 else f"{len(self.changes)} changes"
            head = f"{self.service}: {count} to make, about {self.seconds:.0f} s"
        lines = [head, *(f"  {change}" for change in self.changes), *(f"  ! {note}" for note in self.notes)]
        return "\n".join(map(printable, lines))

    def __bool__(self) -> bool:
        return bool(self.changes)


@frozen
class Applied:
    """The result of one change.

    Attributes:
        change: The change.
        state: ``done``; ``failed``; ``unneeded``, because somebody made it after the plan; or ``gone``, because its
            object no longer exists.
        error: Why it failed.
    """

    change: Change
    state: Literal["done", "failed", "unneeded", "gone"]
    error: FathomError | None = None

    def __str__(self) -> str:
        return printable(f"{self.change} [{self.state}{f': {self.error}' if self.error else ''}]")


@overload
async def plan_sync(
    fathom: "FathomClient",
    target: SecodaClient,
    *,
    integration: str,
    sites: Iterable[str] | None = None,
    describe: Describe = usual_description,
    currency: Currency = known_currency,
    overwrite: bool = False,
    remove: bool = False,
) -> SyncPlan: ...


@overload
async def plan_sync(
    fathom: "FathomClient", target: EmmaClient, *, sites: Iterable[str] | None = None
) -> SyncPlan: ...


async def plan_sync(
    fathom: "FathomClient",
    target: SecodaClient | EmmaClient,
    *,
    integration: str | None = None,
    sites: Iterable[str] | None = None,
    describe: Describe = usual_description,
    currency: Currency = known_currency,
    overwrite: bool = False,
    remove: bool = False,
) -> SyncPlan:
    """Plan the changes that bring Fathom's events to a service. Changes nothing.

    In Secoda, each site becomes a category with the site's events: the name as the title, a description, and a
    property ``currency`` if the currency is known. In Emma, each name of an event becomes an event type.

    Names decide what is the same. Where sites share a name, the titles of their categories include the id; an
    existing category keeps its title, with or without the id, unless another site could have it too. Events without
    a name and archived entries stay as they are.

    Args:
        fathom: The client of Fathom; its token must be able to list the sites.
        target: The client of the service.
        integration: Secoda only: id of the integration of all entries; other integrations are ignored.
        sites: Ids of the sites; None for all.
        describe: Secoda only: returns the description of an event.
        currency: Secoda only: returns the currency of an event; Fathom's lists leave it out.
        overwrite: Secoda only: replace existing descriptions and currencies, which a person may have written.
        remove: Secoda only: delete events of these sites' categories that Fathom does not have.

    Raises:
        ArgumentError: There is no such site, or an argument does not suit the service.
    """
    for name, value in (("overwrite", overwrite), ("remove", remove)):
        flag(name, value)
    callbacks = describe is not usual_description or currency is not known_currency
    if isinstance(target, EmmaClient) and (integration is not None or overwrite or remove or callbacks):
        raise ArgumentError("integration, describe, currency, overwrite and remove are for Secoda only")
    if isinstance(target, SecodaClient) and integration is None:
        raise ArgumentError("integration is required: pass the id of the events' Secoda integration")
    if not isinstance(target, EmmaClient | SecodaClient):
        raise ArgumentError(f"target must be a SecodaClient or an EmmaClient, not {target!r}")
    belongs_to = "" if integration is None else identifier("integration", integration)
    chosen = chosen_sites(sites)
    counted = await read_sites(fathom.with_options(priority=Priority.BULK), chosen)
    polite = target.with_options(priority=Priority.BULK)
    if isinstance(polite, EmmaClient):
        return await _plan(EmmaService(polite, event_types(counted.sites), counted.notes))
    wanted = document(counted, describe, currency, overwrites=overwrite, removes=remove)
    return await _plan(SecodaService(polite, belongs_to, wanted))


async def apply(plan: SyncPlan) -> AsyncGenerator[Applied, None]:
    """Make the changes of a plan one by one, and yield the result of each.

    This reads the service's current state first, so that applying a plan again, even after an interruption, makes
    nothing twice. To interrupt it, leave the iteration or cancel the task.

    Raises:
        ClosedError: The client was closed.
        AuthenticationError: The service no longer accepts the credentials.
    """
    state = await plan.target.fetch()
    due = set(state.changes)
    for change in plan.changes:
        if change not in due:
            yield Applied(change, "gone" if state.lacks(change) else "unneeded")
            continue
        try:
            await state.make(change)
        except (ClosedError, AuthenticationError):
            raise
        except FathomError as error:
            yield Applied(change, "failed", error)
        else:
            yield Applied(change, "done")


async def _plan(target: RemoteService) -> SyncPlan:
    state = await target.fetch()
    return SyncPlan(target.name, state.changes, state.notes, target.eta(state.changes), target)
