"""Keys that there are not, and those that are meant."""

from collections.abc import Collection
from typing import Final

from fathom_async._util.checks import suggestion

_MEANT: Final = {
    "metric": "aggregates",
    "metrics": "aggregates",
    "by": "field_grouping",
    "group_by": "field_grouping",
    "fields": "field_grouping",
    "per": "date_grouping",
    "site": "site_id",
    "sites": "site_id",
    "event": "entity_name",
    "range": "period",
    "since": "date_from",
    "until": "date_to",
    "sort": "sort_by",
    "order_by": "sort_by",
}
"""Other words for the same, of which the spelling alone suggests nothing or something else."""


def no_such_key(key: str, known: Collection[str]) -> str:
    """Return what to say of a key that is not among those known."""
    meant = _MEANT.get(key.lower().replace("-", "_"))
    hint = f"; did you mean {meant!r}?" if meant in known else suggestion(key, known)
    return f"there is no such key{hint}"
