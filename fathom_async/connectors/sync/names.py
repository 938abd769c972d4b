"""Names as what things are known by."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from fathom_async.models import Site


def key(name: str | None) -> str:
    """Return a name in the form in which names are compared: é is é, however it was typed."""
    return unicodedata.normalize("NFC", name or "").strip()


def category_titles(sites: Iterable[Site]) -> Mapping[str, str]:
    """Return the title of each site's category by the site's id: its name, and its id too where names clash."""
    titles = {site.id: key(site.name) or site.id for site in sites}
    clashing: set[str] | None = None
    whole: set[str] = set()
    while clashing != set():  # with its id, a title may become what another site is called
        often = Counter(titles.values())
        clashing = {site for site, title in titles.items() if often[title] > 1} - whole
        titles |= {site: f"{titles[site]} ({site})" for site in clashing}
        whole |= clashing
    return titles
