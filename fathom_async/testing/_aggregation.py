"""The parameters of `/aggregations`, read and validated.

Dates are inclusive and local to the report's time zone. A bare `date_from` is the start of that day, a bare `date_to`
its last second; without `date_to` a report ends now. A range includes both occurrences of an hour that occurs twice
(at the end of summer time).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async.testing._account_state import AccountState
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._dataset import GROUPINGS
from fathom_async.testing._dialect import EXACT, ServerDialect
from fathom_async.testing._filters import Condition, read_filters
from fathom_async.testing._http_errors import incompatible, not_found
from fathom_async.testing._validation import Form

Entity = Literal["pageview", "event"]

AGGREGATES: dict[Entity, tuple[str, ...]] = {
    "pageview": ("visits", "uniques", "pageviews", "avg_duration", "bounce_rate"),
    "event": ("conversions", "unique_conversions", "value"),
}
ROWS_WITHOUT_LIMIT = 500
MOST_HOURLY = timedelta(days=7)

DateGrouping = Literal["hour", "day", "month", "year"]
_SORT = re.compile(r"(\w+):(asc|desc)")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?P<time> \d{2}:\d{2}:\d{2})?")


@frozen(kw_only=True)
class Aggregation:
    """A valid report from the unix second `first` to `last`; `sort_by` is a column, and whether it descends."""

    subject: "Subject"
    aggregates: tuple[str, ...]
    date_grouping: DateGrouping | None
    field_grouping: tuple[str, ...]
    sort_by: tuple[str, bool] | None
    first: int | None
    last: int
    timezone: str
    limit: int | None
    filters: tuple[Condition, ...]
    dialect: ServerDialect = EXACT


@frozen
class Subject:
    """What a report is about: pageviews, or an event by the dataset's names for its completions."""

    entity: Entity
    site_id: str
    events: tuple[str, ...] = ()


def read_subject(query: Mapping[str, str], account: AccountState, *, by_id: bool) -> Subject:
    """Return what a report counts, before its permissions are checked."""
    form = Form(query)
    form.require("entity")
    entity = form.choice("entity", ("pageview", "event"))
    form.check()
    if entity == "pageview":
        form.require("entity_id", "when entity is pageview")
        form.check()
        return Subject("pageview", form.text("entity_id") or "")
    if "entity_id" in form and not by_id:
        form.fail("entity_id", "The entity id field is prohibited when entity is event.")
    if "entity_id" not in form:
        form.require("site_id", "when entity is event")
        form.require("entity_name", "when entity is event")
    form.check()
    if event_id := form.text("entity_id"):
        for event in account.every_event():
            if event.id == event_id:
                return Subject("event", event.site_id, (event.recorded_as,) if event.recorded_as else ())
        raise not_found("Event")
    site_id, name = form.text("site_id") or "", form.text("entity_name") or ""
    return Subject("event", site_id, account.recorded_as(site_id, name))


def read_aggregation(
    query: Mapping[str, str],
    subject: Subject,
    *,
    site_timezone: str,
    clock: ServerClock,
    first_record: Callable[[Subject], int | None],
    dialect: ServerDialect = EXACT,
) -> Aggregation:
    """Read the parameters of a report, or raise a 400 or 422."""
    form = Form(query)
    form.require("aggregates")
    known = AGGREGATES["pageview"] + AGGREGATES["event"]
    aggregates = _read_list(form, "aggregates", known)
    field_grouping = _read_list(form, "field_grouping", GROUPINGS)
    date_grouping = cast(
        "DateGrouping | None", form.choice("date_grouping", ("hour", "day", "month", "year"))
    )
    sortable = {*aggregates, *field_grouping, *(("timestamp",) if date_grouping else ())}
    sort_by = _read_sort(form, sortable)
    limit = form.integer("limit", 1, 1000)
    timezone = form.timezone("timezone") or site_timezone
    since, until = _read_moment(form, "date_from", end=False), _read_moment(form, "date_to", end=True)
    zone = ZoneInfo(timezone)
    until = until or clock.now().astimezone(zone).replace(tzinfo=None)
    if since is not None and "date_to" in form and until < since:
        form.fail("date_to", "The date to field must be a date after or equal to date from.")
    filters = read_filters(form, form.text("filters", maximum=100_000))
    form.check()
    if strangers := [name for name in aggregates if name not in AGGREGATES[subject.entity]]:
        raise incompatible(
            "aggregates", f"{', '.join(strangers)} cannot be aggregated for the entity {subject.entity}."
        )
    if date_grouping == "hour":
        begin = since or _local(first_record(subject), zone)
        if begin is not None and until - begin > MOST_HOURLY:
            raise incompatible(
                "date_grouping", "Hourly grouping is only supported for date ranges of up to 7 days."
            )
    begin_fold, end_fold = dialect.folds()
    return Aggregation(
        subject=subject,
        aggregates=aggregates,
        date_grouping=date_grouping,
        field_grouping=field_grouping,
        sort_by=sort_by,
        first=None if since is None else int(since.replace(tzinfo=zone, fold=begin_fold).timestamp()),
        last=min(int(until.replace(tzinfo=zone, fold=end_fold).timestamp()), int(clock.now().timestamp())),
        timezone=timezone,
        limit=limit or (ROWS_WITHOUT_LIMIT if field_grouping else None),
        filters=filters,
        dialect=dialect,
    )


def _local(unix: int | None, zone: ZoneInfo) -> datetime | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC).astimezone(zone).replace(tzinfo=None)


def _read_list(form: Form, name: str, options: tuple[str, ...]) -> tuple[str, ...]:
    text = form.text(name, maximum=1000)
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else ()
    for part in parts:
        if part not in options:
            form.fail(name, f"The selected {name.replace('_', ' ')} is invalid: {part}.")
    return parts


def _read_sort(form: Form, sortable: set[str]) -> tuple[str, bool] | None:
    text = form.text("sort_by")
    if text is None:
        return None
    found = _SORT.fullmatch(text)
    if found is None or found[1] not in sortable:
        form.fail("sort_by", "The selected sort by is invalid.")
        return None
    return found[1], found[2] == "desc"


def _read_moment(form: Form, name: str, *, end: bool) -> datetime | None:
    text = form.text(name)
    if text is None:
        return None
    found = _TIMESTAMP.fullmatch(text)
    if found is not None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            whole_day = end and found["time"] is None
            return moment + timedelta(days=1, seconds=-1) if whole_day else moment
    form.fail(name, f"The {name.replace('_', ' ')} field must be a valid date.")
    return None
