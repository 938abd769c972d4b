"""CSV that every reader gives back as it was."""

import csv
from collections.abc import Iterable
from typing import Final, TextIO

_CRLF: Final = "\r\n"


def write_fields(names: Iterable[str], rows: Iterable[Iterable[object]], target: TextIO) -> None:
    """Write CSV whose lines end with a line feed, and whose fields any reader gives back as they were.

    A carriage return ends a line for readers of CSV, and visitors may put one into a path. Some versions of Python
    quote it only where it is a part of the line's own end.
    """
    writer = csv.writer(_LineFeeds(target), lineterminator=_CRLF)
    writer.writerow(names)
    writer.writerows(rows)


class _LineFeeds:
    """Ends lines, each written at once, with a line feed alone."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, line: str) -> int:
        return self._target.write(f"{line.removesuffix(_CRLF)}\n")
