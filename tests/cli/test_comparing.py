"""``--compare`` of the report commands."""

import json
from datetime import date, timedelta

import pytest

from fathom_async import FathomClient, PageviewQuery
from fathom_async.testing import FathomServer

from .conftest import Command

PAGES = ("report", "CDBUGS", "--metrics", "visits,bounce_rate", "--by", "pathname", "--limit", "5")


async def test_rows_have_both_figures_and_the_change(command: Command, fathom_server: FathomServer) -> None:
    ended = await command(*PAGES, "--period", "previous month", "--compare", "previous")
    assert (ended.code, ended.err) == (0, "")
    query = PageviewQuery(
        "CDBUGS",
        aggregates=["visits", "bounce_rate"],
        field_grouping=["pathname"],
        sort_by="visits:desc",
        limit=5,
    )
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        comparison = await fathom.reports.compare(query, over="previous month")
    assert [json.loads(line) for line in ended.out.splitlines()] == comparison.to_dicts()


async def test_a_table_tells_changes_in_words(command: Command) -> None:
    words = ("--period", "previous month", "--compare", "year", "--format", "table")
    ended = await command("report", "CDBUGS", "--metrics", "visits,bounce_rate", *words)
    head, _, row = ended.out.splitlines()
    assert head.split() == [
        *("visits", "visits_previous", "visits_change"),
        *("bounce_rate", "bounce_rate_previous", "bounce_rate_change"),
    ]
    assert row.split()[-2:] == ["-", "-"] or row.rstrip().endswith("points")


async def test_completions_are_compared_too(command: Command) -> None:
    words = ("--period", "previous month", "--compare", "previous")
    ended = await command("events-report", "CDBUGS", "purchase", *words)
    assert list(json.loads(ended.out)) == [
        *("conversions", "conversions_previous", "conversions_change"),
        *("unique_conversions", "unique_conversions_previous", "unique_conversions_change"),
    ]


async def test_months_are_compared_with_whole_months_and_so_are_their_totals(
    command: Command, fathom_server: FathomServer
) -> None:
    this_month = date.today().replace(day=1)  # noqa: DTZ011 - any months will do
    start, end = ((this_month - timedelta(days=days)).replace(day=15) for days in (40, 1))
    months = ("--per", "month", "--from", f"{start}", "--to", f"{end}", "--compare", "previous")
    ended = await command(
        *("report", "CDBUGS", *months, "--metrics", "visits", "--totals", "--format", "table")
    )
    hits = [(hit.query["date_from"][:10], hit.query["date_to"][:10]) for hit in fathom_server.hits]
    assert len(hits) == 4, "of the rows and of their totals"
    current, former = sorted(set(hits), reverse=True)
    assert current == (f"{start}", f"{end}")
    assert all(day.endswith("-15") for day in former)
    assert ended.err == f"fathom: compared with {former[0]} to {former[1]}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--compare needs a range; add --last 30d, --period, or --from and --to"),
        (("--period", "2026-01", "--chart"), "leave out --chart and --fill"),
        (("--period", "2026-01", "--complete"), "leave out --complete"),
    ],
)
async def test_what_cannot_be_compared_is_told_before_anything_is_sent(
    command: Command, fathom_server: FathomServer, arguments: tuple[str, ...], told: str
) -> None:
    ended = await command("report", "CDBUGS", *arguments, "--compare", "previous")
    assert ended.code == 2
    assert told in ended.err
    assert not fathom_server.hits
