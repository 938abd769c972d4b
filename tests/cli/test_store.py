"""``fathom store``."""

from pathlib import Path

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
