"""Checks of single words, shared by queries and filters; each failure says what to write instead."""

from collections.abc import Iterable, Sequence
from typing import cast

from fathom_async._util.checks import suggestion as suggestion  # noqa: PLC0414 - imported from here too
from fathom_async.errors import QueryError


def known_word(argument: str, word: object, known: Sequence[str]) -> str:
    """Return the word, checked to be one of those known."""
    if isinstance(word, str) and word in known:
        return word
    if not isinstance(word, str):
        raise QueryError(f"{argument} takes names as str, not {word!r}; there are: {', '.join(known)}")
    raise QueryError(f"{argument} has no {word!r}{suggestion(word, known)}")


def listed(argument: str, names: object) -> tuple[object, ...]:
    """Return a list's items; one string is refused, since its letters would be taken for the items."""
    if isinstance(names, str):
        items = [name.strip() for name in names.split(",")]
        raise QueryError(f"{argument} takes a list of names; write {argument}={items!r}")
    if not isinstance(names, Iterable):
        raise QueryError(f"{argument} takes a list of names, not {names!r}")
    return tuple(cast("Iterable[object]", names))


def known_words(argument: str, names: tuple[object, ...], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names, checked to be known and different."""
    words = tuple(known_word(argument, name, known) for name in names)
    for word in words:
        if words.count(word) > 1:
            raise QueryError(f"{argument} names {word!r} twice; write it once")
    return words


def text(argument: str, value: object) -> str:
    """Return the value, checked to be a string that can be sent."""
    if not isinstance(value, str):
        raise QueryError(f"{argument} must be a str, not {type(value).__name__}; write {str(value)!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{argument} {value!r} holds half a character pair, which cannot be sent") from None
    return value


def identifier(argument: str, value: object) -> str:
    """Return an ID as Fathom writes them, such as ``CDBUGS``."""
    name = text(argument, value)
    if not name or not name.isprintable() or any(character in ' /\\?#%&,:"' for character in name):
        raise QueryError(f"{argument} must be an ID such as 'CDBUGS', not {name!r}")
    return name
