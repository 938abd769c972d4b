"""Checks of what connectors send, beside those of `fathom_async._util.checks`."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, cast

from fathom_async._core.codec.objects import encode
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.checks import Check, body
from fathom_async._util.text import cut
from fathom_async.errors import ArgumentError

if TYPE_CHECKING:
    from attrs import Attribute

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_SHOWN = 80


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


def json_value(name: str, value: object) -> object:
    """Return a copy of what JSON can hold; of nothing else does the wire make something else in silence."""
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
            raise ArgumentError(f"{name} must be what JSON can hold, not {_short(value)}")


def json_object(name: str, value: object) -> dict[str, object]:
    """Return a copy of a mapping that JSON can hold."""
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name} must be a mapping, not {value!r}")
    found = cast("Mapping[object, object]", value)
    for key in found:
        if not isinstance(key, str):
            raise ArgumentError(f"{name} must have texts as keys, not {key!r}")
    try:
        return {
            str(json_value(name, key)): json_value(f"{name}[{key!r}]", item) for key, item in found.items()
        }
    except RecursionError:
        raise ArgumentError(f"{name} is too deep, or holds itself") from None


def encodable(what: str, fields: Mapping[str, object]) -> Mapping[str, object]:
    """Check that a body can be sent, before anything is."""
    try:
        encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ArgumentError(f"{what} cannot be written as JSON: {error}") from None
    return fields


def rate_limit(_: object, attribute: "Attribute[RateLimit]", value: object) -> None:
    """Validate the limit of a plan."""
    if not isinstance(value, RateLimit):
        raise ArgumentError(f"{attribute.name} must be a RateLimit, not {value!r}")


def at_once(_: object, attribute: "Attribute[int]", value: object) -> None:
    """Validate a number of requests in flight."""
    whole(attribute.name, value)


def address(name: str, value: object) -> str:
    """Check that a base URL is a text; what it says is checked where it is opened."""
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a URL such as https://…, not {value!r}")
    return value


def number(name: str, value: object) -> float:
    """Check a number that JSON can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(value):
        raise ArgumentError(f"{name} must be a finite number, not {_short(value)}")
    return value


def _fits(number: float) -> bool:
    return _SMALLEST <= number <= _LARGEST if isinstance(number, int) else isfinite(number)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # so long a number that Python does not write it
        return "so large a number"
    return cut(text, _SHOWN)


def optional_whole(name: str, value: object) -> int | None:
    """Check a whole number that may be left out."""
    return None if value is None else whole(name, value)
