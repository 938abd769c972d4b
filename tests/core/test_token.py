"""Tokens that change while a client is open."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DecodeError,
    FathomClient,
    PageviewQuery,
    TimeoutError,  # noqa: A004 - ours is one
)
from fathom_async.connectors import SecodaClient
from fathom_async.testing import Body, FathomServer
from tests.conftest import EAGER

pytestmark = pytest.mark.virtual_time

FIRST, SECOND, THIRD = (f"secret-token-of-the-{name}-hour" for name in ("first", "second", "third"))


class Vault:
    """Knows the token of the hour, and lets the server know it.

    Attributes:
        tokens: What `ask` returns, one after another, the last one again and again.
        asked: How often it was asked.
    """

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens
        self.asked = 0
        self.valid: dict[str, list[str]] = {tokens[0]: ["*"]}

    def ask(self) -> str:
        token = self.tokens[min(self.asked, len(self.tokens) - 1)]
        self.asked += 1
        return token

    async def ask_slowly(self) -> str:
        await asyncio.sleep(1)
        return self.ask()

    def rotate(self, token: str) -> None:
        self.valid.clear()
        self.valid[token] = ["*"]


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_function_is_asked_once_and_again_after_a_401(is_slow: bool, is_borrowed: bool) -> None:
    vault = Vault(FIRST, SECOND)
    async with FathomServer(tokens=vault.valid) as server, aiohttp.ClientSession() as session:
        ask = vault.ask_slowly if is_slow else vault.ask
        lent = session if is_borrowed else None
        async with FathomClient(ask, base_url=server.url, session=lent) as fathom:
            assert vault.asked == 0
            await asyncio.gather(*(fathom.sites.list(limit=each) for each in range(1, 11)))
            assert vault.asked == 1
            vault.rotate(SECOND)
            await asyncio.gather(*(fathom.sites.list(limit=each) for each in range(1, 11)))
            await fathom.sites.create(name="Acme")
            assert vault.asked == 2
            assert fathom.stats.sent["crud"] == 31
            assert [hit.status for hit in server.hits].count(401) == 10


async def test_a_create_that_meets_a_401_is_sent_again_with_the_new_token() -> None:
    vault = Vault(FIRST, SECOND)
    async with (
        FathomServer(tokens=vault.valid) as server,
        FathomClient(vault.ask, base_url=server.url) as fathom,
    ):
        vault.rotate(SECOND)
        assert (await fathom.sites.create(name="Acme")).name == "Acme"
        assert [hit.status for hit in server.hits if hit.method == "POST"] == [401, 200]


async def test_a_token_that_stays_wrong_is_an_error_after_two_requests() -> None:
    vault = Vault(FIRST, SECOND, THIRD)
    async with (
        FathomServer(tokens=vault.valid) as server,
        FathomClient(vault.ask, base_url=server.url, retry=EAGER) as fathom,
    ):
        vault.rotate("another")
        with pytest.raises(AuthenticationError):
            await fathom.account.get()
        assert (vault.asked, len(server.hits)) == (2, 2)
        vault.rotate(THIRD)
        assert (await fathom.account.get()).name == "Homer Simpson"
        assert vault.asked == 3


async def test_a_request_that_waited_through_two_rotations_is_served() -> None:
    vault = Vault(FIRST, SECOND, THIRD)
    async with (
        FathomServer(tokens=vault.valid) as server,
        FathomClient(vault.ask, base_url=server.url) as fathom,
    ):
        await fathom.account.get()
        fathom.pause(100, lane="reports")
        waiting = asyncio.create_task(fathom.reports.current_visitors("CDBUGS"))
        await asyncio.sleep(1)
        vault.rotate(SECOND)
        await fathom.account.get()
        vault.rotate(THIRD)
        await waiting
        assert vault.asked == 3


async def test_neither_the_old_nor_the_new_token_shows() -> None:
    vault = Vault(FIRST, SECOND)
    async with (
        FathomServer(tokens=vault.valid) as server,
        FathomClient(vault.ask, base_url=server.url, retry=EAGER) as fathom,
    ):
        await fathom.account.get()
        vault.rotate(SECOND)
        await fathom.account.get()
        server.inject(*[Body(f"Bearer {FIRST} {SECOND}".encode())] * 3)
        with pytest.raises(DecodeError, match=r"GET http") as caught:
            await fathom.account.get()
        assert b"Bearer *** ***" in caught.value.body
        assert "secret-token" not in f"{caught.value} {caught.value!r} {vars(caught.value)} {fathom!r}"


async def test_a_function_that_fails_fails_the_requests_and_is_asked_by_the_next(
    server: FathomServer,
) -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(1)
        if asked == 1:
            raise LookupError("the vault is sealed")
        return "any" if asked == 2 else "two words"

    async with FathomClient(ask, base_url=server.url) as fathom:
        calls = [asyncio.create_task(call) for call in (fathom.account.get(), fathom.sites.get("CDBUGS"))]
        for call in calls:
            with pytest.raises(LookupError, match="sealed"):
                await call
        assert asked == 1
        assert server.hits == ()
        assert (await fathom.account.get()).name == "Homer Simpson"
    asked = 2
    async with FathomClient(ask, base_url=server.url) as fathom:
        with pytest.raises(ArgumentError, match=r"the token, .* must be a string of ASCII") as caught:
            await fathom.account.get()
        assert "two words" not in str(caught.value)


async def test_who_is_cancelled_does_not_take_the_others_token_away(server: FathomServer) -> None:
    vault = Vault(FIRST)
    async with FathomClient(vault.ask_slowly, base_url=server.url) as fathom:
        first = asyncio.create_task(fathom.account.get())
        second = asyncio.create_task(fathom.token.get())
        await asyncio.sleep(0.5)
        first.cancel()
        await second
        assert vault.asked == 1


async def test_a_budget_and_a_store_are_kept_by_account(server: FathomServer, tmp_path: Path) -> None:
    vault = Vault(FIRST, SECOND)
    budget, store = f"file://{tmp_path}/budget", str(tmp_path / "store.db")
    query = PageviewQuery("CDBUGS", aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")
    for client in (FathomClient, SecodaClient):
        with pytest.raises(ConfigurationError, match="by account: name it by budget_key="):
            client(vault.ask, base_url=server.url, budget=budget)
    async with FathomClient(vault.ask, base_url=server.url) as fathom:
        with pytest.raises(ConfigurationError, match="by account: name it by budget_key="):
            await fathom.reports.gather([query], store=store)
    asked = len(server.hits)
    for _ in range(2):  # with another token each time
        async with FathomClient(vault.ask, base_url=server.url, budget=budget, budget_key="acme") as fathom:
            await fathom.reports.gather([query], store=store)
            assert fathom.limits["reports"].used == 1
    reports = [hit for hit in server.hits[asked:] if hit.lane == "reports"]
    assert len(reports) == 1


async def test_a_function_that_returns_what_was_refused_costs_no_second_request() -> None:
    vault = Vault(FIRST)
    async with (
        FathomServer(tokens=vault.valid) as server,
        FathomClient(vault.ask, base_url=server.url) as fathom,
    ):
        vault.rotate("another")
        calls = (fathom.account.get(), fathom.token.get(), fathom.sites.create(name="Acme"))
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in ended] == [AuthenticationError] * 3
        assert (vault.asked, len(server.hits)) == (2, 3)


@pytest.mark.parametrize("token", [FIRST, "two words", None])
async def test_a_run_ends_where_the_function_returns_no_token_that_is_accepted(token: str) -> None:
    vault = Vault(token)
    queries = [PageviewQuery(f"SITE{number}", aggregates=["visits"]) for number in range(64)]
    async with FathomServer(tokens={"another": ["*"]}) as server:
        async with FathomClient(vault.ask, base_url=server.url, plan="hourly:1000:20") as fathom:
            ended = [each async for each in fathom.reports.run(queries)]
        assert len(ended) == 64
        assert {type(each.error) for each in ended} == {
            AuthenticationError if token == FIRST else ArgumentError
        }
        assert len(server.hits) == (4 if token == FIRST else 0)
    assert vault.asked <= 5


async def forever() -> str:
    await asyncio.Event().wait()
    return FIRST


async def test_a_function_that_never_returns_is_waited_for_as_long_as_an_answer(
    server: FathomServer,
) -> None:
    now = asyncio.get_running_loop().time
    start = now()
    async with FathomClient(forever, base_url=server.url, timeout=5) as fathom:
        slow = asyncio.create_task(fathom.with_options(timeout=9).account.get())
        with pytest.raises(TimeoutError, match="the function that returns the credentials") as caught:
            await fathom.account.get()
        assert now() - start == pytest.approx(5)
        assert not caught.value.sent
        with pytest.raises(TimeoutError, match="within 9 s"):
            await slow
        assert now() - start == pytest.approx(9)
    assert server.hits == ()


async def test_closing_the_client_ends_the_function_at_once(server: FathomServer) -> None:
    now = asyncio.get_running_loop().time
    fathom = FathomClient(forever, base_url=server.url)
    calls = [asyncio.create_task(fathom.account.get()) for _ in range(2)]
    await asyncio.sleep(0.1)
    start = now()
    await fathom.aclose()
    assert now() == start
    for call in [*calls, asyncio.create_task(fathom.account.get())]:
        with pytest.raises(ClosedError):
            await call
    assert now() == start


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_function_that_is_cancelled_by_itself_is_no_closed_client(
    server: FathomServer, is_slow: bool
) -> None:
    asked = 0

    def cancelled() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return FIRST

    async def cancelled_later() -> str:
        await asyncio.sleep(1)
        return cancelled()

    async with FathomClient(cancelled_later if is_slow else cancelled, base_url=server.url) as fathom:
        with pytest.raises(ConfigurationError, match="the function that returns the credentials was cancel"):
            await fathom.account.get()
        assert (await fathom.account.get()).name == "Homer Simpson"
