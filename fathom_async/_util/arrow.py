"""Arrow tables of rows of plain values; pyarrow is optional, and imported on use."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fathom_async._util.lazy import optional

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
