"""``fathom whoami``, ``sites``, ``events`` and ``milestones``, as somebody at a shell meets them."""

import json
import re

import pytest

from fathom_async.testing import FathomServer

from .conftest import Command
from .terminal import CTRL_C, CTRL_D

SITE = "CDBUGS"


async def test_whoami_tells_what_the_token_may_do_and_never_shows_it(command: Command) -> None:
    ended = await command("whoami", FATHOM_API_TOKEN="very-secret")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert told["account"] == "Homer Simpson"
    assert told["abilities"] == ["*"]
    assert told["token_from"] == "environment"
    assert "very-secret" not in ended.out


@pytest.mark.fathom_server(tokens={"reader": ["read:CDBUGS"]})
async def test_whoami_of_a_token_that_may_not_see_the_account(command: Command) -> None:
    ended = await command("whoami", FATHOM_API_TOKEN="reader")
    assert ended.code == 0
    assert json.loads(ended.out)["account"] is None


async def test_sites_are_json_lines_in_a_pipe_and_a_table_in_a_terminal(command: Command) -> None:
    piped = await command("sites", "list")
    assert [json.loads(line)["id"] for line in piped.out.splitlines()] == ["CDBUGS", "GCDFSX", "DAFFYD"]
    shown = await command.in_terminal("sites", "list")
    assert (piped.code, shown.code) == (0, 0)
    assert re.search(r"CDBUGS +Bugs Bunny Portfolio +none +America/New_York", shown.out)


async def test_sites_one_by_one(command: Command, fathom_server: FathomServer) -> None:
    assert json.loads((await command("sites", "get", SITE)).out)["name"] == "Bugs Bunny Portfolio"
    created = await command("sites", "create", "Acme", "--sharing", "private", typed="open sesame\n")
    site = json.loads(created.out)["id"]
    updated = await command("sites", "update", site, "--name", "Acme Inc", "--format", "csv")
    assert updated.out.splitlines()[1].startswith(f"{site},Acme Inc,")
    deleted = await command("sites", "delete", site, "--yes")
    assert json.loads(deleted.out) == {"id": site, "object": "site", "deleted": True}
    gone = await command("sites", "get", site)
    assert (gone.code, gone.out) == (4, "")
    assert "404 Not Found" in gone.err
    assert "`fathom sites list` shows the sites" in gone.err
    assert gone.err.count("\n") == 1
    assert {hit.status for hit in fathom_server.hits} == {200, 404}


async def test_limit_stops_a_list_without_asking_for_more(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command("sites", "list", "--limit", "2")
    assert len(ended.out.splitlines()) == 2
    assert len(fathom_server.hits) == 1
    assert (await command("sites", "list", "--limit", "0")).code == 2


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
async def test_deleting_asks_and_names_what_is_lost(
    command: Command, fathom_server: FathomServer, answer: str
) -> None:
    ended = await command.in_terminal("sites", "delete", SITE, acts=((r"\[y/N\] ", answer),))
    assert ended.code == 0
    assert "Delete the site 'Bugs Bunny Portfolio' (CDBUGS) and all of its data, for good?" in ended.out
    assert [hit.method for hit in fathom_server.hits] == ["GET", "DELETE"]


@pytest.mark.parametrize(
    ("answer", "code", "last"),
    [
        ("n\n", 1, "fathom: nothing was changed"),
        ("\n", 1, "fathom: nothing was changed"),
        ("sure\n", 1, "fathom: nothing was changed"),
        (CTRL_D, 1, "fathom: nothing was changed"),
        (CTRL_C, 130, "fathom: interrupted"),
    ],
)
async def test_only_a_yes_deletes(
    command: Command, fathom_server: FathomServer, answer: str, code: int, last: str
) -> None:
    ended = await command.in_terminal("sites", "delete", SITE, acts=((r"\[y/N\] ", answer),))
    assert ended.code == code
    assert ended.out.rstrip().endswith(last)
    assert [hit.method for hit in fathom_server.hits] == ["GET"]


async def test_nothing_is_deleted_where_nobody_can_be_asked(
    command: Command, fathom_server: FathomServer
) -> None:
    ended = await command("events", "delete", SITE, "purchase")
    assert ended.code == 2
    assert ended.err == "fathom: no terminal to confirm on; pass --yes\n"
    assert not fathom_server.hits


async def test_events_by_name(command: Command) -> None:
    listed = await command("events", "list", SITE, "--format", "json")
    assert "purchase" in [event["name"] for event in json.loads(listed.out)]
    changed = await command("events", "set-currency", SITE, "purchase", "euro")
    assert json.loads(changed.out)["currency"] == "euro"
    deleted = await command("events", "delete", SITE, "purchase", "--yes")
    assert json.loads(deleted.out)["deleted"] is True
    again = await command("events", "list", SITE)
    assert "purchase" not in again.out
    kept = await command("events-report", SITE, "purchase")
    assert json.loads(kept.out)["conversions"] > 0, "its figures stay"


async def test_deleting_an_event_says_what_stays(command: Command, fathom_server: FathomServer) -> None:
    ended = await command.in_terminal("events", "delete", SITE, "purchase", acts=((r"\[y/N\] ", "n\n"),))
    assert (
        "Delete the event 'purchase' of CDBUGS and its currency (its figures stay in reports)?" in ended.out
    )
    assert not fathom_server.hits


@pytest.mark.fathom_server(event_shape="names")
async def test_a_currency_can_be_set_before_an_event_is_tracked(command: Command) -> None:
    changed = await command("events", "set-currency", SITE, "not tracked yet", "won")
    assert (changed.code, json.loads(changed.out)["currency"]) == (0, "won")


async def test_a_site_made_private_takes_a_password(command: Command, fathom_server: FathomServer) -> None:
    made = await command("sites", "update", SITE, "--sharing", "private", typed="open sesame\n")
    assert json.loads(made.out)["sharing"] == "private"
    nothing = await command("sites", "update", SITE, "--sharing", "private")
    assert (nothing.code, nothing.err) == (2, "fathom: nothing was given; type it, or pipe it in\n")
    assert len(fathom_server.hits) == 1


async def test_milestones(command: Command) -> None:
    created = await command("milestones", "create", SITE, "New pricing", "--date", "2026-01-31")
    milestone = json.loads(created.out)["id"]
    await command("milestones", "update", SITE, milestone, "--date", "2026-02-01")
    kept = json.loads((await command("milestones", "get", SITE, milestone)).out)
    assert (kept["name"], kept["milestone_date"]) == ("New pricing", "2026-02-01")
    asked = await command.in_terminal("milestones", "delete", SITE, milestone, acts=((r"\[y/N\] ", "y\n"),))
    assert asked.code == 0
    assert "Delete the milestone 'New pricing' of 2026-02-01, for good?" in asked.out
    assert milestone not in (await command("milestones", "list", SITE)).out


async def test_an_update_of_nothing_is_refused(command: Command, fathom_server: FathomServer) -> None:
    ended = await command("milestones", "update", SITE, "X")
    assert (ended.code, ended.err) == (2, "fathom: nothing to change: give --name or --date\n")
    ended = await command("sites", "update", SITE)
    assert ended.code == 2
    assert "nothing to change: give --name, --sharing" in ended.err
    assert not fathom_server.hits
