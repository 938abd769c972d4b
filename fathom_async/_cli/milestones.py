"""``fathom milestones``."""

from typing import Annotated

from cyclopts import App, Parameter

from fathom_async import FathomClient, Milestone
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import epilogue
from fathom_async._cli.named_sites import site_id
from fathom_async._cli.output import STANDARD, Kind, OutputOptions
from fathom_async._cli.prompts import confirm, need_terminal
from fathom_async._cli.resources import DELETED, DefaultSite, Limit, SiteID, Yes, change, show, show_list

_COLUMNS: dict[str, Kind] = {
    "id": "text",
    "milestone_date": "day",
    "name": "text",
    "created_at": "moment",
    "updated_at": "moment",
}

MilestoneID = Annotated[str, Parameter(help="ID of the milestone.")]
Name = Parameter(help="Name of the milestone, at most 30 characters.")
Day = Parameter(name="--date", help="The day that it marks, such as 2026-01-31.")

milestones = App(name="milestones", help_epilogue=epilogue("milestones"))


@milestones.command(name="list", help_epilogue=epilogue("milestones", "list"))
def list_(site: DefaultSite = None, /, *, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the milestones of a site, in the order of their creation."""
    output.check(_COLUMNS)
    site = site_id(site)
    show_list(_COLUMNS, limit, output, lambda fathom, page: fathom.milestones.list(site, limit=page))


@milestones.command(help_epilogue=epilogue("milestones", "get"))
def get(site: SiteID, milestone: MilestoneID, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one milestone."""
    output.check(_COLUMNS)
    site = site_id(site)
    show(_COLUMNS, output, lambda fathom: fathom.milestones.get(site, milestone))


@milestones.command(help_epilogue=epilogue("milestones", "create"))
def create(
    site: SiteID,
    name: Annotated[str, Name],
    /,
    *,
    date_: Annotated[str, Day],
    output: OutputOptions = STANDARD,
) -> None:
    """Create a milestone."""
    output.check(_COLUMNS)
    site = site_id(site)
    change(
        _COLUMNS,
        output,
        lambda fathom: fathom.milestones.create(site, name=name, milestone_date=date_),
        done="the milestone {0.id} was created",
    )


@milestones.command(help_epilogue=epilogue("milestones", "update"))
def update(
    site: SiteID,
    milestone: MilestoneID,
    /,
    *,
    name: Annotated[str | None, Name] = None,
    date_: Annotated[str | None, Day] = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change a milestone; options that are left out change nothing."""
    output.check(_COLUMNS)
    if name is None and date_ is None:
        raise CommandError("nothing to change: give --name or --date", ExitCode.USAGE)
    site = site_id(site)

    async def ask(fathom: FathomClient) -> Milestone:
        old = await fathom.milestones.get(site, milestone)  # the API takes both fields or nothing
        return await fathom.milestones.update(
            site,
            milestone,
            name=old.name if name is None else name,
            milestone_date=old.milestone_date if date_ is None else date_,
        )

    change(_COLUMNS, output, ask, done="the milestone {0.id} was changed")


@milestones.command(help_epilogue=epilogue("milestones", "delete"))
def delete(
    site: SiteID, milestone: MilestoneID, /, *, yes: Yes = False, output: OutputOptions = STANDARD
) -> None:
    """Delete a milestone, for good."""
    output.check(DELETED)
    if not yes:
        need_terminal()
    site = site_id(site)
    if not yes:
        found = call(lambda fathom: fathom.milestones.get(site, milestone))
        confirm(f"Delete the milestone {found.name!r} of {found.milestone_date}, for good", yes=False)
    change(
        DELETED,
        output,
        lambda fathom: fathom.milestones.delete(site, milestone),
        done="the milestone {0.id} was deleted",
    )
