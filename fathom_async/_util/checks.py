"""Checks of what callers pass in, before it costs a request. Each check returns the value as the wire has it."""

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Final, Literal
from zoneinfo import available_timezones

from fathom_async.errors import ArgumentError


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""Stands for a parameter that was not given, where None is a value."""

NotGiven = Literal[Missing.MISSING]

MAX_PAGE = 100
"""Objects on the longest page of a list."""

Check = Callable[[str, object], object]
"""Takes a parameter's name and value; returns the value as the wire has it, or raises `ArgumentError`."""


def body(checks: Mapping[str, Check], **values: object) -> dict[str, object]:
    """Make a request's body out of the parameters that were given.

    Args:
        checks: The check of each parameter.
        **values: The parameters; those that are `MISSING` are left out.

    Raises:
        ArgumentError: A check failed, or nothing was given.
    """
    found = {name: checks[name](name, value) for name, value in values.items() if value is not MISSING}
    if not found:
        raise ArgumentError(f"nothing to send: give at least one of {', '.join(values)}")
    return found


def seconds(name: str, value: object, *, least: float) -> float:
    """Check a duration."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ArgumentError(f"{name} must be a number of seconds from {least:g}, not {value!r}")
    return value


def count(name: str, value: object) -> int:
    """Return a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def text(longest: int) -> Check:
    """Check a text of 1 to `longest` characters."""

    def check(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise ArgumentError(f"{name} must be a string, not {value!r}")
        if not value.strip():
            raise ArgumentError(f"{name} must not be empty")
        _check_encodable(name, value)
        if len(value) > longest:
            raise ArgumentError(f"{name} may have {longest} characters, not {len(value)}")
        return value

    return check


def choice(choices: Collection[str]) -> Check:
    """Check that a value is one of the choices."""

    def check(name: str, value: object) -> object:
        if value in choices:
            return value
        raise ArgumentError(
            f"{name} must be one of {', '.join(choices)}, not {value!r}{_guess(value, choices)}"
        )

    return check


def nullable(check: Check) -> Check:
    """Let None pass, and check everything else."""
    return lambda name, value: None if value is None else check(name, value)


def flag(name: str, value: object) -> bool:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True or False, not {value!r}")
    return value


def timezone(name: str, value: object) -> object:
    """Check a TZ database name."""
    if isinstance(value, str) and value in _time_zones():
        return value
    hint = _guess(value, _time_zones()) or ": write e.g. Europe/Berlin"
    raise ArgumentError(f"{name} must be a TZ database name, not {value!r}{hint}")


@cache
def _time_zones() -> set[str]:
    return available_timezones()  # reads a directory: 25 ms


def day(name: str, value: object) -> str:
    """Check a calendar day, given as a date or as ``YYYY-MM-DD``."""
    if isinstance(value, datetime):
        raise ArgumentError(f"{name} must be a date, not a datetime: write {name}={value.date()}")
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError:
        raise ArgumentError(f"{name} must be a date or a text such as 2026-01-31, not {value!r}") from None


def identifier(name: str, value: object) -> str:
    """Check an id, cursor or name that goes into a query parameter."""
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(f"{name} must be a text that is not empty, not {value!r}")
    _check_encodable(name, value)
    return value


def _check_encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name} holds half a character: {value!r}") from None


def page_params(limit: int, starting_after: str | None, ending_before: str | None) -> dict[str, str]:
    """Check the parameters that all lists share, and return those that were given."""
    if starting_after is not None and ending_before is not None:
        raise ArgumentError("give starting_after or ending_before, not both")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise ArgumentError(f"limit must be a whole number from 1 to {MAX_PAGE}, not {limit!r}")
    cursors = {"starting_after": starting_after, "ending_before": ending_before}
    given = {name: identifier(name, cursor) for name, cursor in cursors.items() if cursor is not None}
    return {"limit": str(limit), **given}


def _guess(value: object, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(str(value), choices, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for a misspelt word, or the words there are."""
    options = list(known)
    close = difflib.get_close_matches(word.lower().strip().replace("-", "_"), options, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(options)}"
