"""``fathom store``."""

from typing import Annotated

from cyclopts import App, Parameter

from fathom_async._cli.connection import call
from fathom_async._cli.formatting import counted, examples
from fathom_async._cli.output import note
from fathom_async._cli.resources import SiteID

_EXAMPLE = "fathom store forget CDBUGS --since 2026-01-01 --store jobs.db"

Since = Annotated[
    str | None,
    Parameter(help="Only answers whose range ends on this day or later, such as 2026-01-31, or is open."),
]
Place = Annotated[str, Parameter(help="The store: a path, or a URL such as redis://host:6379/0.")]

store = App(name="store", help_epilogue=examples(_EXAMPLE))


@store.command(help_epilogue=examples(_EXAMPLE))
def forget(site: SiteID, /, *, store: Place, since: Since = None) -> None:
    """Delete a site's cached answers, because its past has changed: data was imported, or corrected.

    It sends no request.
    """
    gone = call(lambda fathom: fathom.reports.forget(site, since=since, store=store))
    note(f"{counted(gone, 'answer')} deleted")
