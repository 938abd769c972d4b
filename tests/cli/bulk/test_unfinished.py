"""The note in a store of a run that has not ended."""

from pathlib import Path

from fathom_async._cache.memory import MemoryStore
from fathom_async._cli.bulk.unfinished import LIFE, Unfinished


async def test_a_run_that_did_not_end_is_remembered_for_less_than_a_day() -> None:
    async with MemoryStore(clock=lambda: 1000.0) as store:
        note = Unfinished.of(store, Path("jobs.toml"), "https://api")
        assert await note.began_at(1000.0) is None
        await note.begin(1000.0)
        assert await note.began_at(1000.0 + LIFE - 1) == 1000.0
        assert await note.began_at(1000.0 + LIFE) is None
        assert await Unfinished.of(store, Path("other.toml"), "https://api").began_at(1000.0) is None
        assert await Unfinished.of(store, Path("jobs.toml"), "http://test").began_at(1000.0) is None
        await note.end()
        assert await note.began_at(1000.0) is None
