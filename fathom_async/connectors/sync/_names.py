"""Names that identify things, and the titles of sites' categories."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from fathom_async.models import Site


def key(name: str | None) -> str:
    """Return a name in the form for comparison: é equals é, composed or not."""
    return unicodedata.normalize("NFC", name or "").strip()


@frozen
class Naming:
    """The title of each site's category by the site's id.

    `formerly` has the title from when more, or fewer, sites had the same name, only if no other site can have it.
    `contested` are titles that several sites can have, and none has.
    """

    titles: Mapping[str, str] = field(factory=dict[str, str])
    formerly: Mapping[str, str] = field(factory=dict[str, str])
    contested: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """Titles that belong to a site."""
        return frozenset(self.titles.values()) | frozenset(self.formerly.values())


def naming(sites: Iterable[Site]) -> Naming:
    """Return the titles of sites' categories, present and former."""
    sites = tuple(sites)
    titles = category_titles(sites)
    claims = {site.id: {_bare(site), _with_id(_bare(site), site.id), titles[site.id]} for site in sites}
    often = Counter(title for claimed in claims.values() for title in claimed)
    return Naming(
        titles,
        {
            site: title
            for site, claimed in claims.items()
            for title in sorted(claimed - {titles[site]})
            if often[title] == 1
        },
        frozenset(title for title, count in often.items() if count > 1) - frozenset(titles.values()),
    )


def category_titles(sites: Iterable[Site]) -> Mapping[str, str]:
    """Return the title of each site's category by the site's id: the name, with the id where names clash."""
    titles = {site.id: _bare(site) for site in sites}
    clashing: set[str] | None = None
    whole: set[str] = set()
    while clashing != set():  # a title with an id may equal another site's name
        often = Counter(titles.values())
        clashing = {site for site, title in titles.items() if often[title] > 1} - whole
        titles |= {site: _with_id(titles[site], site) for site in clashing}
        whole |= clashing
    return titles


def _bare(site: Site) -> str:
    return key(site.name) or site.id


def _with_id(title: str, site: str) -> str:
    return f"{title} ({site})"
