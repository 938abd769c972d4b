"""Current visitors of many sites, over and over, at a pace that leaves room for everything else."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Protocol

from attrs import frozen

from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.checks import identifier
from fathom_async.errors import ArgumentError, ClosedError, FathomError
from fathom_async.models import CurrentVisitors

Ask = Callable[[str], Awaitable[CurrentVisitors]]


class Pace(Protocol):
    """Time, as requests see it."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep; nothing at all when the seconds are none."""
        ...


@frozen
class LiveVisitors:
    """Who was on a site at one moment, or why nobody knows.

    Attributes:
        site_id: The site.
        at: When the answer was there.
        visitors: The answer; None if there was an error.
        error: What went wrong; the next round asks for the site again.
    """

    site_id: str
    at: datetime
    visitors: CurrentVisitors | None = None
    error: FathomError | None = None


def check_sites(site_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the sites to watch, all different.

    Raises:
        ArgumentError: There are none, or one of them is no ID.
    """
    if isinstance(site_ids, str):
        raise ArgumentError(f"site_ids takes a list of IDs; write [{site_ids!r}]")
    sites = tuple(dict.fromkeys(identifier("site_id", site) for site in site_ids))
    if not sites:
        raise ArgumentError("site_ids is empty; name at least one site")
    return sites


def interval(sites: int, every: float, share: float, limit: RateLimit) -> float:
    """Return the seconds from one request for a site to the next.

    Args:
        sites: How many sites are watched.
        every: The seconds wished for.
        share: The part of the limit that may be spent, over 0 and up to 1.
        limit: What the server admits.

    Raises:
        ArgumentError: `every` or `share` is out of range.
    """
    if every <= 0:
        raise ArgumentError(f"every must be more than 0 seconds, not {every:g}")
    if not 0 < share <= 1:
        raise ArgumentError(f"share must be over 0 and up to 1, not {share:g}")
    return max(every, sites * limit.per / (share * limit.requests))


async def watch(
    sites: Sequence[str], seconds: float, ask: Ask, pace: Pace
) -> AsyncGenerator[LiveVisitors, None]:
    """Ask for one site after the other, evenly spaced, one request at a time.

    After a delay the spacing stays: what was missed is not made up for.

    Args:
        sites: The sites.
        seconds: From one request for a site to the next.
        ask: Returns the current visitors of a site.
        pace: Where time comes from.
    """
    due = pace.now()
    for site_id in cycle(sites):
        await pace.sleep(due - pace.now())
        due = max(due, pace.now()) + seconds / len(sites)
        yield await _outcome(site_id, ask)


async def _outcome(site_id: str, ask: Ask) -> LiveVisitors:
    try:
        visitors = await ask(site_id)
    except ClosedError:
        raise
    except FathomError as error:
        return LiveVisitors(site_id, datetime.now(UTC), error=error)
    return LiveVisitors(site_id, datetime.now(UTC), visitors)
