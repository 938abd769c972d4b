"""``fathom events``."""

from typing import Annotated, TypeVar

from cyclopts import App, Parameter

from fathom_async import Deleted, FathomClient, GoneError
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import examples
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, records, write_change
from fathom_async._cli.prompts import confirm
from fathom_async._cli.resources import Ask, Limit, SiteID, Yes, change, given, show, show_list
from fathom_async.reports import Currency

T = TypeVar("T")

_COLUMNS: dict[str, Kind] = {"id": "text", "name": "text", "created_at": "moment"}
_CHANGED: dict[str, Kind] = {"id": "text", "name": "text", "currency": "text", "created_at": "moment"}
_DELETED: dict[str, Kind] = {"id": "text", "name": "text", "object": "text", "deleted": "flag"}

EventID = Annotated[str, Parameter(help="ID of the event.")]
Name = Parameter(help="Name of the event.")
Unit = Annotated[Currency | None, Parameter(help="Currency of its values; dollar by default.")]

events = App(
    name="events",
    help_epilogue=examples(
        "fathom events list CDBUGS", "fathom events delete CDBUGS 'Signed up to newsletter'"
    ),
)


@events.command(name="list", help_epilogue=examples("fathom events list CDBUGS"))
def list_(site: SiteID, /, *, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the events of a site, oldest first."""
    show_list(_COLUMNS, limit, output, lambda fathom, page: fathom.events.list(site, limit=page))


@events.command(help_epilogue=examples("fathom events get CDBUGS SIGNUPXX"))
def get(site: SiteID, event: EventID, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one event by its ID; today's service has none, and lists events by name."""
    instead = f"run `fathom events list {site}`"
    show(_COLUMNS, output, _by_id(instead, lambda fathom: fathom.events.get(site, event)))


@events.command(
    help_epilogue=examples("fathom events create CDBUGS 'Signed up to newsletter' --currency euro")
)
def create(
    site: SiteID,
    name: Annotated[str, Name],
    /,
    *,
    currency: Unit = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Create an event; in today's service, events come into being when they are first tracked."""
    ask = _by_id(
        "an event comes into being when it is first tracked",
        lambda fathom: fathom.events.create(site, name=name, currency=given(currency)),
    )
    change(_CHANGED, output, ask, done="the event {0.name!r} was created")


@events.command(
    help_epilogue=examples("fathom events update CDBUGS SIGNUPXX --name 'Signed up to newsletter'")
)
def update(
    site: SiteID,
    event: EventID,
    /,
    *,
    name: Annotated[str | None, Name] = None,
    currency: Annotated[Currency | None, Parameter(help="Currency of its values.")] = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change an event by its ID; today's service can only change its currency, see set-currency."""
    ask = _by_id(
        f"run `fathom events set-currency {site} NAME CURRENCY`; a name cannot be changed",
        lambda fathom: fathom.events.update(site, event, name=given(name), currency=given(currency)),
    )
    change(_CHANGED, output, ask, done="the event {0.name!r} was changed")


@events.command(help_epilogue=examples("fathom events set-currency CDBUGS 'Signed up to newsletter' euro"))
def set_currency(
    site: SiteID,
    name: Annotated[str, Parameter(help="Name of the event, which need not have been tracked yet.")],
    currency: Annotated[Currency, Parameter(help="A currency, integer or none.")],
    /,
    *,
    output: OutputOptions = STANDARD,
) -> None:
    """Set the currency that an event's values are shown in; it converts nothing."""
    change(
        _CHANGED,
        output,
        lambda fathom: fathom.events.set_currency(site, name, currency),
        done="the event {0.name!r} was changed",
    )


@events.command(
    help_epilogue=examples(
        "fathom events delete CDBUGS 'Signed up to newsletter'",
        "fathom events delete CDBUGS --id SIGNUPXX --yes",
    )
)
def delete(
    site: SiteID,
    name: Annotated[str | None, Name] = None,
    /,
    *,
    id: Annotated[str | None, Parameter(help="ID of the event to delete; today's service has none.")] = None,
    yes: Yes = False,
    output: OutputOptions = STANDARD,
) -> None:
    """Delete an event and its currency; its figures stay in reports, and it is back when it is tracked again."""
    output.check()
    if (name is None) == (id is None):
        raise CommandError("name the event to delete, or give its --id", ExitCode.USAGE)
    if name is not None:
        what = f"the event {name!r} of {site} and its currency (its figures stay in reports)"
    else:
        what = f"the event {id!r} of {site}, for good"
    confirm(f"Delete {what}", yes=yes)

    async def ask(fathom: FathomClient) -> Deleted:
        if name is not None:
            return await fathom.events.delete_by_name(site, name)
        return await fathom.events.delete(site, id or "")

    gone = call(_by_id(f"run `fathom events delete {site} NAME`", ask))
    rows = records(_DELETED, [(gone.id, name, gone.object, gone.deleted)], is_single=True)
    write_change(rows, output, done=f"the event {name or gone.id!r} was deleted")


def _by_id(instead: str, ask: Ask[T]) -> Ask[T]:
    """Return a request that only an older service answers; where it is gone, its error says what to do instead."""

    async def asked(fathom: FathomClient) -> T:
        try:
            return await ask(fathom)
        except GoneError:
            raise CommandError(
                f"the service knows events by their names now: {instead}", ExitCode.NOT_FOUND
            ) from None

    return asked
