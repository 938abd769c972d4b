"""Checks of what connectors send, beside those of `fathom_async.arguments`."""

from collections.abc import Iterable, Mapping
from typing import cast

from fathom_async.arguments import Check, body
from fathom_async.errors import ArgumentError


def fields(checks: Mapping[str, Check], given: Mapping[str, object], **required: object) -> dict[str, object]:
    """Make a request's body out of fields that are named by the caller.

    Args:
        checks: The check of each field.
        given: Fields that may be left out.
        **required: Fields that are there in any case.

    Raises:
        ArgumentError: A field is unknown or wrong, or there is none.
    """
    if not given and not required:
        raise ArgumentError(f"nothing to send: give at least one of {', '.join(checks)}")
    for name in given:
        if name not in checks:
            raise ArgumentError(f"there is no {name!r}: give some of {', '.join(checks)}")
    return body(checks, **required, **given)


def prose(name: str, value: object) -> str | None:
    """Check a text of any length; None is sent as null."""
    if value is not None and not isinstance(value, str):
        raise ArgumentError(f"{name} must be a string or None, not {value!r}")
    return value


def texts(name: str, value: object) -> list[str]:
    """Check a collection of ids."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name} must be a list of ids, not {value!r}")
    found = list(cast("Iterable[object]", value))
    if not all(isinstance(item, str) and item for item in found):
        raise ArgumentError(f"{name} must be a list of ids, not {value!r}")
    return [str(item) for item in found]


def whole(name: str, value: object, *, least: int = 1) -> int:
    """Check a whole number, such as the id of a thing that is numbered."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number from {least}, not {value!r}")
    return value


def optional_whole(name: str, value: object) -> int | None:
    """Check a whole number that may be left out."""
    return None if value is None else whole(name, value)
