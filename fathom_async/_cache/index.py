"""Where a store finds answers from which others can be derived.

An answer is kept under its *subject*: the account and site, and a hash of the entity, the event, the ``timezone`` and
those filters that a query must have to be answered by it. The subjects of a query are those of all answers that may
contain it (`fathom_async._reports.implication`): each of its ``is`` filters is either a filter of the answer too, or
chosen from its groups. So a query is looked up under a few subjects, `MOST_SUBJECTS` at the most, and of each the
newest answers are considered, `fathom_async._cache.store.MOST_ANSWERS` of them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

from fathom_async._cache.entry import digest
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.filters import Filter, filters_to_json
from fathom_async._reports.implication import is_plain
from fathom_async._reports.query import AnyQuery, EventQuery, Query, query_from_params
from fathom_async.errors import QueryError

MOST_SUBJECTS: Final = 16


def site_of(space: str, site_id: str) -> str:
    """Return what all subjects of a site begin with.

    Args:
        space: A `fathom_async._cache.entry.namespace`.
        site_id: Id of the site.
    """
    return f"{digest(space, site_id)}:"


def subject_of(space: str, query: Query[Row]) -> str:
    """Return the subject of an answer to a query."""
    demanded = (
        each
        for each in query.filters
        if not (
            each.operator == "matching" and each.property in query.field_grouping and is_plain(each.value)
        )
    )
    return _subject(space, query, demanded)


def subjects_of(space: str, query: Query[Row]) -> Sequence[str]:
    """Return the subjects of all answers that may contain the answer to a query."""
    return [_subject(space, query, demanded) for demanded in _demands(query)][:MOST_SUBJECTS]


@lru_cache(4096)
def query_of(written: str) -> AnyQuery | None:
    """Return the query of an entry, or None if this version of the package does not know it."""
    try:
        return query_from_params(json.loads(written))
    except (QueryError, ValueError):
        return None


def _demands(query: Query[Row]) -> Iterator[Iterable[Filter]]:
    chosen = [each for each in query.filters if each.property in FIELD_GROUPINGS and _is_optional(each)]
    for count in range(len(chosen) + 1):
        for some in combinations(chosen, count):
            yield [each for each in query.filters if each not in some]


def _is_optional(each: Filter) -> bool:
    return each.operator == "is" or (each.operator == "matching" and is_plain(each.value))


def _subject(space: str, query: Query[Row], demanded: Iterable[Filter]) -> str:
    event = query.entity_name if isinstance(query, EventQuery) else ""
    what = digest(query.entity, event, query.timezone or "", filters_to_json(sorted(demanded)))
    return f"{site_of(space, query.site_id)}{what}"
