"""Both ends of a range can be written in many ways, and mean one second of the site's clock."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from fathom_async._reports.arguments import first_moment, last_moment, time_zone, wall_clock
from fathom_async._reports.query import to_wire
from fathom_async.errors import QueryError


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2026-01-31", "2026-01-31 00:00:00", "2026-01-31 23:59:59"),
        (date(2026, 1, 31), "2026-01-31 00:00:00", "2026-01-31 23:59:59"),
        ("2026-01-31 15:31:00", "2026-01-31 15:31:00", "2026-01-31 15:31:00"),
        ("2026-01-31T15:31", "2026-01-31 15:31:00", "2026-01-31 15:31:00"),
        (datetime(2026, 1, 31), "2026-01-31 00:00:00", "2026-01-31 00:00:00"),
        (datetime(2026, 1, 31, 15, 31, 7, 999_999), "2026-01-31 15:31:07", "2026-01-31 15:31:07"),
    ],
)
def test_a_bare_date_is_a_whole_day_and_a_time_is_a_second(
    written: date | str, first: str, last: str
) -> None:
    start, end = first_moment(written), last_moment(written)

    assert start is not None
    assert end is not None
    assert (to_wire(start), to_wire(end)) == (first, last)


@pytest.mark.parametrize("written", ["last 30 days", "31.01.2026", "2026-02-30", "2026-01", ""])
def test_what_cannot_be_read_is_refused(written: str) -> None:
    with pytest.raises(QueryError, match="date_from cannot be read"):
        first_moment(written)


def test_a_number_is_no_date() -> None:
    with pytest.raises(QueryError, match="takes a date"):
        first_moment(20260131)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_aware_moment_is_shown_on_the_clock_of_the_time_zone() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)

    assert wall_clock("date_from", noon, "America/New_York") == datetime(2026, 1, 31, 7)
    assert wall_clock("date_from", datetime(2026, 1, 31, 12), None) == datetime(2026, 1, 31, 12)
    with pytest.raises(QueryError, match=r"astimezone\(ZoneInfo\(site.timezone\)\)"):
        wall_clock("date_from", noon, None)


def test_a_time_zone_is_known_by_name() -> None:
    assert time_zone(ZoneInfo("Europe/Berlin")) == time_zone("Europe/Berlin") == "Europe/Berlin"
    assert time_zone(None) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'"),
        ("europe/berlin", "did you mean 'Europe/Berlin'"),
        ("New York", "did you mean 'America/New_York'"),
        ("Europe", "write a TZ database name"),
        ("../etc/passwd", "timezone has no"),
        ("", "write a TZ database name"),
    ],
)
def test_an_unknown_time_zone_is_refused(name: str, hint: str) -> None:
    with pytest.raises(QueryError, match=hint):
        time_zone(name)
