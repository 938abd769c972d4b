"""Arrow tables of rows of plain values; pyarrow is optional, and imported on use."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fathom_async._util.lazy import optional
from fathom_async.errors import DecodeError

_MOST: Final = 2**63
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


def check_counts(kinds: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
    """Check that the counts in rows fit into the 64 bits that tables have for them; an error names the column."""
    places = [(place, name) for place, (name, kind) in enumerate(kinds.items()) if kind == "count"]
    for row in rows:
        for place, name in places:
            value = row[place]
            if isinstance(value, int) and not -_MOST <= value < _MOST:
                raise DecodeError(
                    f"column {name!r} has {value}, which does not fit into the 64 bits of a table; "
                    "write CSV or JSON lines"
                )


def arrow_table(kinds: Mapping[str, str], rows: Sequence[Sequence[object]]) -> Any:  # noqa: ANN401 - pyarrow is not typed
    """Return an Arrow table of rows whose columns have these kinds, by name; raises what `check_counts` does."""
    pyarrow = optional("pyarrow", extra="arrow")
    check_counts(kinds, rows)
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
