"""A server in the plainest way: a table in memory, of which every report is read off record by record."""

import random
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import cast
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async import Filter, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import DATE_COLUMN, TIMESTAMP
from fathom_async._reports.query import Query


@frozen
class Record:
    """A pageview, or the completion of an event."""

    at: datetime
    visitor: str
    number: int | None
    """Seconds of a pageview, cents of a completion."""
    fields: dict[str, str | None]


@frozen
class Table:
    """The records of one site, and the manner of a server that reports on them.

    Attributes:
        records: The records, at moments of UTC.
        zone: The site's time zone.
        is_forgiving: Whether texts are the same if they differ in case or in blanks around them.
        fold: Which one is meant by a moment that clocks show twice.
        seed: Of the order of rows that the query leaves open.
    """

    records: Sequence[Record]
    zone: ZoneInfo
    is_forgiving: bool = False
    fold: int = 0
    seed: int = 0

    def answer(self, query: Query[Row]) -> Report[Row]:
        zone = self.zone if query.timezone is None else ZoneInfo(query.timezone)
        groups: dict[tuple[object, ...], list[Record]] = {}
        labels: dict[tuple[object, ...], tuple[object, ...]] = {}
        for record in self.records:
            if self._is_within(record, query, zone) and all(
                self._passes(record, each) for each in query.filters
            ):
                dates = () if query.date_grouping is None else (_bucket(record, query.date_grouping, zone),)
                texts = [record.fields[name] for name in query.field_grouping]
                key = (*dates, *map(self._same, texts))
                groups.setdefault(key, []).append(record)
                labels[key] = (*dates, *texts)
        rows: list[Row] = [
            query.codec.row(*labels[key], *(_metric(name, records) for name in query.aggregates))
            for key, records in groups.items()
        ]
        random.Random(self.seed).shuffle(rows)
        return Report(query, tuple(self._sorted(rows, query)[: query.effective_limit]))

    def _is_within(self, record: Record, query: Query[Row], zone: ZoneInfo) -> bool:
        first, last = (
            None if end is None else end.replace(tzinfo=zone, fold=self.fold).astimezone(UTC)
            for end in (query.date_from, query.date_to)
        )
        return (first is None or first <= record.at) and (last is None or record.at <= last)

    def _passes(self, record: Record, condition: Filter) -> bool:
        text = record.fields[condition.property]
        match condition.operator:
            case "is":
                return self._same(text) == self._same(condition.value)
            case "is not":
                return self._same(text) != self._same(condition.value)
            case _:
                return bool(
                    re.search(condition.value, text or "", re.IGNORECASE if self.is_forgiving else re.NOFLAG)
                )

    def _same(self, text: str | None) -> str | None:
        return text.casefold().strip() if self.is_forgiving and text is not None else text

    def _sorted(self, rows: list[Row], query: Query[Row]) -> list[Row]:
        column, _, direction = (query.sort_by or "").partition(":")
        if column:
            read = attrgetter(DATE_COLUMN if column == TIMESTAMP else column)
            known = [row for row in rows if read(row) is not None]
            is_text = column in query.field_grouping
            known.sort(key=lambda row: cast("int", self._same(read(row)) if is_text else read(row)))
            nulls = [row for row in rows if read(row) is None]
            return [*nulls, *known] if direction == "asc" else [*reversed(known), *nulls]
        return rows if query.date_grouping is None else sorted(rows, key=attrgetter(DATE_COLUMN))


def _bucket(record: Record, unit: str, zone: ZoneInfo) -> date:
    shown = record.at.astimezone(zone).replace(tzinfo=None, fold=0, minute=0, second=0)
    if unit == "hour":
        return shown
    return shown.date().replace(**{"day": {}, "month": {"day": 1}, "year": {"month": 1, "day": 1}}[unit])


def _metric(name: str, records: Sequence[Record]) -> float | None:
    numbers = [each.number for each in records if each.number is not None]
    match name:
        case "pageviews" | "conversions":
            return len(records)
        case "value":
            return sum(numbers) if numbers else None
        case "avg_duration":
            return sum(numbers) / len(numbers) if numbers else None
        case "bounce_rate":
            return sum(each.number is None for each in records) / len(records)
        case _:  # visits, uniques, unique_conversions
            return len({each.visitor for each in records})
