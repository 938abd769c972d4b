"""Synchronise in two steps: plan the changes, then apply them."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from fathom_async._util.checks import flag, identifier
from fathom_async._util.text import counted, printable
from fathom_async.client import FathomClient
from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.sync._catalog import (
    Currency,
    Describe,
    document,
    known_currency,
    usual_description,
)
from fathom_async.connectors.sync._changes import Change, DeleteEvent
from fathom_async.connectors.sync._destination import Destination, RemoteState, SyncError
from fathom_async.connectors.sync._emma_state import EmmaDestination
from fathom_async.connectors.sync._memory import SETTLE, Memory, opened
from fathom_async.connectors.sync._secoda_state import SecodaDestination
from fathom_async.connectors.sync._source import AccountEvents, chosen_sites, read_sites
from fathom_async.errors import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DecodeError,
    FathomError,
)
from fathom_async.service import Priority, was_perhaps_done

_MINUTE = 60


@frozen
class SyncPlan:
    """The changes of a synchronisation; ``print(plan)`` shows them.

    Attributes:
        service: The service to change.
        changes: The changes, in the order of `apply`.
        notes: What stays as it is, and why.
        seconds: Estimated duration under the rate limit.
        destination: What to apply them to.
        source: Fathom's events.
        memory: The folder in which this machine keeps what it created.
    """

    service: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    seconds: float
    destination: Destination = field(repr=False, eq=False)
    source: AccountEvents = field(repr=False, eq=False)
    memory: Path | None = field(default=None, repr=False, eq=False)

    @property
    def counts(self) -> str:
        """How many changes of each kind there are, such as ``create 27 categories, delete 1 event``."""
        often = Counter[tuple[str, tuple[str, str]]]()
        for change in self.changes:
            often[change.verb, change.noun] += change.count if isinstance(change, DeleteEvent) else 1
        return ", ".join(f"{verb} {counted(count, *noun)}" for (verb, noun), count in often.items())

    def __str__(self) -> str:
        head = f"{self.service}: nothing to change"
        if self.changes:
            count, about = counted(len(self.changes), "change"), _duration(self.seconds)
            head = f"{self.service}: {count} to make, about {about}: {self.counts}"
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


async def plan_sync(
    fathom: FathomClient,
    target: SecodaClient | EmmaClient | Destination,
    *,
    integration: str | None = None,
    sites: Iterable[str] | None = None,
    describe: Describe = usual_description,
    currency: Currency = known_currency,
    overwrite: bool = False,
    remove: bool = False,
    memory: str | Path | None = None,
) -> SyncPlan:
    """Plan the changes that bring Fathom's events to a service. Changes nothing.

    In Secoda, each site becomes a category with the site's events: the name as the title, a description, and a
    property ``currency`` if the currency is known. In Emma, each name of an event becomes an event type.

    Names decide what is the same. Where sites share a name, the titles of their categories include the id. Events
    without a name, archived entries and categories under other titles stay as they are.

    Args:
        fathom: The client of Fathom; its token must be able to list the sites.
        target: The client of the service, or any `Destination`.
        integration: Secoda only: id of the integration of all entries; other integrations are ignored.
        sites: Ids of the sites; None for all.
        describe: Secoda only: returns the description of an event.
        currency: Secoda only: returns the currency of an event; Fathom's lists leave it out.
        overwrite: Secoda only: replace existing descriptions and currencies, which a person may have written.
        remove: Secoda only: delete events of these sites' categories that Fathom does not have.
        memory: The folder in which this machine keeps what it created, so that nothing is created twice; by default
            ``$XDG_STATE_HOME/fathom_async``, or ``~/.local/state/fathom_async``.

    Raises:
        ArgumentError: There is no such site, or an argument does not suit the service.
    """
    for name, value in (("overwrite", overwrite), ("remove", remove)):
        flag(name, value)
    chosen = chosen_sites(sites)
    if isinstance(target, SecodaClient):
        if integration is None:
            raise ArgumentError("integration is required: pass the id of the events' Secoda integration")
        target = SecodaDestination(
            target.with_options(priority=Priority.BULK),
            identifier("integration", integration),
            partial(document, describe=describe, currency=currency, overwrites=overwrite, removes=remove),
        )
    elif (
        integration is not None
        or overwrite
        or remove
        or (describe, currency) != (usual_description, known_currency)
    ):
        raise ArgumentError("integration, describe, currency, overwrite and remove are for Secoda only")
    elif isinstance(target, EmmaClient):
        target = EmmaDestination(target.with_options(priority=Priority.BULK))
    elif not hasattr(target, "compare"):
        raise ArgumentError(f"target must be a SecodaClient, an EmmaClient or a Destination, not {target!r}")
    source = await read_sites(fathom.with_options(priority=Priority.BULK), chosen)
    state = await target.compare(source)
    changes, notes = state.changes, state.notes
    folder = None if memory is None else Path(memory)
    try:
        with opened(target.key, folder) as known:
            changes = tuple([change for change in changes if not await _is_remembered(state, known, change)])
    except (SyncError, ConfigurationError) as error:
        notes += (str(error),)
    return SyncPlan(target.name, changes, notes, target.eta(changes), target, source, folder)


async def apply(plan: SyncPlan) -> AsyncGenerator[Applied, None]:
    """Make the changes of a plan one by one, and yield the result of each.

    This reads the service's current state first, and looks again before each creation, so that applying a plan twice,
    after an interruption or while another machine does the same, makes nothing twice. To interrupt it, leave the
    iteration or cancel the task.

    Raises:
        SyncError: Another sync of the destination is at work on this machine.
        ConfigurationError: What was created cannot be kept in the plan's `memory`, or the network's settings stand in
            the way.
        ClosedError: The client was closed.
        AuthenticationError: The service no longer accepts the credentials.
    """
    with opened(plan.destination.key, plan.memory) as memory:
        state, due, unsettled = await _read(plan, memory, plan.changes)
        for place, change in enumerate(plan.changes):
            if change not in due:
                yield Applied(change, "gone" if state.lacks(change) else "unneeded")
                continue
            try:
                known = memory.recall(change) if change.verb == "create" else None
                made = None if known is None else known.made
                is_made = change.verb == "create" and await state.find(change, made)
                if known is not None and change in unsettled and not is_made:
                    await asyncio.sleep(max(0.0, SETTLE - known.age))
                    state, due, unsettled = await _read(plan, memory, plan.changes[place:])
                    is_made = change not in due or await state.find(change, made)
                if is_made:
                    yield Applied(change, "unneeded")
                    continue
                await _make(state, memory, change)
            except (ClosedError, AuthenticationError, ConfigurationError):
                raise
            except FathomError as error:
                yield Applied(change, "failed", error)
            else:
                yield Applied(change, "done")


async def _read(
    plan: SyncPlan, memory: Memory, ahead: Sequence[Change]
) -> tuple[RemoteState, set[Change], set[Change]]:
    """Return the service's state, the changes due, and which of those ahead may have been made without showing."""
    known = {change: memory.recall(change) for change in ahead if change.verb == "create"}
    unsettled = {change for change, sent in known.items() if sent is not None and sent.age < SETTLE}
    state, planned = await plan.destination.compare(plan.source), set(ahead)
    for change in state.changes:
        if change not in planned:  # others may build on it, although it is not listed yet
            await _is_remembered(state, memory, change)
    return state, set(state.changes), unsettled


async def _is_remembered(state: RemoteState, memory: Memory, change: Change) -> bool:
    """Tell whether this machine made a creation that the service does not list yet."""
    known = memory.recall(change) if change.verb == "create" else None
    return known is not None and await state.find(change, known.made)


async def _make(state: RemoteState, memory: Memory, change: Change) -> None:
    if change.verb != "create":
        await state.make(change, lambda: None)
        return
    try:
        memory.made(change, await state.make(change, partial(memory.sent, change)))
    except FathomError as error:
        if not (was_perhaps_done(error) or isinstance(error, DecodeError | ClosedError)):
            memory.forget(change)
        raise


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"
