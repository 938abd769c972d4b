r"""A pattern that lets texts through, and all that a forgiving server takes for the same.

The pattern only keeps the answer short: the grouping tells texts apart. So it may let others through, but it must not
keep out a record that ``is`` finds on any server, or its group would lack it without a sign. It lets through

* letters in both cases, blanks around the text, and a last slash, there or not;
* every text with a percent sign or a letter that is not in ASCII, which a server may decode, or read without accents.

It has nothing that dialects of regular expressions disagree on: ``.`` stands for what has a meaning in a pattern, and
no branch of an alternative is empty. Common beginnings are written once, so that many paths fit into one URL.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final
from urllib.parse import quote

from fathom_async._reports.collation import spelled

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_STRANGE: Final = "[^ -$&-~]"
"""A character that is not in ASCII, or a percent sign."""
_OUTSIDE: Final = f".*{_STRANGE}.*"
_SEPARATOR: Final = len(quote("|"))
_DEEPEST: Final = 40


def one_of(texts: Iterable[str], *, is_exact: bool = False) -> str:
    r"""Return a pattern that every dialect takes, for these texts and all that may be taken for one of them.

    Of a server that takes no text for another, `is_exact`, it matches these texts only.

    >>> one_of(["/", "/a.b", "/a-c"])
    '^ ?(/[aA](-[cC]|.[bB]))?[/ ]*$|.*[^ -$&-~].*'
    >>> one_of(["/", "/a.b", "/a-c"], is_exact=True)
    '^(/(a(-c|.b))?)$'
    """
    if is_exact:
        exact = {tuple("." if character in _SPECIAL else character for character in text) for text in texts}
        return f"^{_rendered(sorted(exact))}$"
    texts = list(texts)
    plain = {tokens for text in texts if (tokens := _tokens(text)) is not None}
    blanks = 1 + max((len(text) - len(text.lstrip()) for text in texts), default=0)
    return f"^{' ?' * blanks}{_rendered(sorted(plain))}[/ ]*$|{_OUTSIDE}" if plain else _OUTSIDE


def length_of(
    texts: frozenset[str], room: int, *, known: frozenset[str] = frozenset(), length: int = 0
) -> int:
    """Return how many characters the pattern of some texts takes at the most.

    The lengths of the texts are added up, from that of those `known`. Only if there is less `room`, the pattern is
    written, which takes less in the URL than the sum.
    """
    most = length + sum(map(_length, texts - known))
    return most if most <= room else _whole_length(texts)


@lru_cache(16_384)
def _length(text: str) -> int:
    forgiving = "".join(_tokens(text) or ())
    return max(_in_url(forgiving), _in_url(text)) + _SEPARATOR


@lru_cache(1024)
def _whole_length(texts: frozenset[str]) -> int:
    return max(_in_url(one_of(texts)), _in_url(one_of(texts, is_exact=True)))


def _in_url(pattern: str) -> int:
    return len(quote(json.dumps(pattern, ensure_ascii=False)[1:-1], safe=""))


def _tokens(text: str) -> tuple[str, ...] | None:
    """Return the pattern of what is plain and looks like a text, by character; None if nothing is."""
    plain = spelled(text)
    is_plain = plain.isascii() and plain.isprintable() and "%" not in plain
    return tuple(map(_token, plain, f" {plain}")) if is_plain else None


def _token(character: str, before: str) -> str:
    if character in _SPECIAL:
        return "."
    if character == before == "s":  # a sharp s is one to some servers, and two to others
        return "[sS]?"
    return f"[{character}{character.upper()}]" if character.isalpha() else character


def _rendered(texts: Sequence[tuple[str, ...]], depth: int = 0) -> str:
    """Return the pattern of sorted texts, all different, as one group."""
    branches = [
        list(found) for _, found in groupby((text for text in texts if text), key=lambda text: text[0])
    ]
    if depth > _DEEPEST:
        branches = [[text] for text in texts if text]
    written = "|".join(_branch(found, depth + 1) for found in branches)
    if not written:
        return ""
    return f"({written}){'' if texts[0] else '?'}"


def _branch(texts: Sequence[tuple[str, ...]], depth: int) -> str:
    first, last = texts[0], texts[-1]
    common = next((place for place, token in enumerate(first) if token != last[place]), len(first))
    return "".join(first[:common]) + _rendered([text[common:] for text in texts], depth)
