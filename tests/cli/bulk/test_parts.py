"""The parts of ``fathom run``, without a server."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from fathom_async import EventQuery, PageviewQuery, Report
from fathom_async._cache.memory import MemoryStore
from fathom_async._cli.bulk.overview import asked
from fathom_async._cli.bulk.report_files import prepare, write_dataset, write_report
from fathom_async._cli.bulk.report_spec import Places, ReportSpec, read_jobs, wanted
from fathom_async._cli.bulk.unfinished import LIFE, Unfinished
from fathom_async._cli.failures import CommandError
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import Query

JOBS = """\
[output]
store = "answers/kept.db"

[job.visits]
site_id = "ACMEAA"
aggregates = ["visits"]

[job.sales]
site_id = "ACMEAA"
entity_name = "purchase"
aggregates = ["conversions"]

[job.sales.output]
format = "parquet"
directory = "sales"
store = "redis://localhost/0"
"""
NOON = datetime(2026, 11, 21, 12)  # noqa: DTZ001 - what the sites' clocks show
PAGES = PageviewQuery("ACMEAA", aggregates=["pageviews"], field_grouping=["pathname"])
DAYS = PageviewQuery("ACMEAA", aggregates=["visits"], date_grouping="day", date_from="2026-01-01")
HOURS = DAYS.replace(date_grouping="hour", date_to="2026-01-02")
SALES = EventQuery("ACMEAA", "purchase", aggregates=["value"], field_grouping=["city"])


def report_of(query: Query[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def one(name: str, query: Query[Row], path: Path = Path("one.csv")) -> ReportSpec:
    return ReportSpec("job", name, query, is_complete=False, store="memory://", path=path, format="csv")


def test_paths_start_where_the_job_file_is(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text(JOBS)
    visits, sales = wanted(read_jobs(file, now=NOON), file, Places())
    assert (visits.path, visits.store) == (
        tmp_path / "reports" / "visits.csv",
        str(tmp_path / "answers" / "kept.db"),
    )
    assert (sales.path, sales.store) == (tmp_path / "sales" / "sales.parquet", "redis://localhost/0")


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text(JOBS)
    places = Places(directory=Path("elsewhere"), format="jsonl", store="mine.db")
    _, sales = wanted(read_jobs(file, now=NOON), file, places)
    assert (sales.path, sales.store) == (Path("elsewhere/sales.jsonl"), "mine.db")
    (unkept, _) = wanted(read_jobs(file, now=NOON), file, Places(is_kept=False))
    assert unkept.store == "memory://"


def test_without_a_store_answers_are_kept_beside_the_job_file(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text('[job.visits]\nsite_id = "ACMEAA"\naggregates = ["visits"]\n')
    (visits,) = wanted(read_jobs(file, now=NOON), file, Places())
    assert visits.store == str(tmp_path / "daily.db")


async def test_a_run_that_did_not_end_is_remembered_for_less_than_a_day() -> None:
    async with MemoryStore(clock=lambda: 1000.0) as store:
        note = Unfinished.of(store, Path("jobs.toml"), "https://api")
        assert await note.began_at(1000.0) is None
        await note.begin(1000.0)
        assert await note.began_at(1000.0 + LIFE - 1) == 1000.0
        assert await note.began_at(1000.0 + LIFE) is None
        assert await Unfinished.of(store, Path("other.toml"), "https://api").began_at(1000.0) is None
        assert await Unfinished.of(store, Path("jobs.toml"), "http://test").began_at(1000.0) is None
        await note.end()
        assert await note.began_at(1000.0) is None


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    wanted_ = one("pages", PAGES, tmp_path / "pages.csv")
    wanted_.path.write_text("what was there before")
    write_report(wanted_, report_of(PAGES, ("/", 3)))
    assert wanted_.path.read_text() == "pathname,pageviews\n/,3\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pages.csv"]


def test_a_dataset_has_one_kind_of_date(tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    hour = datetime(2026, 1, 1, 15)  # noqa: DTZ001 - the site's clock
    found = [
        (one("pages", PAGES), report_of(PAGES, ("/", 3))),
        (one("days", DAYS), report_of(DAYS, (date(2026, 1, 1), 5))),
        (one("hours", HOURS), report_of(HOURS, (hour, 2))),
        (one("sales", SALES), report_of(SALES, ("Berlin", 9.5))),
    ]
    assert write_dataset(path, None, found) == 4
    table = pl.read_parquet(path)
    assert table.columns[6:] == ["date", "pathname", "city", "pageviews", "visits", "value"]
    assert table["date"].to_list() == [None, datetime(2026, 1, 1), hour, None]  # noqa: DTZ001 - likewise
    assert table["entity_name"].to_list() == [None, None, None, "purchase"]
    assert table["visits"].to_list() == [None, 5, 2, None]


def test_a_dataset_of_nothing_still_has_its_columns(tmp_path: Path) -> None:
    assert write_dataset(tmp_path / "all.csv", None, [(one("pages", PAGES), report_of(PAGES))]) == 0
    assert (tmp_path / "all.csv").read_text().strip().endswith("date_to,pathname,pageviews")


def test_directories_are_made_before_anything_is_asked(tmp_path: Path) -> None:
    prepare([one("pages", PAGES, tmp_path / "a" / "b" / "pages.csv")], None, None)
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(CommandError, match="names no format"):
        prepare([], tmp_path / "all.xls", None)


def test_a_query_in_words() -> None:
    query = PAGES.replace(date_from="2026-01-01", date_to="2026-01-01", filters=[])
    assert asked(query) == "pageviews by pathname 2026-01-01"
    assert asked(SALES) == "value by city of purchase"
    assert asked(DAYS) == "visits by day 2026-01-01 to …"
