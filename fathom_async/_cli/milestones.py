"""``fathom milestones``."""

from typing import Annotated

from cyclopts import App, Parameter

from fathom_async import FathomClient, Milestone
from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.listing import Limit, first_of
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, records_of, write, write_change
from fathom_async._cli.prompts import confirm, need_somebody

_COLUMNS: dict[str, Kind] = {
    "id": "text",
    "milestone_date": "day",
    "name": "text",
    "created_at": "moment",
    "updated_at": "moment",
}
_DELETED: dict[str, Kind] = {"id": "text", "object": "text", "deleted": "flag"}
Day = Annotated[str, Parameter(name="--date")]

milestones = App(
    name="milestones",
    help_epilogue=(
        "Examples:\n\n"
        "  fathom milestones list CDBUGS\n"
        "  fathom milestones create CDBUGS 'New pricing' --date 2026-01-31"
    ),
)


@milestones.command(name="list", help_epilogue="Examples:\n\n  fathom milestones list CDBUGS")
def list_(
    site: str,
    /,
    *,
    limit: Limit = None,
    output: OutputOptions = STANDARD,
) -> None:
    """List the milestones of a site, in the order in which they were created.

    Args:
        site: Its ID.
        limit: Stop after so many.
        output: Where it goes, and how.
    """
    output.check()
    found = call(lambda fathom: first_of(limit, lambda page: fathom.milestones.list(site, limit=page)))
    write(records_of(_COLUMNS, found), output)


@milestones.command(
    help_epilogue="Examples:\n\n  fathom milestones get CDBUGS 1c9a7f4e-0b1d-4f6e-9a53-5f1f0e6a2b11"
)
def get(site: str, milestone: str, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one milestone.

    Args:
        site: ID of the site.
        milestone: ID of the milestone.
        output: Where it goes, and how.
    """
    output.check()
    found = call(lambda fathom: fathom.milestones.get(site, milestone))
    write(records_of(_COLUMNS, [found], is_single=True), output)


@milestones.command(
    help_epilogue="Examples:\n\n  fathom milestones create CDBUGS 'New pricing' --date 2026-01-31"
)
def create(site: str, name: str, /, *, date_: Day, output: OutputOptions = STANDARD) -> None:
    """Create a milestone.

    Args:
        site: ID of the site.
        name: What it is called, in 30 characters at most.
        date_: The day that it marks, such as 2026-01-31.
        output: Where it goes, and how.
    """
    output.check()
    made = call(lambda fathom: fathom.milestones.create(site, name=name, milestone_date=date_))
    _show(made, output, done="created")


@milestones.command(
    help_epilogue=(
        "Examples:\n\n"
        "  fathom milestones update CDBUGS 1c9a7f4e-0b1d-4f6e-9a53-5f1f0e6a2b11 --date 2026-02-01"
    )
)
def update(
    site: str,
    milestone: str,
    /,
    *,
    name: str | None = None,
    date_: Annotated[str | None, Parameter(name="--date")] = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change a milestone; what is not given stays.

    Args:
        site: ID of the site.
        milestone: ID of the milestone.
        name: What it is called, in 30 characters at most.
        date_: The day that it marks, such as 2026-01-31.
        output: Where it goes, and how.
    """
    output.check()
    if name is None and date_ is None:
        raise CommandError("nothing to change: give --name or --date", ExitCode.USAGE)

    async def ask(fathom: FathomClient) -> Milestone:
        old = await fathom.milestones.get(site, milestone)  # the API takes both fields or nothing
        return await fathom.milestones.update(
            site,
            milestone,
            name=old.name if name is None else name,
            milestone_date=old.milestone_date if date_ is None else date_,
        )

    _show(call(ask), output, done="changed")


@milestones.command(
    help_epilogue="Examples:\n\n  fathom milestones delete CDBUGS 1c9a7f4e-0b1d-4f6e-9a53-5f1f0e6a2b11 --yes"
)
def delete(
    site: str,
    milestone: str,
    /,
    *,
    yes: bool = False,
    output: OutputOptions = STANDARD,
) -> None:
    """Delete a milestone, for good.

    Args:
        site: ID of the site.
        milestone: ID of the milestone.
        yes: Do not ask.
        output: Where it goes, and how.
    """
    output.check()
    if not yes:
        need_somebody()
        found = call(lambda fathom: fathom.milestones.get(site, milestone))
        confirm(f"Delete the milestone {found.name!r} of {found.milestone_date}, for good", yes=False)
    gone = call(lambda fathom: fathom.milestones.delete(site, milestone))
    rows = records_of(_DELETED, [gone], is_single=True)
    write_change(rows, output, done=f"the milestone {gone.id} was deleted")


def _show(milestone: Milestone, output: OutputOptions, *, done: str) -> None:
    rows = records_of(_COLUMNS, [milestone], is_single=True)
    write_change(rows, output, done=f"the milestone {milestone.id} was {done}")
