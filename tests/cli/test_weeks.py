"""``--per week``, ``--totals`` and ranges such as ``--last 4w`` of the report commands."""

import json
from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fathom_async import Change, PageviewQuery
from fathom_async._cli.weeks import weekly
from fathom_async.testing import FathomServer

from .command import Ended
from .conftest import Command

SITE = "CDBUGS"
RANGE = ("--from", "2026-01-01", "--to", "2026-02-15")


def rows(ended: Ended) -> list[dict[str, object]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def monday(day: object) -> str:
    found = date.fromisoformat(str(day))
    return str(found - timedelta(days=found.weekday()))


async def test_a_week_has_the_sum_of_its_days(command: Command) -> None:
    weeks = await command("report", SITE, "--per", "week", *RANGE)
    assert weeks.err == "fathom: the first week has only its days from 2026-01-01\n"
    told = Counter[str]()
    for row in rows(await command("report", SITE, "--per", "day", "--metrics", "pageviews", *RANGE)):
        told[monday(row["date"])] += int(str(row["pageviews"]))
    assert rows(weeks) == [{"date": week, "pageviews": told[week]} for week in sorted(told)]


async def test_groups_have_weeks_too_past_the_rows_at_which_the_server_stops(command: Command) -> None:
    groups = ("--by", "pathname", *RANGE)
    told = Counter[tuple[str, object]]()
    every = await command("report", SITE, "--per", "day", "--metrics", "pageviews", "--complete", *groups)
    for row in rows(every):
        told[monday(row["date"]), row["pathname"]] += int(str(row["pageviews"]))
    weeks = rows(await command("report", SITE, "--per", "week", *groups))
    assert {(str(row["date"]), row["pathname"]): row["pageviews"] for row in weeks} == told
    order = [(row["date"], -int(str(row["pageviews"]))) for row in weeks]
    assert order == sorted(order, key=str) or order == sorted(order, key=lambda each: (str(each[0]), each[1]))
    top = rows(
        await command("report", SITE, "--per", "week", *groups, "--sort", "pageviews:desc", "--limit", "3")
    )
    assert [row["pageviews"] for row in top] == sorted(told.values(), reverse=True)[:3]


async def test_events_have_weeks_of_conversions_and_value(command: Command) -> None:
    weeks = rows(await command("events-report", SITE, "purchase", "--per", "week", *RANGE))
    assert set(weeks[0]) == {"date", "conversions"}
    value = await command("events-report", SITE, "purchase", "--per", "week", "--metrics", "value", *RANGE)
    assert set(rows(value)[0]) == {"date", "value"}


async def test_weeks_are_compared_to_whole_weeks(command: Command) -> None:
    weeks = ("report", SITE, "--per", "week", "--from", "2026-01-12", "--to", "2026-01-25")
    former = ("report", SITE, "--per", "week", "--from", "2025-12-29", "--to", "2026-01-11")
    now, before = [rows(await command(*each)) for each in (weeks, former)]
    compared = rows(await command(*weeks, "--compare", "previous"))
    assert [row["pageviews"] for row in compared] == [row["pageviews"] for row in now]
    assert [row["pageviews_previous"] for row in compared] == [row["pageviews"] for row in before]
    year = rows(await command(*weeks, "--compare", "year"))
    assert [row["date"] for row in year] == ["2026-01-12", "2026-01-19"]


@pytest.mark.parametrize("compared", [(), ("--compare", "previous")])
async def test_weeks_that_the_ends_of_the_range_cut_are_told(
    command: Command, compared: tuple[str, ...]
) -> None:
    cut = await command(
        "report", SITE, "--per", "week", "--from", "2026-01-14", "--to", "2026-02-05", *compared
    )
    assert cut.err == (
        "fathom: the first week has only its days from 2026-01-14\n"
        "fathom: the last week has only its days to 2026-02-05\n"
    )
    whole = await command(
        "report", SITE, "--per", "week", "--from", "2026-01-12", "--to", "2026-02-01", *compared
    )
    assert (whole.code, whole.err) == (0, "")


@pytest.mark.parametrize("more", [(), ("--complete",), ("--limit", "2"), ("--compare", "previous")])
async def test_totals_of_dates_have_no_date(command: Command, more: tuple[str, ...]) -> None:
    table = await command("report", SITE, "--per", "day", "--totals", "--format", "table", *RANGE, *more)
    alone = rows(await command("report", SITE, *RANGE))[0]
    assert table.code == 0, table.err
    assert f"{alone['visits']:,}" in table.out.splitlines()[-1].split()


async def test_weeks_are_drawn(command: Command) -> None:
    ended = await command("report", SITE, "--per", "week", "--chart", *RANGE)
    assert ended.code == 0
    assert "pageviews" in ended.out


def test_a_year_may_begin_in_a_week_of_the_former_one() -> None:
    query = PageviewQuery(SITE, aggregates=["pageviews"], date_grouping="day")
    days = [((date(2025, 12, 28) + timedelta(days=each),), (Change(1, None),)) for each in range(9)]
    assert [(str(labels[0]), figures[0].current) for labels, figures in weekly(days, query, None, None)] == [
        ("2025-12-22", 1),
        ("2025-12-29", 7),
        ("2026-01-05", 1),
    ]


async def test_totals_are_sums_of_what_adds_up_and_else_asked_for(
    command: Command, fathom_server: FathomServer
) -> None:
    table = ("report", SITE, "--by", "pathname", "--format", "table", "--totals", *RANGE)
    added = (await command(*table, "--metrics", "pageviews")).out.splitlines()
    assert len(fathom_server.hits) == 1
    alone = rows(await command("report", SITE, *RANGE))[0]
    assert added[-1].split() == ["total", f"{alone['pageviews']:,}"]
    fathom_server.reset_stats()
    asked = (
        await command(*table, "--metrics", "pageviews,visits,bounce_rate", "--limit", "3")
    ).out.splitlines()
    assert len(fathom_server.hits) == 2
    assert asked[-1].split()[:3] == ["total", f"{alone['pageviews']:,}", f"{alone['visits']:,}"]
    assert len(asked) == 2 + 3 + 2, "a heading, the rows, and the totals below a line"


async def test_totals_are_compared_and_in_a_currency_too(command: Command) -> None:
    words = ("--format", "table", "--totals", *RANGE)
    compared = await command("report", SITE, "--by", "browser", "--compare", "previous", *words)
    alone = rows(await command("report", SITE, "--compare", "previous", *RANGE))[0]
    last = compared.out.splitlines()[-1].split()
    assert last[:3] == ["total", f"{alone['pageviews']:,}", f"{alone['pageviews_previous']:,}"]
    money = ("--metrics", "value,conversions", "--currency", "EUR", "--by", "browser")
    ended = await command("events-report", SITE, "purchase", *money, *words)
    one = rows(await command("events-report", SITE, "purchase", "--metrics", "value,conversions", *RANGE))[0]
    assert ended.out.splitlines()[-1].split() == [
        *("total", f"{int(str(one['value'])) / 100:,.2f}", f"{one['conversions']:,}")
    ]


async def test_a_row_without_groups_is_its_own_total(command: Command, fathom_server: FathomServer) -> None:
    ended = await command("report", SITE, "--format", "table", "--totals", *RANGE)
    assert "total" not in ended.out
    assert len(fathom_server.hits) == 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("24h", "last 24 hours"),
        ("30d", "last 30 days"),
        ("1d", "last 1 day"),
        ("4 W", "last 4 weeks"),
        ("6mo", "last 6 months"),
        ("1y", "last 12 months"),
    ],
)
async def test_last_is_short_for_a_period(
    command: Command, fathom_server: FathomServer, last: str, words: str
) -> None:
    for option in (("--last", last), ("--period", words)):
        assert (await command("report", SITE, *option)).code == 0
    one, other = (hit.query for hit in fathom_server.hits if hit.lane == "reports")
    assert one == other


@pytest.mark.parametrize("more", [("--compare", "previous"), ("--compare", "year", "--per", "week")])
async def test_last_can_be_compared(command: Command, more: tuple[str, ...]) -> None:
    assert rows(await command("report", SITE, "--last", "4w", "--metrics", "pageviews", *more))


async def test_days_in_words_are_those_of_the_site(command: Command, fathom_server: FathomServer) -> None:
    zone = ZoneInfo("Pacific/Kiritimati")  # nearly always a day ahead of America
    await command("sites", "update", SITE, "--timezone", str(zone))
    fathom_server.reset_stats()
    before = datetime.now(zone).date()
    ended = await command("report", SITE, "--from", "yesterday", "--to", "today")
    assert ended.code == 0
    query = fathom_server.hits[-1].query
    days = {before, datetime.now(zone).date()}
    assert date.fromisoformat(query["date_to"][:10]) in days
    assert date.fromisoformat(query["date_from"][:10]) + timedelta(days=1) in days


async def test_json_has_the_columns_that_were_chosen(command: Command, fathom_server: FathomServer) -> None:
    ended = await command("sites", "list", "--json", "name,id", "--limit", "1")
    assert json.loads(ended.out) == [{"name": "Bugs Bunny Portfolio", "id": SITE}]
    one = await command("sites", "get", SITE, "--json", "name")
    assert json.loads(one.out) == {"name": "Bugs Bunny Portfolio"}
    fathom_server.reset_stats()
    which = await command(
        "report", SITE, "--by", "browser", "--json", "--compare", "previous", "--last", "7d"
    )
    assert which.code == 2
    assert "browser, pageviews, pageviews_previous, pageviews_change, visits" in which.err
    assert not fathom_server.hits
