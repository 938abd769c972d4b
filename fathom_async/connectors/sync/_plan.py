"""A synchronisation, planned first and applied when it has been looked at."""

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Literal, overload

from attrs import field, frozen

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.checks import flag, identifier
from fathom_async._util.text import printable
from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.sync._catalogue import (
    Currency,
    Describe,
    document,
    known_currency,
    usual_description,
)
from fathom_async.connectors.sync._catalogue_side import CatalogueTarget
from fathom_async.connectors.sync._changes import Change
from fathom_async.connectors.sync._mail import MailTarget, event_types
from fathom_async.connectors.sync._side import Target
from fathom_async.connectors.sync._source import chosen_sites, read_sites
from fathom_async.errors import ArgumentError, AuthenticationError, ClosedError, FathomError

if TYPE_CHECKING:
    from fathom_async.client import FathomClient


@frozen
class SyncPlan:
    """What a synchronisation would change; prints well.

    Attributes:
        service: The service that would be changed.
        changes: The changes, in the order in which they would be made.
        notes: What is left alone, and why.
        seconds: How long the rate limit makes it take, about.
        target: What it would be applied to.
    """

    service: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    seconds: float
    target: Target = field(repr=False, eq=False)

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
    """What became of one change.

    Attributes:
        change: The change.
        state: ``done``; ``failed``; ``unneeded``, because the service has it since the plan was made; or ``gone``,
            because what it would change is not there any more.
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
    """Find out what has to be changed for a service to know Fathom's events. Changes nothing.

    In Secoda, each site becomes a category, and its events are under it, with the name as the title, a description,
    and a property ``currency`` where it is known what the value is counted in. In Emma, each name of an event
    becomes a type of events, which is known by that name.

    Things are the same if they have the same name. Where sites have the same name, their categories have the id
    as well; a category that has it, or lacks it, since before is used as long as no other site may mean it. Events
    without a name, and what is archived in Secoda, are left alone.

    Args:
        fathom: Where the events are counted; its token must be allowed to list the sites.
        target: Where they are to be known.
        integration: Secoda only: id of the integration that everything belongs to. Others are not looked at.
        sites: Ids of the sites; None for all.
        describe: Secoda only: makes the description of an event.
        currency: Secoda only: tells what an event's value is counted in; Fathom's own lists leave that out.
        overwrite: Secoda only: whether a description or a currency that is there already, perhaps by a person, is
            replaced.
        remove: Secoda only: whether events in these sites' categories that Fathom does not have are deleted.

    Raises:
        ArgumentError: There is no such site, or an argument does not suit the service.
    """
    for name, value in (("overwrite", overwrite), ("remove", remove)):
        flag(name, value)
    callbacks = describe is not usual_description or currency is not known_currency
    if isinstance(target, EmmaClient) and (integration is not None or overwrite or remove or callbacks):
        raise ArgumentError(
            "integration, describe, currency, overwrite and remove are for Secoda: leave them out for Emma"
        )
    if isinstance(target, SecodaClient) and integration is None:
        raise ArgumentError(
            "integration is needed: the id of the Secoda integration that the events belong to"
        )
    if not isinstance(target, EmmaClient | SecodaClient):
        raise ArgumentError(f"target must be a SecodaClient or an EmmaClient, not {target!r}")
    belongs_to = "" if integration is None else identifier("integration", integration)
    chosen = chosen_sites(sites)
    counted = await read_sites(fathom.with_options(priority=Priority.BULK), chosen)
    polite = target.with_options(priority=Priority.BULK)
    if isinstance(polite, EmmaClient):
        return await _plan(MailTarget(polite, event_types(counted.sites), counted.notes))
    wanted = document(counted, describe, currency, overwrites=overwrite, removes=remove)
    return await _plan(CatalogueTarget(polite, belongs_to, wanted))


async def apply(plan: SyncPlan) -> AsyncGenerator[Applied, None]:
    """Make the changes of a plan, one after the other, and tell what became of each.

    What the service has now is read first, so that a plan can be applied again, also after it was interrupted, and
    makes nothing twice. To interrupt it, leave the iteration, or cancel the task.

    Raises:
        ClosedError: The client was closed.
        AuthenticationError: The service does not know the credentials any more.
    """
    side = await plan.target.look()
    due = set(side.changes)
    for change in plan.changes:
        if change not in due:
            yield Applied(change, "gone" if side.lacks(change) else "unneeded")
            continue
        try:
            await side.carry_out(change)
        except (ClosedError, AuthenticationError):
            raise
        except FathomError as error:
            yield Applied(change, "failed", error)
        else:
            yield Applied(change, "done")


async def _plan(target: Target) -> SyncPlan:
    side = await target.look()
    return SyncPlan(target.name, side.changes, side.notes, target.eta(side.changes), target)
