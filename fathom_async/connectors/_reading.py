"""Answers of services whose fields do not always have the documented form.

1. What a service calls otherwise than documented is renamed.
2. A value that almost has its field's form is mended: ids for objects, a truth value or a text for what reads as one.
3. An optional field whose value cannot be read is None, and its value stays in `extra`.
4. A required field must be there, and be readable.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from attrs import NOTHING, AttrsInstance, fields

from fathom_async.errors import DecodeError
from fathom_async.models import Deleted
from fathom_async.service import Request, encode, object_decoder, parse

T = TypeVar("T", bound=AttrsInstance)

_TRUTH = {"true": True, "false": False}


def tolerant(cls: type[T], renamed: Mapping[str, str] | None = None) -> Callable[[object], T]:
    """Return a function from parsed JSON to an object, by the rules above; its class has a field `extra`.

    `renamed` are fields by other names (rule 1). If a required field is missing, or cannot be read, the function
    raises `DecodeError`.
    """
    parts = {each.name: _part(each.type) for each in fields(cls) if each.name != "extra"}
    required = {each.name for each in fields(cls) if each.default is NOTHING}

    def read(raw: object) -> T:
        given = dict(cast("dict[str, object]", raw)) if isinstance(raw, dict) else {}
        for other, name in (renamed or {}).items():
            if other in given and given.get(name) is None:
                given[name] = given.pop(other)
        values: dict[str, object] = {}
        for name in parts.keys() & given:
            try:
                values[name] = parts[name](given[name])
            except DecodeError as error:
                if name in required:
                    raise DecodeError(f"{error.message} (the field {name!r})") from None
            else:
                del given[name]
        if missing := sorted(required - values.keys()):
            raise DecodeError(f"the answer is not a {cls.__name__}: it lacks {', '.join(missing)}")
        return cast("Callable[..., T]", cls)(**values, extra=given)

    return read


def array(body: bytes) -> list[object]:
    found = parse(body)
    if not isinstance(found, list):
        raise DecodeError("the answer is not a list", body=body[:200])
    return cast("list[object]", found)


def delete_request(path: str, gone: Deleted, *, lane: str) -> Request[Deleted]:
    """Return a request that deletes; its answer may be empty, ``true`` or an object.

    The result is `gone`, also if an earlier attempt with a lost answer deleted it.
    """

    def decode(body: bytes) -> Deleted:
        if body.strip() and parse(body) is False:
            raise DecodeError("the server did not delete it", body=body[:200])
        return gone

    return Request("DELETE", path, decode, lane=lane, already_gone_result=gone)


def _part(kind: object) -> Callable[[object], object]:
    """Return a function that reads a field's value, mended if need be (rule 2)."""
    decode = object_decoder(cast("type[object]", kind))
    is_list = "tuple" in str(kind)

    def read(value: object) -> object:
        if is_list and isinstance(value, str | dict):
            raise DecodeError("the value is not a list")
        try:
            return decode(encode(value))
        except DecodeError:
            return decode(encode(_simple(value)))

    return read


def _simple(value: object) -> object:
    match value:
        case list():
            return [_simple(each) for each in cast("list[object]", value)]
        case dict():
            return cast("dict[str, object]", value).get("id")
        case str():
            return _TRUTH.get(value.lower(), value)
        case int() | float() if not isinstance(value, bool):
            return str(value)
        case _:
            return value
