"""``fathom sites``."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from fathom_async._cli.connection import call
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import epilogue
from fathom_async._cli.named_sites import site_id
from fathom_async._cli.output import STANDARD, Kind, OutputOptions
from fathom_async._cli.prompts import confirm, need_terminal, secret
from fathom_async._cli.resources import (
    DELETED,
    DefaultSite,
    Limit,
    SiteID,
    Yes,
    change,
    given,
    show,
    show_list,
)

_COLUMNS: dict[str, Kind] = {
    "id": "text",
    "name": "text",
    "sharing": "text",
    "timezone": "text",
    "created_at": "moment",
}
_PASSWORD = "Password of the shared dashboard (nothing shows while you type)"  # noqa: S105 - the question for it

Name = Parameter(help="Name of the site.")
Sharing = Annotated[
    Literal["none", "private", "public"] | None,
    Parameter(help="Who may see its dashboard; for private, the password is asked for, or read from a pipe."),
]
NewPassword = Annotated[
    bool, Parameter(help="Ask for a new password of the shared dashboard, or read it from a pipe.")
]
Domains = Parameter(help="Track several domains, in combined or separate reports.")

sites = App(name="sites", help_epilogue=epilogue("sites"))


@sites.command(name="list", help_epilogue=epilogue("sites", "list"))
def list_(*, limit: Limit = None, output: OutputOptions = STANDARD) -> None:
    """List the sites that the token can see, oldest first."""
    show_list(_COLUMNS, limit, output, lambda fathom, page: fathom.sites.list(limit=page))


@sites.command(help_epilogue=epilogue("sites", "get"))
def get(site: DefaultSite = None, /, *, output: OutputOptions = STANDARD) -> None:
    """Show one site."""
    output.check(_COLUMNS)
    site = site_id(site)
    show(_COLUMNS, output, lambda fathom: fathom.sites.get(site))


@sites.command(help_epilogue=epilogue("sites", "create"))
def create(
    name: Annotated[str, Name],
    /,
    *,
    sharing: Sharing = None,
    timezone: Annotated[
        str | None,
        Parameter(help="Time zone of its reports, such as Europe/Berlin; the account's by default."),
    ] = None,
    multi_domain: Annotated[Literal["combined", "separate"] | None, Domains] = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Create a site."""
    output.check(_COLUMNS)
    password = secret(_PASSWORD) if sharing == "private" else None
    change(
        _COLUMNS,
        output,
        lambda fathom: fathom.sites.create(
            name=name,
            sharing=given(sharing),
            share_password=given(password),
            timezone=given(timezone),
            multi_domain=given(multi_domain and True),
            multi_domain_option=given(multi_domain),
        ),
        done="the site {0.id} was created",
    )


@sites.command(help_epilogue=epilogue("sites", "update"))
def update(
    site: SiteID,
    /,
    *,
    name: Annotated[str | None, Name] = None,
    sharing: Sharing = None,
    new_password: NewPassword = False,
    timezone: Annotated[
        str | None, Parameter(help="Time zone of its reports, such as Europe/Berlin.")
    ] = None,
    multi_domain: Annotated[Literal["no", "combined", "separate"] | None, Domains] = None,
    output: OutputOptions = STANDARD,
) -> None:
    """Change a site; options that are left out change nothing."""
    output.check(_COLUMNS)
    if not (new_password or any(each is not None for each in (name, sharing, timezone, multi_domain))):
        raise CommandError(
            "nothing to change: give --name, --sharing, --new-password, --timezone or --multi-domain",
            ExitCode.USAGE,
        )
    site = site_id(site)
    password = secret(_PASSWORD) if new_password or sharing == "private" else None
    change(
        _COLUMNS,
        output,
        lambda fathom: fathom.sites.update(
            site,
            name=given(name),
            sharing=given(sharing),
            share_password=given(password),
            timezone=given(timezone),
            multi_domain=given(multi_domain and multi_domain != "no"),
            multi_domain_option=given(None if multi_domain == "no" else multi_domain),
        ),
        done="the site {0.id} was changed",
    )


@sites.command(help_epilogue=epilogue("sites", "delete"))
def delete(site: SiteID, /, *, yes: Yes = False, output: OutputOptions = STANDARD) -> None:
    """Delete a site and all of its data, for good."""
    output.check(DELETED)
    if not yes:
        need_terminal()
    site = site_id(site)
    if not yes:
        found = call(lambda fathom: fathom.sites.get(site))
        confirm(f"Delete the site {found.name!r} ({found.id}) and all of its data, for good", yes=False)
    change(DELETED, output, lambda fathom: fathom.sites.delete(site), done="the site {0.id} was deleted")
