"""Wall-clock moments of a report's range: what a caller may write, and how the API writes it."""

from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from fathom_async._reports.words import suggestion, text
from fathom_async.errors import QueryError

FIRST_SECOND: Final = time(0, 0, 0)
LAST_SECOND: Final = time(23, 59, 59)
_DATE_LENGTH: Final = len("2026-01-31")


def first_moment(value: date | str | None) -> datetime | None:
    """Return where a range starts; a bare date starts with its first second."""
    return _moment("date_from", value, FIRST_SECOND)


def last_moment(value: date | str | None) -> datetime | None:
    """Return where a range ends; a bare date ends with its last second."""
    return _moment("date_to", value, LAST_SECOND)


def wall_clock(argument: str, moment: datetime, timezone: str | None) -> datetime:
    """Return what the clock on the wall of the time zone shows, without a time zone.

    Raises:
        QueryError: The moment has a time zone of its own, and the one to show it in is not known, or its clocks
            show the moment twice.
    """
    if moment.tzinfo is None:
        return moment
    if timezone is None:
        raise QueryError(
            f"{argument} has the time zone {moment.tzinfo}, but the report is in the site's, which is not "
            f"known here; write {argument}=moment.astimezone(ZoneInfo(site.timezone)).replace(tzinfo=None)"
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
    """Return the TZ database name of a time zone, checked to exist."""
    if value is None:
        return None
    name = value.key if isinstance(value, ZoneInfo) else text("timezone", value)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise QueryError(f"timezone has no {name!r}{_similar_zone(name)}") from None
    return name


def to_wire(moment: datetime) -> str:
    """Return the moment as the API writes it: ``2026-01-31 23:59:59``."""
    return moment.isoformat(sep=" ", timespec="seconds")


def _similar_zone(name: str) -> str:
    zones = {zone.lower(): zone for zone in available_timezones()}
    cities = {zone.rpartition("/")[2].lower(): zone for zone in zones.values()}
    wanted = name.strip().lower().replace(" ", "_")
    if found := zones.get(wanted) or cities.get(wanted):
        return f"; did you mean {found!r}?"
    hint = suggestion(name, zones.values())
    return hint if "did you mean" in hint else "; write a TZ database name such as 'Europe/Berlin'"


def _moment(argument: str, value: object, bare: time) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _parsed(argument, value)
    if isinstance(value, datetime):
        return value.replace(microsecond=0)
    if isinstance(value, date):
        return datetime.combine(value, bare)
    raise QueryError(
        f"{argument} takes a date, a datetime or a str such as '2026-01-31 15:30:00', not {value!r}"
    )


def _parsed(argument: str, written: str) -> date:
    try:
        if len(written.strip()) == _DATE_LENGTH:
            return date.fromisoformat(written.strip())
        return datetime.fromisoformat(written.strip())
    except ValueError:
        raise QueryError(
            f"{argument} cannot be read: {written!r}; write '2026-01-31' or '2026-01-31 15:30:00', "
            "and for ranges such as 'last 30 days' use query.over('last 30 days', now=...)"
        ) from None
