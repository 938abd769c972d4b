"""How messages, figures and durations are written."""

import codecs
import os
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pkgutil import get_data
from shutil import get_terminal_size
from typing import Any, Final, TextIO

from fathom_async._util.text import broken

ASCII: Final = "fathom_async.ascii"
"""Name of the error handler for terminals that cannot show the characters of a chart."""

COMMANDS: Final[dict[str, dict[str, Any]]] = tomllib.loads(
    (get_data("fathom_async._cli", "commands.toml") or b"").decode()
)
"""Module, help, examples and notes of each command, and in them those of its subcommands."""

_MINUTE: Final = 60
_WORD: Final = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\S)+")
_MARKS: Final = dict(zip("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉░●○…·", "   .:::#...####.#.~-", strict=True))


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_MARKS.get(each, "?") for each in error.object[error.start : error.end]), error.end


codecs.register_error(ASCII, _in_ascii)


def tell(stream: TextIO, text: str) -> None:
    """Write a message about the command."""
    stream.write(f"{fitted(f'fathom: {text}', stream)}\n")


def fitted(text: str, stream: TextIO) -> str:
    """Return a text broken between words for a terminal, which would break its lines anywhere."""
    with suppress(OSError):  # of a stream without a file, which is no terminal
        if stream.isatty() and (width := os.get_terminal_size(stream.fileno()).columns):
            return broken(text, width)
    return text


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``12 s`` or ``3 min 05 s``."""
    if seconds < 1:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def clock_time(seconds: float) -> str:
    """Return minutes and seconds as ``1:58``."""
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes}:{rest:02d}"


def per(seconds: float) -> str:
    """Return ``a minute``, ``an hour`` or ``in 10 s``."""
    return {60.0: "a minute", 3600.0: "an hour"}.get(seconds, f"in {duration(seconds)}")


def examples(*lines: str, more: str = "") -> str:
    """Return the text below a command's help: its examples, which the terminal does not break, and anything more."""
    width = get_terminal_size().columns - 1
    whole = (f"  {_continued(_WORD.findall(line), width)}" for line in lines)
    return "\n".join(("Examples:", "", *whole, *(("", more) if more else ())))


def epilogue(command: str, subcommand: str = "") -> str:
    """Return the text below the help of a command, or of a subcommand of one, as ``commands.toml`` has it."""
    told: dict[str, Any] = COMMANDS[command][subcommand] if subcommand else COMMANDS[command]
    return examples(*told["examples"], more=told.get("more", ""))


def _continued(words: Sequence[str], width: int) -> str:
    """Return a command on as many lines as it needs, so that the shell takes it as it is shown."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) + len("  \\ ") > width:
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n  ".join(lines)
