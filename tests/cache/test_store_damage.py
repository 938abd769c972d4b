"""Stores that somebody else wrote to: an entry of the wrong type counts as absent."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

import json
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing

import msgspec
import pytest
import redis

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cache import entry, site_zones
from fathom_async._cache.entry import CacheEntry, query_of
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.site_zones import SiteZones
from fathom_async.testing import FathomServer

PAGES = PageviewQuery(
    "CDBUGS",
    aggregates=["visits"],
    field_grouping=["pathname"],
    date_from="2026-01-01",
    date_to="2026-01-31",
)
QUERIES = [PAGES, PAGES.replace(site_id="DAFFYD"), PAGES.replace(aggregates=["visits", "pageviews"])]
NOW = time.time()
DAMAGE: list[tuple[str, bytes | str | float]] = [
    *(("entry", value) for value in (b"garbage", b"", b"\xff", b"\x91" * 100_000, b"\x80", "x", 5)),
    *(("body", value) for value in (b"garbage", b"", b"[" * 100_000, b"[5]", b'{"a": 1}', "x", 5)),
    *(("asked_at", value) for value in (b"garbage", "x", -1, 1e300)),
    *(("subject", value) for value in (b"garbage", 5)),
]


@pytest.fixture
async def fathom_server() -> AsyncIterator[FathomServer]:
    async with FathomServer(reports_throttle=None) as server:
        yield server


def damage(place: str, column: str, value: bytes | str | float) -> None:
    """Set a field of all answers in a store."""
    if place.startswith("redis"):
        with redis.Redis.from_url(place) as server:
            for name in server.keys("fathom:1:answer:*"):  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
                server.hset(name, column, value)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]
        return
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(f"UPDATE answers SET {column} = ?", (value,))  # noqa: S608 - a name of ours


@pytest.mark.parametrize("least", [0, 1 << 30], ids=["compressed", "as it is"])
@pytest.mark.parametrize(("column", "value"), DAMAGE, ids=lambda value: repr(value)[:12])
async def test_a_damaged_answer_is_asked_for_again(
    place: str,
    column: str,
    value: bytes | str | float,
    *,
    least: int,
    fathom_server: FathomServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "_LEAST_COMPRESSED", least)
    async with FathomClient("any", base_url=fathom_server.url, plan="hourly:100000:5") as fathom:
        before = await fathom.reports.gather(QUERIES, store=place)
    damage(place, column, value)
    async with FathomClient("any", base_url=fathom_server.url, plan="hourly:100000:5") as fathom:
        assert await fathom.reports.gather(QUERIES, store=place) == before
        assert await fathom.reports.gather(QUERIES, store=place) == before
        await fathom.reports.complete(PAGES, store=place)
        await fathom.reports.forget("CDBUGS", store=place)
    async with open_store(place) as store:
        await store.prune(NOW + 900)


async def test_an_answer_packed_in_a_way_that_is_not_known_yet_is_asked_for_again(
    place: str, fathom_server: FathomServer
) -> None:
    async with FathomClient("any", base_url=fathom_server.url, plan="hourly:100000:5") as fathom:
        before = await fathom.reports.gather(QUERIES, store=place)
        damage(place, "entry", msgspec.msgpack.encode({"body": b"", "asked_at": NOW, "packing": "zstd"}))
        sent = len(fathom_server.hits)
        assert await fathom.reports.gather(QUERIES, store=place) == before
    assert len(fathom_server.hits) > sent


async def test_damage_is_told_once(
    place: str, fathom_server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    entry.tell_once.cache_clear()
    async with FathomClient("any", base_url=fathom_server.url, plan="hourly:100000:5") as fathom:
        await fathom.reports.gather(QUERIES, store=place)
        with caplog.at_level(logging.WARNING, "fathom_async"):
            for _ in range(3):
                damage(place, "entry", b"garbage")
                await fathom.reports.gather(QUERIES, store=place)
    assert len([each for each in caplog.messages if "cannot be read; they count as absent" in each]) == 1


@pytest.mark.parametrize(
    "body", [b"5", b"[", b"\xff", b"[" * 100_000, b'["UTC"]', b'"Mars/Base"', b'"../x"', b"{}"]
)
async def test_a_damaged_time_zone_is_unknown(body: bytes) -> None:
    zones, store = SiteZones(), MemoryStore()
    async with FathomClient("any") as fathom:
        caller = fathom.sites._send
        await store.put_many({site_zones._key(caller, "CDBUGS"): CacheEntry(body, NOW)})
        await zones.load(caller, store, ["CDBUGS"], now=NOW + 1)
    assert zones.zone("CDBUGS") is None


@pytest.mark.parametrize(
    "written",
    [
        *("", "5", "[]", "[" * 100_000, "{}", '{"entity": 5}', '{"entity": "pageview", "filters": "[[1]]"}'),
        json.dumps(PAGES.params() | {"filters": "[" * 100_000}),
        json.dumps(PAGES.params() | {"date_to": None}),
    ],
    ids=lambda written: repr(written)[:12],
)
def test_a_damaged_query_is_none(written: str) -> None:
    assert query_of(written) is None
