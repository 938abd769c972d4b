"""Paths that no file can have, wherever one is given."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fathom_async import ConfigurationError
from fathom_async._cache.open import open_store
from fathom_async._util.checks import budget_url, file_path
from fathom_async.backfill import DuckDBTable, ParquetDataset, SqliteTable
from fathom_async.connectors.sync._memory import opened


def remember(path: str) -> None:
    with opened("a destination", path):
        pass


OPENERS: list[Callable[[str], object]] = [
    open_store,
    ParquetDataset,
    lambda path: SqliteTable(path, "t"),
    lambda path: DuckDBTable(path, "t"),
    remember,
]


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b", "~no-such-user-here/a"])
@pytest.mark.parametrize("opener", OPENERS)
def test_a_path_that_no_file_can_have_is_an_error_at_once(opener: Callable[[str], object], path: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a path"):
        opener(path)


@pytest.mark.parametrize("name", ["a%00b", "a\0b", "a\ud800b", "a%0Ab"])
def test_a_budget_has_no_such_path_either(name: str) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        budget_url(f"file:///tmp/{name}")


def test_a_home_is_expanded_and_what_does_not_exist_may_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert file_path("~/a/b") == tmp_path / "a/b"
    assert file_path("x" * 300) == Path("x" * 300)
    remember("~/memory")
    assert [path.parent for path in tmp_path.rglob("*.db")] == [tmp_path / "memory"]
