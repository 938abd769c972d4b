"""Connections that break, stall or flood at any place, and callers that give up at any step.

Whatever happens, a call ends within its timeout, with an answer or with an error of this package; its permit returns;
and what creates something is sent once.
"""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import (
    Account,
    DecodeError,
    FathomClient,
    FathomError,
    PageviewQuery,
    RetryPolicy,
    TimeoutError,  # noqa: A004 - the package's own
)
from fathom_async.testing import FathomServer, run_virtual
from tests.support.scripted import Act, http, scripted

ONCE: Final = RetryPolicy(attempts=1, refusals=0)
ACCOUNT: Final = json.dumps({"id": 1, "name": "Jane", "email": "jane@example.com"}).encode()
JANE: Final = Account(1, "Jane", "jane@example.com")
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS: Final = {
    "of a length": http(ACCOUNT),
    "in chunks": CHUNKED
    + b"5\r\n"
    + ACCOUNT[:5]
    + b"\r\n%x\r\n" % (len(ACCOUNT) - 5)
    + ACCOUNT[5:]
    + b"\r\n0\r\n\r\n",
    "compressed": http(gzip.compress(ACCOUNT), Content_Encoding="gzip"),
    "an error": http(b'{"message": "no"}', "503 No", Retry_After="0"),
}


async def outcome(url: str, ask: Callable[[FathomClient], Awaitable[object]], **options: float) -> object:
    """Return the answer of a call or its error; check that its permit has returned."""
    async with FathomClient("any", base_url=url, retry=ONCE, **options) as fathom:  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        found: object
        try:
            found = await ask(fathom)
        except FathomError as error:
            found = error
        assert all(lane.in_flight == lane.queued == 0 for lane in fathom.limits.values())
    return found


async def account(fathom: FathomClient) -> object:
    return await fathom.account.get()


async def create(fathom: FathomClient) -> object:
    return await fathom.sites.create(name="Acme")


def sending(*pieces: bytes, pause: float = 0.0, then: float = 0.0) -> Act:
    """Return what a server does that sends some pieces, and then closes the connection."""

    async def act(_: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        await asyncio.sleep(then)

    return act


@pytest.mark.virtual_time
@pytest.mark.parametrize("form", ANSWERS)
async def test_a_connection_may_break_at_any_byte(form: str) -> None:
    answer, found = ANSWERS[form], None
    for place in range(len(answer) + 1):
        async with scripted(answer[:place]) as server:
            found = await outcome(server.url, account)
            assert found == JANE or isinstance(found, FathomError), place
            assert len(server.requests) == 1
    assert found == JANE or form == "an error"


@pytest.mark.virtual_time
async def test_a_create_is_sent_once_wherever_the_connection_breaks() -> None:
    answer = http(b'{"id": "CDBUGS", "object": "site", "name": "Acme"}')
    for place in range(0, len(answer), 3):
        async with scripted(answer[:place]) as server, FathomClient("any", base_url=server.url) as fathom:
            with pytest.raises(FathomError):
                await fathom.sites.create(name="Acme")
            assert len(server.requests) == 1


@pytest.mark.virtual_time
async def test_a_server_may_stall_at_any_place() -> None:
    async def stalled(answer: bytes) -> object:
        async with scripted(sending(answer, then=30)) as server:
            return await outcome(server.url, account, timeout=0.3)

    cuts = [answer[:place] for answer in ANSWERS.values() for place in range(0, len(answer) - 12, 9)]
    found = await asyncio.gather(*map(stalled, cuts))
    assert {type(each) for each in found} == {TimeoutError}


@pytest.mark.virtual_time
async def test_bytes_that_trickle_do_not_put_the_timeout_off() -> None:
    pieces = [ANSWERS["in chunks"][place : place + 1] for place in range(len(ANSWERS["in chunks"]))]
    async with scripted(sending(*pieces, pause=0.05)) as server:
        assert isinstance(await outcome(server.url, account, timeout=0.3), TimeoutError)


def endless(start: bytes, again: bytes) -> Act:
    async def act(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(again * 100)
            await writer.drain()
            await asyncio.sleep(0)

    return act


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 ", b"x"),
        (HEAD, b"X-Header: value\r\n"),
        (HEAD + b"X-Header: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (HEAD + b"\r\n", b"[" * 1000),
        (CHUNKED, b"1\r\n[\r\n"),
        (CHUNKED, b"1;extension=x\r\n \r\n"),
        (CHUNKED + b"1;", b"x"),
        (CHUNKED, b"0" * 100),
        (CHUNKED + b"0\r\n", b"X-Trailer: value\r\n"),
    ],
)
async def test_an_answer_without_end_ends_the_call(start: bytes, again: bytes) -> None:
    async with scripted(endless(start, again)) as server:
        found = await outcome(server.url, account, timeout=0.5, max_body=100_000)
    assert isinstance(found, FathomError)


def bomb(kind: str, size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31 if kind == "gzip" else 15)
    packed = bytearray()
    for _ in range(size // 1_000_000):
        packed += packer.compress(bytes(1_000_000))
    return bytes(packed + packer.flush())


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_a_bomb_is_not_unpacked(kind: str) -> None:
    packed = bomb(kind, 300_000_000)
    assert len(packed) < 400_000
    async with scripted(http(packed, Content_Encoding=kind)) as server:
        tracemalloc.start()
        try:
            found = await outcome(server.url, account, max_body=1_000_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(found, DecodeError)
    assert "max_body" in str(found)
    assert peak < 100_000_000


PIECES: Final = [
    *(
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No",
        b"HTTP/9.9 999",
        b"HTTP/1.0 200 OK",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b" ",
    ),
    *(
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 5, 6",
        b"Content-Length: 99999999999999999999",
    ),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Content-Encoding: gzip",
        b"Content-Encoding: x",
    ),
    *(
        b"Content-Type: text/html; charset=utf-999",
        b"Retry-After: x",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b":",
    ),
    *(
        b"Set-Cookie: a=b; Max-Age=x",
        b"Location: ::::",
        b"0",
        b"ffffffffffffffffff",
        b"{}",
        ACCOUNT,
        b"\xff\xfe",
        b"\x1f\x8b",
    ),
]
pieces = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=14).map(b"".join)
lines = st.lists(st.sampled_from(PIECES), max_size=8).map(
    lambda found: b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(found)
)


@settings(max_examples=150, derandomize=True)
@given(st.one_of(pieces, lines))
def test_garbage_is_an_error_of_this_package(garbage: bytes) -> None:
    async def call() -> object:
        async with scripted(garbage) as server:
            return await outcome(server.url, account, timeout=2)

    found = run_virtual(call())
    assert isinstance(found, FathomError | Account)


VISITS: Final = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["pathname"])


async def listed(fathom: FathomClient) -> object:
    return [site async for site in fathom.sites.list(limit=1)]


OPERATIONS: Final[dict[str, Callable[[FathomClient], Awaitable[object]]]] = {
    "a read": lambda fathom: fathom.sites.get("CDBUGS"),
    "a create": create,
    "a list": listed,
    "a report": lambda fathom: fathom.reports.aggregate(VISITS),
    "a run": lambda fathom: fathom.reports.gather(
        [VISITS, VISITS.replace(field_grouping=["browser"]), VISITS.replace(site_id="DAFFYD")],
        store="memory://",
    ),
    "a complete report": lambda fathom: fathom.reports.complete(VISITS),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_caller_may_give_up_at_any_step(name: str) -> None:
    async with FathomServer(reports_throttle=None) as server:
        steps = 0
        for steps in count():
            server.reset_stats()
            async with FathomClient("any", base_url=server.url, plan="hourly:100000:5", retry=ONCE) as fathom:
                task = asyncio.ensure_future(OPERATIONS[name](fathom))
                for _ in range(steps):
                    await asyncio.sleep(0)
                is_over = task.done()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                assert sum(hit.method == "POST" for hit in server.hits) <= 1
                await fathom.account.get()
                assert all(lane.in_flight == lane.queued == 0 for lane in fathom.limits.values())
            if is_over:
                break
    assert steps > 5
