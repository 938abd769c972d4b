"""Queries for runs that are killed, in a module that a process imports quickly."""

from fathom_async import PageviewQuery

SITE = "CDBUGS"
LAST_YEAR = PageviewQuery(SITE, aggregates=["pageviews"], date_from="2025-01-01", date_to="2025-12-31")

MONTHS = [
    LAST_YEAR.replace(date_from=f"2025-{month:02}-02", date_to=f"2025-{month:02}-27", aggregates=[metric])
    for month in range(1, 13)
    for metric in ("pageviews", "visits")
]
