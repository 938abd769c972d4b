"""``fathom live``."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Annotated, Final, Literal

from cyclopts import Parameter, validators
from rich.console import Console

from fathom_async import FathomClient, PermissionDeniedError
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.failures import CommandError, ExitCode, failure_of, interruption
from fathom_async._cli.live.screen import LiveState, Show, SiteView, lines, screen
from fathom_async._cli.named_sites import site_ids
from fathom_async._cli.progress import is_screen, telling
from fathom_async._util.tasks import gather_all

Format = Literal["table", "jsonl"]

_DAY: Final = 86_400.0


def live(
    *sites: str,
    every: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=_DAY))] = 30.0,
    share: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=1))] = 0.5,
    rounds: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    format: Format | None = None,
) -> int:
    """Watch current visitors, pages and referrers: full-screen in a terminal, line by line elsewhere.

    Args:
        sites: Names, domains or IDs of the sites; all sites of the token by default.
        every: Seconds from one request for a site to the next; more if the share demands it.
        share: Share of the rate limit to spend.
        rounds: Stop after this many requests per site.
        format: table for the screen, or for lines of text without a terminal; jsonl for a JSON object per answer.
            By default table in a terminal and jsonl elsewhere.
    """
    named = site_ids(sites, is_read=True)
    try:
        run_async(partial(_watch, named, every, share, rounds, format))
    except KeyboardInterrupt as error:
        return interruption(error)
    return ExitCode.OK


async def _watch(
    sites: Sequence[str], every: float, share: float, rounds: int | None, format: Format | None
) -> None:
    async with connect() as fathom, AsyncExitStack() as stack:
        async with telling(fathom):
            names = await _names(fathom, sites)
        lane = fathom.limits["reports"]
        seconds = max(every, len(names) * lane.per / (share * lane.limit))
        board = LiveState({site_id: SiteView(name) for site_id, name in names.items()}, seconds)
        show = await stack.enter_async_context(_display(format, board, fathom))
        stream = fathom.reports.live(names, every=every, share=share, detailed=True)
        left = None if rounds is None else rounds * len(names)
        async with aclosing(stream) as answers:
            async for heard in answers:
                error = None if heard.error is None else failure_of(heard.error).message
                board = board.with_(heard, error)
                show(board, heard)
                left = left and left - 1
                if left == 0:
                    return


@asynccontextmanager
async def _display(format: Format | None, board: LiveState, fathom: FathomClient) -> AsyncGenerator[Show]:
    console = Console(highlight=False)
    if is_screen(console) and format != "jsonl":
        async with screen(console, board, lambda: fathom.limits["reports"]) as show:
            yield show
    else:
        async with telling(fathom, is_drawn=False):
            yield lines(as_json=format == "jsonl" or (format is None and not console.is_terminal))


async def _names(fathom: FathomClient, site_ids: Sequence[str]) -> dict[str, str]:
    """Return the names of sites by ID, in the order given; by default, of all that the token may list."""
    try:
        names = {site.id: site.name async for site in fathom.sites.list()}
    except PermissionDeniedError:
        if not site_ids:
            raise
        names = {site.id: site.name for site in await gather_all(map(fathom.sites.get, site_ids))}
    if missing := [site_id for site_id in site_ids if site_id not in names]:
        raise CommandError(
            f"this token has no site {', '.join(missing)}; `fathom sites list` shows its sites",
            ExitCode.NOT_FOUND,
        )
    if not names:
        raise CommandError(
            "this token has no sites; create one by `fathom sites create`, or name sites that it may read",
            ExitCode.NOT_FOUND,
        )
    return {site_id: names[site_id] for site_id in site_ids or names}
