"""What the answers of an account have shown: how its server compares texts, and how long answers are."""

import json
from collections.abc import Mapping
from typing import Final, Self
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import MAX_ROWS
from fathom_async._reports.query import EventQuery, Query
from fathom_async._reports.report import Report

_MANY: Final = 900
USUAL: Final[Mapping[str, int]] = {
    "device_type": 5,
    "operating_system": 20,
    "browser": 20,
    "country_code": 190,
    "referrer_source": 150,
    "region": 500,
    "state": 500,
    "hostname": 20,
    "utm_campaign": 40,
    "utm_content": 40,
    "utm_medium": 40,
    "utm_source": 40,
    "utm_term": 40,
}
"""How many values a property may well have, where no answer has shown it; of any other, just about `_MANY`.

Of two properties, few combinations occur, so that these are no upper bounds. An answer that is cut off after all
costs one request, and is remembered."""


@attrs.define
class ServerKnowledge:
    """What the answers of an account have shown.

    `exact` says whether the server tells apart all texts of a property that look alike, as far as that was checked;
    `counts` how many values properties of a site or event have, and in how many days; `longest_patterns` how many
    characters the patterns of a request may take, as far as refusals have shown; `is_confirmed` whether the server
    has answered any report. `zones` are those that are known without a store, which has its own.
    """

    exact: dict[str, bool] = attrs.field(factory=dict[str, bool])
    counts: dict[str, tuple[int, float]] = attrs.field(factory=dict[str, tuple[int, float]])
    longest_patterns: int = MAX_ROWS * 100
    is_confirmed: bool = False
    zones: dict[str, ZoneInfo] = attrs.field(factory=dict[str, ZoneInfo])

    def trusted(self) -> frozenset[str]:
        """Return the properties whose texts the server compares exactly."""
        return frozenset(name for name, is_exact in self.exact.items() if is_exact)

    def is_known(self, query: Query[Row], name: str) -> bool:
        """Whether answers have shown how many values a property has, for the site or event of a query."""
        return _key(query, name) in self.counts

    def count(self, query: Query[Row], name: str, days: float, *, least: int = 0) -> int:
        """Return how many values of a property an answer about so many days may well have."""
        usual = USUAL.get(name, _MANY)
        if not self.is_known(query, name):
            return max(usual, least)
        seen, seen_days = self.counts[_key(query, name)]
        likely = seen if seen >= MAX_ROWS else seen + seen // 4 + 1
        return max(likely if days <= 2 * seen_days else max(usual, likely), min(least, 2 * likely))

    def learn(self, report: Report[Row], open_fields: frozenset[str], days: float) -> None:
        """Count the values in an answer about so many days; only properties without a filter on them count."""
        for name in open_fields:
            number = len({getattr(row, name) for row in report.rows})
            if report.truncated:
                number = MAX_ROWS if len(open_fields) == 1 and not report.query.date_grouping else 2 * number
            seen, seen_days = self.counts.get(_key(report.query, name), (0, 0.0))
            if number > seen or days > seen_days:
                self.counts[_key(report.query, name)] = (max(number, seen), max(days, seen_days))

    async def aclose(self) -> None:
        """Do nothing: it holds nothing open."""

    def to_json(self) -> bytes:
        return json.dumps([self.exact, self.counts, self.longest_patterns]).encode()

    def add(self, encoded: bytes) -> Self:
        """Add what another process has learned; what cannot be read adds nothing."""
        try:
            exact, counts, longest = json.loads(encoded)
            self.exact |= {name: bool(is_exact) for name, is_exact in exact.items()}
            for key, (number, days) in counts.items():
                seen, seen_days = self.counts.get(key, (0, 0.0))
                self.counts[key] = (max(int(number), seen), max(float(days), seen_days))
            self.longest_patterns = min(self.longest_patterns, int(longest))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            pass
        return self


def _key(query: Query[Row], name: str) -> str:
    event = query.entity_name if isinstance(query, EventQuery) else ""
    return f"{query.site_id} {event} {name}"
