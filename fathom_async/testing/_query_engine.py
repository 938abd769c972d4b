"""The records in SQLite (in memory), and reports from them.

The figures:

* `pageviews` and `conversions` count rows; `value` sums their known values.
* `visits` counts distinct sessions, `unique_conversions` distinct visitors.
* `uniques` counts distinct pages of sessions: (session, hostname, pathname).
* `avg_duration` is the mean of the known durations in seconds; `null` if there are none.
* `bounce_rate` is the share of sessions that bounced.

So `visits`, `uniques`, `unique_conversions`, `avg_duration` and `bounce_rate` of a period are not the sum or the mean
of its parts, as on the live service.

Rows hold numbers in place of strings, so that a filter is evaluated once for each distinct value, not for each row.
"""

import json
import sqlite3
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from random import Random
from threading import Lock
from typing import Any, cast
from zoneinfo import ZoneInfo

from fathom_async.testing._aggregation import (
    AGGREGATES,
    Aggregation,
    DateGrouping,
    Entity,
    Subject,
)
from fathom_async.testing._dataset import GROUPINGS, Completion, Pageview, Record
from fathom_async.testing._dialect import ServerDialect, without
from fathom_async.testing._filters import Condition

Cell = str | float | None
ResultRow = dict[str, Cell]

_COLUMNS = (*GROUPINGS, "domain")
_METRICS = {
    "pageviews": "COUNT(*)",
    "visits": "COUNT(DISTINCT actor)",
    "uniques": "COUNT(DISTINCT page)",
    "avg_duration": "AVG(amount)",
    "bounce_rate": "COUNT(DISTINCT CASE WHEN bounced THEN actor END) * 1.0 / COUNT(DISTINCT actor)",
    "conversions": "COUNT(*)",
    "unique_conversions": "COUNT(DISTINCT actor)",
    "value": "SUM(amount)",
}
_BUCKETS: dict[DateGrouping, str] = {
    "hour": "%Y-%m-%d %H:00:00",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}
_RENDERERS: Mapping[str, Callable[[Any], Cell]] = {
    "date": str,
    "avg_duration": lambda seconds: None if seconds is None else f"{seconds:.4f}",
    "bounce_rate": lambda rate: None if rate is None else round(rate, 4),
}
_DAY = 86_400  # seconds
_PLACEHOLDERS = ", ".join("?" * (7 + len(_COLUMNS)))


class QueryEngine:
    """Tables of one dataset: read-only, and safe to query from any thread."""

    def __init__(self, pageviews: Iterable[Pageview], completions: Iterable[Completion]) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._lock = Lock()
        self._codes: dict[str, int] = {}
        self._terms: list[str] = []
        weakref.finalize(self, self._connection.close)
        self._load("pageview", map(self._encode_pageview, pageviews))
        self._load("event", map(self._encode_completion, completions))
        self._periods = {table: self._period(table) for table in AGGREGATES}
        self._values = {column: self._distinct(column) for column in _COLUMNS}
        self._matching = lru_cache(maxsize=256)(self._find_matching)
        self._group_of = lru_cache(maxsize=64)(self._make_group_of)
        self._answers = lru_cache(maxsize=1024)(self._compute)

    def first_record(self, subject: Subject) -> int | None:
        where, values = self._source(subject)
        [(first,)] = self._query(f"SELECT MIN(at) FROM {subject.entity} WHERE {where}", values)  # noqa: S608 - own words
        return cast("int | None", first)

    def report(self, wanted: Aggregation, seed: int) -> Sequence[ResultRow]:
        """Compute a report; the seed decides the order that `sort_by` leaves open."""
        return self._answers(wanted, seed)

    def _load(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        dimensions = ", ".join(_COLUMNS)
        self._connection.execute(
            f"CREATE TABLE {table} (site, at, event, actor, page, amount, bounced, {dimensions})"
        )
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT INTO {table} VALUES ({_PLACEHOLDERS})", rows)  # noqa: S608 - own words
        self._connection.execute("COMMIT")
        self._connection.execute(f"CREATE INDEX {table}_site_at ON {table} (site, at)")
        self._connection.execute(f"CREATE INDEX {table}_site_pathname ON {table} (site, pathname)")
        self._connection.execute("ANALYZE")

    def _code(self, text: str) -> int:
        code = self._codes.setdefault(text, len(self._terms))
        if code == len(self._terms):
            self._terms.append(text)
        return code

    def _encode_pageview(self, view: Pageview) -> Sequence[object]:
        page = self._code(f"{view.session}\0{view.hostname}\0{view.pathname}")
        return self._encode(view, "", view.session, page, view.duration, bounced=view.bounced)

    def _encode_completion(self, done: Completion) -> Sequence[object]:
        return self._encode(done, done.event, done.visitor, 0, done.value, bounced=False)

    def _encode(
        self, record: Record, event: str, actor: str, page: int, amount: int | None, *, bounced: bool
    ) -> Sequence[object]:
        code = self._code
        return (
            code(record.site_id),
            int(record.at.timestamp()),
            code(event),
            code(actor),
            page,
            amount,
            bounced,
            *map(code, _dimensions(record)),
            code(record.hostname.removeprefix("www.")),
        )

    def _distinct(self, column: str) -> Sequence[int]:
        sql = f"SELECT {column} FROM pageview UNION SELECT {column} FROM event"  # noqa: S608 - own words
        return [cast("int", code) for (code,) in self._query(sql, ())]

    def _period(self, table: Entity) -> tuple[int, int]:
        [(first, last)] = self._query(f"SELECT MIN(at), MAX(at) FROM {table}", ())  # noqa: S608 - own words
        return cast("int", first or 0), cast("int", last or 0)

    def _query(self, sql: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def _source(self, subject: Subject) -> tuple[str, list[object]]:
        names = [self._codes.get(name, -1) for name in subject.events or ("",)]
        where = "site = ? AND event IN (SELECT value FROM json_each(?))"
        return where, [self._codes.get(subject.site_id), json.dumps(names)]

    def _find_matching(self, condition: Condition, dialect: ServerDialect) -> str:
        holds, terms = condition.predicate(dialect), self._terms
        return json.dumps([code for code in self._values[condition.property] if holds(terms[code])])

    def _make_group_of(self, dialect: ServerDialect) -> str:
        """Return the name of an SQL function that tells the groups of texts apart."""
        firsts: dict[str, int] = {}
        groups = [
            firsts.setdefault(without(text, dialect.groups_ignore), code)
            for code, text in enumerate(self._terms)
        ]
        name = f"group_of_{self._group_of.cache_info().currsize}_{id(groups)}"
        self._connection.create_function(name, 1, groups.__getitem__, deterministic=True)
        return name

    def _compute(self, wanted: Aggregation, seed: int) -> Sequence[ResultRow]:
        subject = wanted.subject
        if subject.entity == "event" and not subject.events:
            return []
        where, values = self._source(subject)
        where += " AND at <= ?"
        values.append(wanted.last)
        if wanted.first is not None:
            where += " AND at >= ?"
            values.append(wanted.first)
        for condition in wanted.filters:
            where += f" AND {condition.property} IN (SELECT value FROM json_each(?))"  # noqa: S608 - own words
            values.append(self._matching(condition, wanted.dialect))
        labels = [*self._bucket(wanted), *wanted.field_grouping]
        keys = [str(place) for place in range(1, len(labels) + 1)]
        if wanted.dialect.groups_ignore and wanted.field_grouping:
            group_of = self._group_of(wanted.dialect)
            labels = [*self._bucket(wanted), *(f"MIN({name})" for name in wanted.field_grouping)]
            keys = [*self._bucket(wanted), *(f"{group_of}({name})" for name in wanted.field_grouping)]
        columns = ", ".join([*labels, *(_METRICS[name] for name in wanted.aggregates)])
        sql = f"SELECT {columns} FROM {subject.entity} WHERE {where}"  # noqa: S608 - own words
        if keys:
            sql += f" GROUP BY {', '.join(keys)}"
        elif not wanted.dialect.has_zero_rows:
            sql += " HAVING COUNT(*) > 0"
        rows = self._query(sql, values)
        names = [*(("date",) if wanted.date_grouping else ()), *wanted.field_grouping, *wanted.aggregates]
        rows = self._arrange(rows, names, wanted, seed)
        renderers = [self._renderer(name, wanted.dialect) for name in names]
        return [
            {name: render(cell) for name, render, cell in zip(names, renderers, row, strict=True)}
            for row in rows[: wanted.limit]
        ]

    def _bucket(self, wanted: Aggregation) -> list[str]:
        if wanted.date_grouping is None:
            return []
        spans = _offsets(wanted.timezone, *self._periods[wanted.subject.entity])
        steps = " ".join(f"WHEN at < {end} THEN {offset}" for end, offset in spans[:-1])
        shift = f"CASE {steps} ELSE {spans[-1][1]} END" if steps else str(spans[-1][1])
        return [f"strftime('{_BUCKETS[wanted.date_grouping]}', at + {shift}, 'unixepoch')"]

    def _arrange(
        self, rows: list[tuple[object, ...]], names: Sequence[str], wanted: Aggregation, seed: int
    ) -> list[tuple[object, ...]]:
        """Shuffle, so that no client relies on an order without `sort_by`, then sort."""
        Random(f"{seed}:{wanted.subject.entity}:{names}").shuffle(rows)  # noqa: S311 - an order that repeats
        dates = [row[0] for row in rows] if wanted.date_grouping else []
        if len(set(dates)) > 1 and dates == sorted(cast("list[str]", dates)):
            rows.reverse()
        if wanted.sort_by is None:
            return rows
        column, descending = wanted.sort_by
        place = names.index("date" if column == "timestamp" else column)
        if column in GROUPINGS:
            terms = self._terms
            return sorted(rows, key=lambda row: terms[cast("int", row[place])], reverse=descending)
        return sorted(rows, key=lambda row: (row[place] is not None, row[place] or 0), reverse=descending)

    def _renderer(self, name: str, dialect: ServerDialect) -> Callable[[object], Cell]:
        if name in GROUPINGS:
            unknown = None if dialect.has_nulls else ""
            return lambda code: self._terms[cast("int", code)] or unknown
        return _RENDERERS.get(name, lambda count: None if count is None else str(count))


_dimensions = cast("Callable[[Record], tuple[str, ...]]", attrgetter(*GROUPINGS))


@lru_cache(maxsize=256)
def _offsets(name: str, first: int, last: int) -> tuple[tuple[int, int], ...]:
    """Return `(end, offset)` of the spans of constant UTC offset in a period, in seconds; the last ends after it."""
    zone = ZoneInfo(name)
    spans: list[tuple[int, int]] = []
    moment, offset = first, _offset(zone, first)
    while moment <= last:
        following = moment + _DAY
        if _offset(zone, following) != offset:
            change = _find_change(zone, moment, following)
            spans.append((change, offset))
            offset = _offset(zone, change)
        moment = following
    return (*spans, (moment + _DAY, offset))


def _offset(zone: ZoneInfo, moment: int) -> int:
    shift = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return int(shift.total_seconds()) if shift is not None else 0


def _find_change(zone: ZoneInfo, before: int, after: int) -> int:
    old = _offset(zone, before)
    return before + bisect_left(range(before, after), True, key=lambda moment: _offset(zone, moment) != old)
