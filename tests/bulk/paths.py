"""A site with more paths than a report has rows, and queries whose fused requests end in every way."""

from datetime import UTC, datetime, timedelta

from fathom_async import Filter, PageviewQuery
from fathom_async.testing import Dataset, Pageview, Site

SITE = "CDBUGS"
JANUARY = PageviewQuery(SITE, aggregates=["visits"], date_from="2025-01-01", date_to="2025-01-31")


def of_path(path: str, metric: str = "visits") -> PageviewQuery:
    return JANUARY.replace(aggregates=[metric], filters=[Filter("pathname", "is", path)])


def by_path(metric: str) -> PageviewQuery:
    return JANUARY.replace(aggregates=[metric], field_grouping=["pathname"], sort_by="pathname:asc")


SOME = [of_path(f"/{number}") for number in range(4)]
CUT_OFF = [by_path("visits"), by_path("pageviews")]
ALIKE = [of_path("/about"), of_path("/About"), of_path("/1")]  # of which the first has no row
GUESTS = [
    JANUARY.replace(aggregates=["pageviews"], field_grouping=["pathname"]),  # is cut off, too
    of_path("/1", "pageviews"),
    JANUARY.replace(aggregates=["pageviews"]),
]
KINDS = {"trusted": SOME, "cut off": CUT_OFF, "look-alikes": ALIKE, "contained": GUESTS}

BY_DAY = [
    JANUARY.replace(date_grouping="day"),
    JANUARY.replace(date_from="2025-01-05", date_to="2025-01-05"),
    JANUARY.replace(date_from="2025-01-06", date_to="2025-01-06"),
]
OPEN = [query.replace(date_to=None) for query in (SOME[0], CUT_OFF[0], ALIKE[0])]

_FIRST = datetime(2025, 1, 5, tzinfo=UTC)
_PATHS = ["/About", *(f"/{number}" for number in range(1_099))]
DATA = Dataset(
    sites=[Site(id=SITE, name="Bugs", timezone="UTC")],
    pageviews=[
        Pageview(site_id=SITE, at=_FIRST + timedelta(minutes=number), session=str(number), pathname=path)
        for number, path in enumerate(_PATHS)
    ],
)
