"""``fathom store``."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from fathom_async._cli.connection import call, run_async
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import epilogue
from fathom_async._cli.named_sites import site_id
from fathom_async._cli.output import note
from fathom_async._cli.resources import SiteID
from fathom_async._cli.settings import STORE
from fathom_async._util.text import counted
from fathom_async.store import open_store

Since = Annotated[
    str | None,
    Parameter(help="Only answers whose range ends on this day or later, such as 2026-01-31, or is open."),
]
Place = Annotated[
    str | None,
    Parameter(
        help="The store: a path, or a URL such as redis://host:6379/0; by default that of FATHOM_STORE."
    ),
]

store = App(name="store", help_epilogue=epilogue("store"))


@store.command(help_epilogue=epilogue("store", "forget"))
def forget(site: SiteID, /, *, store: Place = None, since: Since = None) -> None:
    """Delete a site's cached answers, because its past has changed: data was imported, or corrected.

    It sends no request, except to find a site by its name.
    """
    store = _checked(store)
    site = site_id(site)
    gone = call(lambda fathom: fathom.reports.forget(site, since=since, store=store))
    note(f"{counted(gone, 'answer')} deleted")


@store.command(help_epilogue=epilogue("store", "prune"))
def prune(*, store: Place = None, before: datetime) -> None:
    """Delete all answers that were requested before a day, and give the space of a file back.

    It sends no request, and needs no token.

    Args:
        store: The store.
        before: The day, such as 2026-01-31.
    """
    store = _checked(store)

    async def pruned() -> int:
        async with open_store(store) as opened:
            return await opened.prune(before.timestamp())

    note(f"{counted(run_async(pruned), 'answer')} deleted")


def _checked(place: str | None) -> str:
    """See that a file is there, rather than make an empty one."""
    place = place or os.environ.get(STORE)
    if not place:
        raise CommandError(f"name a store by --store, or by {STORE}", ExitCode.USAGE)
    if "://" not in place and not Path(place).expanduser().exists():
        raise CommandError(f"there is no store {place}", ExitCode.USAGE)
    return place
