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
from rich.console import Console

from fathom_async._cli.app import run
from fathom_async._cli.failures import CommandError
from fathom_async._cli.files import write_file
from fathom_async._cli.output import Format, Kind, OutputOptions, Records, encoded, table, write, write_change
from fathom_async.testing import Body, FathomServer

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
ROWS = Records(COLUMNS, [FULL, EMPTY])


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a command that sends anything fail for that."""
    monkeypatch.setenv("FATHOM_API_TOKEN", "any")
    monkeypatch.setenv("FATHOM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("FATHOM_BUDGET", "")


def test_a_table_has_aligned_numbers_and_nothing_that_steers_the_terminal() -> None:
    lines = encoded(ROWS, "table").decode().splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert "1,200" in lines[2]
    assert "2026-01-31 15:30 UTC" in lines[2]
    assert r"/a\x1b[2J,b" in lines[2]
    assert lines[3].split() == ["-"] * 6
    assert all(line.isprintable() for line in lines)


def test_where_columns_have_no_room_fields_stand_one_below_the_other() -> None:
    rows = Records({"pathname": "text", "pageviews": "count"}, [("/a", 1200), ("/b", 5)])
    shown = StringIO()
    Console(file=shown, width=16).print(table(rows, 16))
    assert [line.split() for line in shown.getvalue().splitlines()] == [
        *(["pathname", "/a"], ["pageviews", "1,200"], []),
        *(["pathname", "/b"], ["pageviews", "5"]),
    ]
    assert table(rows, 20).columns[0].header == "pathname"


@pytest.mark.parametrize("width", [*range(24, 100, 3)])
def test_no_width_folds_a_word_or_cuts_a_figure(width: int) -> None:
    asked = "visits, avg_duration by country_code 2026-10-01 to 2026-10-31"
    columns: dict[str, Kind] = {"reports": "count", "how": "text", "site": "text", "what": "text"}
    rows = Records(columns, [(1_200, "fused by date", "CDBUGS", asked), (1, "as asked", "CDBUGS", asked)])
    shown = StringIO()
    Console(file=shown, width=width).print(table(rows, width))
    words = shown.getvalue().split()
    assert {*asked.split(), "1,200", "fused", "CDBUGS"} <= {*words}
    assert words.count("2026-10-01") == 2


def test_a_single_object_is_one_field_a_line_and_one_json_object() -> None:
    single = Records({"id": "text", "name": "text"}, [("CDBUGS", "Acme")], is_single=True)
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


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_csv_gives_back_an_end_of_line_in_a_text(end: str) -> None:
    written = encoded(Records({"pathname": "text"}, [(f"/a{end}b",), ("/c",)]), "csv").decode()
    assert list(csv.reader(StringIO(written, newline=""))) == [["pathname"], [f"/a{end}b"], ["/c"]]
    assert written.endswith("\n/c\n")


@pytest.mark.parametrize("format", ["json", "jsonl", "csv"])
def test_nothing_steers_a_terminal_in_any_format(format: Format) -> None:
    evil = "/\x1b[2J\x9b2J\u202e\u2066\U000e0001é"
    rows = Records({"pathname": "text", "tags": "texts"}, [(evil, (evil,))])
    shown = encoded(rows, format, for_terminal=True).decode()
    assert shown.replace("\n", "").isprintable()
    piped = encoded(rows, format).decode()
    if format == "csv":
        assert r"/\x1b[2J\x9b2J\u202e" in shown
        assert evil in piped
    else:
        assert r"/\u001b[2J\u009b2J\u202e" in shown
        assert "\x9b2J\u202e" in piped
        assert json.loads(shown) == json.loads(piped), "it means the same"


def test_parquet_has_types_even_without_rows() -> None:
    table = pl.read_parquet(BytesIO(encoded(ROWS, "parquet")))
    assert table.row(0) == (*FULL[:1], ["x", "y"], *FULL[2:])
    nothing = pl.read_parquet(BytesIO(encoded(Records(COLUMNS, []), "parquet")))
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


async def test_a_terminal_shows_no_parquet(command: Command, fathom_server: FathomServer) -> None:
    ended = await command.in_terminal("sites", "create", "Acme", "--format", "parquet")
    assert ended.code == 2
    assert "add --output report.parquet" in ended.out
    assert not fathom_server.hits


@pytest.mark.parametrize(
    "place",
    [
        ("nowhere/sites.csv", 1, "nowhere/sites.csv: No such file or directory\n"),
        ("file/sites.csv", 1, "file/sites.csv: Not a directory\n"),
        ("directory.csv", 1, "directory.csv: Is a directory\n"),
        ("sites.weird", 2, "names no format; add --format, or end it with .json"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["sites", "list"],
        ["sites", "get", "CDBUGS"],
        ["sites", "create", "Acme"],
        ["sites", "update", "CDBUGS", "--name", "Acme"],
        ["sites", "delete", "CDBUGS", "--yes"],
        ["events", "list", "CDBUGS"],
        ["events", "set-currency", "CDBUGS", "purchase", "euro"],
        ["events", "delete", "CDBUGS", "purchase", "--yes"],
        ["milestones", "list", "CDBUGS"],
        ["milestones", "get", "CDBUGS", "X"],
        ["milestones", "create", "CDBUGS", "Pricing", "--date", "2026-01-31"],
        ["milestones", "update", "CDBUGS", "X", "--name", "Pricing"],
        ["milestones", "delete", "CDBUGS", "X", "--yes"],
        ["report", "CDBUGS", "--complete"],
        ["events-report", "CDBUGS", "purchase"],
        ["whoami"],
        ["plan", "jobs.toml"],
        ["budget"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("nobody_listens")
def test_a_file_that_cannot_be_written_is_told_before_anything_is_sent(
    arguments: list[str],
    place: tuple[str, int, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, code, told = place
    (tmp_path / "file").touch()
    (tmp_path / "directory.csv").mkdir()
    assert run([*arguments, "-o", str(tmp_path / path)]) == code
    ended = capsys.readouterr()
    assert ended.err.startswith(f"fathom: {tmp_path}" if code == 1 else "fathom: the ending of")
    assert told in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("nobody_listens")
def test_a_page_that_cannot_be_written_is_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["report", "CDBUGS", "--html", "/nowhere/report.html"]) == 1
    assert capsys.readouterr().err == "fathom: /nowhere/report.html: No such file or directory\n"


def test_a_change_that_was_made_is_not_hidden_by_a_disk_that_is_full() -> None:
    with pytest.raises(CommandError) as refused:
        write_change(ROWS, OutputOptions(format="csv", output=Path("/dev/full")), done="the site X was made")
    assert str(refused.value) == "the site X was made, but No space left on device"
    assert refused.value.code == 1


async def test_formats_for_programs_cannot_steer_a_terminal_either(
    command: Command, fathom_server: FathomServer
) -> None:
    fathom_server.inject(Body(b'[{"pathname": "/\xc2\x9b2J\xe2\x80\xae", "pageviews": "1"}]'))
    report = ("report", "CDBUGS", "--metrics", "pageviews", "--by", "pathname", "--format", "jsonl")
    ended = await command.in_terminal(*report)
    assert ended.out == '{"pathname":"/\\u009b2J\\u202e","pageviews":1}\n'


async def test_data_are_utf_8_whatever_the_locale(command: Command) -> None:
    await command("sites", "update", "CDBUGS", "--name", "Käse")
    ended = await command("sites", "get", "CDBUGS", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert json.loads(ended.out)["name"] == "Käse"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("report", "CDBUGS", "--compare", "previous"),
            "fathom: --compare needs a range; add --last 30d, --period, or --from and --to",
        ),
        (
            ("report", "CDBUGS", "--limit", "many"),
            'fathom: Invalid value for --limit: unable to convert "many" into',
        ),
        (("logout",), "fathom: this system has no keyring; set FATHOM_API_TOKEN, or"),
        (("plan", "JOBS"), "1 report in 1 request, all admitted at once, 1 pageview on the account"),
        (("run", "JOBS"), "fathom: 1 report in 1 request, all admitted at once, 1 pageview on the account"),
        (("run", "JOBS"), "/reports, 1 row; 1 request, 1 pageview on the account"),
    ],
)
async def test_a_narrow_terminal_breaks_messages_between_words(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    job = '[job.a]\nsite_id = "CDBUGS"\naggregates = ["visits"]\ndate_to = 2026-01-31\n'
    (tmp_path / "jobs.toml").write_text(job, "utf-8")
    words = [str(tmp_path / "jobs.toml") if word == "JOBS" else word for word in arguments]
    narrow = await command.in_terminal(*words, columns=40)
    assert told in " ".join(narrow.out.split())
    assert told not in narrow.out, "it takes two lines"


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
