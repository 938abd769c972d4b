"""Queries in a few words."""

from fathom_async import EventQuery, PageviewQuery
from fathom_async._cli.bulk.overview import asked

PAGES = PageviewQuery("ACMEAA", aggregates=["pageviews"], field_grouping=["pathname"])
DAYS = PageviewQuery("ACMEAA", aggregates=["visits"], date_grouping="day", date_from="2026-01-01")
SALES = EventQuery("ACMEAA", "purchase", aggregates=["value"], field_grouping=["city"])


def test_a_query_in_words() -> None:
    query = PAGES.replace(date_from="2026-01-01", date_to="2026-01-01", filters=[])
    assert asked(query) == "pageviews by pathname 2026-01-01"
    assert asked(SALES) == "value by city of purchase"
    assert asked(DAYS) == "visits by day 2026-01-01 to …"
