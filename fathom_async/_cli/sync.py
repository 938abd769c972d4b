"""``fathom sync``: Fathom's events in other services, first shown as a plan."""

import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Literal

from attrs import evolve, frozen
from cyclopts import App

from fathom_async import ConnectError, DecodeError, FathomClient, FathomError
from fathom_async._cli.connection import FOR_A_PERSON, connect, run_async
from fathom_async._cli.failures import CommandError, ExitCode, failure_of
from fathom_async._cli.formatting import epilogue
from fathom_async._cli.named_sites import site_ids
from fathom_async._cli.output import note
from fathom_async._cli.prompts import confirm
from fathom_async._util.text import counted
from fathom_async.connectors import EmmaClient, SecodaClient
from fathom_async.connectors.emma import BASE_URL as EMMA_URL
from fathom_async.connectors.secoda import BASE_URL as SECODA_URL
from fathom_async.connectors.sync import DeleteEvent, SyncPlan, plan_sync
from fathom_async.connectors.sync import apply as carry_out
from fathom_async.service import network_options

_UNDONE: Final = ("failed", "gone")

Planner = Callable[[FathomClient], AbstractAsyncContextManager[SyncPlan]]
"""Makes a plan, which can be applied while the block runs."""

sync = App(name="sync", help_epilogue=epilogue("sync"))


@sync.command(help_epilogue=epilogue("sync", "secoda"))
def secoda(
    *sites: str,
    integration: str,
    remove: bool = False,
    overwrite: bool = False,
    reads: Literal["catalog", "events"] = "catalog",
    budget: str | None = None,
    memory: Path | None = None,
    apply: bool = False,
    yes: bool = False,
) -> ExitCode:
    """Document events in Secoda's catalog, in one category per site.

    Shows the changes; makes them only with --apply.

    Args:
        sites: Names, domains or IDs of the sites; all by default.
        integration: ID of the Secoda integration that the events belong to.
        remove: Delete events in these sites' categories that Fathom does not have.
        overwrite: Replace existing descriptions and currencies, even those that a person wrote.
        reads: Where to read events: events is for servers without a catalog.
        budget: Where Secoda's rate limits are kept that other programs spend too, such as file:///path.
        memory: Folder in which this machine keeps what it created.
        apply: Make the changes.
        yes: Do not ask for confirmation before events are deleted.
    """
    service = _service("SECODA", SECODA_URL, "SECODA_API_TOKEN")
    chosen = site_ids(sites) or None

    @asynccontextmanager
    async def planner(fathom: FathomClient) -> AsyncGenerator[SyncPlan, None]:
        (token,) = service.credentials.values()
        async with SecodaClient(
            token,
            base_url=service.url,
            reads=reads,
            budget=service.budget(budget),
            retry=FOR_A_PERSON,
            **network_options(os.environ),
        ) as client:
            yield await plan_sync(
                fathom,
                client,
                integration=integration,
                sites=chosen,
                overwrite=overwrite,
                remove=remove,
                memory=memory,
            )

    return _run(service, planner, apply=apply, asks=remove and not yes)


@sync.command(help_epilogue=epilogue("sync", "emma"))
def emma(
    *sites: str,
    timezone: str | None = None,
    budget: str | None = None,
    memory: Path | None = None,
    apply: bool = False,
) -> ExitCode:
    """Create an event type in Emma for each name of an event; types are never deleted.

    Shows the types to create; creates them only with --apply.

    Args:
        sites: Names, domains or IDs of the sites; all by default.
        timezone: Time zone of Emma's dates, such as America/Chicago; UTC by default.
        budget: Where Emma's rate limit is kept that other programs spend too, such as file:///path.
        memory: Folder in which this machine keeps what it created.
        apply: Create the types.
    """
    service = _service("EMMA", EMMA_URL, "EMMA_ACCOUNT_ID", "EMMA_PUBLIC_KEY", "EMMA_PRIVATE_KEY")
    chosen = site_ids(sites) or None

    @asynccontextmanager
    async def planner(fathom: FathomClient) -> AsyncGenerator[SyncPlan, None]:
        account, public, private = service.credentials.values()
        async with EmmaClient(
            account,
            public_key=public,
            private_key=private,
            base_url=service.url,
            timezone=timezone or os.environ.get("EMMA_TIMEZONE") or "UTC",
            budget=service.budget(budget),
            retry=FOR_A_PERSON,
            **network_options(os.environ),
        ) as client:
            yield await plan_sync(fathom, client, sites=chosen, memory=memory)

    return _run(service, planner, apply=apply, asks=False)


@frozen
class _Service:
    """A service: its address, the variable of that, and the variables of its credentials with their values."""

    url: str
    address: str
    credentials: Mapping[str, str]

    def budget(self, given: str | None) -> str | None:
        """Return where the rate limits are kept: as given, or as the environment says."""
        return given or os.environ.get(self.address.replace("BASE_URL", "BUDGET")) or None

    @contextmanager
    def advising(self) -> Generator[None]:
        """Say what to check when this service, not Fathom, fails."""
        try:
            yield
        except FathomError as error:
            at: object = getattr(error, "url", "")
            if not isinstance(at, str) or not at.startswith(f"{self.url.rstrip('/')}/"):
                raise
            code = failure_of(error).code
            advice = ""
            if code in {ExitCode.UNAUTHENTICATED, ExitCode.NOT_FOUND}:
                advice = f"; check {' and '.join(self.credentials)}"
            elif isinstance(error, ConnectError | DecodeError):
                advice = f"; check the network and {self.address}"
            raise CommandError(f"{error}{advice}", code) from error


def _service(name: str, default: str, *credentials: str) -> _Service:
    missing = [each for each in credentials if not os.environ.get(each)]
    if missing:
        raise CommandError(f"no credentials: set {' and '.join(missing)}", ExitCode.UNAUTHENTICATED)
    address = f"{name}_BASE_URL"
    return _Service(
        os.environ.get(address) or default, address, {each: os.environ[each] for each in credentials}
    )


def _run(service: _Service, planner: Planner, *, apply: bool, asks: bool) -> ExitCode:
    async def look() -> SyncPlan:
        async with connect() as fathom, planner(fathom) as plan:
            return plan

    async def work(agreed: SyncPlan | None = None) -> ExitCode:
        async with connect() as fathom, planner(fathom) as plan:
            return await _apply(plan if agreed is None else evolve(plan, changes=agreed.changes))

    with service.advising():
        if apply and not asks:
            return run_async(work)
        plan = run_async(look)
        sys.stdout.write(f"{plan}\n")
        sys.stdout.flush()
        if not plan:
            return ExitCode.OK
        if not apply:
            note("nothing was changed; pass --apply to make these changes")
            return ExitCode.OK
        if gone := sum(change.count for change in plan.changes if isinstance(change, DeleteEvent)):
            confirm(f"Make these changes, and delete {counted(gone, 'event')} for good", yes=False)
        return run_async(lambda: work(plan))  # makes only the changes shown


async def _apply(plan: SyncPlan) -> ExitCode:
    """Make the changes of a plan, a line each."""
    if not plan:
        sys.stdout.write(f"{plan}\n")
    undone = 0
    async with aclosing(carry_out(plan)) as outcomes:
        async for outcome in outcomes:
            sys.stdout.write(f"{outcome}\n")
            sys.stdout.flush()
            undone += outcome.state in _UNDONE
    return ExitCode.SOME_FAILED if undone else ExitCode.OK
