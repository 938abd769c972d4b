"""``fathom events``."""

from typing import Annotated

from cyclopts import App, Parameter

from fathom_async._cli.connection import call
from fathom_async._cli.formatting import epilogue
from fathom_async._cli.named_sites import site_id
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, Records, write_change
from fathom_async._cli.prompts import confirm, need_terminal
from fathom_async._cli.resources import DefaultSite, Limit, SiteID, Yes, change, show_list
from fathom_async.reports import Currency

_COLUMNS: dict[str, Kind] = {"id": "text", "name": "text", "created_at": "moment"}
_CHANGED: dict[str, Kind] = {"id": "text", "name": "text", "currency": "text", "created_at": "moment"}
_DELETED: dict[str, Kind] = {"id": "text", "name": "text", "object": "text", "deleted": "flag"}

events = App(name="events", help_epilogue=epilogue("events"))


@events.command(name="list", help_epilogue=epilogue("events", "list"))
def list_(site: DefaultSite = None, /, *, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the events of a site, oldest first."""
    output.check(_COLUMNS)
    site = site_id(site)
    show_list(_COLUMNS, limit, output, lambda fathom, page: fathom.events.list(site, limit=page))


@events.command(help_epilogue=epilogue("events", "set-currency"))
def set_currency(
    site: SiteID,
    name: Annotated[str, Parameter(help="Name of the event, which need not have been tracked yet.")],
    currency: Annotated[Currency, Parameter(help="A currency, integer or none.")],
    /,
    *,
    output: OutputOptions = STANDARD,
) -> None:
    """Set the currency that an event's values are shown in; it converts nothing."""
    output.check(_CHANGED)
    site = site_id(site)
    change(
        _CHANGED,
        output,
        lambda fathom: fathom.events.set_currency(site, name, currency),
        done="the event {0.name!r} was changed",
    )


@events.command(help_epilogue=epilogue("events", "delete"))
def delete(
    site: SiteID,
    name: Annotated[str, Parameter(help="Name of the event.")],
    /,
    *,
    yes: Yes = False,
    output: OutputOptions = STANDARD,
) -> None:
    """Delete an event and its currency; its figures stay in reports, and it is back when it is tracked again."""
    output.check(_DELETED)
    if not yes:
        need_terminal()
    site = site_id(site)
    confirm(f"Delete the event {name!r} of {site} and its currency (its figures stay in reports)", yes=yes)
    gone = call(lambda fathom: fathom.events.delete_by_name(site, name))
    rows = Records(_DELETED, [(gone.id, name, gone.object, gone.deleted)], is_single=True)
    write_change(rows, output, done=f"the event {name!r} was deleted")
