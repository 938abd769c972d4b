"""``fathom run`` and ``fathom plan``, as somebody at a shell meets them."""

import asyncio
import csv
import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from attrs import define

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cache.open import open_store
from fathom_async._cli.bulk.unfinished import LIFE, Unfinished
from fathom_async.testing import FathomServer, Status
from tests.bulk.paths import DATA
from tests.cli.command import COMMAND, environment
from tests.cli.conftest import Command
from tests.cli.forked_command import PATIENCE
from tests.cli.terminal import CTRL_C

MONTHS = """\
[output]
directory = "reports"

[job.months]
aggregates = ["visits", "pageviews"]
field_grouping = ["pathname"]
date_to = 2026-06-30

[job.months.matrix]
site_id = ["CDBUGS", "GCDFSX"]
date_from = [2026-01-01, 2026-02-01, 2026-03-01]
"""
WEEK = """\
[job.week]
site_id = "CDBUGS"
aggregates = ["pageviews"]
date_grouping = "day"
period = "last 7 days"
"""
EVERY_ROW = """\
[job.pages]
site_id = "CDBUGS"
aggregates = ["pageviews"]
field_grouping = ["pathname"]
complete = true
date_from = 2026-01-01
date_to = 2026-10-31

[job.pages.output]
format = "parquet"
"""
DISTRUSTED = """\
[output]
directory = "reports"

[job.paths]
site_id = "CDBUGS"
field_grouping = ["pathname"]
sort_by = "pathname:asc"
date_from = 2025-01-01
date_to = 2025-01-31

[job.paths.matrix]
aggregates = ["visits", "pageviews"]

[job.about]
site_id = "CDBUGS"
aggregates = ["visits"]
date_from = 2025-01-01
date_to = 2025-01-31
name = "{job}-{filters}"

[job.about.matrix.filters]
lower = { property = "pathname", operator = "is", value = "/about" }
upper = { property = "pathname", operator = "is", value = "/About" }
"""
"""Two reports that are cut off when they are asked for together, and two whose texts may be one to the server."""


GROWTH = """\
[output]
directory = "reports"

[job.growth]
site_id = "CDBUGS"
aggregates = ["visits", "bounce_rate"]
field_grouping = ["pathname"]
period = "2026-02"
"""


@define
class Slowing:
    """Server seconds: so many requests are quick, the others slow."""

    quick: int
    seconds: float = 3600.0

    def __call__(self) -> float:
        self.quick -= 1
        return 0.0 if self.quick >= 0 else self.seconds


def write(directory: Path, content: str) -> str:
    file = directory / "jobs.toml"
    file.write_text(content)
    return str(file)


def asked(server: FathomServer) -> Counter[tuple[str, ...]]:
    """Return how often each report was answered."""
    return Counter(
        tuple(
            hit.query.get(name, "") for name in ("entity_id", "date_from", "field_grouping", "date_grouping")
        )
        for hit in server.hits
        if hit.path == "/v1/aggregations" and hit.status == 200
    )


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*")}


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


async def test_the_summary_counts_every_request_that_is_billed(
    command: Command, tmp_path: Path, fathom_server: FathomServer
) -> None:
    two_sites = WEEK.replace('site_id = "CDBUGS"', 'matrix = { site_id = ["CDBUGS", "GCDFSX"] }')
    for content in (WEEK, two_sites):
        fathom_server.reset_stats()
        ended = await command("run", write(tmp_path, content))
        assert (sent := len(fathom_server.hits)) >= 1
        assert re.search(rf"; {sent} requests?, {sent} pageviews? on the account", ended.out), ended.out


@pytest.mark.parametrize("arguments", [[], ["--dataset", "all.csv"], ["--no-fuse"], ["--max-requests", "0"]])
@pytest.mark.parametrize("is_named_elsewhere", [False, True], ids=["one store", "two stores"])
async def test_a_finished_run_that_is_started_again_sends_nothing(
    command: Command,
    tmp_path: Path,
    fathom_server: FathomServer,
    arguments: list[str],
    is_named_elsewhere: bool,
) -> None:
    other = WEEK.replace("CDBUGS", "GCDFSX").replace("job.week", "job.other")
    if is_named_elsewhere:
        other += '[job.other.output]\nstore = "other.db"\n'
    file = write(tmp_path, MONTHS + WEEK + other + EVERY_ROW)
    if "--dataset" in arguments:
        arguments = ["--dataset", str(tmp_path / "all.csv")]
    first = await command("run", file)
    assert (first.code, {hit.lane for hit in fathom_server.hits}) == (0, {"crud", "reports"})
    fathom_server.reset_stats()
    again = await command("run", file, *arguments)
    assert (again.code, fathom_server.hits) == (0, ())
    assert "; 0 requests, 0 pageviews on the account" in again.out


async def test_each_report_is_a_file_of_its_name(command: Command, tmp_path: Path) -> None:
    ended = await command("run", write(tmp_path, MONTHS))
    assert ended.code == 0
    assert re.fullmatch(
        rf"6 reports in {tmp_path / 'reports'}, [\d,]+ rows; 6 requests, 6 pageviews on the account.*\n",
        ended.out,
    )
    assert "6 reports in 6 requests" in ended.err.splitlines()[0], "the plan comes first"
    assert names(tmp_path / "reports") == {
        f"months-{site}-2026-0{month}-01.csv" for site in ("CDBUGS", "GCDFSX") for month in (1, 2, 3)
    }
    assert rows(tmp_path / "reports" / "months-CDBUGS-2026-01-01.csv")[0].keys() == {
        "pathname",
        "visits",
        "pageviews",
    }


@pytest.mark.fathom_server(reports_throttle=None)
@pytest.mark.parametrize("complete", [False, True])
async def test_a_job_that_compares_writes_what_python_compares(
    command: Command, fathom_server: FathomServer, tmp_path: Path, *, complete: bool
) -> None:
    growth = GROWTH + 'compare = "previous period"\n'
    jobs = write(tmp_path, growth + ("complete = true\n" if complete else "limit = 5\n"))
    ended = await command("run", jobs, "--format", "jsonl")
    assert (ended.code, ended.out.partition(" in ")[0]) == (0, "1 report")
    query = PageviewQuery(
        "CDBUGS",
        aggregates=["visits", "bounce_rate"],
        field_grouping=["pathname"],
        sort_by="visits:desc",
        limit=None if complete else 5,
    )
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        comparison = await fathom.reports.compare(query, over="2026-02")
    written = (tmp_path / "reports" / "growth.jsonl").read_text().splitlines()
    assert len(written) >= 5
    told = [json.loads(line) for line in written]
    by_path = itemgetter("pathname")  # ties of the two orders
    assert sorted(told, key=by_path) == sorted(comparison.to_dicts(), key=by_path)
    fathom_server.reset_stats()
    again = await command("run", jobs, "--dataset", str(tmp_path / "all.csv"), "--max-requests", "0")
    assert (again.code, asked(fathom_server)) == (0, {})
    assert [row["visits_previous"] for row in rows(tmp_path / "all.csv")] == [
        str(row["visits_previous"]) for row in told
    ]


async def test_a_comparison_fails_with_either_of_its_reports_and_is_retried_like_others(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(tmp_path, GROWTH + 'compare = "previous year"\nlimit = 5\n')
    fathom_server.inject(*[Status(500)] * 8, path="/aggregations")
    broken = await command("run", jobs)
    assert broken.code == 5
    assert "1 of 1 report failed; run the same command again to retry only these" in broken.err
    assert names(tmp_path / "reports") == set()
    again = await command("run", jobs)
    assert (again.code, names(tmp_path / "reports")) == (0, {"growth.csv"})


async def test_a_plan_above_the_most_requests_sends_nothing(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    ended = await command("run", write(tmp_path, MONTHS), "--max-requests", "5")
    assert ended.code == 1
    assert "more than --max-requests 5" in ended.err
    assert not [hit for hit in fathom_server.hits if hit.lane == "reports"]
    assert (await command("run", write(tmp_path, MONTHS), "--max-requests", "6")).code == 0


@pytest.mark.fathom_server(reports_throttle=None)
async def test_what_the_store_has_does_not_count_as_a_request(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs, more = write(tmp_path, MONTHS + EVERY_ROW), "\n[job.months.output]\nstore = 'other.db'\n"
    assert (await command("run", jobs)).code == 0
    requests = sum(hit.lane == "reports" for hit in fathom_server.hits)
    assert (await command("run", jobs, "--max-requests", "0")).code == 0
    ended = await command("run", write(tmp_path, MONTHS + more + EVERY_ROW), "--max-requests", "5")
    assert (ended.code, ended.out) == (1, "")
    assert "6 requests would be sent, more than --max-requests 5" in ended.err
    assert sum(hit.lane == "reports" for hit in fathom_server.hits) == requests
    ended = await command("run", write(tmp_path, MONTHS + more + EVERY_ROW), "--max-requests", "6")
    assert "7 reports" in ended.out
    assert sum(hit.lane == "reports" for hit in fathom_server.hits) == requests + 6


async def test_a_complete_report_keeps_to_the_most_requests(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    every = EVERY_ROW.replace('["pathname"]', '["pathname", "browser", "country_code"]')
    ended = await command("run", write(tmp_path, every), "--max-requests", "1")
    assert ended.code != 0
    assert "takes more requests than max_requests=1; allow more" in ended.err
    assert sum(hit.lane == "reports" for hit in fathom_server.hits) == 1


async def test_the_progress_bar_tells_how_many_are_done(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal("run", write(tmp_path, MONTHS))
    assert ended.code == 0
    assert "6/6" in ended.out
    assert "6/6 requests" in ended.out


async def test_the_progress_bar_of_a_narrow_terminal(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal("run", write(tmp_path, WEEK), columns=40)
    assert ended.code == 0
    assert "1/1" in ended.out


async def test_what_ended_is_not_asked_for_again(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(tmp_path, MONTHS)
    assert (await command("run", jobs)).code == 0
    fathom_server.reset_stats()
    again = await command("run", jobs, "--dataset", str(tmp_path / "all.jsonl"))
    assert (again.code, asked(fathom_server)) == (0, {})
    assert "6 kept" in again.err


@pytest.mark.parametrize("end", ["ctrl-c", "kill"])
async def test_a_run_that_ended_early_goes_on(command: Command, tmp_path: Path, end: str) -> None:
    slowing = Slowing(quick=1)
    async with FathomServer(handler_time=slowing, reports_throttle=None) as server:
        slow = Command(command.env | {"FATHOM_BASE_URL": server.url})
        jobs = write(tmp_path, MONTHS)
        if end == "ctrl-c":
            ended = await slow.in_terminal("run", jobs, acts=((r"1/6 .*requests", CTRL_C),))
            assert ended.code == 130
            assert "interrupted with 1 of 6 reports done" in ended.out
            assert "run the same command again to resume" in ended.out
            assert "Traceback" not in ended.out
            assert "\x1b[?25h" in ended.out, "the cursor is back"
        else:
            await run_and_kill(slow, jobs, tmp_path / "reports")
            forget_claims(tmp_path / "jobs.db")
        assert sum(asked(server).values()) == 1
        slowing.seconds = 0.0
        again = await slow("run", jobs)
        assert set(asked(server).values()) == {1}, "nothing was answered twice"
    assert again.code == 0
    assert "resuming the run of" in again.err
    assert "6 of 6 reports" in again.err
    assert "1 kept" in again.err
    assert {Path(name).suffix for name in names(tmp_path / "reports")} == {".csv"}, "there are no rests"


async def run_and_kill(command: Command, jobs: str, reports: Path) -> None:
    """Run a job file, and kill the process once it has written a report, and is asking for the others."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", jobs, env=environment() | command.env, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(PATIENCE):
        while not any(name.endswith(".csv") for name in names(reports)):  # noqa: ASYNC110 - another process does
            await asyncio.sleep(0.02)
        while claims(reports.with_name("jobs.db")) < 5:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()


def claims(store: Path) -> int:
    with closing(sqlite3.connect(store)) as database:
        return int(database.execute("SELECT count(*) FROM claims").fetchone()[0])


def forget_claims(store: Path) -> None:
    """Forget what a killed process was asking for, which would happen by itself half a minute after the kill."""
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM claims")


async def test_a_run_that_is_terminated_ends_in_order(command: Command, tmp_path: Path) -> None:
    async with FathomServer(handler_time=Slowing(quick=1), reports_throttle=None) as server:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "run", write(tmp_path, MONTHS)),
            env=environment() | command.env | {"FATHOM_BASE_URL": server.url},
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            while not names(tmp_path / "reports"):  # noqa: ASYNC110 - another process writes them
                await asyncio.sleep(0.02)
            process.terminate()
            _, told = await process.communicate()
    assert process.returncode == 143
    assert b"interrupted with 1 of 6 reports done; run the same command again to resume" in told


async def test_what_a_run_after_a_kill_waits_for_is_told(command: Command, tmp_path: Path) -> None:
    slowing = Slowing(quick=1)
    async with FathomServer(handler_time=slowing, reports_throttle=None) as server:
        slow = Command(command.env | {"FATHOM_BASE_URL": server.url})
        jobs = write(tmp_path, MONTHS)
        await run_and_kill(slow, jobs, tmp_path / "reports")
        waits = r"1/6 waiting up to 0:\d\d for another run's answers"
        ended = await slow.in_terminal("run", jobs, acts=((waits, CTRL_C),), columns=120)
    assert ended.code == 130
    assert "0:00 left" not in ended.out
    assert sum(asked(server).values()) == 1


@pytest.mark.fathom_server(handler_time=Slowing(quick=1))
async def test_a_narrow_terminal_has_the_progress_in_one_line(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal(
        "run", write(tmp_path, MONTHS), acts=((r"1/6 \d:\d\d left", CTRL_C),), columns=40
    )
    assert ended.code == 130
    lines = [line for line in re.split(r"[\r\n]|\x1b\[2K|\^C", ended.out) if "/6 " in line]
    assert max(len(re.sub(r"\x1b\[[?\d;]*\w", "", line)) for line in lines) < 40


async def test_failures_that_may_pass_are_asked_for_again_unless_it_begins_anew(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(tmp_path, WEEK)
    fathom_server.inject(*[Status(500)] * 4, path="/aggregations")
    broken = await command("run", jobs)
    assert broken.code == 5
    assert "fathom: week: " in broken.err
    assert "run the same command again to retry only these" in broken.err
    again = await command("run", jobs)
    assert "resuming the run of" in again.err
    anew = await command("run", jobs, "--fresh")
    assert anew.code == 0
    assert "going on" not in anew.err


async def test_the_days_of_a_run_that_goes_on_are_those_it_began_with(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(tmp_path, WEEK)
    began = time.time() - LIFE + 3600
    async with open_store(tmp_path / "jobs.db") as store:
        await Unfinished.of(store, Path(jobs), fathom_server.url).begin(began)
    assert (await command("run", jobs)).code == 0
    (hit,) = [hit for hit in fathom_server.hits if hit.path == "/v1/aggregations"]
    today = datetime.fromtimestamp(began, ZoneInfo("America/New_York"))
    assert hit.query["date_to"] == f"{today:%Y-%m-%d} 23:59:59"
    async with open_store(tmp_path / "jobs.db") as store:
        assert await Unfinished.of(store, Path(jobs), fathom_server.url).began_at(time.time()) is None


async def test_failures_come_last_and_the_others_are_written(command: Command, tmp_path: Path) -> None:
    jobs = write(tmp_path, MONTHS.replace('"GCDFSX"', '"NOSITE"'))
    ended = await command("run", jobs)
    assert ended.code == 5
    assert len(list((tmp_path / "reports").iterdir())) == 3
    told = ended.err.splitlines()
    assert [line for line in told if line.startswith("fathom: months-NOSITE-2026-01-01: 404 Not Found")]
    assert told[-1] == "fathom: 3 of 6 reports failed; fix the job file, or use another token"
    again = await command("run", jobs)
    assert "resuming" not in again.err, "there is nothing to retry in what would fail again"


async def test_all_sites_that_do_not_exist_are_named_before_any_report_is_requested(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(
        tmp_path, WEEK.replace('site_id = "CDBUGS"', 'matrix.site_id = ["NOSITE", "CDBUGS", "ELMER"]')
    )
    ended = await command("run", jobs)
    assert ended.code == 4
    (told,) = ended.err.splitlines()
    assert "/v1/sites: no sites ELMER, NOSITE; check the ID" in told
    assert {hit.lane for hit in fathom_server.hits} == {"crud"}


@pytest.mark.fathom_server(tokens={"good": ["*"]})
async def test_a_bad_token_ends_it_at_once(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    ended = await command("run", write(tmp_path, MONTHS), FATHOM_API_TOKEN="bad")
    assert ended.code == 3
    assert "fathom login" in ended.err.splitlines()[-1]
    assert len(fathom_server.hits) < 6


async def test_complete_reports_have_every_row_and_are_kept_too(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    jobs = write(tmp_path, EVERY_ROW)
    ended = await command("run", jobs)
    assert ended.code == 0
    assert "1 report in at least 1 request" in ended.err
    table = pl.read_parquet(tmp_path / "reports" / "pages.parquet")
    assert table.columns == ["pathname", "pageviews"]
    assert table.height > 0
    fathom_server.reset_stats()
    assert (await command("run", jobs)).code == 0
    assert not asked(fathom_server)


async def test_one_dataset_has_the_columns_of_all(command: Command, tmp_path: Path) -> None:
    jobs = write(tmp_path, MONTHS + WEEK)
    ended = await command("run", jobs, "--dataset", str(tmp_path / "all.csv"), "--no-keep")
    assert ended.code == 0
    assert f"7 reports in {tmp_path / 'all.csv'}" in ended.out
    found = rows(tmp_path / "all.csv")
    assert list(found[0]) == [
        *("report", "job", "site_id", "entity_name", "date_from", "date_to"),
        *("date", "pathname", "visits", "pageviews"),
    ]
    assert [row["report"] for row in found] == sorted([row["report"] for row in found])
    assert {row["pathname"] for row in found if row["job"] == "week"} == {""}
    assert not (tmp_path / "jobs.db").exists()


@pytest.mark.parametrize("arguments", [["plan"], ["run", "--dry-run"]])
async def test_a_plan_sends_nothing_and_needs_no_token(
    command: Command, fathom_server: FathomServer, tmp_path: Path, arguments: list[str]
) -> None:
    jobs = write(tmp_path, MONTHS + WEEK + EVERY_ROW)
    shared = f"file://{tmp_path}/budget"
    (ended, other) = [
        await command(*arguments, jobs, FATHOM_API_TOKEN=token, FATHOM_BUDGET=shared) for token in ("", "any")
    ]
    assert (ended.code, ended.out) == (other.code, other.out)
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == {
        "reports": 8,
        "requests": 8,
        "pageviews": 8,
        "seconds": 0.0,
        "complete": 1,
    }
    assert fathom_server.hits == ()
    assert names(tmp_path) == {"jobs.toml"}


async def test_a_plan_in_a_terminal_lists_the_requests(command: Command, tmp_path: Path) -> None:
    many = MONTHS.replace("2026-03-01]", "2026-03-01, 2026-04-01, 2026-05-01, 2026-06-01]")
    ended = await command.in_terminal("plan", write(tmp_path, many), columns=100)
    assert ended.code == 0
    assert "12 reports in 12 requests, 1 min 01 s, 12 pageviews on the account" in ended.out
    assert "visits, pageviews by pathname 2026-01-01 to 2026-06-30" in ended.out


async def test_a_plan_cuts_nothing_off(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal("plan", write(tmp_path, MONTHS), columns=72)
    shown = " ".join(re.sub(r"\x1b\[\d*m", "", ended.out).split())
    assert "by pathname 2026-01-01 to 2026-06-30" in shown


async def test_a_plan_in_a_narrow_terminal_still_has_its_figures(command: Command, tmp_path: Path) -> None:
    ended = await command.in_terminal("plan", write(tmp_path, MONTHS), columns=40)
    shown = re.sub(r"\x1b\[\d*m", "", ended.out)
    assert re.search(r"^reports +how +site", shown, re.MULTILINE)
    assert re.search(r"^ +1 +as asked +CDBUGS +\w", shown, re.MULTILINE)
    assert {"visits,", "pageviews", "pathname", "2026-01-01", "2026-06-30"} <= {*shown.split()}, (
        "no word is cut"
    )


@pytest.mark.parametrize(
    ("content", "arguments", "reason"),
    [
        ('[job.a]\nsite_id = "A"\n', [], "job.a.aggregates: is missing"),
        (WEEK, ["--dataset", "all.xls"], "names no format"),
        (WEEK, ["--store", "http://nowhere"], "is of no kind known here"),
        (WEEK.replace("CDBUGS", "NOSITE"), [], "`fathom sites list` shows the sites of this token"),
    ],
)
async def test_what_is_wrong_is_said_before_a_report_is_spent(
    command: Command, tmp_path: Path, content: str, arguments: list[str], reason: str
) -> None:
    ended = await command("run", write(tmp_path, content), *arguments)
    assert (ended.code, ended.out) in {(2, ""), (4, "")}
    assert ended.err.startswith("fathom: ")
    assert reason in ended.err
    assert ended.err.count("\n") == 1


async def test_a_job_file_that_is_not_there(command: Command, tmp_path: Path) -> None:
    for what in ("run", "plan"):
        ended = await command(what, str(tmp_path / "none.toml"))
        assert (ended.code, ended.out) == (2, "")
        assert "no such job file" in ended.err


async def test_a_directory_that_cannot_be_made_is_told_before(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    (tmp_path / "reports").write_text("a file")
    ended = await command("run", write(tmp_path, MONTHS))
    assert ended.code == 1
    assert str(tmp_path / "reports") in ended.err
    assert fathom_server.hits == ()


async def test_reports_that_have_to_be_asked_for_one_by_one_after_all_are_written_too(
    command: Command, tmp_path: Path
) -> None:
    async with FathomServer(data=DATA, reports_throttle=None) as server:
        ended = await command("run", write(tmp_path, DISTRUSTED), FATHOM_BASE_URL=server.url)
    assert ended.code == 0, ended.err
    reports = tmp_path / "reports"
    assert [len(rows(file)) for file in sorted(reports.glob("paths-*.csv"))] == [1000, 1000]
    assert [rows(reports / f"about-{name}.csv") for name in ("lower", "upper")] == [[], [{"visits": "1"}]]
