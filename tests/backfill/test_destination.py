"""The contract of targets, for each kind."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import asyncio
import json
import signal
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import attrs
import duckdb
import polars as pl
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import ArgumentError, EventQuery, PageviewQuery, where
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import (
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    PAGEVIEW_AGGREGATES,
    DateGrouping,
)
from fathom_async.backfill._destination import Destination, OpenDestination, TargetBusyError, TargetError
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Span
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._run import in_thread
from fathom_async.backfill._sqlite import SqliteTable
from tests.backfill.conftest import KINDS, target_in
from tests.backfill.traffic import columns_of, read
from tests.backfill.writer import FIRST, LAYOUT, ROWS, SERIES
from tests.support.evaluation import ZONE

QUERY = PageviewQuery(
    "CDBUGS", aggregates=["pageviews", "avg_duration"], field_grouping=["pathname"], date_grouping="day"
)
BY_PATH = Layout.of(QUERY)
DAY = date(2026, 1, 31)
NUMBER = DAY.toordinal()
SPAN = Span(NUMBER, NUMBER + 1)


@contextmanager
def opened(target: Destination, layout: Layout = BY_PATH) -> Generator[OpenDestination]:
    held = target.using(layout, ZONE)
    try:
        held.open()
        yield held
    finally:
        held.close()


def settled(held: OpenDestination, series: Series) -> list[Span]:
    return list(held.ledger(series).settled(ZONE))


def row(path: str | None, day: date = DAY, views: int | None = 1, seconds: float | None = 1.5) -> Cells:
    return ("CDBUGS", day, path, views, seconds)


def values(target: Destination) -> list[Cells]:
    return sorted((tuple(each.values()) for each in read(target)), key=repr)


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.none()
cells = st.tuples(
    texts, st.integers(0, 2**53) | st.none(), st.floats(0, 1e300) | st.none(), st.integers(0, 40)
)


@settings(max_examples=30)
@given(kind=st.sampled_from(KINDS), drawn=st.lists(cells))
def test_texts_numbers_and_nulls_come_back_as_they_were(
    kind: str, drawn: list[tuple[str | None, int | None, float | None, int]]
) -> None:
    rows = [
        row(path, date.fromordinal(NUMBER + day), views, seconds)
        for path, views, seconds, day in sorted(drawn, key=lambda cell: cell[3])
    ]
    with tempfile.TemporaryDirectory() as directory:
        target = target_in(Path(directory), kind)
        with opened(target) as held:
            held.replace(SERIES, Span(NUMBER, NUMBER + 41), rows, SPAN)
        assert Counter(values(target)) == Counter(rows)


def test_the_rows_of_a_period_are_replaced_whole(target: Destination) -> None:
    next_day = date(2026, 2, 1)
    both, late = Span(NUMBER, NUMBER + 2), Span(NUMBER + 1, NUMBER + 2)
    with opened(target) as held:
        held.replace(SERIES, both, [row("/a"), row("/b"), row("/a", next_day)], both)
        held.replace(Series("DAFFY"), both, [("DAFFY", *row("/c")[1:])], both)
        held.replace(SERIES, late, [row("/z", next_day)], late)
        held.replace(SERIES, Span(NUMBER, NUMBER + 1), [], SPAN)
    assert values(target) == [row("/z", next_day), ("DAFFY", *row("/c")[1:])]


def test_what_is_settled_is_told_by_series_and_by_period(target: Destination) -> None:
    year = Span(NUMBER, NUMBER + 365)
    with opened(target) as held:
        assert settled(held, SERIES) == []
        held.replace(SERIES, year, [row("/")], year.before(NUMBER + 300))
        held.replace(SERIES, Span(NUMBER + 400, NUMBER + 410), [], Span(NUMBER + 400, NUMBER + 410))
        held.replace(Series("DAFFY"), SPAN, [], SPAN)
    with opened(target) as held:
        assert settled(held, SERIES) == [Span(NUMBER, NUMBER + 300), Span(NUMBER + 400, NUMBER + 410)]
        assert settled(held, Series("DAFFY")) == [SPAN]
        assert settled(held, Series("OTHER")) == []


@pytest.mark.parametrize(
    ("grouping", "kinds"),
    [
        ("hour", {"parquet": "timestamp[us]", "duckdb": "TIMESTAMP", "sqlite": "TEXT"}),
        ("day", {"parquet": "date32[day]", "duckdb": "DATE", "sqlite": "TEXT"}),
        ("month", {"parquet": "date32[day]", "duckdb": "DATE", "sqlite": "TEXT"}),
        ("year", {"parquet": "date32[day]", "duckdb": "DATE", "sqlite": "TEXT"}),
    ],
)
def test_dates_have_the_type_of_their_unit(
    grouping: DateGrouping, kinds: dict[str, str], target: Destination
) -> None:
    unit = Unit(grouping)
    index = unit.index(datetime(2026, 1, 31, 15))
    span = Span(index, index + 1)
    with opened(target, Layout.of(QUERY.replace(date_grouping=grouping))) as held:
        held.replace(SERIES, span, [row("/", unit.value(index))], span)
        assert settled(held, SERIES) == [span]
    assert columns_of(target)["date"] == kinds[str(target).partition(":")[0]]
    assert read(target, grouping)[0]["date"] == unit.value(index)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (QUERY.replace(aggregates=["visits"]), "aggregates pageviews,avg_duration, but the query has visits"),
        (QUERY.replace(field_grouping=[]), "field_grouping pathname, but the query has none"),
        (QUERY.replace(filters=[where.browser == "Chrome"]), "filters"),
        (QUERY.replace(timezone="Europe/Berlin"), "timezone none, but the query has Europe/Berlin"),
        (QUERY.replace(date_grouping="hour"), "hour"),
        (QUERY.replace(date_grouping="month"), "month"),
        (EventQuery("CDBUGS", "buy", aggregates=["value"], date_grouping="day"), "entity"),
    ],
)
def test_a_target_of_another_query_is_refused(
    other: PageviewQuery | EventQuery, message: str, target: Destination
) -> None:
    with opened(target) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)
    with pytest.raises(ArgumentError, match=message), opened(target, Layout.of(other)):
        pass
    assert values(target) == [row("/")]


def test_a_target_of_another_version_is_refused(target: Destination) -> None:
    before = attrs.evolve(BY_PATH, definition=BY_PATH.definition | {"version": "1"})
    with opened(target, before) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)
    with pytest.raises(ArgumentError, match="made by another version of this package"), opened(target):
        pass
    assert values(target) == [row("/")]


def test_what_a_dataset_keeps_is_read_after_its_version(tmp_path: Path) -> None:
    target = ParquetDataset(tmp_path / "reports")
    with opened(target) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)
    [file] = target.path.rglob("*.parquet")
    first = {
        "definition": json.dumps(BY_PATH.definition | {"version": "1"}),
        "series": ["CDBUGS"],
        "settled": [["2026-01-31", "2026-01-31"]],
    }
    parquet: Any = pq
    table = parquet.read_table(file).replace_schema_metadata({"fathom_async": json.dumps(first)})
    parquet.write_table(table, file)
    with pytest.raises(ArgumentError, match=r"reports was made by another .*; name a new"), opened(target):
        pass


def test_the_order_of_aggregates_and_groupings_does_not_matter(target: Destination) -> None:
    for query in (
        QUERY.replace(field_grouping=["pathname", "browser"]),
        QUERY.replace(field_grouping=["browser", "pathname"], aggregates=["avg_duration", "pageviews"]),
    ):
        with opened(target, Layout.of(query)) as held:
            held.replace(SERIES, SPAN, [("CDBUGS", DAY, "/", "Chrome", 1, 2.0)], SPAN)
    assert [each["browser"] for each in read(target)] == ["Chrome"]


def test_a_write_that_fails_changes_nothing(target: Destination) -> None:
    with opened(target) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)
        with pytest.raises((TargetError, ValueError)):
            held.replace(SERIES, Span(NUMBER, NUMBER + 2), [("CDBUGS", DAY)], Span(NUMBER, NUMBER + 2))
        assert settled(held, SERIES) == [SPAN]
    assert values(target) == [row("/")]


@pytest.mark.parametrize("kind", [SqliteTable, DuckDBTable])
def test_names_may_be_words_of_sql(kind: type[SqliteTable | DuckDBTable], tmp_path: Path) -> None:
    for table, query in (
        ("order", PageviewQuery("CDBUGS", aggregates=PAGEVIEW_AGGREGATES, date_grouping="day")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        ("select", EventQuery("CDBUGS", "buy", aggregates=EVENT_AGGREGATES, date_grouping="day")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ):
        layout = Layout.of(query.replace(field_grouping=FIELD_GROUPINGS))
        key = ("CDBUGS", "buy")[: len(layout.key)]
        cells = (*key, DAY, *FIELD_GROUPINGS, *range(len(query.aggregates)))
        for _ in range(2):
            with opened(kind(tmp_path / "stats", table), layout) as held:
                held.replace(Series(*key), SPAN, [cells], SPAN)
        assert values(kind(tmp_path / "stats", table)) == [cells]


def test_one_writes_at_a_time(target: Destination) -> None:
    with opened(target) as held:
        with pytest.raises(TargetBusyError, match="another backfill"), opened(target):
            pass
        held.replace(SERIES, SPAN, [row("/")], SPAN)
    with opened(target):
        assert values(target) == [row("/")] if isinstance(target, ParquetDataset) else True


def test_the_directory_must_be_there(tmp_path: Path) -> None:
    for kind in KINDS:
        with pytest.raises(ArgumentError, match="create it first"), opened(target_in(tmp_path / "no", kind)):
            pass


def test_what_something_else_made_is_left_alone(tmp_path: Path) -> None:
    file, directory = tmp_path / "notes.txt", tmp_path
    file.write_text("mine")
    with pytest.raises(ArgumentError, match=r"holds something else, such as notes\.txt"):
        ParquetDataset(directory).using(BY_PATH, ZONE).open()
    with pytest.raises(ArgumentError, match="is a file"):
        ParquetDataset(file).using(BY_PATH, ZONE).open()
    other = tmp_path / "lake" / "month=2026-01"
    other.mkdir(parents=True)
    pl.DataFrame({"a": [1]}).write_parquet(other / "x.parquet")
    with (
        pytest.raises(ArgumentError, match="not written by a backfill"),
        opened(ParquetDataset(other.parent)),
    ):
        pass
    with closing(sqlite3.connect(tmp_path / "mine.db")) as connection:
        connection.execute("CREATE TABLE Reports (a)")
    with (
        pytest.raises(ArgumentError, match="not created by a backfill; name another table"),
        opened(SqliteTable(tmp_path / "mine.db", "reports")),
    ):
        pass
    for target in (SqliteTable(file, "t"), DuckDBTable(file, "t")):
        with pytest.raises(TargetError, match="cannot be used"), opened(target):
            pass
    assert file.read_text() == "mine"


def test_tables_of_one_file_do_not_meddle(tmp_path: Path) -> None:
    for kind in (SqliteTable, DuckDBTable):
        one, two = kind(tmp_path / kind.__name__, "one"), kind(tmp_path / kind.__name__, "two")
        with opened(one) as first, opened(two) as second:
            first.replace(SERIES, SPAN, [row("/1")], SPAN)
            second.replace(SERIES, SPAN, [row("/2")], Span(0, 0))
            assert settled(second, SERIES) == []
        assert (values(one), values(two)) == ([row("/1")], [row("/2")])


def test_a_table_that_was_dropped_begins_anew(tmp_path: Path) -> None:
    target = SqliteTable(tmp_path / "stats.db", "reports")
    with opened(target) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)
    with closing(sqlite3.connect(target.path)) as connection:
        connection.execute("DROP TABLE reports")
    with opened(target) as held:
        assert settled(held, SERIES) == []


def test_a_dataset_is_read_by_others(tmp_path: Path) -> None:
    target = ParquetDataset(tmp_path / "reports")
    days = Span(NUMBER, NUMBER + 2)
    with opened(target) as held:
        held.replace(SERIES, days, [row("/ü"), row(None, date(2026, 2, 1))], days)
        held.replace(Series("DAFFY"), days, [], days)
    files = sorted(str(path.relative_to(target.path)) for path in target.path.rglob("*.parquet"))
    assert files == [
        f"month=2026-{month}/{site}.parquet" for month in ("01", "02") for site in ("CDBUGS", "DAFFY")
    ]
    by_duckdb = duckdb.execute(
        f"SELECT * EXCLUDE (month) FROM read_parquet('{target.path}/*/*.parquet', hive_partitioning = true)"  # noqa: S608
    ).fetchall()
    by_polars = pl.read_parquet(f"{target.path}/*/*.parquet").drop("month", strict=False).rows()
    assert sorted(by_duckdb, key=repr) == sorted(by_polars, key=repr) == values(target)


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = ParquetDataset(tmp_path / "reports")
    with opened(target) as held:
        held.replace(SERIES, SPAN, [row("/")], SPAN)

    def fail(_: int) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken, opened(target) as held:
        broken.setattr("os.fsync", fail)
        with pytest.raises(TargetError, match="the disk is full"):
            held.replace(SERIES, SPAN, [row("/a"), row("/b")], SPAN)
    assert values(target) == [row("/")]
    assert len(list(target.path.rglob("*.tmp"))) == 1
    with opened(target):
        assert list(target.path.rglob("*.tmp")) == []


def test_events_of_any_name_have_files_of_their_own(tmp_path: Path) -> None:
    target = ParquetDataset(tmp_path / "reports")
    layout = Layout.of(EventQuery("CDBUGS", "x", aggregates=["value"], date_grouping="day"))
    names = ["buy", "a/b", "x" * 300, "*", "", "日本"]
    with opened(target, layout) as held:
        for number, name in enumerate(names):
            held.replace(Series("CDBUGS", name), SPAN, [("CDBUGS", name, DAY, number)], SPAN)
    assert {each["entity_name"]: each["value"] for each in read(target)} == dict(
        zip(names, range(6), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [1, 4])
async def test_a_killed_process_leaves_whole_periods_and_no_lock(
    kind: str, chunks: int, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.backfill.writer",
        str(tmp_path),
        kind,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    for _ in range(chunks):
        assert await process.stdout.readline()
    with pytest.raises(TargetBusyError), opened(target_in(tmp_path, kind), LAYOUT):
        pass
    process.send_signal(signal.SIGKILL)
    await process.communicate()

    target = target_in(tmp_path, kind)
    with opened(target, LAYOUT) as held:
        spans = settled(held, SERIES)
        assert [span.first for span in spans] == [FIRST]
        assert len(spans[0]) >= 20 * chunks
    found = Counter(each["date"].toordinal() for each in read(target))
    assert found == dict.fromkeys(range(spans[0].first, spans[0].after), ROWS)


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    started, go = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        started.set()
        go.wait(10)
        done.append("written")

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(started.wait)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["written"]


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("parquet", "pyarrow", "arrow"), ("duckdb", "duckdb", "duckdb")]
)
def test_a_missing_library_is_named_with_its_extra(
    kind: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'pip install "fathom_async\[{extra}\]"'):
        target_in(tmp_path, kind).using(BY_PATH, ZONE)
    assert list(tmp_path.iterdir()) == []
