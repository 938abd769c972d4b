"""The one request that tells whether a server compares the texts of a property exactly.

It asks for a text that is known to have records, and excludes all that a forgiving server takes for it: in another
case, with an accent, with blanks around it, with or without a last slash, percent-encoded. Both filters compare in
the same way. So if the server ignores any of these differences, it excludes the text itself, and answers nothing. If
it ignores one in its groups only, the group of the text has counted more than the filter finds, if it has records of
both. So a text is preferred that looks like an asked one without a row.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final, cast
from urllib.parse import quote

from fathom_async._bulk.fusing.fuse import Fused
from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.collation import folded, may_be_read_otherwise
from fathom_async._reports.fields import RATES, VALUE, TextProperty
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report

_ACCENTED: Final = dict(zip("aceinouyACEINOUY", "áçéíñóúýÁÇÉÍÑÓÚÝ", strict=True))
_LONGEST: Final = 200


def check_of(group: Fused[RowT], report: Report[RowT], name: str) -> Query[RowT] | None:
    """Return the check of a property, or None if the answer has no text that every difference can be made to."""
    texts: list[str | None] = [getattr(row, name) for row in report.rows]
    suitable = [text for text in texts if text and _is_suitable(text)]
    if not suitable:
        return None
    filters = chain.from_iterable(asked.query.filters for asked in group.asked)
    lacking = {folded(each.value) for each in filters if each.property == name and each.value not in texts}
    text = min(suitable, key=lambda text: folded(text) not in lacking)
    query, field = group.query, cast("TextProperty", name)
    others = [each for each in query.filters if each.property != name]
    excluded = [Filter(field, "is not", other) for other in variants(text)]
    return query.replace(sort_by=None, limit=None, filters=[*others, Filter(field, "is", text), *excluded])


def is_exact(check: Report[Row], report: Report[Row], name: str) -> bool:
    """Whether the answer to a check, made from a report, shows that the server compares a property exactly."""
    text = next(each.value for each in check.query.filters if (each.property, each.operator) == (name, "is"))
    metric = next((each for each in check.query.aggregates if each not in {*RATES, VALUE}), None)

    def counted(rows: Report[Row]) -> int:
        found = [row for row in rows if getattr(row, name) == text]
        return len(found) if metric is None else sum(getattr(row, metric) or 0 for row in found)

    return counted(check) >= max(counted(report), 1)  # more were counted meanwhile


def variants(text: str) -> Iterator[str]:
    """Yield what a forgiving server takes for a text: each with one difference.

    >>> list(variants("/About"))
    ['/aBOUT', '/Aboút', '/About ', ' /About', '/About/', '/Abou%74']
    """
    yield text.swapcase()
    place = max(place for place, character in enumerate(text) if character in _ACCENTED)
    yield text[:place] + _ACCENTED[text[place]] + text[place + 1 :]
    yield f"{text} "
    yield f" {text}"
    yield text.rstrip("/") if text.endswith("/") else f"{text}/"
    yield text[:-1] + "".join(f"%{byte:02X}" for byte in text[-1].encode())


def _is_suitable(text: str) -> bool:
    is_short = len(quote(text)) < _LONGEST and text.isprintable()
    return is_short and not may_be_read_otherwise(text) and not _ACCENTED.keys().isdisjoint(text)
