"""Arrow tables of rows of plain values; pyarrow is optional, and imported on use."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

_ARROW: Final[dict[str, str]] = {
    "day": "date32",
    "month": "date32",
    "year": "date32",
    "flag": "bool",
    "text": "string",
    "count": "int64",
    "number": "float64",
    "hour": "timestamp[us]",
}


def optional(module: str, *, extra: str) -> Any:  # noqa: ANN401 - a module that may not be there has no type
    """Import a module of an optional dependency.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f'{error.name} is not installed; for this, pip install "fathom_async[{extra}]"', name=error.name
        ) from None


def arrow_table(kinds: Mapping[str, str], rows: Sequence[Sequence[object]]) -> Any:  # noqa: ANN401 - pyarrow is not typed
    """Return an Arrow table of rows whose columns have these kinds, by name."""
    pyarrow = optional("pyarrow", extra="arrow")
    found = {
        name: pyarrow.array([row[place] for row in rows], arrow_type(kind))
        for place, (name, kind) in enumerate(kinds.items())
    }
    return pyarrow.table(found)


def arrow_type(kind: str) -> Any:  # noqa: ANN401 - pyarrow is not typed
    """Return the Arrow type of a kind of column: a `ColumnKind`, ``flag``, or ``moment`` or ``texts``."""
    pyarrow = optional("pyarrow", extra="arrow")
    match kind:
        case "moment":
            return pyarrow.timestamp("us", tz="UTC")
        case "texts":
            return pyarrow.list_(pyarrow.string())
        case _:
            return pyarrow.type_for_alias(_ARROW[kind])
