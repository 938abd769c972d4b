"""Rows of a report: JSON bytes decoded into a class for the report's columns.

The server writes numbers as strings and dates in four forms; this module converts both. It creates one class and one
decoder for each set of columns.

1. A column that was not requested is kept beside those that were, as it is in JSON, if its name can be an attribute's
   and its values are texts, numbers, flags or null. The first answer that has one fails at its first row, and is read
   by a class with the column from then on: looking for such columns costs nothing where there are none.
2. An answer that does not fit is looked at again, row by row: an empty string in a column of numbers is null, and
   ``timestamp`` another name of ``date``.
3. What still does not fit is an error that names the column and the row, as no other value would be right: a count
   with a fraction, a number that is infinite, a word.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache, lru_cache
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Generic, Literal, Optional, TypeVar, cast

import attrs
import msgspec

from fathom_async._util.pydantic_schema import LazySerializer, schema_of
from fathom_async.errors import DecodeError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

ColumnKind = Literal["text", "count", "number", "hour", "day", "month", "year"]
"""``count`` is an int, ``number`` a float, ``hour`` a datetime; ``day``, ``month`` and ``year`` are dates."""

_SHAPES: Final = 1024
_DATES: Final = 8192
_BODY_SHOWN: Final = 200
_MOST_MORE: Final = 32
"""Columns of rule 1."""
_MORE: Final = str | int | float | bool | None
TOO_DEEP: Final = "the answer is nested too deeply"


def utf8(body: bytes) -> bytes:
    """Return JSON with a byte order mark as UTF-8 without one; the same object if there is none."""
    if not body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body
    try:
        return body.decode(json.detect_encoding(body)).encode() or body
    except UnicodeError:
        return body


@attrs.frozen
class Column:
    """One column of a report: its name in JSON, and its kind."""

    name: str
    kind: ColumnKind


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a report, with an attribute for each of its columns, also for those that nobody requested.

    Rows of the same columns compare by value, hash, and can be pickled. They contain only strings, numbers and dates,
    so that the garbage collector need not track them.
    """

    columns_: ClassVar[tuple[Column, ...]] = ()
    kinds_: ClassVar[Mapping[str, ColumnKind]] = {}
    """Kinds of columns that are known, even if nobody requested them."""
    shape_: ClassVar[Mapping[str, tuple[object, str | None]]] = {}
    """Type and description of each column that a row may have, for its schema."""
    __pydantic_serializer__: ClassVar[LazySerializer] = LazySerializer()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        def read(values: Mapping[str, object]) -> Row:
            kept = {name: value for name, value in values.items() if name == "date" or _can_be_kept(name)}
            return _codec((), cls, tuple(kept)).row(*kept.values())

        return schema_of(cls, handler.generate_schema(_shape(cls)), read, msgspec.structs.asdict)

    def __reduce__(self) -> tuple[object, ...]:
        base = cast("type[Row]", type(self).__mro__[1])
        more = self.__struct_fields__[len(self.columns_) :]
        return _restored, (base, self.columns_, msgspec.structs.astuple(self), more)


def requested(rows: Iterable[Row]) -> list[tuple[object, ...]]:
    """Return each row's values in the requested columns."""
    return [msgspec.structs.astuple(row)[: len(row.columns_)] for row in rows]


RowT = TypeVar("RowT", bound=Row)
RowT_co = TypeVar("RowT_co", bound=Row, covariant=True)


@attrs.frozen
class RowCodec(Generic[RowT_co]):
    """Decodes and encodes the rows of one set of columns; created by `row_codec`."""

    columns: tuple[Column, ...]
    row_type: type[RowT_co]
    rows_type: type[list[RowT_co]]
    decoder: msgspec.json.Decoder[list[RowT_co]]
    more: tuple[str, ...]
    """The columns of rule 1."""

    def row(self, *values: object) -> RowT_co:
        """Return a row of these values, in the order of the columns; their types are not checked."""
        return cast("Callable[..., RowT_co]", self.row_type)(*values)

    def decode(self, body: bytes) -> list[RowT_co]:
        """Return the rows of an answer, in its order; columns that were not requested are ignored.

        If it is not an array of such rows, a `DecodeError` names the column and the row.
        """
        try:
            try:
                return self.decoder.decode(body)
            except msgspec.ValidationError:
                return self._read_again(body)
        except msgspec.ValidationError as error:
            raise DecodeError(_located(str(error)), body=body[:_BODY_SHOWN]) from error
        except RecursionError:
            raise DecodeError(TOO_DEEP, body=body[:_BODY_SHOWN]) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if (plain := utf8(body)) is not body:
                return self.decode(plain)
            raise DecodeError(f"the report is not JSON: {error}", body=body[:_BODY_SHOWN]) from error

    def _read_again(self, body: bytes) -> list[RowT_co]:
        try:
            return self._widening(lambda codec: codec.decoder.decode(body))
        except msgspec.ValidationError:  # rule 2
            rows = self._without_oddities(body)
        read_date = cast("Callable[[type, object], object]", _read_date)

        def convert(codec: "RowCodec[RowT_co]") -> list[RowT_co]:
            return msgspec.convert(rows, codec.rows_type, strict=False, dec_hook=read_date)

        try:
            return self._widening(convert)
        except msgspec.ValidationError:  # rule 3
            known = [column.name for column in self.columns]
            rows = [{name: row[name] for name in known if name in row} for row in rows]
            return convert(self)

    def _widening(self, read: "Callable[[RowCodec[RowT_co]], list[RowT_co]]") -> list[RowT_co]:
        """Read with a column more as often as there is one (rule 1)."""
        codec = self
        while True:
            try:
                return read(codec)
            except msgspec.ValidationError as error:
                unknown = _UNKNOWN.match(str(error))
                if unknown is None or len(codec.more) == _MOST_MORE or not _can_be_kept(unknown["column"]):
                    raise
                more = (*codec.more, unknown["column"])
                codec = cast("RowCodec[RowT_co]", _codec(self.columns, self.row_type.__mro__[1], more))

    def _without_oddities(self, body: bytes) -> list[dict[str, object]]:
        rows = msgspec.json.decode(body, type=list[dict[str, object]])
        numbers = [column.name for column in self.columns if column.kind in {"count", "number"}]
        for row in rows:
            if "timestamp" in row:
                row.setdefault("date", row["timestamp"])
            row.update({name: None for name in numbers if row.get(name) == ""})
        return rows

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return the rows as JSON that `decode` reads back, with numbers as numbers and dates in full."""
        return msgspec.json.encode(rows)


def row_codec(columns: Sequence[Column], base: type[RowT]) -> RowCodec[RowT]:
    """Return the codec for these columns in this order, the same one each time; its rows inherit from `base`."""
    return cast("RowCodec[RowT]", _codec(tuple(columns), base, ()))


@lru_cache(_SHAPES)
def _codec(columns: tuple[Column, ...], base: type[Row], more: tuple[str, ...]) -> RowCodec[Row]:
    row_type = cast(
        "type[Row]",
        msgspec.defstruct(
            base.__name__,
            [(column.name, _TYPES[column.kind]) for column in columns]
            + [(name, _TYPES[base.kinds_[name]] if name in base.kinds_ else _MORE, None) for name in more],
            bases=(base,),
            namespace={"columns_": columns},
            module=base.__module__,
            frozen=True,
            gc=False,
            forbid_unknown_fields=True,
        ),
    )
    rows = cast("type[list[Row]]", GenericAlias(list, (row_type,)))
    decoder = msgspec.json.Decoder(rows, strict=False, dec_hook=_read_date)
    return RowCodec(columns, row_type, rows, decoder, more)


@cache
def _shape(base: type[Row]) -> object:
    """Return a typed dict of the columns that a row may have; each row has some of them, and maybe others."""
    from pydantic import BeforeValidator, ConfigDict, Field  # noqa: PLC0415 - rule 1 of `pydantic_schema`
    from typing_extensions import TypedDict  # noqa: PLC0415 - comes with pydantic

    columns = {name: Annotated[kind, Field(description=about)] for name, (kind, about) in base.shape_.items()}
    if "date" in columns:
        columns["date"] = Annotated[columns["date"], BeforeValidator(_day_or_more)]
    shape = cast("Callable[..., type]", TypedDict)(base.__name__, columns, total=False)
    shape.__doc__, shape.__module__ = (base.__doc__ or "").partition("\n\n")[0], base.__module__
    shape.__pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[attr-defined]
    return shape


def _day_or_more(written: object) -> object:
    is_day = isinstance(written, str) and len(written) == len("2026-01-31")
    return date.fromisoformat(cast("str", written)) if is_day else written


def _restored(
    base: type[Row], columns: tuple[Column, ...], values: tuple[object, ...], more: tuple[str, ...] = ()
) -> Row:
    return _codec(columns, base, more).row(*values)


def _can_be_kept(name: str) -> bool:
    is_taken = hasattr(Row, name) or name.startswith("_") or name in {"date", "timestamp"}  # rule 2
    return name.isidentifier() and not is_taken


class _DateForm(type):
    """The type of the date columns: msgspec requires that its hook returns an instance, and dates are instances."""

    kind: ColumnKind
    parts: int

    if not TYPE_CHECKING:
        # `date`'s own check, in C: one in Python would take a quarter of the decoding time.
        __instancecheck__ = staticmethod(date.__instancecheck__)


class _Year(metaclass=_DateForm):
    kind, parts = "year", 1


class _Month(metaclass=_DateForm):
    kind, parts = "month", 2


class _Day(metaclass=_DateForm):
    kind, parts = "day", 3


class _Hour(metaclass=_DateForm):
    kind, parts = "hour", 4


_Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]

_TYPES: Final[dict[ColumnKind, object]] = {
    "text": str | None,
    "count": int | None,
    "number": Optional[_Finite],  # noqa: UP045 - pyright knows no `|` of annotated types
    "hour": _Hour,
    "day": _Day,
    "month": _Month,
    "year": _Year,
}

_FIRST: Final = (1, 1, 1, 0, 0, 0)
_WRITTEN: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?)?)?", re.ASCII)


@lru_cache(_DATES)
def _read_date(form: _DateForm, written: object) -> date:
    """Return the date of ``2023``, ``2023-02``, ``2023-02-14`` or ``2023-02-14 15:00:00``.

    A report has few dates and many rows: each date is parsed once, and the rows share it.
    """
    found = _WRITTEN.fullmatch(str(written))
    if found is None:
        raise ValueError(f"Expected a date, got {written!r}")
    parts = [int(part) for part in found.groups() if part is not None]
    if len(parts) < form.parts:
        raise ValueError(f"Expected the {form.kind}, got {written!r}")
    year, month, day, hour, minute, second = (*parts, *_FIRST[len(parts) :])
    moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the site's clock
    if form.kind == "hour":
        return moment
    if moment.timetuple()[form.parts : 6] != _FIRST[form.parts :]:
        raise ValueError(f"Expected the start of a {form.kind}, got {written!r}")
    return moment.date()


_PLACE: Final = re.compile(r" - at `\$(?:\[(?P<row>\d+)\])?(?:\.(?P<column>\w+))?.*`$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<column>.*)` - at", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<column>\w+)`")


def _located(fault: str) -> str:
    """Turn a message of msgspec into one that names the row and the column."""
    place = _PLACE.search(fault)
    if place is None or place["row"] is None:
        return f"the report is not an array of rows: {fault.partition(' - at ')[0]}"
    what = fault[: place.start()]
    if missing := _MISSING.match(what):
        return f"column {missing['column']!r} is missing in row {place['row']}"
    if place["column"] is None:
        return f"row {place['row']} is not an object: {what}"
    return f"column {place['column']!r} of row {place['row']} cannot be read: {what}"
