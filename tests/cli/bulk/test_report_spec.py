"""Job files and options: where each report and its answers go."""

from datetime import datetime
from pathlib import Path

from fathom_async._cli.bulk.report_spec import RunOptions, read_jobs, wanted

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


def test_paths_start_where_the_job_file_is(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text(JOBS)
    visits, sales = wanted(read_jobs(file, now=NOON), file, RunOptions())
    assert (visits.path, visits.store) == (
        tmp_path / "reports" / "visits.csv",
        str(tmp_path / "answers" / "kept.db"),
    )
    assert (sales.path, sales.store) == (tmp_path / "sales" / "sales.parquet", "redis://localhost/0")


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text(JOBS)
    options = RunOptions(directory=Path("elsewhere"), format="jsonl", store="mine.db")
    _, sales = wanted(read_jobs(file, now=NOON), file, options)
    assert (sales.path, sales.store) == (Path("elsewhere/sales.jsonl"), "mine.db")
    (unkept, _) = wanted(read_jobs(file, now=NOON), file, RunOptions(keep=False))
    assert unkept.store == "memory://"


def test_without_a_store_answers_are_kept_beside_the_job_file(tmp_path: Path) -> None:
    file = tmp_path / "daily.toml"
    file.write_text('[job.visits]\nsite_id = "ACMEAA"\naggregates = ["visits"]\n')
    (visits,) = wanted(read_jobs(file, now=NOON), file, RunOptions())
    assert visits.store == str(tmp_path / "daily.db")
