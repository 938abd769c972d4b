"""Charts made of characters: plain functions from figures to lines of text."""

import math
from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDEST_COLUMN = 3


def sparkline(values: Sequence[float]) -> str:
    """Return one line that rises and falls with the values, one character each."""
    return column_chart(values, height=1)[0] if values else ""


def column_chart(values: Sequence[float], *, height: int, thickness: int = 1) -> list[str]:
    """Return a column chart, from its top line to its bottom line; the last of several characters is a gap."""
    highest = max(values, default=0.0)
    full = len(_EIGHTHS) - 1
    # Rounded up, so that the smallest value still shows.
    eighths = [math.ceil(value / highest * height * full) if highest > 0 else 0 for value in values]
    lines: list[str] = []
    for level in reversed(range(height)):
        cells = [_EIGHTHS[min(max(eighth - level * full, 0), full)] for eighth in eighths]
        lines.append("".join((cell * max(1, thickness - 1)).ljust(thickness) for cell in cells).rstrip())
    return lines


def thickness_for(count: int, width: int) -> int:
    """Return the characters that each of `count` columns may take."""
    return max(1, min(_WIDEST_COLUMN, width // max(count, 1)))


def bundle(count: int, most: int) -> int:
    """Return how many neighbours to merge so that at most `most` of `count` values are left."""
    return max(1, math.ceil(count / max(most, 1)))


def axis(labels: Sequence[str], *, width: int, thickness: int = 1) -> str:
    """Return a line of labels under columns, as many as fit without touching."""
    line = ""
    for place, label in enumerate(labels):
        start = place * thickness
        if (not line or start >= len(line) + 2) and start + len(label) <= width:
            line = line.ljust(start) + label
    return line
