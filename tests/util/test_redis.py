"""How messages show the URL of a Redis server."""

import pytest

from fathom_async._util.redis import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://user:secret@host/1", "rediss://host/1"),
        ("redis://:secret@host:1/0?password=secret", "redis://host:1/0"),
        ("redis://user:12/secret@host/0", "redis://user:12"),
        ("redis://host/secret", "redis://host"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock"),
    ],
)
def test_only_the_place_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
