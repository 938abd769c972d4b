"""State of the watched sites: plain values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from fathom_async import CurrentVisitors, LiveVisitors

_REMEMBERED: Final = 60


@frozen
class SiteView:
    """One site: its last answer, the totals of several, and the error of the last attempt if it failed."""

    name: str
    visitors: CurrentVisitors | None = None
    at: datetime | None = None
    history: tuple[int, ...] = ()
    error: str | None = None

    def with_(self, heard: LiveVisitors, error: str | None) -> "SiteView":
        """Return the site with an answer about it."""
        if heard.visitors is None:
            return evolve(self, error=error)
        history = (*self.history, heard.visitors.total)[-_REMEMBERED:]
        return evolve(self, visitors=heard.visitors, at=heard.at, history=history, error=None)


@frozen
class LiveState:
    """All sites by ID, in the order named, and the seconds from one request for a site to the next."""

    sites: Mapping[str, SiteView]
    seconds: float

    def with_(self, heard: LiveVisitors, error: str | None) -> "LiveState":
        """Return the state with an answer about a site, and its error in words."""
        return evolve(
            self, sites={**self.sites, heard.site_id: self.sites[heard.site_id].with_(heard, error)}
        )

    @property
    def total(self) -> int | None:
        """Visitors of all sites that have answered; None if none has."""
        known = [site.visitors.total for site in self.sites.values() if site.visitors is not None]
        return sum(known) if known else None

    def pages(self) -> Sequence[tuple[str, int]]:
        """Return the pages of all sites with their visitors, the most visited first."""
        hosts = {page.hostname for site in self._known() for page in site.content}
        visitors = Counter[str]()
        for site in self._known():
            for page in site.content:
                host = "" if len(hosts) == 1 else _bare(page.hostname)
                visitors[f"{host}{page.pathname or ''}" or "(unknown)"] += page.total
        return visitors.most_common()

    def referrers(self) -> Sequence[tuple[str, int]]:
        """Return the referrers of all sites with their visitors, the most frequent first."""
        visitors = Counter[str]()
        for site in self._known():
            for each in site.referrers:
                path = each.referrer_pathname or ""
                visitors[f"{_bare(each.referrer_hostname)}{'' if path == '/' else path}" or "(direct)"] += (
                    each.total
                )
        return visitors.most_common()

    def _known(self) -> Sequence[CurrentVisitors]:
        return [site.visitors for site in self.sites.values() if site.visitors is not None]


def _bare(hostname: str | None) -> str:
    return (hostname or "").removeprefix("https://").removeprefix("http://")
