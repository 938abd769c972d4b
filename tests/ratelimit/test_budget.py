"""URLs of budgets, and clients with a budget."""

import os
import stat
import sys
from functools import partial
from pathlib import Path

import pytest

from fathom_async import ArgumentError, ConfigurationError, FathomClient, RateLimit, RatePlan
from fathom_async._ratelimit.budget import Budget
from fathom_async.testing import FathomServer

TOKEN = "very-secret-token"
HEADER = b"fathom budget 2\n" + bytes(8)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "not a URL of a known kind: write file:///path/to/budget"),
        ("/var/tmp/budget", "write file:///path/to/budget"),  # noqa: S108 - never opened
        ("memcached://localhost", "redis://host:6379/0"),
        ("file://budget", "names no file of this machine"),
        ("file:///", "names no file of this machine"),
        ("file:///tmp/", "names no file of this machine"),
        ("file:///tmp/budget?mode=rw", "no query or fragment"),
        ("redis:///0", "names no host"),
        ("valkeys:///0", "names no host"),
        ("unix://", "names no socket"),
        ("redis+sentinel://host:26379/mymaster", "Redis Sentinel is not supported"),
        ("redis://localhost:port", "is not a URL"),
        (17, "is not a URL"),
    ],
)
def test_a_url_that_names_no_budget_is_refused(url: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        FathomClient(TOKEN, budget=url)


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan"), "wait"])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ArgumentError, match=r"on_budget_lost must be \"fail\" or a share"):
        FathomClient(TOKEN, on_budget_lost=share)


def test_without_the_redis_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ArgumentError, match=r'pip install "fathom_async\[redis\]"'):
        FathomClient(TOKEN, budget="redis://localhost")


def test_on_windows_the_message_says_what_to_use_instead_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ArgumentError, match=r"needs a POSIX system: write redis://host:6379/0"):
        FathomClient(TOKEN, budget="file:///tmp/budget")


async def test_clients_of_one_account_share_a_budget_whatever_their_tokens(
    server: FathomServer, budget: str
) -> None:
    async with (
        FathomClient(TOKEN, base_url=server.url, budget=budget) as one,
        FathomClient(TOKEN, base_url=server.url, budget=budget) as two,
        FathomClient("another", base_url=server.url, budget=budget) as other,
    ):
        for fathom in (one, two, other):
            await fathom.reports.current_visitors("CDBUGS")
        assert {(await fathom.look())["reports"].used for fathom in (one, two, other)} == {3}
        await one.sites.get("CDBUGS")
        assert (await other.look())["crud"].used == 2 + 1  # two asked for the account


async def test_tokens_of_one_account_share_by_a_key(server: FathomServer, tmp_path: Path) -> None:
    budget = f"file://{tmp_path}/budget"
    async with (
        FathomClient(TOKEN, base_url=server.url, budget=budget, budget_key="acme") as one,
        FathomClient("another", base_url=server.url, budget=budget, budget_key="acme") as two,
    ):
        await one.reports.current_visitors("CDBUGS")
        assert two.limits["reports"].used == 1
    content = (tmp_path / "budget").read_bytes()
    assert TOKEN.encode() not in content
    assert b"acme" not in content
    assert os.listdir(tmp_path) == ["budget"]  # noqa: PTH208 - quick enough for a loop


async def test_the_environment_may_name_the_budget(server: FathomServer, tmp_path: Path) -> None:
    environ = {
        "FATHOM_API_TOKEN": TOKEN,
        "FATHOM_BASE_URL": server.url,
        "FATHOM_BUDGET": f"file://{tmp_path}/my%20budget",
    }
    async with FathomClient.from_env(environ) as fathom:
        await fathom.sites.get("CDBUGS")
    assert stat.S_IMODE((tmp_path / "my budget").stat().st_mode) == 0o600


async def test_an_hourly_plan_shares_one_lane(server: FathomServer, tmp_path: Path) -> None:
    plan = RatePlan.hourly(600, concurrency=5)
    async with FathomClient(
        TOKEN, base_url=server.url, plan=plan, budget=f"file://{tmp_path}/budget"
    ) as fathom:
        await fathom.sites.get("CDBUGS")
        assert fathom.limits["reports"].used == 2  # the account, and the site


@pytest.mark.parametrize("content", [b"my diary", HEADER + b"x" * 500, HEADER + b"short"])
def test_a_file_that_is_none_of_ours_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "budget"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match=r"is not a budget file|is damaged"):
        FathomClient(TOKEN, budget=f"file://{path}")
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"cannot use .* Is a directory"):
        FathomClient(TOKEN, budget=f"file://{tmp_path}")
    with pytest.raises(ArgumentError, match=r"there is no directory .*/missing for the budget; create"):
        FathomClient(TOKEN, budget=f"file://{tmp_path}/missing/budget")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArgumentError, match="symbolic link"):
        FathomClient(TOKEN, budget=f"file://{tmp_path}/link")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArgumentError, match="is not a file"):
        FathomClient(TOKEN, budget=f"file://{tmp_path}/pipe")


async def test_a_plan_may_change_while_nobody_uses_the_budget_and_not_otherwise(
    server: FathomServer, tmp_path: Path
) -> None:
    budget = f"file://{tmp_path}/budget"
    doubled = RatePlan(reports=RateLimit(20, per=60))
    async with FathomClient(TOKEN, base_url=server.url, budget=budget):
        pass
    async with FathomClient(TOKEN, base_url=server.url, plan=doubled, budget=budget) as fathom:
        await fathom.reports.current_visitors("CDBUGS")
        words = "limit of 20 requests in 60 s, not 10 in 60 s"
        async with FathomClient("another", base_url=server.url, budget=budget) as other:
            with pytest.raises(ConfigurationError, match=words):
                await other.reports.current_visitors("CDBUGS")
        open_named = partial(FathomClient, TOKEN, base_url=server.url, budget=budget, budget_key="acme")
        async with open_named(plan=doubled) as named:
            await named.reports.current_visitors("CDBUGS")
            with pytest.raises(ConfigurationError, match=words):
                open_named()


@pytest.mark.parametrize("number", [1, 3])
def test_a_file_of_another_format_is_left_alone(number: int, tmp_path: Path) -> None:
    path = tmp_path / "budget"
    content = b"fathom budget %d\n" % number + bytes(100)
    path.write_bytes(content)
    with pytest.raises(
        ArgumentError, match=rf"format {number} of fathom_async, this is format 2: restart all processes"
    ):
        FathomClient(TOKEN, budget=f"file://{path}")
    assert path.read_bytes() == content


def test_a_section_whose_writer_was_killed_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "budget"
    path.write_bytes(HEADER + bytes(5000))
    FathomClient(TOKEN, budget=f"file://{path}")
    FathomClient(TOKEN, budget=f"file://{path}")


def test_a_budget_shows_neither_its_key_nor_its_password() -> None:
    shown = repr(Budget("redis://user:secret@localhost/0", "https://api token"))
    assert "secret" not in shown
    assert "token" not in shown
