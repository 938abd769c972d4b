"""From JSON bodies to model objects, through one configured cattrs converter."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TypeVar, cast, get_origin

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, override

from fathom_async._core.codec.rows import TOO_DEEP, utf8
from fathom_async._util.text import plain_number
from fathom_async.errors import DecodeError
from fathom_async.models import Deleted, Page

T = TypeVar("T")

_TYPE_TAG = "object"
"""The key for an object's kind, which its Python class says already."""

NAIVE = "@D:"
"""What Emma's dates begin with: they have no time zone, and stay as they are here."""

_json = msgspec.json.Decoder()
encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
"""Return a value as a JSON body."""


def _text(value: object, _: object) -> str:
    # cattrs would turn None into "None", and hide a missing value.
    if isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a string")


def _text_or_none(value: object, _: object) -> str | None:
    return None if value is None else _text(value, None)


def _whole(value: object, _: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(plain_number(_text(value, None)))


def _flag(value: object, _: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is neither true nor false")


def _moment(value: object, _: object) -> datetime:
    text = _text(value, None)
    if text.startswith(NAIVE):
        return datetime.fromisoformat(text.removeprefix(NAIVE))
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return datetime.combine(moment, moment.time(), UTC)  # a quarter of the cost of `replace`


def _day(value: object, _: object) -> date:
    return datetime.fromisoformat(_text(value, None)).date()


def _keeping_unknown_fields(cls: type[T], converter: cattrs.Converter) -> Callable[..., T]:
    fields = attrs.fields_dict(cast("type[attrs.AttrsInstance]", get_origin(cls) or cls))
    if "extra" not in fields:
        return make_dict_structure_fn(cls, converter)
    structure = make_dict_structure_fn(cls, converter, extra=override(omit=True))
    known = fields.keys() - {"extra"} | {_TYPE_TAG}

    def build(raw: Mapping[str, object], kind: object = None) -> T:
        if not isinstance(raw, dict):
            raise TypeError(f"{raw!r} is not an object")
        made = structure(raw, kind)
        if known.issuperset(raw):
            return made
        extra = {name: value for name, value in raw.items() if name not in known}
        return cast("Callable[..., T]", attrs.evolve)(made, extra=extra)

    return build


def _make_converter(*, explains: bool) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=explains)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(str | None, _text_or_none)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(bool, _flag)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook(date, _day)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_factory(attrs.has)(_keeping_unknown_fields)
    return converter


_converter = _make_converter(explains=False)
_explaining_converter = _make_converter(explains=True)


def parse(body: bytes) -> object:
    """Parse JSON; a `DecodeError` says so if it is a web page."""
    try:
        return _json.decode(body)
    except RecursionError:
        raise DecodeError(TOO_DEEP, body=body[:200]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if (plain := utf8(body)) is not body:
            return parse(plain)
        raise DecodeError(_not_json(body, error), body=body[:200]) from None


def is_json(body: bytes) -> bool:
    """Whether a body is JSON, of whatever form."""
    try:
        parse(body)
    except DecodeError:
        return False
    return True


def object_decoder(cls: type[T], **known: object) -> Callable[[bytes], T]:
    """Return a function from a body to one object, whose `DecodeError` names the field.

    `known` are the values of fields for answers that lack them, are null, or have no body.
    """
    return _decoder(cls, known)


def page_decoder(cls: type[T]) -> Callable[[bytes], Page[T]]:
    """Return a function from a list's body to a page; it raises like that of `object_decoder`."""
    return _decoder(cast("type[Page[T]]", Page[cls]))  # type: ignore[valid-type]


def _decoder(cls: type[T], known: Mapping[str, object] = MappingProxyType({})) -> Callable[[bytes], T]:
    structure = _converter.get_structure_hook(cls)

    def decode(body: bytes) -> T:
        raw = parse(body) if not known or body.strip() else None
        if known and (raw is None or isinstance(raw, dict)):
            given = {
                name: value
                for name, value in cast("dict[str, object]", raw or {}).items()
                if value is not None
            }
            raw = {**known, **given}
        try:
            return cast("T", structure(raw, cls))
        except Exception:  # noqa: BLE001 - cattrs raises whatever the hooks raise
            return _explain(raw, cls, body)

    return decode


def _explain(raw: object, cls: type[T], body: bytes) -> T:
    """Structure again, slowly, to find out which field is wrong."""
    try:
        return _explaining_converter.structure(raw, cls)
    except Exception as error:  # noqa: BLE001 - as above
        what = "; ".join(cattrs.transform_error(error))
        name = getattr(cls, "__name__", str(cls))
        raise DecodeError(f"the answer is not a {name}: {what}", body=body[:200]) from None


def _not_json(body: bytes, error: Exception) -> str:
    if not body:
        return "the answer is empty instead of JSON"
    if body.lstrip()[:1] == b"<":
        return "the answer is a web page instead of JSON: are the credentials and the base URL right?"
    return f"the answer is not JSON: {error}"


def read_mapping(body: bytes) -> Mapping[str, object]:
    """Return the body as a mapping; an empty one if it is anything else."""
    try:
        raw = parse(body)
    except DecodeError:
        return {}
    return cast("dict[str, object]", raw) if isinstance(raw, dict) else {}


def deletion(body: bytes) -> Deleted:
    """Decode the answer to a deletion, and check that it confirms it."""
    made = _deleted(body)
    if read_mapping(body).get("deleted") is not True:
        raise DecodeError("the answer does not confirm the deletion", body=body[:200])
    return made


def discard(body: bytes) -> None:
    """Check that an answer is JSON or empty, and ignore what it says."""
    if body:
        parse(body)


_deleted = object_decoder(Deleted)
