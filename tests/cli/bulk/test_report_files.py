"""Reports written to files, one each or all in one."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from attrs import evolve

from fathom_async import Comparison, EventQuery, PageviewQuery, Report
from fathom_async._cli.bulk.report_files import prepare, write_dataset, write_report
from fathom_async._cli.bulk.report_spec import AS_WRITTEN, ReportSpec, RunOptions
from fathom_async._cli.failures import CommandError
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import AnyQuery, Query
from fathom_async.jobs import Job, NamedQuery, Output

PAGES = PageviewQuery("ACMEAA", aggregates=["pageviews"], field_grouping=["pathname"])
DAYS = PageviewQuery("ACMEAA", aggregates=["visits"], date_grouping="day", date_from="2026-01-01")
HOURS = DAYS.replace(date_grouping="hour", date_to="2026-01-02")
SALES = EventQuery("ACMEAA", "purchase", aggregates=["value"], field_grouping=["city"])


def report_of(query: Query[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def one(
    name: str, query: AnyQuery, path: Path = Path("one.csv"), options: RunOptions = AS_WRITTEN
) -> ReportSpec:
    named = NamedQuery(name, query, None)
    job = Job("job", (named,), complete=False, output=Output())
    return ReportSpec(job, named, options, "memory://", path)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    wanted_ = one("pages", PAGES, tmp_path / "pages.csv")
    wanted_.path.write_text("what was there before")
    write_report(wanted_, report_of(PAGES, ("/", 3)))
    assert wanted_.path.read_text() == "pathname,pageviews\n/,3\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pages.csv"]


def test_files_and_datasets_are_for_a_spreadsheet_if_wished(tmp_path: Path) -> None:
    wanted_ = one("pages", PAGES, tmp_path / "pages.csv", RunOptions(spreadsheet=True))
    report = report_of(PAGES, ("=1", 3))
    write_report(wanted_, report)
    write_dataset(tmp_path / "all.csv", None, [(wanted_, report)])
    for name, cells in (("pages", "'=1,3"), ("all", ",'=1,3")):
        written = (tmp_path / f"{name}.csv").read_text("utf-8")
        assert written.startswith("\ufeff")
        assert written.endswith(f"{cells}\n")


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
    with pytest.raises(CommandError, match="leave out --dataset"):
        prepare([one("pages", PAGES, options=RunOptions(html=True))], tmp_path / "all.csv", None)


def test_a_page_stands_beside_its_report_and_shows_its_figures(tmp_path: Path) -> None:
    wanted_ = one("pages", PAGES, tmp_path / "pages.csv", RunOptions(html=True))
    write_report(wanted_, report_of(PAGES, ("/", 1234)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pages.csv", "pages.html"]
    page = (tmp_path / "pages.html").read_text("utf-8")
    assert "<h1>ACMEAA</h1>" in page
    assert "<td>1,234</td>" in page
    assert "UTC" not in page, "nobody knows the time zone"
    former = PAGES.replace(date_from="2025-12-01", date_to="2025-12-31")
    write_report(wanted_, Comparison(report_of(PAGES, ("/", 20)), report_of(former, ("/", 10))))
    assert "<span>up</span>" in (tmp_path / "pages.html").read_text("utf-8").replace(' class="hidden"', "")


def test_rows_of_zeros_are_added_on_wish(tmp_path: Path) -> None:
    days = DAYS.replace(date_to="2026-01-03")
    report = report_of(days, (date(2026, 1, 2), 5))
    wanted_ = one("days", days, tmp_path / "days.csv", RunOptions(fill=True))
    wanted_ = evolve(wanted_, zone=ZoneInfo("Europe/Berlin"))
    assert write_report(wanted_, report) == 3
    filled = ["2026-01-01,0", "2026-01-02,5", "2026-01-03,0"]
    assert (tmp_path / "days.csv").read_text().splitlines()[1:] == filled
    assert write_dataset(tmp_path / "all.csv", None, [(wanted_, report)]) == 3
    query = PAGES.replace(limit=1, sort_by="pageviews:desc")
    cut = evolve(report_of(query, ("/", 3)), truncated=True)
    write_report(one("cut", query, tmp_path / "cut.csv", RunOptions(fill=True)), cut)
    assert (tmp_path / "cut.csv").read_text().splitlines()[1:] == ["/,3"], "what is cut off is not zero"
