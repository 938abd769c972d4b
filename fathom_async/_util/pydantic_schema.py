"""Schemas for pydantic: models that users write, and FastAPI's routes, have our classes as types.

1. pydantic is imported when it asks for a schema, and not before.
2. The *shape* of a class is a pydantic type with its fields. JSON is read into the shape and then into the class; an
   instance is taken as it is, and written as its shape.
3. The shape of an attrs class takes its descriptions from the docstring. Properties that follow from the fields are
   written too, and ignored where they are read.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar, cast, get_args, get_origin

import attrs

from fathom_async.errors import FathomError

if TYPE_CHECKING:
    from pydantic import BaseModel, GetCoreSchemaHandler, SerializerFunctionWrapHandler
    from pydantic_core import CoreSchema, SchemaSerializer

T = TypeVar("T")

_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class LazySerializer:
    """Lets pydantic write an instance where it has no type for it, as in a `Page` of whatever."""

    def __get__(self, instance: object, owner: type) -> "SchemaSerializer":
        return _serializer(owner)


class HasSchema:
    """Gives an attrs class its schema."""

    __slots__ = ()
    __pydantic_serializer__: ClassVar[LazySerializer] = LazySerializer()

    _derived: ClassVar[Mapping[str, object]] = {}
    """The types of properties that follow from the fields (rule 3)."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        shape = _shape(cast("Any", cls), source)

        def read(made: "BaseModel") -> HasSchema:
            given = made.model_fields_set - cls._derived.keys()
            return cls._made_of({name: value for name, value in made if name in given})

        def write(value: HasSchema) -> "BaseModel":
            return shape.model_construct(None, **value._values())

        return schema_of(cls, handler.generate_schema(shape), read, write)

    @classmethod
    def _types(cls) -> dict[str, object]:
        """Return the types of the fields in JSON."""
        return {field.name: field.type for field in attrs.fields(cast("Any", cls))}

    @classmethod
    def _made_of(cls, values: dict[str, Any]) -> Self:
        return cls(**values)

    def _values(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in (*self._types(), *self._derived)}


def schema_of(
    cls: type[T], shape: "CoreSchema", read: Callable[..., T], write: Callable[[T], object]
) -> "CoreSchema":
    """Return the schema of a class whose shape has this schema (rule 2)."""
    from pydantic_core import core_schema  # noqa: PLC0415 - rule 1

    def validated(value: object, validate: Callable[[object], object]) -> T:
        try:
            return value if isinstance(value, cls) else read(validate(value))
        except FathomError as error:
            raise ValueError(str(error)) from None  # to which pydantic adds the place

    def written(value: T, serialize: "SerializerFunctionWrapHandler") -> object:
        return serialize(write(value))

    writing = core_schema.wrap_serializer_function_ser_schema(written, schema=shape)
    return core_schema.no_info_wrap_validator_function(validated, shape, serialization=writing)


@cache
def _serializer(cls: type) -> "SchemaSerializer":
    from pydantic import TypeAdapter  # noqa: PLC0415 - rule 1

    return TypeAdapter(cls).serializer


@cache  # another model of the same name would be another schema in the documentation of an application
def _shape(cls: type, source: object) -> "type[BaseModel]":
    from pydantic import ConfigDict, Field, create_model  # noqa: PLC0415 - rule 1

    has_schema = cast("type[HasSchema]", cls)
    summary, _, rest = (inspect.getdoc(cls) or "").partition("\n\n")
    about: dict[str, str] = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(rest)}
    needed = {field.name for field in attrs.fields(cast("Any", cls)) if field.default is attrs.NOTHING}
    given = _arguments(cls, get_args(source))

    def definition(name: str, kind: object) -> tuple[object, object]:
        if name in needed:
            return _with_arguments(kind, given), Field(description=about.get(name))
        return _with_arguments(kind, given), Field(default_factory=lambda: None, description=about.get(name))

    kinds = has_schema._types() | {**has_schema._derived}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    arguments = ", ".join(getattr(each, "__name__", str(each)) for each in get_args(source))
    create = cast("Callable[..., type[BaseModel]]", create_model)
    return create(
        f"{cls.__name__}[{arguments}]" if arguments else cls.__name__,
        __doc__=summary,
        __module__=cls.__module__,
        __config__=ConfigDict(json_schema_serialization_defaults_required=True),
        **{name: definition(name, kind) for name, kind in kinds.items()},
    )


def _arguments(cls: type, arguments: Iterable[object]) -> dict[object, object]:
    """Return the arguments of a class by parameter, also those of the classes that it inherits fields from."""
    given: dict[object, object] = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        given |= _arguments(get_origin(base), [_with_arguments(each, given) for each in get_args(base)])
    return given


def _with_arguments(kind: Any, given: Mapping[object, object]) -> object:  # noqa: ANN401 - a type
    """Return a type with the arguments that are given to its parameters."""
    if isinstance(kind, TypeVar):
        return given.get(kind, kind)
    parameters: tuple[object, ...] = getattr(kind, "__parameters__", ())
    return kind[tuple(given.get(each, each) for each in parameters)] if parameters else kind
