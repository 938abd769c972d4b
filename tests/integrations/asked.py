"""Queries for tests of batches."""

from fathom_async import PageviewQuery


def by_day(day: int, name: str = "pageviews", site: str = "CDBUGS") -> PageviewQuery:
    date = f"2026-01-{day:02}"
    return PageviewQuery.from_params(
        {"entity": "pageview", "entity_id": site, "aggregates": name, "date_from": date, "date_to": date}
    )


def by_browser(site: str, limit: int) -> PageviewQuery:
    """A query that can be asked only by itself."""
    return PageviewQuery(
        site,
        aggregates=["visits"],
        field_grouping=["browser"],
        sort_by="visits:desc",
        limit=limit,
        date_to=f"2026-01-{limit:02}",
    )
