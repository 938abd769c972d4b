"""Sites named on the command line."""

import asyncio
from collections.abc import Iterable

from fathom_async import FathomClient, NotFoundError, PermissionDeniedError, Site
from fathom_async._cli.failures import CommandError, ExitCode


async def sites_named(fathom: FathomClient, site_ids: Iterable[str]) -> dict[str, Site]:
    """Return sites by ID, in the order named.

    Listing all sites takes one request per hundred; a token that may not list them requests one by one.
    """
    wanted = list(dict.fromkeys(site_ids))
    try:
        found = {site.id: site async for site in fathom.sites.list()}
    except PermissionDeniedError:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_site(fathom, site_id)) for site_id in wanted]
        found = {site.id: site for task in tasks if (site := task.result()) is not None}
    if missing := [site_id for site_id in wanted if site_id not in found]:
        raise CommandError(
            f"this token has no site {', '.join(missing)}; `fathom sites list` shows its sites",
            ExitCode.NOT_FOUND,
        )
    return {site_id: found[site_id] for site_id in wanted}


async def _site(fathom: FathomClient, site_id: str) -> Site | None:
    try:
        return await fathom.sites.get(site_id)
    except NotFoundError:
        return None
