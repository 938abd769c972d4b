"""Rows, in the format that was asked for."""

import csv
import json
import stat
import subprocess
from datetime import UTC, date, datetime
from io import BytesIO, StringIO
from pathlib import Path

import polars as pl
import pytest

from fathom_async.cli.failures import CommandError
from fathom_async.cli.output import Kind, OutputOptions, encoded, records, write, write_file

from .command import COMMAND, environment
from .conftest import Command

COLUMNS: dict[str, Kind] = {
    "name": "text",
    "tags": "texts",
    "count": "count",
    "share": "number",
    "gone": "flag",
    "day": "day",
    "at": "moment",
}
FULL = (
    "/a\x1b[2J,b",
    ("x", "y"),
    1200,
    0.5,
    True,
    date(2026, 1, 31),
    datetime(2026, 1, 31, 15, 30, tzinfo=UTC),
)
EMPTY = (None, (), None, None, None, None, None)
ROWS = records(COLUMNS, [FULL, EMPTY])


def test_a_table_has_aligned_numbers_and_nothing_that_steers_the_terminal() -> None:
    lines = encoded(ROWS, "table").decode().splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert "1,200" in lines[2]
    assert "2026-01-31 15:30 UTC" in lines[2]
    assert r"/a\x1b[2J,b" in lines[2]
    assert lines[3].split() == ["-"] * 6
    assert all(line.isprintable() for line in lines)


def test_a_single_object_is_one_field_a_line_and_one_json_object() -> None:
    single = records({"id": "text", "name": "text"}, [("CDBUGS", "Acme")], is_single=True)
    assert [line.split() for line in encoded(single, "table").decode().splitlines()] == [
        ["id", "CDBUGS"],
        ["name", "Acme"],
    ]
    assert json.loads(encoded(single, "json")) == {"id": "CDBUGS", "name": "Acme"}


def test_json_and_json_lines_have_every_value() -> None:
    objects = json.loads(encoded(ROWS, "json"))
    assert objects == [json.loads(line) for line in encoded(ROWS, "jsonl").splitlines()]
    assert objects[0]["name"] == "/a\x1b[2J,b"
    assert objects[0]["at"] == "2026-01-31T15:30:00Z"
    assert objects[1]["count"] is None


def test_csv_can_be_read_back() -> None:
    header, full, empty = csv.reader(StringIO(encoded(ROWS, "csv").decode()))
    assert header == list(COLUMNS)
    assert full[:5] == ["/a\x1b[2J,b", "x y", "1200", "0.5", "True"]
    assert empty == [""] * 7


def test_parquet_has_types_even_without_rows() -> None:
    table = pl.read_parquet(BytesIO(encoded(ROWS, "parquet")))
    assert table.row(0) == (*FULL[:1], ["x", "y"], *FULL[2:])
    nothing = pl.read_parquet(BytesIO(encoded(records(COLUMNS, []), "parquet")))
    assert nothing.schema == table.schema


def test_the_ending_names_the_format(tmp_path: Path) -> None:
    for ending, begin in ((".json", b"["), (".jsonl", b"{"), (".csv", b"name,"), (".parquet", b"PAR1")):
        write(ROWS, OutputOptions(output=tmp_path / f"rows{ending}"))
        assert (tmp_path / f"rows{ending}").read_bytes().startswith(begin)
    with pytest.raises(CommandError, match="add --format"):
        write(ROWS, OutputOptions(output=tmp_path / "rows"))


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("old")
    file.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    write_file(link, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "rows.csv"]


def test_a_missing_directory_is_named_as_it_was_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"rows\.csv"):
        write_file(tmp_path / "nowhere" / "rows.csv", b"")


async def test_a_terminal_shows_no_parquet(command: Command) -> None:
    ended = await command.in_terminal("sites", "list", "--format", "parquet")
    assert ended.code == 2
    assert "add --output report.parquet" in ended.out


async def test_a_file_that_cannot_be_written_is_one_line(command: Command, tmp_path: Path) -> None:
    ended = await command("sites", "list", "-o", str(tmp_path / "nowhere" / "sites.csv"))
    assert ended.code == 1
    assert ended.err.endswith("nowhere/sites.csv: No such file or directory\n")


async def test_data_are_utf_8_whatever_the_locale(command: Command) -> None:
    await command("sites", "update", "CDBUGS", "--name", "Käse")
    ended = await command("sites", "get", "CDBUGS", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert json.loads(ended.out)["name"] == "Käse"


@pytest.mark.parametrize("arguments", [["--help"], ["completion", "bash"]])
def test_a_reader_who_has_enough_is_no_error(arguments: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
