"""Paths and URLs of stores."""

from pathlib import Path

import pytest

from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.sqlite import SqliteStore
from fathom_async.errors import ArgumentError


def find(path: str | Path) -> bool:
    return Path(path).exists()


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("reports.db", SqliteStore),
        ("no extension", SqliteStore),
        (Path("reports.db"), SqliteStore),
        ("sqlite:///var/lib/reports.db", SqliteStore),
        ("memory://", MemoryStore),
        ("redis://127.0.0.1:1/0", RedisStore),
        ("rediss://:hush@example.com", RedisStore),
        ("unix:///run/redis.sock", RedisStore),
    ],
)
async def test_places_are_known_by_their_looks_and_not_touched_yet(where: str | Path, kind: type) -> None:
    store = open_store(where)
    assert type(store) is kind
    await store.aclose()
    assert not find("reports.db")


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("reports.db", "<SqliteStore reports.db>"),
        ("memory://", "<MemoryStore of 0 answers, 0 of 67,108,864 bytes>"),
        ("redis://me:hush@example.com:6379/1?password=hush", "<RedisStore redis://example.com:6379/1>"),
        ("unix:///run/redis.sock?password=hush", "<RedisStore unix:///run/redis.sock>"),
    ],
)
async def test_a_store_shows_where_it_is_and_no_secret(where: str, shown: str) -> None:
    async with open_store(where) as store:
        assert repr(store) == shown


async def test_the_url_of_a_file_has_its_whole_path(tmp_path: Path) -> None:
    async with open_store(f"sqlite://{tmp_path}/two%20words.db") as store:
        await store.get_many(["a"])
    assert find(tmp_path / "two words.db")


async def test_a_home_directory_can_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with open_store("~/reports.db") as store:
        await store.get_many(["a"])
    assert find(tmp_path / "reports.db")


@pytest.mark.parametrize(
    "where",
    [
        "",
        " ",
        "postgres://host/reports",
        "sqlite://reports.db",
        "sqlite:reports.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///a?mode=ro",
        "memory://there",
        ":memory:",
        "redis://",
        "redis://host:port",
        "redis://[",
        None,
        7,
        b"reports.db",
    ],
)
def test_no_place_is_refused_with_what_to_write_instead(where: str) -> None:
    with pytest.raises(ArgumentError, match=r"'reports\.db' .* 'memory://' .* 'redis://host:6379/0'"):
        open_store(where)


@pytest.mark.parametrize("url", ["redis://:hush@", "redis://me:hush@host:port", "other://me:hush@host"])
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        open_store(url)
    assert "hush" not in str(caught.value)
