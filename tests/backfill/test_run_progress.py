"""How far a backfill is."""

from pathlib import Path

from fathom_async import Progress
from fathom_async.backfill import SqliteTable
from tests.backfill.traffic import PATHS, VISITS, serving, traffic


async def test_it_tells_how_many_reports_are_done_and_to_come(tmp_path: Path) -> None:
    told: list[Progress] = []
    async with serving(traffic()) as (server, fathom):
        await fathom.reports.backfill(
            VISITS,
            target=SqliteTable(tmp_path / "stats.db", "kept"),
            since="2026-02-21",
            until="2026-03-06",
            grouping="hour",
            on_progress=told.append,
        )
        requests = sum(hit.lane == "reports" for hit in server.hits)
    assert [(each.done, each.queries) for each in told] == [(0, 2), (1, 2), (2, 2)], "seven days each"
    assert told[-1].answered == told[-1].requests == requests
    assert told[-1].is_over
    assert not told[-1].seconds_left


async def test_reports_by_groups_are_as_many_as_the_rows_so_far_suggest(tmp_path: Path) -> None:
    told: list[Progress] = []
    async with serving(traffic()) as (_, fathom):
        summary = await fathom.reports.backfill(
            PATHS,
            target=SqliteTable(tmp_path / "stats.db", "kept"),
            since="2026-02-21",
            until="2026-03-30",
            on_progress=told.append,
        )
    assert told[0].queries == 6, "38 days, of which the first report has seven"
    assert told[1].queries < told[0].queries, "they have few rows"
    assert told[-1].done == told[-1].queries == summary.reports
