"""Current visitors: the sessions of the last five minutes."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from fathom_async.testing._dataset import Dataset, Pageview

_RECENT = timedelta(minutes=5)
_TOP = 150


def recent_views(data: Dataset, site_id: str, now: datetime) -> Sequence[Pageview]:
    views = data.pageviews
    low = bisect_left(views, (site_id, now - _RECENT), key=_site_and_time)
    high = bisect_right(views, (site_id, now), key=_site_and_time)
    return (*views[low:high], *data.live(site_id, now))


def count_visitors(views: Iterable[Pageview]) -> int:
    return len({view.session for view in views})


def describe_visitors(views: Sequence[Pageview]) -> dict[str, object]:
    """Return the detailed answer; as on the live service, only the totals of pages are strings."""
    pages = _count_by(views, lambda view: (view.hostname, view.pathname))
    referred = [view for view in views if view.referrer_hostname]
    referrers = _count_by(referred, lambda view: (view.referrer_hostname, view.referrer_pathname))
    return {
        "total": count_visitors(views),
        "content": [
            {"hostname": hostname, "pathname": pathname, "total": str(total)}
            for (hostname, pathname), total in pages
        ],
        "referrers": [
            {"referrer_hostname": hostname, "referrer_pathname": pathname, "total": total}
            for (hostname, pathname), total in referrers
        ],
    }


def _count_by(
    views: Iterable[Pageview], key: Callable[[Pageview], tuple[str, str]]
) -> Sequence[tuple[tuple[str, str], int]]:
    sessions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for view in views:
        sessions[key(view)].add(view.session)
    totals = ((name, len(seen)) for name, seen in sessions.items())
    return sorted(totals, key=lambda item: (-item[1], item[0]))[:_TOP]


def _site_and_time(view: Pageview) -> tuple[str, datetime]:
    return view.site_id, view.at
