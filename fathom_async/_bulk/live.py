"""Poll the current visitors of many sites, at a rate that leaves room for everything else."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import cycle

from attrs import frozen

from fathom_async._core.request import id_of
from fathom_async._core.scope import Scope
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.checks import identifier
from fathom_async.errors import ArgumentError, ClosedError, FathomError
from fathom_async.models import CurrentVisitors, Site


@frozen
class LiveVisitors:
    """The current visitors of a site, or the error that prevented the answer.

    Attributes:
        site_id: The site.
        at: When the answer arrived.
        visitors: The answer; None if it failed.
        error: The error; the next round tries the site again.
    """

    site_id: str
    at: datetime
    visitors: CurrentVisitors | None = None
    error: FathomError | None = None


def check_sites(site_ids: Iterable[str | Site]) -> tuple[str, ...]:
    """Return the IDs of sites, checked and without repeats."""
    if isinstance(site_ids, str | Site):
        raise ArgumentError(f"site_ids takes a list of IDs; write [{id_of(site_ids)!r}]")
    sites = tuple(dict.fromkeys(identifier("site_id", id_of(site)) for site in site_ids))
    if not sites:
        raise ArgumentError("site_ids is empty; name at least one site")
    return sites


def interval(sites: int, every: float, share: float, limit: RateLimit) -> float:
    """Return the seconds from one request for a site to the next.

    `every` is the interval asked for, in seconds, and `share` the part of the rate limit to spend, in (0, 1].
    """
    if every <= 0:
        raise ArgumentError(f"every must be more than 0 seconds, not {every:g}")
    if not 0 < share <= 1:
        raise ArgumentError(f"share must be over 0 and up to 1, not {share:g}")
    return max(every, sites * limit.per / (share * limit.requests))


def burst(sites: int, share: float, limit: RateLimit) -> int:
    """Return how many requests of the first round go at once: no more than the share of a window."""
    return min(sites, max(1, int(share * limit.requests)))


async def watch(
    sites: Sequence[str],
    seconds: float,
    ask: Callable[[str], Awaitable[CurrentVisitors]],
    scope: Scope,
    *,
    at_once: int = 1,
) -> AsyncGenerator[LiveVisitors, None]:
    """Poll one site after the other, one request at a time: the first ones at once, and then evenly spaced.

    What goes at once counts as if it had been spaced: the next request goes no earlier than it would have then, so
    that no window has more than its share. A delay shifts all later requests; missed ones are not made up for.
    """
    due = scope.now()
    for place, site_id in enumerate(cycle(sites)):
        if place >= at_once:
            await scope.sleep(due - scope.now())
            due = max(due, scope.now())
        due += seconds / len(sites)
        yield await _outcome(site_id, ask)


async def _outcome(site_id: str, ask: Callable[[str], Awaitable[CurrentVisitors]]) -> LiveVisitors:
    try:
        visitors = await ask(site_id)
    except ClosedError:
        raise
    except FathomError as error:
        return LiveVisitors(site_id, datetime.now(UTC), error=error)
    return LiveVisitors(site_id, datetime.now(UTC), visitors)
