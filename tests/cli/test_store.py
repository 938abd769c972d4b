"""``fathom store``."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from fathom_async.store import CacheEntry, open_store
from fathom_async.testing import FathomServer

from .conftest import Command

JOB = """
[job.{name}]
site_id = "CDBUGS"
aggregates = ["pageviews"]
date_from = "2026-{month}-01"
date_to = "2026-{month}-28"
"""


async def test_it_deletes_a_sites_answers_from_a_day_on(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    job, place = tmp_path / "jobs.toml", str(tmp_path / "jobs.db")
    job.write_text("".join(JOB.format(name=f"m{month}", month=month) for month in ("01", "02")), "utf-8")
    run = ("run", str(job), "--directory", str(tmp_path), "--no-fuse")
    assert (await command(*run)).code == 0
    fathom_server.reset_stats()
    ended = await command("store", "forget", "CDBUGS", "--since", "2026-02-01", "--store", place)
    assert (ended.code, ended.out, ended.err) == (0, "", "fathom: 1 answer deleted\n")
    assert not fathom_server.hits
    assert (await command(*run)).code == 0
    assert len(fathom_server.hits) == 1
    assert (await command("store", "forget", "CDBUGS", "--store", place)).err == "fathom: 2 answers deleted\n"


async def test_it_deletes_what_was_asked_for_before_a_day_without_a_token(
    command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.db"
    old, new = datetime(2026, 9, 30).timestamp(), datetime(2026, 10, 1).timestamp()  # noqa: DTZ001 - local days
    async with open_store(path) as store:
        await store.put_many(
            {str(number): CacheEntry(bytes(100_000), old if number else new) for number in range(50)}
        )
    nobody = Command(command.env | {"FATHOM_API_TOKEN": ""})
    ended = await nobody("store", "prune", "--before", "2026-10-01", "--store", str(path))
    assert (ended.code, ended.out, ended.err) == (0, "", "fathom: 49 answers deleted\n")
    assert path.stat().st_size < 300_000, "the space is given back"


async def test_a_store_that_is_not_there_is_not_made(command: Command, tmp_path: Path) -> None:
    for arguments in (("forget", "CDBUGS"), ("prune", "--before", "2026-10-01")):
        ended = await command("store", *arguments, "--store", str(tmp_path / "job.db"))
        assert ended.code == 2
        assert "there is no store" in ended.err
    assert not any(file.name.startswith("job.db") for file in tmp_path.iterdir())  # noqa: ASYNC240 - a test may


async def test_answers_that_cannot_be_stored_are_told_once(command: Command, tmp_path: Path) -> None:
    job, place = tmp_path / "jobs.toml", tmp_path / "jobs.db"
    job.write_text("".join(JOB.format(name=f"m{month}", month=month) for month in ("01", "02")), "utf-8")
    async with open_store(place) as store:
        await store.put_many({"a": CacheEntry(b"[]", 1.0)})
    with closing(sqlite3.connect(place)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON answers WHEN new.subject IS NOT NULL "
            "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
        )
    ended = await command("run", str(job), "--directory", str(tmp_path), "--no-fuse")
    assert ended.code == 0
    told = (
        f"fathom: 1 answers could not be stored: the store {place} cannot be used: database or disk is full\n"
    )
    assert ended.err.count(told) == 1
    assert ended.err.count("could not be stored") == 1
