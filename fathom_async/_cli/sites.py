"""``fathom sites``."""

from typing import Literal

from cyclopts import App

from fathom_async import Site
from fathom_async._cli.connection import call
from fathom_async._cli.listing import Limit, first_of, given
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, records_of, write, write_change
from fathom_async._cli.prompts import confirm, need_somebody, secret

_COLUMNS: dict[str, Kind] = {
    "id": "text",
    "name": "text",
    "sharing": "text",
    "timezone": "text",
    "created_at": "moment",
}
_DELETED: dict[str, Kind] = {"id": "text", "object": "text", "deleted": "flag"}
_PASSWORD = "Password of the shared dashboard (nothing shows while you type)"  # noqa: S105 - the question for it

Sharing = Literal["none", "private", "public"]
MultiDomain = Literal["combined", "separate"]

sites = App(
    name="sites",
    help_epilogue="Examples:\n\n  fathom sites list\n  fathom sites create 'Acme shop' --timezone Europe/Berlin",
)


@sites.command(
    name="list",
    help_epilogue="Examples:\n\n  fathom sites list\n  fathom sites list --format csv -o sites.csv",
)
def list_(*, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the sites that the token can see, oldest first.

    Args:
        limit: Stop after so many.
        output: Where it goes, and how.
    """
    output.check()
    found = call(lambda fathom: first_of(limit, lambda page: fathom.sites.list(limit=page)))
    write(records_of(_COLUMNS, found), output)


@sites.command(help_epilogue="Examples:\n\n  fathom sites get CDBUGS")
def get(site: str, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one site.

    Args:
        site: Its ID.
        output: Where it goes, and how.
    """
    output.check()
    found = call(lambda fathom: fathom.sites.get(site))
    write(records_of(_COLUMNS, [found], is_single=True), output)


@sites.command(
    help_epilogue=(
        "Examples:\n\n"
        "  fathom sites create 'Acme' --timezone Europe/Berlin\n"
        "  fathom sites create 'Acme' --sharing private < password.txt"
    )
)
def create(
    name: str,
    /,
    *,
    sharing: Sharing | None = None,
    timezone: str | None = None,
    multi_domain: MultiDomain | None = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Create a site.

    Args:
        name: What it is called.
        sharing: Who may see its dashboard. For private, the password is asked for, or piped in.
        timezone: The time zone of its reports, such as Europe/Berlin; the account's unless told.
        multi_domain: Track several domains, in combined or separate reports.
        output: Where it goes, and how.
    """
    output.check()
    password = secret(_PASSWORD) if sharing == "private" else None
    made = call(
        lambda fathom: fathom.sites.create(
            name=name,
            sharing=given(sharing),
            share_password=given(password),
            timezone=given(timezone),
            multi_domain=given(multi_domain and True),
            multi_domain_option=given(multi_domain),
        )
    )
    _show(made, output, done="created")


@sites.command(
    help_epilogue=(
        "Examples:\n\n"
        "  fathom sites update CDBUGS --name 'Acme Inc'\n"
        "  fathom sites update CDBUGS --sharing private"
    )
)
def update(
    site: str,
    /,
    *,
    name: str | None = None,
    sharing: Sharing | None = None,
    new_password: bool = False,
    timezone: str | None = None,
    multi_domain: Literal["no"] | MultiDomain | None = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change a site; what is not given stays.

    Args:
        site: Its ID.
        name: What it is called.
        sharing: Who may see its dashboard. For private, the password is asked for, or piped in.
        new_password: Ask for a new password of the shared dashboard, or take it from a pipe.
        timezone: The time zone of its reports, such as Europe/Berlin.
        multi_domain: Track several domains, in combined or separate reports.
        output: Where it goes, and how.
    """
    output.check()
    password = secret(_PASSWORD) if new_password or sharing == "private" else None
    changed = call(
        lambda fathom: fathom.sites.update(
            site,
            name=given(name),
            sharing=given(sharing),
            share_password=given(password),
            timezone=given(timezone),
            multi_domain=given(multi_domain and multi_domain != "no"),
            multi_domain_option=given(None if multi_domain == "no" else multi_domain),
        )
    )
    _show(changed, output, done="changed")


@sites.command(help_epilogue="Examples:\n\n  fathom sites delete CDBUGS\n  fathom sites delete CDBUGS --yes")
def delete(
    site: str,
    /,
    *,
    yes: bool = False,
    output: OutputOptions = STANDARD,
) -> None:
    """Delete a site and all of its data, for good.

    Args:
        site: Its ID.
        yes: Do not ask.
        output: Where it goes, and how.
    """
    output.check()
    if not yes:
        need_somebody()
        found = call(lambda fathom: fathom.sites.get(site))
        confirm(f"Delete the site {found.name!r} ({found.id}) and all of its data, for good", yes=False)
    gone = call(lambda fathom: fathom.sites.delete(site))
    write_change(records_of(_DELETED, [gone], is_single=True), output, done=f"the site {gone.id} was deleted")


def _show(site: Site, output: OutputOptions, *, done: str) -> None:
    write_change(records_of(_COLUMNS, [site], is_single=True), output, done=f"the site {site.id} was {done}")
