"""``fathom backfill``."""

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from fathom_async.testing import Delay, FathomServer

from .conftest import Command
from .terminal import CTRL_C

SINCE = "2026-10-01"


def written(file: Path, columns: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(f"SELECT {columns} FROM kept ORDER BY 1, 2").fetchall()  # noqa: S608 - our own


async def test_sites_share_a_table_and_the_next_run_asks_only_for_what_may_have_changed(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    file = tmp_path / "stats.db"
    arguments = ("backfill", "CDBUGS", "DAFFYD", "--target", f"sqlite:{file}#kept")
    months = ("--per", "month", "--since", "2026-01-01", "--until", "2026-06-30", "--metrics", "visits")
    ended = await command(*arguments, *months)
    assert (ended.code, ended.err) == (0, "")
    assert "2026-01-01 to 2026-06-01; 6 periods requested in 1 report," in ended.out
    assert [line.split()[0] for line in ended.out.splitlines()] == ["CDBUGS", "DAFFYD"]
    assert {site for site, _ in written(file, "site_id, visits")} <= {"CDBUGS", "DAFFYD"}
    fathom_server.reset_stats()
    assert "0 periods requested" in (await command(*arguments, *months)).out
    assert [hit.path for hit in fathom_server.hits] == ["/v1/sites"], "one list for all sites"


@pytest.mark.fathom_server(reports_throttle=None)
async def test_three_backfills_of_ninety_days_take_ten_requests_and_just_a_list_of_sites_at_once(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    until = date.today() - timedelta(days=2)  # noqa: DTZ011 - any days will do
    by = ("--by", "device_type", "--since", f"{until - timedelta(days=89)}", "--until", f"{until}")
    for most in (10, 1):
        fathom_server.reset_stats()
        ended = await command(
            "backfill", "CDBUGS", "DAFFYD", "GCDFSX", "--target", f"parquet:{tmp_path / 'kept'}", *by
        )
        assert ended.code == 0
        assert len(fathom_server.hits) <= most


async def test_what_the_table_has_is_said_as_for_a_report(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    until = date.today() - timedelta(days=2)  # noqa: DTZ011 - any days will do
    ended = await command(
        *("backfill", "CDBUGS", "--target", f"sqlite:{tmp_path / 'stats.db'}#kept"),
        *("--since", f"{until - timedelta(days=2)}", "--until", f"{until}", "--by", "pathname,browser"),
        *("--metrics", "pageviews", "--where", "pathname is not /", "--timezone", "America/New_York"),
    )
    assert ended.code == 0
    columns = "pathname, browser, pageviews, site_id"
    assert all(row[0] != "/" for row in written(tmp_path / "stats.db", columns))
    (hit, *_) = fathom_server.hits
    assert hit.query["timezone"] == "America/New_York"


async def test_events(command: Command, fathom_server: FathomServer, tmp_path: Path) -> None:
    ended = await command(
        *("backfill", "CDBUGS", "--event", "purchase", "--target", f"sqlite:{tmp_path / 'stats.db'}#kept"),
        *("--since", "2026-11-01", "--until", "2026-11-02"),
    )
    assert ended.code == 0
    assert fathom_server.hits[-1].query["entity"] == "event"


async def test_an_event_that_there_is_not_is_no_empty_table(command: Command, tmp_path: Path) -> None:
    ended = await command(
        *("backfill", "CDBUGS", "--event", "nope", "--target", f"sqlite:{tmp_path / 'stats.db'}#kept"),
        *("--since", "2026-11-01", "--until", "2026-11-02"),
    )
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("fathom: there is no event 'nope'; ")


async def test_a_terminal_shows_how_far_the_sites_are_together(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal(
        *("backfill", "CDBUGS", "DAFFYD", "--target", f"sqlite:{tmp_path / 'stats.db'}#kept"),
        *("--since", "2026-10-01", "--until", "2026-10-14", "--per", "hour"),
        columns=200,
    )
    assert ended.code == 0
    first, second = (ended.out.index(f"{done}/4 requests") for done in (2, 4))
    assert first < ended.out.index("CDBUGS into") < second < ended.out.index("DAFFYD into")


async def test_ctrl_c_leaves_whole_periods_and_says_so(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    fathom_server.inject(Delay(3600.0), path="/aggregations")
    ended = await command.in_terminal(
        *("backfill", "CDBUGS", "--target", f"sqlite:{tmp_path / 'stats.db'}#kept", "--since", SINCE),
        acts=(("0/1 requests", CTRL_C),),
        columns=200,
    )
    assert ended.code == 130
    assert "is consistent: run the same command again to resume" in ended.out
    assert "Traceback" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "parquet:x", "--since", SINCE], "name a site, or set FATHOM_SITE"),
        (["CDBUGS", "--target", "stats.db", "--since", SINCE], "does not say its kind"),
        (["CDBUGS", "--target", "parquet:x", "--since", "October"], "since cannot be read: 'October'"),
        (["CDBUGS", "--target", "parquet:x", "--since", SINCE, "--by", "page"], "page"),
        (["CDBUGS", "--target", "parquet:x", "--since", SINCE, "--look-back", "-1"], "--look-back"),
    ],
)
async def test_what_is_wrong_costs_no_request(
    command: Command, fathom_server: FathomServer, arguments: list[str], told: str
) -> None:
    ended = await command("backfill", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not fathom_server.hits
