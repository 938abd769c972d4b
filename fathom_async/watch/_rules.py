"""Rules: what is counted, over which periods, and when that is worth an alert."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from math import ceil, isfinite
from os import PathLike
from typing import Any, BinaryIO, Final, cast

import attrs

from fathom_async._cache.entry import digest
from fathom_async._reports import arguments
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    EVENT_AGGREGATES,
    PAGEVIEW_AGGREGATES,
    EventAggregate,
    PageviewAggregate,
)
from fathom_async._reports.filters import Filter, as_filters
from fathom_async._reports.query import AnyQuery, EventQuery, PageviewQuery
from fathom_async.errors import ArgumentError
from fathom_async.jobs._expand import Table
from fathom_async.jobs._faults import Faults
from fathom_async.jobs._file import check_keys, named_tables, not_empty, read_tables

_PERIOD: Final = re.compile(r"(?:(?P<count>[1-9][0-9]{0,2}) )?(?P<unit>hour|day)s?")
_WEEK: Final = {"hour": 168, "day": 7}
_WEEKS: Final = 8
"""How many comparable periods are looked at."""
_RELATIVE: Final = ("below_median", "above_median", "deviations")
_BOUNDS: Final = ("below", "above", *_RELATIVE)
_REQUIRED: Final = {"site_id": '"CDBUGS"', "metric": '"visits"'}


def _filters(given: Iterable[Filter | Mapping[str, str]]) -> tuple[Filter, ...]:
    each = arguments.listed("filters", given)
    return as_filters(one if isinstance(one, Filter) else Filter.from_dict(one) for one in each)


@attrs.frozen(kw_only=True)
class Rule:
    """What to count in each complete period of a site's clock, and the bounds beyond which there is an alert.

    Args:
        name: What alerts call it. With another name or other arguments, it is another rule, without a past.
        site_id: ID of the site.
        metric: A metric of pageviews, or of an event.
        entity_name: Name of an event.
        filters: Filters, all of which must match.
        timezone: A time zone to use instead of the site's.
        period: ``hour`` or ``day``, or several, such as ``6 hours``: those that ended last. Several take a metric
            that adds up: ``pageviews``, ``conversions`` or ``value``.
        below: Alert if the figure is below this; 1 for nothing at all.
        above: Alert if it is above this.
        below_median: Alert if it is below so many times the median of comparable periods, such as 0.5: of the same
            hours of the same weekday, in the eight weeks before. Half of them must be there, since something was
            counted for the first time.
        above_median: Alert if it is above so many times that median.
        deviations: Alert if it is off that median by so many standard deviations. They are estimated by the median
            absolute deviation; for counts, they are at least the square root of the median, as by chance.

    Raises:
        ArgumentError: There can be no such rule; the message says what to write.

    >>> Rule(name="drop", site_id="CDBUGS", metric="visits", below_median=0.5).query
    PageviewQuery('CDBUGS', date_grouping='day', aggregates=('visits',))
    """

    name: str
    site_id: str = attrs.field(converter=arguments.site_id)
    metric: PageviewAggregate | EventAggregate
    entity_name: str | None = None
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=_filters)
    timezone: str | None = attrs.field(default=None, converter=arguments.time_zone)
    period: str = "day"
    below: float | None = None
    above: float | None = None
    below_median: float | None = None
    above_median: float | None = None
    deviations: float | None = None

    def __attrs_post_init__(self) -> None:
        not_empty("name", self.name)
        known = PAGEVIEW_AGGREGATES if self.entity_name is None else EVENT_AGGREGATES
        arguments.known_word("metric", self.metric, known)
        if not isinstance(self.period, str) or not _PERIOD.fullmatch(self.period):
            raise ArgumentError(
                f'period cannot be {self.period!r}; write "hour", "6 hours", "day" or "7 days"'
            )
        if self.length > 1 and self.metric not in ADDITIVE_METRICS:
            raise ArgumentError(
                f"{self.metric} of single {self.unit.name}s do not add up to those of {self.period!r}; write "
                f'period = "{self.unit.name}", or a metric that adds up: {", ".join(sorted(ADDITIVE_METRICS))}'
            )
        bounds = {name: value for name in _BOUNDS if (value := getattr(self, name)) is not None}
        for name, value in bounds.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not is_number or value < 0 or (value == 0 and name != "above"):
                raise ArgumentError(
                    f"{name} must be a number above 0, not {value!r}; below = 1 is for nothing"
                )
        if not bounds:
            raise ArgumentError(f"there is no bound; write one of {', '.join(_BOUNDS)}, such as below = 1")
        _ = self.query  # it has checks of its own

    @property
    def unit(self) -> Unit:
        """The hours or days that a period consists of."""
        return Unit("hour" if "hour" in self.period else "day")

    @property
    def length(self) -> int:
        """How many of them it has."""
        found = _PERIOD.fullmatch(self.period)
        return int((found and found["count"]) or 1)

    @property
    def earlier(self) -> range:
        """How many units before a period the comparable ones end, the nearest first; empty if none is looked at."""
        week = _WEEK[self.unit.name]
        step = week * ceil(self.length / week)
        is_relative = any(getattr(self, name) is not None for name in _RELATIVE)
        return range(step, step * _WEEKS + 1, step) if is_relative else range(0)

    @cached_property
    def query(self) -> AnyQuery:
        """What to ask, without the range."""
        given: dict[str, Any] = {"aggregates": [self.metric], "date_grouping": self.unit.name}
        given |= {"filters": self.filters, "timezone": self.timezone}
        if self.entity_name is None:
            return PageviewQuery(self.site_id, **given)
        return EventQuery(self.site_id, self.entity_name, **given)

    @cached_property
    def key(self) -> str:
        """What is the same for equal rules only, in all processes."""
        given = attrs.asdict(self, filter=lambda field, value: value != field.default)
        return digest("rule", json.dumps(given, sort_keys=True))


def load_rules(source: str | PathLike[str] | BinaryIO) -> tuple[Rule, ...]:
    """Read a file of rules; ``docs/watch.md`` describes the format. Blocks while it reads the disk.

    Args:
        source: A path, or a file opened in binary mode.

    Raises:
        JobFileError: The file has errors; the message lists all of them, and what to write instead.
        OSError: The file cannot be read.
    """
    file, tables = read_tables(source)
    faults = Faults()
    check_keys("", tables, ("rule",), faults)
    named = named_tables("rule", tables, faults)
    rules = [rule for name, table in named.items() for rule in _rules(name, table, faults)]
    faults.check(file)
    return tuple(rules)


def _rules(name: str, table: Table, faults: Faults) -> Iterator[Rule]:
    """Yield the rule of a table for each of its sites."""
    make = cast("Callable[..., Rule]", Rule)
    place, before, given = f"rule.{name}", len(faults), cast("dict[str, Any]", table)
    known = [field.name for field in attrs.fields(Rule) if field.name != "name"]
    check_keys(place, given, known, faults)
    for key, example in _REQUIRED.items():
        if given.get(key, []) == []:
            faults.add(f"{place}.{key}", f"is missing; write {key} = {example}")
    sites: list[Any] = given["site_id"] if isinstance(given.get("site_id"), list) else [given.get("site_id")]
    valid: dict[str, Any] = {"name": name, "site_id": "CDBUGS", "metric": "pageviews", "below": 1}
    if "entity_name" in given:
        valid |= {"metric": "conversions", "entity_name": "purchase"}
    for key in [key for key in known if key in given]:  # one by one, so that all errors are found
        for value in sites if key == "site_id" else [given[key]]:
            with faults.at(f"{place}.{key}"):
                make(**valid | {key: value})
    for site in sites if len(faults) == before else ():
        with faults.at(place):
            yield make(**given | {"name": name, "site_id": site})
