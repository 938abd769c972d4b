"""Checks of the connectors' arguments, in addition to `fathom_async._util.checks`."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, cast

from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.checks import Check, body, count
from fathom_async._util.text import cut
from fathom_async.errors import ArgumentError

if TYPE_CHECKING:
    from attrs import Attribute

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_SHOWN = 80


def fields(checks: Mapping[str, Check], given: Mapping[str, object], **required: object) -> dict[str, object]:
    """Return a request's body.

    Args:
        checks: The check of each field.
        given: The optional fields.
        **required: The required fields.

    Raises:
        ArgumentError: A field is unknown or invalid, or there is none.
    """
    if not given and not required:
        raise ArgumentError(f"nothing to send: pass at least one of {', '.join(checks)}")
    for name in given:
        if name not in checks:
            raise ArgumentError(f"there is no {name!r}: pass some of {', '.join(checks)}")
    return body(checks, **required, **given)


def prose(name: str, value: object) -> str | None:
    """Check a string of any length, or None."""
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


def json_value(name: str, value: object) -> object:
    """Return a copy of a JSON value; reject everything that JSON would change."""
    match value:
        case None | bool():
            return value
        case int() | float() if _fits(value):
            return value
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ArgumentError(f"{name} holds half a character: {value!r}") from None
            return value
        case list() | tuple():
            items = enumerate(cast("Iterable[object]", value))
            return [json_value(f"{name}[{place}]", item) for place, item in items]
        case Mapping():
            return json_object(name, cast("object", value))
        case _:
            raise ArgumentError(f"{name} must be a JSON value, not {_short(value)}")


def json_object(name: str, value: object) -> dict[str, object]:
    """Return a copy of a JSON object."""
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name} must be a mapping, not {value!r}")
    found = cast("Mapping[object, object]", value)
    for key in found:
        if not isinstance(key, str):
            raise ArgumentError(f"{name} must have strings as keys, not {key!r}")
    try:
        return {
            str(json_value(name, key)): json_value(f"{name}[{key!r}]", item) for key, item in found.items()
        }
    except RecursionError:
        raise ArgumentError(f"{name} is nested too deeply, or contains itself") from None


def rate_limit(_: object, attribute: "Attribute[RateLimit]", value: object) -> None:
    """Validate a rate limit."""
    if not isinstance(value, RateLimit):
        raise ArgumentError(f"{attribute.name} must be a RateLimit, not {value!r}")


def at_once(_: object, attribute: "Attribute[int]", value: object) -> None:
    """Validate a number of requests in flight."""
    count(attribute.name, value)


def url_text(name: str, value: object) -> str:
    """Check that a base URL is a string; opening the session checks the rest."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a URL such as https://…, not {value!r}")
    return value


def finite(name: str, value: object) -> float:
    """Check a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value):
        raise ArgumentError(f"{name} must be a finite number, not {_short(value)}")
    return value


def _fits(number: float) -> bool:
    return _SMALLEST <= number <= _LARGEST if isinstance(number, int) else isfinite(number)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers this long
        return "a number this large"
    return cut(text, _SHOWN)
