"""Errors name what was typed: options, and not the parameters of Python."""

import pytest

from fathom_async import NetworkSettingsError
from fathom_async._cli.options import in_options
from fathom_async.testing import FathomServer

from .conftest import Command

SITE = "CDBUGS"
TARGET = ("--target", "sqlite:stats.db#kept")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sites", "update", SITE, "--name", ""], "--name must not be empty"),
        (["sites", "update", SITE, "--timezone", "Berlin"], "--timezone must be a TZ database name"),
        (["sites", "create", ""], "NAME must not be empty"),
        (["sites", "get", ""], "the name of a site is empty"),
        (["events", "set-currency", SITE, "", "euro"], "NAME must not be empty"),
        (["events", "delete", SITE, "", "--yes"], "NAME must be a non-empty string"),
        (["milestones", "create", SITE, "x" * 31, "--date", "2026-01-31"], "NAME may have at most 30"),
        (["milestones", "create", SITE, "x", "--date", "31.1."], "--date must be a date"),
        (["report", SITE, "--by", "city", "--sort", "date:desc"], "--sort 'date:desc' needs a --per"),
        (["events-report", SITE, ""], "EVENT is empty"),
        (["events-report", SITE, "x", "--metrics", "visits"], "only in `fathom report`; here there are"),
        (["backfill", SITE, *TARGET, "--since", "x"], "--since cannot be read: 'x'"),
        (
            ["backfill", SITE, *TARGET, "--since", "2026-11-01", "--until", "2025-01-01"],
            "--until 2025-01-01 is",
        ),
        (["backfill", SITE, *TARGET, "--since", "2026-11-01", "--event", ""], "--event is empty"),
    ],
)
async def test_a_bad_value_is_told_with_its_option(
    command: Command, fathom_server: FathomServer, arguments: list[str], told: str
) -> None:
    ended = await command(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith("fathom: ")
    assert told in ended.err
    assert "Query" not in ended.err
    assert not fathom_server.hits


async def test_the_fields_of_a_job_file_keep_their_names(command: Command) -> None:
    ended = await command("run", "/dev/stdin", typed='[job.x]\nsite_id = "CDBUGS"\naggregates = ["page"]\n')
    assert ended.code == 2
    assert "aggregates" in ended.err
    assert "--metrics" not in ended.err


def test_a_url_in_an_error_of_the_network_stays_as_it_was_sent() -> None:
    error = NetworkSettingsError("it does not speak HTTP", "GET", "https://a.test/v1/sites?limit=100", True)
    assert in_options(error, ["sites", "list"]) is error
