"""Names as what things are known by."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from fathom_async.models import Site


def key(name: str | None) -> str:
    """Return a name in the form in which names are compared: é is é, however it was typed."""
    return unicodedata.normalize("NFC", name or "").strip()


@frozen
class Naming:
    """What the categories of an account's sites are called.

    Attributes:
        titles: The title of each site's category by the site's id.
        formerly: By the id of a site, the title that its category was given when more, or fewer, sites had the
            same name; where no other site may mean that title too.
        contested: Titles that several sites may mean, and that none has.
    """

    titles: Mapping[str, str] = field(factory=dict[str, str])
    formerly: Mapping[str, str] = field(factory=dict[str, str])
    contested: frozenset[str] = frozenset()

    @property
    def known(self) -> frozenset[str]:
        """Titles that belong to a site."""
        return frozenset(self.titles.values()) | frozenset(self.formerly.values())


def naming(sites: Iterable[Site]) -> Naming:
    """Return what the categories of sites are called."""
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
    """Return the title of each site's category by the site's id: its name, and its id too where names clash."""
    titles = {site.id: _bare(site) for site in sites}
    clashing: set[str] | None = None
    whole: set[str] = set()
    while clashing != set():  # with its id, a title may become what another site is called
        often = Counter(titles.values())
        clashing = {site for site, title in titles.items() if often[title] > 1} - whole
        titles |= {site: _with_id(titles[site], site) for site in clashing}
        whole |= clashing
    return titles


def _bare(site: Site) -> str:
    return key(site.name) or site.id


def _with_id(title: str, site: str) -> str:
    return f"{title} ({site})"
