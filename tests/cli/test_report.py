"""``fathom report`` and ``fathom events-report``, as somebody at a shell meets them."""

import csv
import json
import re
from io import StringIO
from pathlib import Path

import polars as pl
import pytest

from fathom_async import EventQuery, FathomClient, Filter, PageviewQuery
from fathom_async.testing import Delay, FathomServer, Status

from .conftest import Command
from .terminal import CTRL_C

SITE = "CDBUGS"


async def test_a_report_is_what_the_client_answers(command: Command, fathom_server: FathomServer) -> None:
    ended = await command(
        *("report", SITE, "--metrics", "pageviews,uniques", "--by", "pathname,browser"),
        *("--where", "pathname matching ^/blog", "--where", "browser is not Chrome"),
        *("--from", "2026-01-01", "--to", "2026-01-31", "--sort", "pageviews:desc", "--limit", "5"),
    )
    assert (ended.code, ended.err) == (0, "")
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        report = await fathom.reports.aggregate(
            PageviewQuery(
                SITE,
                aggregates=["pageviews", "uniques"],
                field_grouping=["pathname", "browser"],
                filters=[Filter("pathname", "matching", "^/blog"), Filter("browser", "is not", "Chrome")],
                date_from="2026-01-01",
                date_to="2026-01-31",
                sort_by="pageviews:desc",
                limit=5,
            )
        )
    assert [json.loads(line) for line in ended.out.splitlines()] == report.to_dicts()


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", SITE, "--by", "pathname"),
        ("report", SITE, "--by", "pathname", "--metrics", "uniques,pageviews"),
        ("events-report", SITE, "purchase", "--by", "country_code"),
    ],
    ids=" ".join,
)
async def test_groups_come_from_the_highest_down_by_the_first_metric(
    command: Command, arguments: tuple[str, ...]
) -> None:
    every = [json.loads(line) for line in (await command(*arguments)).out.splitlines()]
    metric = next(name for name, cell in every[0].items() if isinstance(cell, int))
    figures = [row[metric] for row in every]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > figures[-1]
    top = await command(*arguments, "--limit", "3")
    assert [json.loads(line)[metric] for line in top.out.splitlines()] == figures[:3]


async def test_the_highest_groups_by_date_come_in_calendar_order(command: Command) -> None:
    groups = ("report", SITE, "--by", "browser", "--per", "month")
    every = [json.loads(line) for line in (await command(*groups)).out.splitlines()]
    dates = [row["date"] for row in every]
    assert dates == sorted(dates)
    first = [row["pageviews"] for row in every if row["date"] == dates[0]]
    assert first == sorted(first, reverse=True)
    top = [json.loads(line) for line in (await command(*groups, "--limit", "9")).out.splitlines()]
    assert [row["date"] for row in top] == sorted(row["date"] for row in top)
    highest = sorted((row["pageviews"] for row in every), reverse=True)[:9]
    assert sorted((row["pageviews"] for row in top), reverse=True) == highest
    sorted_by_hand = await command(*groups, "--sort", "visits:asc")
    visits = [json.loads(line)["visits"] for line in sorted_by_hand.out.splitlines()]
    assert visits == sorted(visits)


async def test_an_events_report(command: Command, fathom_server: FathomServer) -> None:
    ended = await command(
        "events-report", SITE, "purchase", "--metrics", "conversions", "--metrics", "value", "--format", "csv"
    )
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        report = await fathom.reports.aggregate(
            EventQuery(SITE, "purchase", aggregates=["conversions", "value"])
        )
    header, row = csv.reader(StringIO(ended.out))
    assert header == ["conversions", "value"]
    assert row == [str(report.rows[0].conversions), str(report.rows[0].value)]


async def test_an_event_that_there_is_not_is_told_from_one_that_nobody_completed(command: Command) -> None:
    wrong = await command("events-report", SITE, "nope")
    assert (wrong.code, wrong.out) == (4, "")
    assert wrong.err == (
        "fathom: there is no event 'nope'; `fathom events list CDBUGS` shows the events of this site\n"
    )
    right = await command(
        "events-report", SITE, "purchase", "--from", "2010-01-01", "--to", "2010-01-02", "--by", "city"
    )
    assert (right.code, right.out, right.err) == (0, "", "")


async def test_a_paid_report_is_written_even_if_the_name_of_the_site_cannot_be_read(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    fathom_server.inject(Status(404), path=f"/sites/{SITE}")
    page = tmp_path / "report.html"
    ended = await command("report", SITE, "--html", str(page))
    assert (ended.code, ended.err) == (0, f"fathom: wrote {page}\n")
    assert "<title>CDBUGS: Pageviews and visits</title>" in page.read_text()


async def test_periods_are_counted_by_the_clock_of_the_site(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command("report", SITE, "--per", "day", "--period", "previous 7 days", "--format", "json")
    assert len(json.loads(ended.out)) == 7
    assert [hit.path for hit in fathom_server.hits] == ["/v1/sites/CDBUGS", "/v1/aggregations"]


async def test_complete_has_every_row_and_otherwise_a_note_says_that_there_are_more(command: Command) -> None:
    groups = ("report", SITE, "--by", "pathname,browser,country_code")
    first = await command(*groups)
    assert len(first.out.splitlines()) == 1000
    assert first.err == "fathom: these are the first 1,000 rows; for every row, add --complete\n"
    every = await command(*groups, "--complete")
    assert (every.code, every.err) == (0, "")
    assert len(every.out.splitlines()) > 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--by", "pathnam"], "--by has no 'pathnam'; did you mean 'pathname'?"),
        (["--by", "page"], "--by has no 'page'; did you mean 'pathname'?"),
        (["--by", "visits"], "--by has no 'visits'; write --metrics visits"),
        (["--metrics", "browser,city"], "--metrics has no 'browser'; write --by browser,city"),
        (["--sort=-pageviews"], "--sort cannot be '-pageviews'; write 'pageviews:desc'"),
        (["--metrics", "conversions"], "--metrics has 'conversions' only in `fathom events-report`"),
        (["--metrics", ""], "--metrics is empty"),
        (["--sort", "visits"], "--sort 'visits' has no direction; write 'visits:desc'"),
        (["--sort", "date:asc"], "--sort 'date:asc' needs a --per; write --per 'day'"),
        (["--per", "week", "--metrics", "visits"], "visits of several days do not add up"),
        (["--per", "fortnight"], "fortnight"),
        (["--last", "2q"], "--last takes 24h, 30d, 12w, 6mo or 1y, not '2q'"),
        (["--last", "30d", "--to", "2026-01-01"], "give one of --last, --period"),
        (["--totals"], "--totals is a row of a table; add --format table"),
        (["--totals", "--json", "visits"], "--totals is a row of a table; leave out --json"),
        (["--totals", "--chart"], "--totals is a row of a table; leave out --chart"),
        (["--totals", "--html", "page.html"], "--totals is a row of a table; leave out --html"),
        (["--compare", "previous"], "--compare needs a range"),
        (["--compare", "year", "--html", "page.html"], "--compare needs a range"),
        (["--fill"], "--fill adds rows by date; add --per day"),
        (["--per", "day", "--fill", "--limit", "3"], "--fill needs every row; leave out --limit, or --fill"),
        (["--json", "visit"], "there is no column 'visit'; did you mean 'visits'?"),
        (["--json"], "--json takes columns, separated by commas: pageviews, visits"),
        (["--json", "visits", "--format", "csv"], "--json and --format csv exclude each other"),
        (["--from", "January"], "--from cannot be read: 'January'"),
        (["--from", "yesterdy"], "use --period 'last 30 days'"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "swap them"),
        (["--period", "last fortnight"], "no period is called 'last fortnight'"),
        (["--period", "today", "--from", "2026-01-01"], "give one of --last, --period, and --from with --to"),
        (["--where", "pathname matches x"], "has no operator; there are"),
        (["--limit", "5", "--complete"], "leave out --limit, or --complete"),
        (["--limit", "1001"], "--limit"),
        (["--timezone", "Berlin"], "--timezone has no 'Berlin'; did you mean 'Europe/Berlin'?"),
        (["--chart", "--format", "json"], "add --output FILE"),
        (["--unknown"], "--unknown"),
    ],
)
async def test_what_cannot_be_asked_costs_no_request(
    command: Command, fathom_server: FathomServer, arguments: list[str], told: str
) -> None:
    ended = await command("report", SITE, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not fathom_server.hits


async def test_a_table_in_a_terminal(command: Command) -> None:
    ended = await command.in_terminal("report", SITE, "--by", "browser", "--sort", "pageviews:desc")
    assert ended.code == 0
    assert re.search(r"browser[^\n]+pageviews[^\n]+visits", ended.out)
    assert re.search(r"Chrome +[\d,]+ +[\d,]+", ended.out)


async def test_a_chart_is_drawn_in_place_of_the_rows_which_can_go_to_a_file(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "days.parquet"
    ended = await command.in_terminal(
        "report", SITE, "--per", "day", "--period", "last 30 days", "--chart", "-o", str(file), columns=70
    )
    assert ended.code == 0
    assert "pageviews by day" in ended.out
    assert "visits by day" in ended.out
    assert "█" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 70
    assert pl.read_parquet(file).columns == ["date", "pageviews", "visits"]


async def test_a_terminal_that_knows_only_ascii(command: Command) -> None:
    ended = await command(
        *("report", SITE, "--by", "browser", "--chart"), PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert ended.code == 0
    assert ended.out.isascii()
    assert "##" in ended.out


async def test_no_rows_are_said_to_be_none(command: Command) -> None:
    nothing = ("report", SITE, "--by", "browser", "--where", "pathname is /nowhere")
    assert (await command(*nothing)).out == ""
    assert (await command(*nothing, "--chart")).out == "no rows\n"


@pytest.mark.slow
async def test_a_wait_for_the_rate_limit_is_told_and_ctrl_c_ends_it(
    command: Command, fathom_server: FathomServer
) -> None:
    for _ in range(8):
        assert (await command("report", SITE)).code == 0
    ended = await command.in_terminal(
        *("report", SITE, "--by", "pathname,browser,country_code", "--complete"),
        acts=((r"the rate limit admits the next one in \d+ ", CTRL_C),),
    )
    assert ended.code == 130
    assert ended.out.rstrip().endswith("fathom: interrupted")
    assert "\x1b[?25h" in ended.out, "the cursor is back"
    assert fathom_server.refused == 0


async def test_a_slow_answer_is_told(command: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(Delay(1.5))
    ended = await command.in_terminal("report", SITE)
    assert ended.code == 0
    assert "waiting for 1 answer" in ended.out


async def test_a_report_that_the_server_cuts_off_is_not_filled(command: Command) -> None:
    ended = await command("report", SITE, "--per", "day", "--by", "pathname,browser", "--fill")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1000)
    told = "these are the first 1,000 rows, and no zeros were added; for every row, add --complete"
    assert ended.err == f"fathom: {told}\n"


async def test_a_terminal_has_no_totals_without_a_table(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command.in_terminal("report", SITE, "--by", "browser", "--totals", "--chart")
    assert (ended.code, len(fathom_server.hits)) == (2, 0)
    assert "leave out --chart" in ended.out


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        (("--period", "2026-01"), 1),
        (("--period", "last 30 days"), 2),
        (("--period", "last 30 days", "--html", "page.html"), 3),
        (("--period", "last 30 days", "--html", "page.html", "--compare", "none"), 2),
        (("--period", "2026-01", "--html", "page.html"), 2),
        (("--period", "last 30 days", "--timezone", "UTC"), 1),
    ],
)
async def test_the_site_is_requested_once_and_only_where_it_is_needed(
    command: Command, fathom_server: FathomServer, tmp_path: Path, arguments: tuple[str, ...], requests: int
) -> None:
    written = [str(tmp_path / each) if each.endswith(".html") else each for each in arguments]
    assert (await command("report", SITE, *written)).code == 0
    assert len(fathom_server.hits) == requests
