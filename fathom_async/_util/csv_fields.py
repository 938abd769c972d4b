"""CSV that every reader gives back as it was."""

import csv
from collections.abc import Iterable
from typing import Final, TextIO

_CRLF: Final = "\r\n"


_FORMULAS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def write_fields(
    names: Iterable[str], rows: Iterable[Iterable[object]], target: TextIO, *, spreadsheet: bool = False
) -> None:
    """Write CSV whose lines end with a line feed, and whose fields any reader gives back as they were.

    A carriage return ends a line for readers of CSV, and visitors may put one into a path. Some versions of Python
    quote it only where it is a part of the line's own end.

    For a spreadsheet it starts with a byte order mark, without which Excel does not read UTF-8, and texts that would
    be formulas, which visitors can choose, start with an apostrophe.
    """
    if spreadsheet:
        target.write("\ufeff")
        rows = (map(_harmless, row) for row in rows)
    writer = csv.writer(_LineFeeds(target), lineterminator=_CRLF)
    writer.writerow(names)
    writer.writerows(rows)


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


class _LineFeeds:
    """Ends lines, each written at once, with a line feed alone."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, line: str) -> int:
        return self._target.write(f"{line.removesuffix(_CRLF)}\n")
