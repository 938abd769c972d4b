"""Queries of the aggregation report, checked before a request is sent."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Final, Generic, Self, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import Column, Row, RowCodec, RowT_co, row_codec
from fathom_async._reports import arguments
from fathom_async._reports.fields import (
    DATE_COLUMN,
    MAX_ROWS,
    METRIC_KINDS,
    DateGrouping,
    Entity,
    EventAggregate,
    EventSort,
    FieldGrouping,
    PageviewAggregate,
    PageviewSort,
)
from fathom_async._reports.filters import Filter, as_filters, filters_from_json, filters_to_json
from fathom_async._reports.periods import Period
from fathom_async._reports.report import Report
from fathom_async._reports.rows import EventRow, PageviewRow
from fathom_async._reports.unsorted import warn_unsorted
from fathom_async._util.checks import suggestion
from fathom_async.errors import ArgumentError, QueryError
from fathom_async.models import Site

HOUR_GROUPING_SPAN: Final = timedelta(days=7)
"""The longest range that the server groups by hour."""

LONGEST_QUERY: Final = 7_000
"""Characters of the query string; common servers refuse a request line of 8 kB."""

_SURELY_FITS: Final = 500
_LISTS: Final = ("aggregates", "field_grouping")
_WORDS: Final = ("date_grouping", "date_from", "date_to", "sort_by", "timezone")


@attrs.frozen(eq=False, repr=False)
class Query(Generic[RowT_co]):
    """The common part of pageview and event queries; write a `PageviewQuery` or an `EventQuery`.

    Queries are equal if they request the same: the order of aggregates, groupings and filters does not matter, also
    for the hash. Columns keep their order.
    """

    entity: ClassVar[Entity]
    _row_base: ClassVar[type[Row]]
    _identity: ClassVar[Mapping[str, str]]

    site_id: str = attrs.field(converter=arguments.site_id)
    aggregates: tuple[str, ...] = attrs.field(kw_only=True)
    field_grouping: tuple[FieldGrouping, ...] = attrs.field(
        default=(), kw_only=True, converter=arguments.field_grouping
    )
    date_grouping: DateGrouping | None = attrs.field(
        default=None, kw_only=True, converter=arguments.date_grouping
    )
    date_from: datetime | None = attrs.field(default=None, kw_only=True, converter=arguments.first_moment)
    date_to: datetime | None = attrs.field(default=None, kw_only=True, converter=arguments.last_moment)
    filters: tuple[Filter, ...] = attrs.field(default=(), kw_only=True, converter=as_filters)
    sort_by: str | None = attrs.field(default=None, kw_only=True)
    limit: int | None = attrs.field(default=None, kw_only=True, converter=arguments.limit)
    timezone: str | None = attrs.field(default=None, kw_only=True, converter=arguments.time_zone)
    extra: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]], kw_only=True, converter=arguments.extra
    )

    if not TYPE_CHECKING:

        def __new__(cls, *values: object, **named: object) -> Self:
            arguments.check_names(cls.__name__, named, [field.name for field in attrs.fields(cls)], TypeError)
            if len(values) > len(cls._identity):
                raise TypeError(f"{cls.__name__} takes its metrics by name; write aggregates={values[-1]!r}")
            return object.__new__(cls)

    def __attrs_post_init__(self) -> None:
        for argument in ("date_from", "date_to"):
            moment: datetime | None = getattr(self, argument)
            if moment is not None:
                object.__setattr__(self, argument, arguments.wall_clock(argument, moment, self.timezone))
        if self.date_from is not None and self.date_to is not None and self.date_to < self.date_from:
            raise QueryError(
                f"date_to {to_wire(self.date_to)} is before date_from {to_wire(self.date_from)}; swap them"
            )
        for name in self.extra.keys() & {*self._identity, *_WORDS, "entity", "filters", "limit"}:
            raise QueryError(f"extra has {name!r}, which is an argument of its own; write it there")
        if self.sort_by is not None:
            columns = (*self.aggregates, *self.field_grouping, *self._more("aggregates", "field_grouping"))
            arguments.check_sort(self.sort_by, columns, by_date=self.date_grouping is not None)
        elif self.field_grouping and self.limit is not None and self.limit < MAX_ROWS:
            warn_unsorted(self.limit, self.aggregates[0])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the report's columns: ``date`` if grouped by date, then groupings, then aggregates."""
        return tuple(column.name for column in self.codec.columns)

    @cached_property
    def codec(self) -> RowCodec[RowT_co]:
        """Reads and writes the rows of this query's report."""
        dates = () if self.date_grouping is None else (Column(DATE_COLUMN, self.date_grouping),)
        groupings = (Column(name, "text") for name in (*self.field_grouping, *self._more("field_grouping")))
        metrics = [Column(name, METRIC_KINDS[name]) for name in self.aggregates]
        metrics += [Column(name, "number") for name in self._more("aggregates")]
        base = cast("type[RowT_co]", self._row_base)
        return row_codec((*dates, *groupings, *metrics), base)

    def _more(self, *lists: str) -> tuple[str, ...]:
        return tuple(name for each in lists for name in self.extra.get(each, ()))

    @property
    def effective_limit(self) -> int | None:
        """The most rows the answer can have, or None if it is unlimited.

        Without a ``limit``, a query grouped by fields would stop silently at 500 rows; it is sent with the highest
        limit instead.
        """
        is_grouped = self.field_grouping or self._more("field_grouping")
        return self.limit if self.limit is not None or not is_grouped else MAX_ROWS

    @property
    def exceeds_hour_span(self) -> bool:
        """Whether the range may exceed the 7 days that the server groups by hour.

        False for other date groupings. A range that is open at one end counts as too long.
        """
        if self.date_grouping != "hour":
            return False
        if self.date_from is None or self.date_to is None:
            return True
        return self.date_to - self.date_from > HOUR_GROUPING_SPAN

    def replace(self, **changes: object) -> Self:
        """Return a copy with some arguments changed and checked.

        Raises:
            QueryError: The changed query is invalid, or there is no such argument.
        """
        known = [field.name for field in attrs.fields(type(self))]
        arguments.check_names(type(self).__name__, changes, known, QueryError)
        return cast("Callable[..., Self]", attrs.evolve)(self, **changes)

    def over(self, period: str | Period, *, now: date) -> Self:
        """Return a copy over a range in words, such as ``last 30 days`` or ``previous month``.

        Args:
            period: The words, as `Period.parse` reads them, or a period.
            now: Today's date or the current moment, as in ``datetime.now(ZoneInfo(site.timezone))``. An aware
                moment is converted to the query's ``timezone`` if it has one; otherwise its wall clock counts as the
                site's.

        Raises:
            QueryError: The words are not a period.
        """
        if not isinstance(now, date):
            raise QueryError(f"now must be today's date or a moment, not {now!r}; write now=date.today()")
        if isinstance(now, datetime) and now.tzinfo is not None and self.timezone is not None:
            now = now.astimezone(ZoneInfo(self.timezone))
        resolved = period if isinstance(period, Period) else Period.parse(period, now)
        return self.replace(date_from=resolved.start, date_to=resolved.end)

    def params(self) -> dict[str, str]:
        """Return the query parameters of the request; ``filters`` is one JSON string."""
        return self._params(self.aggregates, self.field_grouping, self.filters)

    def read(self, body: bytes) -> Report[RowT_co]:
        """Decode a response body into a report.

        Rows grouped by date come in calendar order unless the query sorts them otherwise; rows of one date keep the
        server's order.

        Raises:
            DecodeError: The body is not an array of rows with the query's columns.
        """
        rows = self.codec.decode(body)
        if self.date_grouping is not None and self.sort_by is None:
            rows.sort(key=attrgetter(DATE_COLUMN))
        return Report(self, tuple(rows))

    def key(self) -> str:
        """Return a string that is the same exactly for equal queries.

        It is derived from the wire form, and stable across processes and versions of Python.
        """
        return self._key

    @classmethod
    def from_params(
        cls, params: Mapping[str, str], *, extra: Mapping[str, str | Sequence[str]] | None = None
    ) -> Self:
        """Return the query of these parameters, as `params` writes them.

        Args:
            params: The parameters.
            extra: What of them this version does not know: the query's `extra`.

        Raises:
            QueryError: The parameters belong to another entity, or the server would reject them.
        """
        more = arguments.extra(extra or {})  # noqa: S610 - not Django's
        given = {
            name: value for name, value in params.items() if value and (name in _LISTS or name not in more)
        }
        entity = given.pop("entity", None)
        if entity != cls.entity:
            raise QueryError(f"entity must be {cls.entity!r} for {cls.__name__}, not {entity!r}")
        known = (*cls._identity, *_LISTS, *_WORDS, "filters", "limit")
        for name in given:
            if name not in known:
                raise QueryError(f"{cls.__name__} has no parameter {name!r}{suggestion(name, known)}")
        values: dict[str, object] = {
            name: given.get(parameter, "") for parameter, name in cls._identity.items()
        }
        values |= {"aggregates": (), "extra": more}
        values |= {name: given[name] for name in _WORDS if name in given}
        for name in given.keys() & {*_LISTS}:
            words = [word.strip() for word in given[name].split(",")]
            values[name] = words[: len(words) - len(more.get(name, ()))]
        if "filters" in given:
            values["filters"] = filters_from_json(given["filters"])
        if "limit" in given:
            values["limit"] = int(given["limit"]) if given["limit"].isdecimal() else given["limit"]
        return cast("Callable[..., Self]", cls)(**values)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Query) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        shown: list[str] = []
        for field in sorted(attrs.fields(type(self)), key=lambda field: field.kw_only):
            value: object = getattr(self, field.name)
            if isinstance(value, datetime):
                value = to_wire(value)
            if value not in (None, (), {}):
                shown.append(f"{field.name}={value!r}" if field.kw_only else repr(value))
        return f"{type(self).__name__}({', '.join(shown)})"

    @cached_property
    def _key(self) -> str:
        meaning = self._params(sorted(self.aggregates), sorted(self.field_grouping), sorted(self.filters))
        return json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def _params(
        self, aggregates: Iterable[str], field_grouping: Iterable[str], filters: Sequence[Filter]
    ) -> dict[str, str]:
        given = {
            **{name: ",".join(values) for name, values in self.extra.items()},
            "aggregates": ",".join((*aggregates, *self._more("aggregates"))),
            "field_grouping": ",".join((*field_grouping, *self._more("field_grouping"))),
            "date_grouping": self.date_grouping,
            "date_from": self.date_from and to_wire(self.date_from),
            "date_to": self.date_to and to_wire(self.date_to),
            "filters": filters_to_json(filters) if filters else None,
            "sort_by": self.sort_by,
            "limit": None if self.effective_limit is None else str(self.effective_limit),
            "timezone": self.timezone,
        }
        named = {parameter: cast("str", getattr(self, name)) for parameter, name in self._identity.items()}
        return {"entity": self.entity} | named | {name: value for name, value in given.items() if value}


@attrs.frozen(eq=False, repr=False)
class PageviewQuery(Query[PageviewRow]):
    """A report on the pageviews of a site.

    Args:
        site_id: ID of the site.
        aggregates: Metrics: ``visits`` of the site, ``uniques`` of a page, ``pageviews``,
            ``avg_duration`` (seconds), ``bounce_rate`` (0 to 1).
        field_grouping: Fields to group by, in the order of their columns.
        date_grouping: ``hour`` (for up to 7 days at once), ``day``, ``month`` or ``year``.
        date_from: First moment, in the site's local time: a date (its first second), a datetime (to the second) or
            either as an ISO string. By default, the first recorded data. An aware datetime is converted to
            ``timezone``, and rejected without one.
        date_to: Last moment, likewise; a date ends with its last second. By default, now.
        filters: Filters, all of which must match.
        sort_by: ``field:asc`` or ``field:desc`` of an aggregate or a grouping, those of `extra` too, or with a date
            grouping ``timestamp``.
        limit: Maximum number of rows, from 1 to 1000. A report grouped by fields has at most 1000 rows. Without
            ``sort_by``, these are arbitrary groups.
        timezone: TZ database name of a time zone other than the site's. Deprecated by Fathom.
        extra: Parameters that this version does not know, with a value or a list, such as
            ``{"field_grouping": ["new"]}``. Further groupings are columns of text and further aggregates of numbers;
            such a query is never fused.

    Raises:
        QueryError: The server would reject the query, or silently answer something else.

    Warns:
        UnsortedLimitWarning: The limit keeps arbitrary groups.

    Source: "Reports > Aggregation" of the Fathom API reference.

    >>> query = PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="day")
    >>> query.over("previous month", now=date(2026, 3, 15)).params()["date_to"]
    '2026-02-28 23:59:59'
    >>> query.replace(aggregates=["visit"])
    Traceback (most recent call last):
    fathom_async.errors.QueryError: aggregates has no 'visit'; did you mean 'visits'?
    """

    entity: ClassVar[Entity] = "pageview"
    _row_base: ClassVar[type[Row]] = PageviewRow
    _identity: ClassVar[Mapping[str, str]] = {"entity_id": "site_id"}

    aggregates: tuple[PageviewAggregate, ...] = attrs.field(
        kw_only=True, converter=arguments.pageview_aggregates
    )
    sort_by: PageviewSort | str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(eq=False, repr=False)
class EventQuery(Query[EventRow]):
    """A report on the completions of an event.

    Args:
        site_id: ID of the site that the event belongs to.
        entity_name: The event's name, as the dashboard shows it.
        aggregates: Metrics: ``conversions``, ``unique_conversions``, ``value`` (in cents where the
            event's unit is a currency).

    The other arguments, errors and warnings are those of `PageviewQuery`.

    Source: "Reports > Aggregation" of the Fathom API reference.
    """

    entity: ClassVar[Entity] = "event"
    _row_base: ClassVar[type[Row]] = EventRow
    _identity: ClassVar[Mapping[str, str]] = {"site_id": "site_id", "entity_name": "entity_name"}

    entity_name: str = attrs.field(converter=arguments.entity_name)
    aggregates: tuple[EventAggregate, ...] = attrs.field(kw_only=True, converter=arguments.event_aggregates)
    sort_by: EventSort | str | None = attrs.field(default=None, kw_only=True)


AnyQuery = PageviewQuery | EventQuery


def query_from_params(
    params: Mapping[str, str], extra: Mapping[str, str | Sequence[str]] | None = None
) -> AnyQuery:
    """Return the query with these parameters, of the entity they name."""
    entity = arguments.known_word("entity", params.get("entity", ""), ("pageview", "event"))
    kind = PageviewQuery if entity == "pageview" else EventQuery
    return kind.from_params(params, extra=extra)


def check_query(method: str, query: object) -> None:
    if isinstance(query, Query):
        return
    if isinstance(query, str | Site):
        written = f"PageviewQuery({arguments.site_id(query)!r}, aggregates=['visits', 'pageviews'])"
    elif isinstance(query, Iterable):
        written = "reports.gather(queries) for many"
    else:
        written = "a PageviewQuery or an EventQuery"
    raise ArgumentError(f"reports.{method} takes one query, not {query!r}; write {written}")


def check_length(query: Query[Row]) -> None:
    """Check that a query fits into a URL."""
    written = (*(each.value for each in query.filters), *query.extra.values())
    if sum(len(str(each)) for each in written) < _SURELY_FITS:
        return
    characters = len(urlencode(query.params()))
    if characters > LONGEST_QUERY:
        raise QueryError(
            f"{len(query.filters)} filters{' and extra' if query.extra else ''} make a URL of {characters:,} "
            "characters, and servers take about "
            f"{LONGEST_QUERY:,}: write fewer or shorter ones, such as one 'matching' for several values"
        )


def to_wire(moment: datetime) -> str:
    """Return a moment as the API writes it: ``2026-01-31 23:59:59``."""
    return moment.isoformat(sep=" ", timespec="seconds")
