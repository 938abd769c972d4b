"""Text for the eyes: what may be shown of foreign text, and the room that it takes.

Visitors choose paths and referrers, and people say yes to what they have read. Three rules:

1. A character that shows is shown as it is, whatever its script.
2. Any other is escaped: what steers a terminal or turns the text around (C0, C1 and bidirectional controls), what
   does not show or looks like a blank (zero width, fillers, other spaces), and what cannot be encoded (surrogates).
3. Room is counted in cells of a terminal, of which East Asian characters take two, and marks none.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final
from unicodedata import category, east_asian_width

_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that Unicode counts as letters, marks and symbols, although they are invisible."""


def printable(text: str) -> str:
    r"""Return a text with all that does not show escaped as in Python: ``\x1b``, ``\u200b``."""
    return _with(lambda each: each.encode("unicode_escape").decode("ascii"), text)


def printable_json(text: str) -> str:
    r"""Return a JSON text with all that does not show escaped as ``\u001b``; it means the same."""
    return "\n".join(_with(_json_escape, line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """Return a text, which servers and visitors may have had a hand in, as one harmless line."""
    return printable(" ".join(text.split()))


def reason(error: BaseException | None) -> str:
    """Return what an error of any library says, in one line, and its type where that is no sentence.

    >>> reason(RuntimeError("the worker died")), reason(KeyError("pages")), reason(EOFError())
    ('the worker died', "KeyError: 'pages'", 'EOFError')
    """
    told, kind = one_line(str(error)), type(error).__name__
    return told if " " in told else f"{kind}: {told}" if told else kind


def cells(text: str) -> int:
    """Return how many cells of a terminal a printable text takes (rule 3)."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def cut(text: str, width: int, *, end: str = "…") -> str:
    """Return a text that takes at most so many cells; one that is longer ends in `end`."""
    if cells(text) <= width:
        return text
    room = width - cells(end)
    for place, each in enumerate(text):
        room -= cells(each)
        if room < 0:
            return f"{text[:place]}{end}"
    return text


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Yield a line for each row, with its cells aligned, some columns on the `right`, and two blanks between them."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        blanks = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [
            blank + cell if place in right else cell + blank
            for place, (cell, blank) in enumerate(zip(row, blanks, strict=True))
        ]
        yield "  ".join(padded).rstrip()


def bar(value: float, highest: float, width: int) -> str:
    """Return a horizontal bar, as long as the value's share of the highest one."""
    if highest <= 0 or value <= 0:
        return ""
    whole, eighths = divmod(max(1, round(value / highest * width * 8)), 8)
    return f"{'█' * whole}{' ▏▎▍▌▋▊▉'[eighths]}".rstrip()


def _with(escape: Callable[[str], str], text: str) -> str:
    if text.isprintable() and _BLANKS.isdisjoint(text):
        return text
    return "".join(each if each.isprintable() and each not in _BLANKS else escape(each) for each in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def broken(text: str, width: int) -> str:
    """Return a text broken between words into lines of so many cells; a longer word, such as a path, stays whole."""
    lines: list[str] = []
    for line in text.split("\n"):
        first, *words = line.split(" ")
        lines.append(first)
        for word in words:
            if cells(longer := f"{lines[-1]} {word}") <= width:
                lines[-1] = longer
            else:
                lines.append(word)
    return "\n".join(lines)


def _cells_of(character: str) -> int:
    if category(character).startswith("M"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def counted(number: int, noun: str, several: str = "") -> str:
    """Return ``1 site`` or ``1,200 sites``."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def plain_number(text: str) -> str:
    """Return a text for `int` or `float` to read; an empty one if only Python takes it for a number, as ``1_0``."""
    return text if text.isascii() and "_" not in text else ""
