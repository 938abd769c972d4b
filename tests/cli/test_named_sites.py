"""Sites by their name, domain or ID, wherever a command takes one."""

import json
from pathlib import Path

import pytest

from fathom_async.testing import FathomServer

from .conftest import Command

NAME = "Acme Inc"
LISTS = "/v1/sites"


async def make_site(command: Command, name: str) -> str:
    return str(json.loads((await command("sites", "create", name)).out)["id"])


@pytest.mark.parametrize("named", ["GCDFSX", "Acme Inc", "acme inc", "gcdfsx"])
async def test_a_site_has_a_name_and_an_id(command: Command, fathom_server: FathomServer, named: str) -> None:
    ended = await command("sites", "get", named)
    assert json.loads(ended.out)["id"] == "GCDFSX"
    assert len(fathom_server.hits) == (1 if named == "GCDFSX" else 2), "an ID is not looked up"


@pytest.mark.parametrize("named", ["shop.example", "https://www.Shop.example/", "www.shop.example"])
async def test_a_domain_is_found_however_it_is_written(command: Command, named: str) -> None:
    site = await make_site(command, "www.shop.example")
    assert json.loads((await command("sites", "get", named)).out)["id"] == site


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", NAME],
        ["events-report", NAME, "purchase"],
        ["events", "list", NAME],
        ["events", "set-currency", NAME, "purchase", "euro"],
        ["events", "delete", NAME, "purchase", "--yes"],
        ["milestones", "list", NAME],
        ["milestones", "create", NAME, "New pricing", "--date", "2026-01-31"],
        ["sites", "update", NAME, "--name", "Acme"],
        ["sites", "delete", NAME, "--yes"],
        ["live", NAME, "--rounds", "1"],
        ["backfill", NAME, "--target", "sqlite:stats.db#kept", "--since", "2026-11-01", "--per", "month"],
    ],
    ids=" ".join,
)
async def test_every_command_takes_a_name(
    command: Command,
    fathom_server: FathomServer,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await command(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert any("GCDFSX" in f"{hit.path}{dict(hit.query)}" for hit in fathom_server.hits)


async def test_several_sites_of_one_name_are_told_apart_by_their_ids(
    command: Command, fathom_server: FathomServer
) -> None:
    other = await make_site(command, "acme inc")
    fathom_server.reset_stats()
    ended = await command("sites", "delete", NAME, "--yes")
    assert (ended.code, ended.out) == (4, "")
    assert f"2 are: name one by its ID, GCDFSX or {other}" in ended.err
    assert {hit.method for hit in fathom_server.hits} == {"GET"}


async def test_a_name_that_no_site_has_is_told_with_one_like_it(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command("report", "Acme Ink")
    assert (ended.code, ended.err.count("\n")) == (4, 1)
    assert "no site Acme Ink; did you mean 'Acme Inc'?; `fathom sites list`" in ended.err
    assert [hit.path for hit in fathom_server.hits] == [LISTS]


@pytest.mark.fathom_server(tokens={"reader": ["read:CDBUGS"]})
async def test_a_token_that_may_not_list_sites_takes_ids(command: Command) -> None:
    ended = await command("report", NAME, FATHOM_API_TOKEN="reader")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "must be an ID" in ended.err
    assert (await command("report", "CDBUGS", FATHOM_API_TOKEN="reader")).code == 0


async def test_names_are_kept_in_the_store_for_commands_that_read(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    store = str(tmp_path / "kept.db")
    for _ in range(2):
        assert (await command("report", NAME, "--from", "2026-01-01", FATHOM_STORE=store)).code == 0
    paths = [hit.path for hit in fathom_server.hits]
    assert paths.count(LISTS) == 1
    assert paths.count("/v1/aggregations") == 1, "the answer is kept, too"
    await make_site(command, "New")
    assert (await command("report", "New", FATHOM_STORE=store)).code == 0, "it is looked up once more"
    assert (await command("events", "list", NAME, FATHOM_STORE=store)).code == 0
    assert [hit.path for hit in fathom_server.hits].count(LISTS) == 4


async def test_a_default_site_takes_the_place_of_one_that_is_left_out(command: Command) -> None:
    missing = await command("report")
    assert (missing.code, missing.out) == (2, "")
    assert "name a site, or set FATHOM_SITE" in missing.err
    by_default = await command("sites", "get", FATHOM_SITE=NAME)
    assert json.loads(by_default.out)["id"] == "GCDFSX"
    dotted = await command("events-report", ".", "purchase", FATHOM_SITE="CDBUGS")
    assert dotted.code == 0
    assert (await command("sites", "delete", "--yes", FATHOM_SITE=NAME)).code == 2, (
        "it is never deleted by default"
    )
