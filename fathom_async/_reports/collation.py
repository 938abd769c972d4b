"""What a server may take for the same text."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

_IGNORED: Final = frozenset({"Cc", "Cf", "Me", "Mn"})
_LETTERS: Final[Mapping[int, str]] = str.maketrans(
    # Some collations read these as the letters of ASCII that they are made of, and hiragana as katakana.
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",
        "ŋ": "n",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
    | {chr(kana): chr(kana + 0x60) for kana in range(0x3041, 0x3097)}
)
_OUTSIDE_OF_PLANE_0: Final = re.compile("[\U00010000-\U0010ffff]")
_SS: Final = re.compile("ss+")


@lru_cache(16_384)
def folded(text: str | None) -> str:
    """Return what a text has in common with all that a forgiving server takes for the same.

    Collations ignore case, accents, blanks at the end, and characters that one does not see. They read ``ß`` as ``s``
    or ``ss``, and some take all emoji for one. A framework decodes percent signs and trims values, a site adds or
    drops a last slash, and null and the empty text stand for each other.

    >>> folded("/Caf%C3%A9/ ") == folded("/cafe"), folded("Großheim") == folded("Grosheim")
    (True, True)
    """
    return _SS.sub("s", spelled(text or ""))


def spelled(text: str) -> str:
    """Return the same, except that each ``s`` stays where several are in a row.

    >>> spelled("/Pass/"), spelled("Großheim")
    ('/pass', 'grossheim')
    """
    parts = unicodedata.normalize("NFKD", unquote(text))
    plain = "".join(part for part in parts if unicodedata.category(part) not in _IGNORED)
    plain = _OUTSIDE_OF_PLANE_0.sub("\ufffd", plain.casefold().translate(_LETTERS))
    return plain.strip().rstrip("/")


def is_certain(value: str) -> bool:
    """Whether every server finds a text by this filter's value, and by a pattern of it.

    An empty value is null to one server and not to another, a form may decode a plus, and a pattern end with a line.
    """
    return bool(value) and value.isprintable() and "+" not in value


def may_be_read_otherwise(text: str) -> bool:
    """Whether a server may read a filter's value as another one, because it decodes or trims it."""
    return text != unquote(text) or text != text.strip()
