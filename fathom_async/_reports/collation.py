"""What a server may take for the same text."""

import unicodedata
from functools import lru_cache
from urllib.parse import unquote


@lru_cache(16_384)
def folded(text: str | None) -> str:
    """Return what a text has in common with all that a forgiving server takes for the same.

    Collations ignore case, accents and blanks at the end. A framework decodes percent signs and trims values, a site
    adds or drops a last slash, and null and the empty text stand for each other.

    >>> folded("/Caf%C3%A9/ ") == folded("/cafe")
    True
    """
    parts = unicodedata.normalize("NFKD", unquote(text or ""))
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain.casefold().strip().rstrip("/")


def may_be_read_otherwise(text: str) -> bool:
    """Whether a server may read a filter's value as another one, because it decodes or trims it."""
    return text != unquote(text) or text != text.strip()
