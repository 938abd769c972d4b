"""The SQLite store: file handling, and no blocking of the event loop."""

# pyright: reportPrivateUsage=false

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fathom_async._cache import sqlite_file
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.sqlite import SqliteStore
from fathom_async.errors import ArgumentError, StoreError

ANSWER = CacheEntry(b"[]", 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports.db"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
async def test_the_file_is_its_owners_alone(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"reports.db": 0o600, "reports.db-wal": 0o600, "reports.db-shm": 0o600}


async def test_a_closed_store_is_one_file(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
    assert contents(path).keys() == {"reports.db"}


async def test_a_file_that_was_deleted_is_made_anew(path: Path) -> None:
    async with SqliteStore(path) as store, SqliteStore(path) as other:
        await store.put_many({"a": ANSWER})
        await other.put_many({"b": ANSWER})
        path.unlink()  # noqa: ASYNC240 - a test may
        await store.put_many({"c": ANSWER})
        assert await other.get_many("abc") == {"c": ANSWER}
        await other.put_many({"d": ANSWER})
    async with SqliteStore(path) as store:
        assert (await store.get_many("abcd")).keys() == {"c", "d"}


async def test_a_directory_that_went_away_is_no_fault_of_the_caller(tmp_path: Path) -> None:
    directory = tmp_path / "there"
    directory.mkdir()
    async with SqliteStore(directory / "reports.db") as store:
        await store.put_many({"a": CacheEntry(b"", 1.0)})
        shutil.rmtree(directory)
        with pytest.raises(StoreError, match="is gone: there is no directory"):
            await store.get_many(["a"])


async def test_a_store_does_not_go_along_with_a_fork(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        store._file._pid += 1
        with pytest.raises(StoreError, match="was opened before a fork: open a store in each process"):
            await store.get_many(["a"])


async def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a?mode=memory#b%20 é.db") as store:
        await store.put_many({"a": ANSWER})
    assert contents(tmp_path / "any").keys() == {"a?mode=memory#b%20 é.db"}


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()  # noqa: ASYNC240 - a test may
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        assert await store.get_many(["a"]) == {"a": ANSWER}


def contents(path: Path) -> dict[str, bytes]:
    """The files beside a path, and what is in them."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4_096:] = bytes(len(content) - 4_096)
    path.write_bytes(content)


def make_database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE TABLE customers (name)"], "is the database of something else: name another path"),
        (["PRAGMA journal_mode = WAL", "CREATE TABLE customers (name)"], "is the database of something else"),
        (["PRAGMA application_id = 7"], "is the database of something else"),
        (
            ["PRAGMA application_id = 1182024050", "PRAGMA user_version = 2"],
            "another version of this package",
        ),
    ],
)
async def test_the_database_of_something_else_is_left_alone(
    path: Path, statements: list[str], message: str
) -> None:
    make_database(path, *statements)
    before = contents(path)
    store = SqliteStore(path)
    for _ in range(2):
        with pytest.raises(ArgumentError, match=message):
            await store.get_many(["a"])
    await store.aclose()
    assert contents(path) == before


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    with path.open("w") as file:
        file.write("precious" * 1_000)
    async with SqliteStore(path) as store:
        with pytest.raises(ArgumentError, match=r"reports\.db is no store: name another path"):
            await store.put_many({"a": ANSWER})
    assert contents(path) == {"reports.db": b"precious" * 1_000}


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path) as store:
        with pytest.raises(ArgumentError, match="is no file: name one"):
            await store.get_many(["a"])


async def test_a_directory_that_is_not_there_must_be_made_first(path: Path) -> None:
    async with SqliteStore(path / "deeper") as store:
        with pytest.raises(
            ArgumentError, match=r"there is no directory .*reports\.db for the store; create it"
        ):
            await store.get_many(["a"])


async def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a\0b") as store:
        with pytest.raises(ArgumentError, match=r"cannot be made: .*embedded null"):
            await store.get_many(["a"])


async def test_a_full_disk_is_told_and_harms_nothing(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        await store._file.read(lambda connection: connection.execute("PRAGMA max_page_count = 20").fetchall())
        with pytest.raises(StoreError, match=r"reports\.db cannot be used: database or disk is full"):
            await store.put_many({"b": ANSWER, "c": CacheEntry(os.urandom(1_000_000), 1.0)})
        assert await store.get_many("abc") == {"a": ANSWER}
        await store.put_many({"b": ANSWER})
        assert (await store.get_many("abc")).keys() == {"a", "b"}


async def test_a_store_that_may_only_be_read_can_be_read(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        await store._file.read(lambda connection: connection.execute("PRAGMA query_only = 1").fetchall())
        assert await store.get_many(["a"]) == {"a": ANSWER}
        with pytest.raises(StoreError, match="readonly database"):
            await store.put_many({"a": ANSWER})
        with pytest.raises(StoreError, match="readonly database"):
            async with store.claim(["a"]):
                raise AssertionError


async def test_a_damaged_file_is_told(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({f"key {number}": CacheEntry(bytes(5_000), 1.0) for number in range(50)})
    damage(path)
    async with SqliteStore(path) as store:
        with pytest.raises(StoreError, match=r"cannot be used: .*malformed"):
            await store.get_many(["key 7"])


async def test_the_loop_goes_on_while_another_process_writes(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            putting = asyncio.create_task(store.put_many({"b": ANSWER}))
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert not putting.done()
            other.execute("COMMIT")
        await putting
        assert (await store.get_many("ab")).keys() == {"a", "b"}


async def test_a_put_that_is_cancelled_is_done_or_not_and_the_next_one_works(path: Path) -> None:
    async with SqliteStore(path) as store:
        for steps in range(10):
            putting = asyncio.create_task(
                store.put_many({"a": CacheEntry(b"x", steps), "b": CacheEntry(b"y", steps)})
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            putting.cancel()
            await asyncio.wait([putting])
            kept = await store.get_many("ab")
            assert len({each.asked_at for each in kept.values()}) <= 1
        await store.put_many({"a": CacheEntry(b"x", 99.0)})
        assert (await store.get_many("a"))["a"].asked_at == 99.0


async def test_many_stores_make_the_same_file_at_once(tmp_path: Path) -> None:
    for number in range(10):
        stores = [SqliteStore(tmp_path / f"{number}.db") for _ in range(12)]
        await asyncio.gather(*(store.put_many({str(key): ANSWER}) for key, store in enumerate(stores)))
        assert len(await stores[0].get_many(map(str, range(12)))) == 12
        await asyncio.gather(*(store.aclose() for store in stores))


async def test_a_store_is_opened_while_another_process_reads_the_new_file(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
    make_database(path, "PRAGMA journal_mode = DELETE")  # as it is for a moment after it was made
    async with SqliteStore(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT * FROM answers").fetchall()
            getting = asyncio.create_task(store.get_many(["a"]))
            await asyncio.sleep(0.1)
            assert not getting.done()
        assert await getting == {"a": ANSWER}


async def test_those_who_wait_for_a_task_of_the_same_store_need_no_look(path: Path) -> None:
    async with SqliteStore(path, poll_seconds=3600) as store:
        async with store.claim("ab"):
            waiting = [asyncio.create_task(store.wait(key)) for key in "ab"]
            await asyncio.sleep(0.05)
            await store.put_many({"a": ANSWER})
            await waiting[0]
            assert not waiting[1].done()
        await waiting[1]


class Wall:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def free(store: SqliteStore) -> bool:
    async with store.claim(["a"]) as mine:
        return bool(mine)


@pytest.mark.parametrize(
    ("passed", "is_free"), [(29.9, False), (30.0, True), (-29.9, False), (-86_400, True)]
)
async def test_a_claim_lapses_when_it_is_not_renewed_or_the_clock_was_set(
    path: Path, passed: float, *, is_free: bool
) -> None:
    wall = Wall()
    async with SqliteStore(path, wall=wall) as store, SqliteStore(path, wall=wall) as other:
        async with store.claim(["a"]):
            wall.now += passed
            assert await free(other) is is_free
        await other.wait("a")
        assert await free(other)


@pytest.mark.virtual_time
async def test_the_claim_of_a_living_holder_is_renewed(path: Path) -> None:
    loop = asyncio.get_running_loop()
    store, other = SqliteStore(path, wall=loop.time), SqliteStore(path, wall=loop.time)
    async with store, other, store.claim(["a"]):
        for _ in range(10):
            await asyncio.sleep(29.0)
            assert not await free(other)


async def test_a_holder_whose_claim_lapsed_neither_renews_nor_ends_that_of_the_next(path: Path) -> None:
    wall = Wall()
    async with SqliteStore(path, wall=wall) as store:
        backend = store._flight._backend
        assert await backend.acquire(["a"], "first") == ["a"]
        wall.now += 31.0
        assert await backend.acquire(["a"], "second") == ["a"]
        wall.now += 20.0
        await backend.renew({"a": "first"})
        await backend.release({"a": "first"})
        assert await backend.held(["a"]) == ["a"]
        wall.now += 20.0
        assert await backend.held(["a"]) == []


async def test_the_oldest_answers_go_when_the_file_is_too_large(path: Path) -> None:
    most = 1_000_000
    async with SqliteStore(path, max_bytes=most) as store:
        for number in range(50):
            await store.put_many({str(number): CacheEntry(os.urandom(50_000), float(number))})
            assert sum(file.stat().st_size for file in path.parent.glob("*.db")) < 1.2 * most
        kept = sorted(map(int, await store.get_many(map(str, range(50)))))
    assert kept == list(range(50 - len(kept), 50))
    assert 10 < len(kept) < 20


async def test_what_is_pruned_gives_its_space_back(path: Path) -> None:
    async with SqliteStore(path) as store:
        await store.put_many(
            {str(number): CacheEntry(os.urandom(50_000), float(number)) for number in range(50)}
        )
        assert await store.prune(49.0) == 49
        assert path.stat().st_size < 150_000  # noqa: ASYNC240 - a test may
        assert (await store.get_many(map(str, range(50)))).keys() == {"49"}


async def test_a_lock_of_another_program_is_waited_for_and_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.1)
    async with SqliteStore(path) as store:
        await store.put_many({"a": ANSWER})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with SqliteStore(path) as another:
                with pytest.raises(StoreError, match="database is locked by another program for 60 s"):
                    await another.put_many({"b": ANSWER})
                other.execute("COMMIT")
                await another.put_many({"b": ANSWER})
        assert (await store.get_many("ab")).keys() == {"a", "b"}


async def test_an_answer_that_is_larger_than_the_store_is_not_kept(path: Path) -> None:
    async with SqliteStore(path, max_bytes=100_000) as store:
        await store.put_many({"a": CacheEntry(os.urandom(500_000), 1.0)})
        assert await store.get_many(["a"]) == {}
