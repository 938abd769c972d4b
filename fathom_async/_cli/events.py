"""``fathom events``."""

from collections.abc import Callable, Coroutine
from typing import TypeVar

from cyclopts import App

from fathom_async import Deleted, Event, FathomClient, GoneError
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.listing import Limit, first_of, given
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, records, records_of, write, write_change
from fathom_async._cli.prompts import confirm
from fathom_async._reports.fields import Currency

T = TypeVar("T")

_COLUMNS: dict[str, Kind] = {"id": "text", "name": "text", "created_at": "moment"}
_CHANGED: dict[str, Kind] = {"id": "text", "name": "text", "currency": "text", "created_at": "moment"}
_DELETED: dict[str, Kind] = {"id": "text", "name": "text", "object": "text", "deleted": "flag"}

events = App(
    name="events",
    help_epilogue="Examples:\n\n  fathom events list CDBUGS\n  fathom events delete CDBUGS 'Signed up to newsletter'",
)


@events.command(name="list", help_epilogue="Examples:\n\n  fathom events list CDBUGS")
def list_(
    site: str,
    /,
    *,
    limit: Limit = None,
    output: OutputOptions = STANDARD,
) -> None:
    """List the events of a site, oldest first.

    Args:
        site: Its ID.
        limit: Stop after so many.
        output: Where it goes, and how.
    """
    output.check()
    found = call(lambda fathom: first_of(limit, lambda page: fathom.events.list(site, limit=page)))
    write(records_of(_COLUMNS, found), output)


@events.command(help_epilogue="Examples:\n\n  fathom events get CDBUGS SIGNUPXX")
def get(site: str, event: str, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one event by its ID; today's service has none, and lists events by name.

    Args:
        site: ID of the site.
        event: ID of the event.
        output: Where it goes, and how.
    """
    output.check()
    found = _by_name(f"run `fathom events list {site}`", lambda fathom: fathom.events.get(site, event))
    write(records_of(_COLUMNS, [found], is_single=True), output)


@events.command(
    help_epilogue="Examples:\n\n  fathom events create CDBUGS 'Signed up to newsletter' --currency euro"
)
def create(
    site: str, name: str, /, *, currency: Currency | None = None, output: OutputOptions = STANDARD
) -> None:
    """Create an event; in today's service, events come into being when they are first tracked.

    Args:
        site: ID of the site.
        name: What the event is called.
        currency: What its value is counted in; dollar unless told.
        output: Where it goes, and how.
    """
    output.check()
    made = _by_name(
        "an event comes into being when it is first tracked",
        lambda fathom: fathom.events.create(site, name=name, currency=given(currency)),
    )
    _show(made, output, done="created")


@events.command(
    help_epilogue="Examples:\n\n  fathom events update CDBUGS SIGNUPXX --name 'Signed up to newsletter'"
)
def update(
    site: str,
    event: str,
    /,
    *,
    name: str | None = None,
    currency: Currency | None = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change an event by its ID; today's service can only change its currency, see set-currency.

    Args:
        site: ID of the site.
        event: ID of the event.
        name: What it is called.
        currency: What its value is counted in.
        output: Where it goes, and how.
    """
    output.check()
    changed = _by_name(
        f"run `fathom events set-currency {site} NAME CURRENCY`; a name cannot be changed",
        lambda fathom: fathom.events.update(site, event, name=given(name), currency=given(currency)),
    )
    _show(changed, output, done="changed")


@events.command(
    help_epilogue="Examples:\n\n  fathom events set-currency CDBUGS 'Signed up to newsletter' euro"
)
def set_currency(site: str, name: str, currency: Currency, /, *, output: OutputOptions = STANDARD) -> None:
    """Set what an event's value is shown in; it converts nothing.

    Args:
        site: ID of the site.
        name: Name of the event, which need not have been tracked yet.
        currency: A currency, integer or none.
        output: Where it goes, and how.
    """
    output.check()
    changed = call(lambda fathom: fathom.events.set_currency(site, name, currency))
    _show(changed, output, done="changed")


@events.command(
    help_epilogue=(
        "Examples:\n\n"
        "  fathom events delete CDBUGS 'Signed up to newsletter'\n"
        "  fathom events delete CDBUGS --id SIGNUPXX --yes"
    )
)
def delete(
    site: str,
    name: str | None = None,
    /,
    *,
    id: str | None = None,
    yes: bool = False,
    output: OutputOptions = STANDARD,
) -> None:
    """Delete an event and its currency; its figures stay in reports, and it is back when it is tracked again.

    Args:
        site: ID of the site.
        name: Name of the event.
        id: Delete the one event of this ID instead; today's service has none.
        yes: Do not ask.
        output: Where it goes, and how.
    """
    output.check()
    if (name is None) == (id is None):
        raise CommandError("name the event to delete, or give its --id", ExitCode.USAGE)
    if name is not None:
        confirm(
            f"Delete the event {name!r} of {site} and its currency (its figures stay in reports)", yes=yes
        )
    else:
        confirm(f"Delete the event {id!r} of {site}, for good", yes=yes)

    async def ask(fathom: FathomClient) -> Deleted:
        if name is not None:
            return await fathom.events.delete_by_name(site, name)
        return await fathom.events.delete(site, id or "")

    gone = _by_name(f"run `fathom events delete {site} NAME`", ask)
    rows = records(_DELETED, [(gone.id, name, gone.object, gone.deleted)], is_single=True)
    write_change(rows, output, done=f"the event {name or gone.id!r} was deleted")


def _show(event: Event, output: OutputOptions, *, done: str) -> None:
    write_change(
        records_of(_CHANGED, [event], is_single=True), output, done=f"the event {event.name!r} was {done}"
    )


def _by_name(instead: str, ask: Callable[[FathomClient], Coroutine[object, object, T]]) -> T:
    """Carry out what only an older service does; where it is gone, say what to do instead."""
    try:
        return call(ask)
    except GoneError:
        raise CommandError(
            f"the service knows events by their names now: {instead}", ExitCode.NOT_FOUND
        ) from None
