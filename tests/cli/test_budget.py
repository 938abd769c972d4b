"""``fathom budget``."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from fathom_async import FathomClient, PageviewQuery
from fathom_async.testing import FathomServer
from tests.conftest import until
from tests.support.redis_server import RedisServer

from .conftest import Command


async def test_it_tells_what_other_programs_have_spent_and_spends_nothing(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    shared = f"file://{tmp_path / 'shared.budget'}"
    for _ in range(2):
        assert (await command("report", "CDBUGS", FATHOM_BUDGET=shared)).code == 0
    fathom_server.reset_stats()
    ended = await command("budget", FATHOM_BUDGET=shared)
    assert (ended.code, ended.err) == (0, "")
    lanes = {lane["lane"]: lane for lane in map(json.loads, ended.out.splitlines())}
    assert lanes["reports"]["used"] == 2
    assert lanes["reports"]["left"] == 8
    assert lanes["reports"]["next_slot_in"] == 0
    assert lanes["crud"]["limit"] == 2000
    assert not fathom_server.hits


async def test_in_a_terminal_it_is_a_table(command: Command, tmp_path: Path) -> None:
    shared = f"file://{tmp_path / 'shared.budget'}"
    assert (await command("report", "CDBUGS", FATHOM_BUDGET=shared)).code == 0
    ended = await command.in_terminal("budget", FATHOM_BUDGET=shared)
    assert ended.code == 0
    assert re.search(r"reports +10 a minute +1 +9 +nobody +now", ended.out)


async def test_a_budget_that_nobody_has_used_is_not_made_by_looking(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "shared.budget"
    ended = await command("budget", FATHOM_BUDGET=f"file://{file}")
    assert ended.err == "fathom: no program has used this budget yet\n"
    assert [json.loads(line)["used"] for line in ended.out.splitlines()] == [0, 0]
    assert not file.exists()


async def test_a_narrow_terminal_shows_every_figure(command: Command, tmp_path: Path) -> None:
    shared = f"file://{tmp_path / 'shared.budget'}"
    assert (await command("sites", "list", FATHOM_BUDGET=shared)).code == 0
    ended = await command.in_terminal("budget", FATHOM_BUDGET=shared, columns=40)
    shown = re.sub(r"\x1b\[\d*m", "", ended.out)
    assert re.search(
        r"limit +2,000 an hour\s+used +2\s+left +1,998\s+waiting +nobody\s+next slot +now", shown
    )
    assert "…" not in ended.out


async def test_a_narrow_terminal_shows_the_whole_of_a_setting(command: Command) -> None:
    place = "file:///var/lib/of-our-application/fathom.budget"
    ended = await command.in_terminal("config", FATHOM_BUDGET=place, columns=40)
    shown = re.sub(r"\x1b\[\d*m", "", ended.out)
    assert place in re.sub(r"\s+", "", shown), "over several lines"
    assert "…" not in shown


async def test_a_budget_where_no_file_can_be_is_refused_as_every_command_does(command: Command) -> None:
    nowhere = "file:///nonexistent/budget"
    looked, used = [await command(*what, FATHOM_BUDGET=nowhere) for what in (("budget",), ("sites", "list"))]
    assert (looked.code, looked.out) == (used.code, used.out) == (2, "")
    assert looked.err == used.err


@pytest.mark.parametrize(
    ("budget", "code", "told"),
    [
        ("file:budget", 2, "must have the file's absolute path"),
        ("file://elsewhere/budget", 2, "names no file of this machine"),
        ("sqlite:///budget", 2, "not a URL of a known kind"),
    ],
)
async def test_what_cannot_be_looked_at(command: Command, budget: str, code: int, told: str) -> None:
    ended = await command("budget", FATHOM_BUDGET=budget)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1


async def test_without_a_token_it_is_not_known_whose_budget_to_look_at(
    command: Command, tmp_path: Path
) -> None:
    shared = f"file://{tmp_path / 'shared.budget'}"
    assert (await command("sites", "list", FATHOM_BUDGET=shared)).code == 0
    ended = await command("budget", FATHOM_BUDGET=shared, FATHOM_API_TOKEN="")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("fathom: each token has a budget of its own, and there is no token: ")


async def test_without_a_shared_budget_there_is_nothing_to_look_at(command: Command) -> None:
    ended = await command("budget", FATHOM_BUDGET="")
    assert (ended.code, ended.out) == (2, "")
    assert "FATHOM_BUDGET=file:///path/to/budget" in ended.err


async def test_who_waits_is_told_of_a_budget_in_redis(
    command: Command, fathom_server: FathomServer, mortal_redis: RedisServer
) -> None:
    async with FathomClient("any", base_url=fathom_server.url, budget=mortal_redis.url) as busy:
        queries = [PageviewQuery("CDBUGS", aggregates=["visits"], limit=1 + number) for number in range(11)]
        tasks = [asyncio.create_task(busy.reports.aggregate(query)) for query in queries]
        await until(lambda: sum(task.done() for task in tasks) == 10)
        ended = await command("budget", FATHOM_BUDGET=mortal_redis.url)
        shown = await command.in_terminal("budget", FATHOM_BUDGET=mortal_redis.url)
        tasks[-1].cancel()
        await asyncio.wait(tasks)
    assert (ended.code, ended.err) == (0, "")
    lanes = {lane["lane"]: lane for lane in map(json.loads, ended.out.splitlines())}
    reports = lanes["reports"]
    assert (reports["used"], reports["left"], reports["waiting"]) == (10, 0, 1)
    assert reports["next_slot_in"] > 0
    assert re.search(r"reports +10 a minute +10 +0 +1 program +in ", shown.out)


async def test_a_budget_that_is_out_of_reach(command: Command, mortal_redis: RedisServer) -> None:
    mortal_redis.kill()
    ended = await command("budget", FATHOM_BUDGET=mortal_redis.url)
    assert (ended.code, ended.out) == (1, "")
    assert "check FATHOM_BUDGET" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [("--plan", "hourly:600:5", "budget"), ("budget", "--plan=hourly:600:5")]
)
async def test_every_command_takes_the_plan_before_its_name_and_after(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = await command(
        *arguments, FATHOM_BUDGET=f"file://{tmp_path / 'shared.budget'}", FATHOM_PLAN="classic"
    )
    assert [json.loads(line)["limit"] for line in ended.out.splitlines()] == [600, 600]


async def test_a_plan_that_is_none_is_one_line(command: Command) -> None:
    for ended in (
        await command("sites", "list", "--plan", "600"),
        await command("whoami", FATHOM_PLAN="600"),
    ):
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == (
            "fathom: '600' is no rate plan: write classic or hourly:REQUESTS:CONCURRENCY, such as hourly:600:5\n"
        )


async def test_a_plan_that_a_command_found_out_is_shown(command: Command, tmp_path: Path) -> None:
    shared = f"file://{tmp_path / 'shared.budget'}"
    async with FathomServer(plan="hourly:600:5") as server:
        reported = await command("report", "CDBUGS", FATHOM_BASE_URL=server.url, FATHOM_BUDGET=shared)
        ended = await command.in_terminal("budget", FATHOM_BASE_URL=server.url, FATHOM_BUDGET=shared)
    assert (reported.code, reported.err) == (0, "")
    assert re.search(r"reports +600 an hour", ended.out)
