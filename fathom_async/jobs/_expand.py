"""Expand one job's table into its queries."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import attrs

from fathom_async._reports.arguments import extra, known_word, sendable
from fathom_async._reports.former import FORMERS, Question
from fathom_async._reports.periods import Period
from fathom_async._reports.query import AnyQuery, EventQuery, PageviewQuery
from fathom_async.errors import ArgumentError
from fathom_async.jobs._checks import check_hours, check_order, check_value, filters_of
from fathom_async.jobs._faults import Faults, no_such_key
from fathom_async.jobs._matrix import (
    Axis,
    Choice,
    as_axis,
    as_choice,
    combinations,
    filled,
    placeholders,
    size,
)

PARAMETERS: Final = (
    "site_id",
    "entity_name",
    "aggregates",
    "field_grouping",
    "date_grouping",
    "period",
    "date_from",
    "date_to",
    "filters",
    "sort_by",
    "limit",
    "timezone",
)
"""Parameters of a query that a job's table and its matrix take, in the order of the parts of a name."""

RANGE: Final = ("date_from", "date_to")
"""The two ends of the range."""

_PLACEHOLDERS: Final = ("job", *PARAMETERS)
_REQUIRED: Final = {"site_id": '"CDBUGS"', "aggregates": '["pageviews"]'}

Table = Mapping[str, object]
Given = Mapping[str, Choice]


@attrs.frozen
class NamedQuery:
    """A query, and the name of its file, by which an interrupted run continues.

    Args:
        name: Letters, digits, ``.``, ``_``, ``+`` and ``-``; the same each time the file is read.
        query: The query.
        period: The words of its range, if they mean another range at another moment.
        former: The same query of the period that it is compared to. Both are then as `ReportsResource.compare` asks
            them: up to now, and for all groups.
        limit: The most rows of either period to compare.
    """

    name: str
    query: AnyQuery
    period: str | None
    former: AnyQuery | None = None
    limit: int | None = None

    @property
    def queries(self) -> tuple[AnyQuery, ...]:
        """What to ask: the query, and the former one if there is one."""
        return (self.query,) if self.former is None else (self.query, self.former)


@attrs.frozen
class JobClock:
    """The current moment at each site; see `fathom_async.jobs.load_jobs`."""

    now: datetime
    zones: Mapping[str, ZoneInfo]

    def now_for(self, query: AnyQuery) -> datetime:
        """Return the current moment, as `Query.over` takes it; fail if the time zone of the site is unknown."""
        if self.now.tzinfo is None:
            return self.now
        if query.timezone is not None:
            return self.now.astimezone(ZoneInfo(query.timezone))
        if query.site_id not in self.zones:
            raise ArgumentError(
                f"the time zone of the site {query.site_id!r} is unknown, so its days are undefined; "
                'write date_from and date_to, or timezone = "Europe/Berlin"'
            )
        return self.now.astimezone(self.zones[query.site_id])


def matrix_of(table: Table) -> Table:
    """Return the matrix of a job, empty if it has none."""
    matrix = table.get("matrix")
    return cast("dict[str, object]", matrix) if isinstance(matrix, dict) else {}


def expanded(job: str, table: Table, clock: JobClock, room: int, faults: Faults) -> tuple[NamedQuery, ...]:
    """Return the queries of a job: one for each combination of its matrix, of which there may be `room` many.

    With errors, which `faults` collects, no queries may be returned.
    """
    before, place = len(faults), f"job.{job}"
    fixed = {key: as_choice(key, table[key]) for key in PARAMETERS if key in table}
    axes = _axes(place, table, faults)
    _check_together(place, fixed, axes, faults)
    _check_values(place, fixed, axes, faults)
    template = _template(place, table, axes, faults)
    further = cast("Mapping[str, str | list[str]]", table.get("extra", {}))
    with faults.at(f"{place}.extra"):
        extra(further)
    with faults.at(f"{place}.compare"):
        compare = known_word("compare", table["compare"], FORMERS) if "compare" in table else None
    if size(axes) > room:
        faults.add(
            f"{place}.matrix",
            f"it makes {size(axes):,} queries, but only {room:,} are left; move parts of the matrix into another "
            "job file",
        )
    if len(faults) > before:
        return ()
    queries: list[NamedQuery] = []
    for chosen in combinations(axes):
        given = fixed | chosen
        if "filters" in fixed and "filters" in chosen:
            both = cast("list[object]", fixed["filters"].value) + cast(
                "list[object]", chosen["filters"].value
            )
            given["filters"] = attrs.evolve(chosen["filters"], value=both)
        with faults.at(place):
            query = _query(given, further, clock)
            check_hours(query)
            period = cast("str | None", given["period"].value) if "period" in given else None
            counted = None if period is None or Period.dated(period) else period
            named = NamedQuery(filled(template, _parts(job, given, query)), query, counted)
            queries.append(_compared(named, compare, period, clock) if compare else named)
    return tuple(queries)


def _compared(named: NamedQuery, to: str, period: str | None, clock: JobClock) -> NamedQuery:
    """Return a query beside the one of a former period."""
    query = named.query
    if query.date_from is None:
        raise ArgumentError('a comparison needs a range; write period = "last 30 days", or date_from')
    question = Question(query, to, period, by_weekday=False)
    runs = question.depends_on_clock(clock.now.astimezone(UTC) if clock.now.tzinfo else clock.now)
    both = question.queries(clock.now_for(query) if runs else clock.now)
    current, former = cast("tuple[AnyQuery, AnyQuery]", both)
    return NamedQuery(named.name, current, (period or to) if runs else None, former, query.limit)


def _axes(place: str, table: Table, faults: Faults) -> list[Axis]:
    if not isinstance(table.get("matrix", {}), dict):
        faults.add(f"{place}.matrix", f"must be a table; write [{place}.matrix]")
    matrix = matrix_of(table)
    for key in matrix:
        if key not in PARAMETERS:
            faults.add(f"{place}.matrix.{key}", no_such_key(key, PARAMETERS))
    found: list[Axis] = []
    for key in PARAMETERS:
        if key in matrix:
            with faults.at(f"{place}.matrix.{key}"):
                found.append(as_axis(key, matrix[key]))
    return found


def _check_together(place: str, fixed: Given, axes: Sequence[Axis], faults: Faults) -> None:
    many = {each.key for each in axes}
    for key in sorted(many.intersection(fixed) - {"filters"}):
        faults.add(f"{place}.{key}", "is in the matrix too; write it in one place")
    given = many.union(fixed)
    for key, example in _REQUIRED.items():
        if key not in given:
            faults.add(
                f"{place}.{key}", f"is missing; write {key} = {example}, here or as a list in the matrix"
            )
    if "period" in given and (other := given.intersection(RANGE)):
        faults.add(
            f"{place}.period", f"is the whole range; leave out {' and '.join(sorted(other))}, or period"
        )


def _check_values(place: str, fixed: Given, axes: Sequence[Axis], faults: Faults) -> None:
    given = {*fixed, *(each.key for each in axes)}
    check = partial(check_value, is_event="entity_name" in given, has_zone="timezone" in given)
    before = len(faults)
    for key, one in fixed.items():
        with faults.at(f"{place}.{key}"):
            check(key, one.value, in_matrix=f"{place}.matrix")
    for each in axes:
        for one in each.choices:
            with faults.at(f"{place}.matrix.{each.key}"):
                check(each.key, one.value, in_matrix=None)
    values = {each.key: [one.value for one in each.choices] for each in axes}
    if len(faults) == before and not values.keys().isdisjoint(RANGE):
        starts, ends = (values.get(key, [fixed[key].value] if key in fixed else []) for key in RANGE)
        with faults.at(f"{place}.matrix"):
            check_order(starts, ends)


def _template(place: str, table: Table, axes: Sequence[Axis], faults: Faults) -> str:
    default = "-".join(["{job}", *(f"{{{each.key}}}" for each in axes)])
    with faults.at(f"{place}.name"):
        template = table.get("name", default)
        if isinstance(template, list | dict):
            raise ArgumentError(f'must be one template for all queries of the job; write name = "{default}"')
        template = sendable("name", template)
        placeholders(template, _PLACEHOLDERS)
        return template
    return default


def _query(given: Given, further: Mapping[str, str | list[str]], clock: JobClock) -> AnyQuery:
    values: dict[str, Any] = {key: each.value for key, each in given.items() if key != "period"}
    values["extra"] = further
    if "filters" in values:
        values["filters"] = filters_of(values["filters"])
    query: AnyQuery = EventQuery(**values) if "entity_name" in values else PageviewQuery(**values)
    is_dated = query.date_grouping is not None
    if query.field_grouping and query.sort_by is None and (query.limit is not None or not is_dated):
        query = query.replace(sort_by=f"{query.aggregates[0]}:desc")
    if "period" not in given:
        return query
    words = cast("str", given["period"].value)
    return query.over(words, now=date.min if Period.dated(words) else clock.now_for(query))


def _parts(job: str, given: Given, query: AnyQuery) -> dict[str, str]:
    """Return the values of a name's placeholders; dates are those that the period means now."""
    parts = dict.fromkeys(_PLACEHOLDERS, "") | {key: each.label for key, each in given.items()}
    dates = {"date_from": query.date_from, "date_to": query.date_to}
    days = {key: moment.date().isoformat() for key, moment in dates.items() if moment and "period" in given}
    return parts | days | {"job": job}
