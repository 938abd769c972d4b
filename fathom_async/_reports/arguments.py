"""Check the arguments of queries and filters one by one; each error says what to write instead.

Moments are read here too: what callers may write, as a moment on the wall clock of the report.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Final, cast
from zoneinfo import ZoneInfo

from fathom_async._reports.fields import (
    DATE_COLUMN,
    DATE_GROUPINGS,
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    MAX_ROWS,
    METRIC_KINDS,
    PAGEVIEW_AGGREGATES,
    SYNONYMS,
    TIMESTAMP,
    DateGrouping,
    EventAggregate,
    FieldGrouping,
    PageviewAggregate,
)
from fathom_async._util.checks import known_zone, similar_zone, suggestion
from fathom_async.errors import QueryError
from fathom_async.models import Site


def hint(word: str, known: Collection[str]) -> str:
    """Return which of the known names a wrong one may mean, by its spelling or as a synonym."""
    meant = SYNONYMS.get(word.strip().lower().replace("-", "_"))
    return f"; did you mean {meant!r}?" if meant in known else suggestion(word, known)


def missing(column: str, columns: Sequence[str]) -> str:
    """Say what to write for a column that a report does not have."""
    asked = (
        f"aggregates=[..., {column!r}]"
        if column in METRIC_KINDS
        else f"field_grouping=[{column!r}]"
        if column in FIELD_GROUPINGS
        else "date_grouping='day'"
        if column == DATE_COLUMN
        else ""
    )
    return f"; to have it, write {asked} in the query" if asked else hint(column, columns)


def check_names(what: str, given: Iterable[str], known: Sequence[str], error: type[Exception]) -> None:
    for name in given:
        if name not in known:
            is_range = "period" in {name, SYNONYMS.get(name)}
            over = "; write query.over('last 30 days', now=date.today()) for a range in words"
            raise error(f"{what} has no argument {name!r}{over if is_range else hint(name, known)}")


def known_word(argument: str, word: object, known: Sequence[str]) -> str:
    """Check that a word is one of those known."""
    if isinstance(word, str) and word in known:
        return word
    if not isinstance(word, str):
        raise QueryError(f"{argument} takes names as str, not {word!r}; there are: {', '.join(known)}")
    if "," in word:
        raise QueryError(f"{argument} has no {word!r}; write {_items(word)!r}")
    raise QueryError(f"{argument} has no {word!r}{hint(word, known)}")


def listed(argument: str, names: object) -> tuple[object, ...]:
    """Return the items of a list. A single string is refused, since its letters would become the items."""
    if isinstance(names, str):
        raise QueryError(f"{argument} takes a list of names; write {argument}={_items(names)!r}")
    if not isinstance(names, Iterable):
        raise QueryError(f"{argument} takes a list of names, not {names!r}")
    return tuple(cast("Iterable[object]", names))


def _items(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]


def _known_words(argument: str, words: tuple[object, ...], known: Sequence[str]) -> tuple[str, ...]:
    """Check that names are known, of this argument, and different from each other."""
    names = tuple(word for word in words if isinstance(word, str))
    if argument == "field_grouping" and not {DATE_COLUMN, TIMESTAMP, *DATE_GROUPINGS}.isdisjoint(names):
        raise QueryError("field_grouping has no dates; write date_grouping='day', 'hour', 'month' or 'year'")
    other, others = (
        ("field_grouping", FIELD_GROUPINGS) if argument == "aggregates" else ("aggregates", METRIC_KINDS)
    )
    if misplaced := [name for name in names if name not in known and name in others]:
        raise QueryError(f"{argument} has no {misplaced[0]!r}; write {other}={misplaced!r}")
    for word in words:
        if names.count(known_word(argument, word, known)) > 1:
            raise QueryError(f"{argument} names {word!r} twice; write it once")
    return names


def sendable(argument: str, value: object) -> str:
    """Check that a value is a string that can be encoded."""
    if not isinstance(value, str):
        written = f"; write {str(value)!r}" if isinstance(value, int | float | date) else ""
        raise QueryError(f"{argument} must be a str, not {type(value).__name__}{written}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{argument} {value!r} has half a surrogate pair, which cannot be encoded") from None
    return value


FIRST_SECOND: Final = time(0, 0, 0)
LAST_SECOND: Final = time(23, 59, 59)
_DATE_LENGTH: Final = len("2026-01-31")


def first_moment(value: date | str | None, argument: str = "date_from") -> datetime | None:
    """Return the start of a range; a bare date starts with its first second."""
    return _moment(argument, value, FIRST_SECOND)


def last_moment(value: date | str | None) -> datetime | None:
    """Return the end of a range; a bare date ends with its last second."""
    return _moment("date_to", value, LAST_SECOND)


def wall_clock(argument: str, moment: datetime, timezone: str | None) -> datetime:
    """Return a moment on the wall clock of a time zone, without a time zone.

    An aware moment raises `QueryError` if the target zone is unknown, or its clocks show it twice.
    """
    if moment.tzinfo is None:
        return moment
    if timezone is None:
        raise QueryError(
            f"{argument} has the time zone {moment.tzinfo}, but the report is in the site's, which is "
            f"unknown here; write {argument}=moment.astimezone(ZoneInfo(site.timezone)).replace(tzinfo=None)"
        )
    try:
        local = moment.astimezone(ZoneInfo(timezone))
    except OverflowError:
        raise QueryError(f"{argument} is out of the calendar's range: {moment}") from None
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        raise QueryError(
            f"{argument} is in the hour that clocks in {timezone} show twice, and the API cannot tell which; "
            "write a moment before or after that hour"
        )
    return local.replace(tzinfo=None)


def time_zone(value: ZoneInfo | str | None) -> str | None:
    """Return the TZ database name of a time zone that exists."""
    if value is None:
        return None
    name = value.key if isinstance(value, ZoneInfo) else sendable("timezone", value)
    if known_zone(name) is None:
        raise QueryError(f"timezone has no {name!r}{similar_zone(name)}")
    return name


def _moment(argument: str, value: object, bare: time) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        read = date.fromisoformat if len(value.strip()) == _DATE_LENGTH else datetime.fromisoformat
        try:
            value = read(value.strip())
        except ValueError:
            raise QueryError(
                f"{argument} cannot be read: {value!r}; write '2026-01-31' or '2026-01-31 15:30:00', "
                "and for ranges such as 'last 30 days' use query.over('last 30 days', now=...)"
            ) from None
    if isinstance(value, datetime):
        return value.replace(microsecond=0)
    if isinstance(value, date):
        return datetime.combine(value, bare)
    raise QueryError(
        f"{argument} takes a date, a datetime or a str such as '2026-01-31 15:30:00', not {value!r}"
    )


_DIRECTIONS: Final = ("asc", "desc")


def site_id(value: str | Site) -> str:
    """Return a site's ID, such as ``CDBUGS``."""
    name = value.id if isinstance(value, Site) else sendable("site_id", value)
    if not name or not name.isprintable() or any(character in ' /\\?#%&,:"' for character in name):
        raise QueryError(f"site_id must be an ID such as 'CDBUGS', not {name!r}")
    return name


def entity_name(value: str) -> str:
    name = sendable("entity_name", value)
    if not name.strip():
        raise QueryError("entity_name is empty; write the event's name as the dashboard shows it")
    return name


def pageview_aggregates(words: Iterable[PageviewAggregate]) -> tuple[PageviewAggregate, ...]:
    return cast("tuple[PageviewAggregate, ...]", _aggregates(words, PAGEVIEW_AGGREGATES))


def event_aggregates(words: Iterable[EventAggregate]) -> tuple[EventAggregate, ...]:
    return cast("tuple[EventAggregate, ...]", _aggregates(words, EVENT_AGGREGATES))


def field_grouping(words: Iterable[FieldGrouping]) -> tuple[FieldGrouping, ...]:
    names = listed("field_grouping", words)
    if "domain" in map(str, names):
        raise QueryError("domain can be filtered on, but not grouped by; group by 'hostname'")
    return cast("tuple[FieldGrouping, ...]", _known_words("field_grouping", names, FIELD_GROUPINGS))


def date_grouping(word: DateGrouping | None) -> DateGrouping | None:
    return None if word is None else cast("DateGrouping", known_word("date_grouping", word, DATE_GROUPINGS))


def limit(rows: int | None) -> int | None:
    return None if rows is None else _checked_limit(rows)


def _checked_limit(rows: object) -> int:
    if isinstance(rows, bool) or not isinstance(rows, int):
        raise QueryError(f"limit must be a whole number, not {rows!r}")
    if not 1 <= rows <= MAX_ROWS:
        more = "; for every row, write reports.complete(query)" if rows > MAX_ROWS else ""
        raise QueryError(f"limit must be between 1 and {MAX_ROWS}, not {rows}{more}")
    return rows


def extra(given: Mapping[str, str | Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return parameters that this version does not know, each with its values."""
    if not isinstance(given, Mapping):
        raise QueryError(f"extra must be a mapping of parameters to values, not {given!r}")
    found = dict[str, tuple[str, ...]]()
    for name, values in given.items():
        each = (values,) if isinstance(values, str) else listed(f"extra {name!r}", values)
        found[sendable("extra", name)] = tuple(sendable(f"extra {name!r}", value) for value in each)
    return found


_SORT: Final = re.compile(
    r"\s*(?P<sign>-?)(?P<field>\w+)[\s:]*(?P<direction>asc|desc)?(?:ending)?\s*", re.IGNORECASE
)
"""Orders as other services write them."""


def check_sort(sort_by: object, columns: tuple[str, ...], *, by_date: bool) -> None:
    """Check that a sort is ``field:asc`` or ``field:desc`` of a column, or of ``timestamp`` with a date grouping."""
    written = sendable("sort_by", sort_by)
    field, _, direction = written.partition(":")
    if direction not in _DIRECTIONS:
        meant, direction = _SORT.fullmatch(written), ""
        if meant is not None:
            field, direction = (
                meant["field"],
                (meant["direction"] or ("desc" if meant["sign"] else "")).lower(),
            )
    sortable = (*columns, TIMESTAMP) if by_date else columns
    if field in {DATE_COLUMN, TIMESTAMP} and not by_date:
        raise QueryError(f"sort_by {written!r} needs a date_grouping; write date_grouping='day', for example")
    if field == DATE_COLUMN:
        raise QueryError(f"sort_by calls the date column 'timestamp'; write 'timestamp:{direction or 'asc'}'")
    if field not in sortable:
        raise QueryError(
            f"sort_by {field!r} is neither an aggregate nor a grouping here{hint(field, sortable)}"
        )
    if not direction:
        raise QueryError(f"sort_by {written!r} has no direction; write '{field}:desc' or '{field}:asc'")
    if written != f"{field}:{direction}":
        raise QueryError(f"sort_by cannot be {written!r}; write '{field}:{direction}'")


def _aggregates(words: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    names = listed("aggregates", words)
    if not names:
        raise QueryError(f"aggregates is empty; name at least one of {', '.join(known)}")
    for foreign in METRIC_KINDS.keys() - {*known} & {*map(str, names)}:
        other = "EventQuery" if known is PAGEVIEW_AGGREGATES else "PageviewQuery"
        raise QueryError(f"aggregates has {foreign!r} only in {other}; here there are: {', '.join(known)}")
    return _known_words("aggregates", names, known)
