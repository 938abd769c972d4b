"""How figures, durations and foreign texts are written."""

import json

_MINUTE = 60


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


def counted(number: int, noun: str) -> str:
    """Return ``1 site`` or ``1,200 sites``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Return the text with everything escaped that could steer a terminal: visitors choose paths and referrers."""
    return text if text.isprintable() else ascii(text)[1:-1]


def printable_json(text: str) -> str:
    """Return a JSON text with everything escaped that could steer a terminal; it means the same."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def one_line(text: str) -> str:
    """Return a text, which servers and visitors may have had a hand in, as one harmless line."""
    return printable(" ".join(text.split()))
