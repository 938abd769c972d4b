"""``fathom milestones``."""

from typing import Annotated

from cyclopts import App, Parameter

from fathom_async import FathomClient, Milestone
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import examples
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
_EXAMPLE = "1c9a7f4e-0b1d-4f6e-9a53-5f1f0e6a2b11"

MilestoneID = Annotated[str, Parameter(help="ID of the milestone.")]
Name = Parameter(help="Name of the milestone, at most 30 characters.")
Day = Parameter(name="--date", help="The day that it marks, such as 2026-01-31.")

milestones = App(
    name="milestones",
    help_epilogue=examples(
        "fathom milestones list CDBUGS",
        "fathom milestones create CDBUGS 'New pricing' --date 2026-01-31",
    ),
)


@milestones.command(name="list", help_epilogue=examples("fathom milestones list CDBUGS"))
def list_(site: DefaultSite = None, /, *, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the milestones of a site, in the order of their creation."""
    output.check(_COLUMNS)
    site = site_id(site)
    show_list(_COLUMNS, limit, output, lambda fathom, page: fathom.milestones.list(site, limit=page))


@milestones.command(help_epilogue=examples(f"fathom milestones get CDBUGS {_EXAMPLE}"))
def get(site: SiteID, milestone: MilestoneID, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one milestone."""
    output.check(_COLUMNS)
    site = site_id(site)
    show(_COLUMNS, output, lambda fathom: fathom.milestones.get(site, milestone))


@milestones.command(help_epilogue=examples("fathom milestones create CDBUGS 'New pricing' --date 2026-01-31"))
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


@milestones.command(help_epilogue=examples(f"fathom milestones update CDBUGS {_EXAMPLE} --date 2026-02-01"))
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


@milestones.command(help_epilogue=examples(f"fathom milestones delete CDBUGS {_EXAMPLE} --yes"))
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
