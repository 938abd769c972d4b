"""Names that identify things, and the titles of sites' categories."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from fathom_async.models import Site


def key(name: str | None) -> str:
    """Return a name in the form for comparison: é equals é, composed or not."""
    return unicodedata.normalize("NFC", name or "").strip()


def category_titles(sites: Iterable[Site]) -> Mapping[str, str]:
    """Return the title of each site's category by the site's id: the name, with the id where names clash."""
    titles = {site.id: key(site.name) or site.id for site in sites}
    clashing: set[str] | None = None
    whole: set[str] = set()
    while clashing != set():  # a title with an id may equal another site's name
        often = Counter(titles.values())
        clashing = {site for site, title in titles.items() if often[title] > 1} - whole
        titles |= {site: f"{titles[site]} ({site})" for site in clashing}
        whole |= clashing
    return titles
