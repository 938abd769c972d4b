"""Checks of the connectors' arguments, in addition to `fathom_async._util.checks`."""

from collections.abc import Iterable
from math import isfinite
from typing import cast

from fathom_async.errors import ArgumentError

_LEAST, _MOST = -(2**63), 2**64 - 1


def prose(name: str, value: object) -> str | None:
    """Check a string of any length, or None."""
    if value is not None and not isinstance(value, str):
        raise ArgumentError(f"{name} must be a string or None, not {value!r}")
    return value


def texts(name: str, value: object) -> list[str]:
    """Check a collection of ids."""
    is_list = isinstance(value, Iterable) and not isinstance(value, str)
    found = [*cast("Iterable[object]", value)] if is_list else [None]
    if not all(isinstance(item, str) and item for item in found):
        raise ArgumentError(f"{name} must be a list of ids, not {value!r}")
    return cast("list[str]", found)


def finite(name: str, value: object) -> float:
    """Check a finite number that JSON can express."""
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not _LEAST <= value <= _MOST:
        raise ArgumentError(f"{name} must be a finite number")
    return value
