"""Pieces of 7 days are joined without changing a figure."""

from fathom_async import PageviewQuery, Report
from fathom_async._bulk.request import by_the_hour
from fathom_async._reports.query import Query
from fathom_async._reports.rows import PageviewRow

LONG = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews"],
    date_grouping="hour",
    date_from="2026-03-01",
    date_to="2026-03-20",
    field_grouping=["pathname"],
)


async def answer(query: Query[PageviewRow]) -> Report[PageviewRow]:
    """Five pages in the first hour, the later the more."""
    assert query.date_from is not None
    weight = query.date_from.day
    rows = [query.codec.row(query.date_from, f"/{n}", weight * n) for n in range(5)]
    if query.sort_by:
        rows.sort(key=lambda row: row.pageviews or 0, reverse=query.sort_by.endswith("desc"))
    return Report(query, tuple(rows[: query.limit]))


async def test_the_first_rows_by_a_figure_are_those_of_the_whole() -> None:
    report = await by_the_hour(LONG.replace(limit=4, sort_by="pageviews:desc"), answer)
    assert report.column("pageviews") == [56, 42, 28, 28]
    assert report.truncated
    every = await by_the_hour(LONG.replace(sort_by="pageviews:desc"), answer)
    assert (len(every), every.truncated) == (15, False)
    assert every.column("pageviews")[:4] == [56, 42, 28, 28]


async def test_a_piece_that_stopped_at_the_wall_shows_in_the_whole() -> None:
    async def full(query: Query[PageviewRow]) -> Report[PageviewRow]:
        return Report(query, (await answer(query)).rows, truncated=query.date_from != LONG.date_from)

    assert (await by_the_hour(LONG, full)).truncated
