"""Hourly jobs, which the server limits to 7 days: those that cannot run fail before anything is sent."""

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from fathom_async.jobs._faults import JobFileError
from fathom_async.jobs._file import JobFile, load_jobs

NOW = datetime(2026, 3, 20, 3, 30, tzinfo=UTC)
DAILY = '[job.daily]\nsite_id = "CDBUGS"\naggregates = ["visits"]\n'
HOURLY = '[job.hourly]\nsite_id = "CDBUGS"\naggregates = ["visits"]\n'
NO_RANGE = (
    'job.hourly: a report by the hour needs a start and an end; write period = "last 7 days", or date_from and '
    "date_to, or another date_grouping"
)
NO_ORDER = (
    "job.hourly: limit = 10 over more than 7 days by the hour takes several requests, whose rows have a common order "
    'only by time or by an aggregate; write sort_by = "timestamp:asc" or sort_by = "visits:desc", or leave out limit'
)


def load(rest: str, group: str = 'field_grouping = "browser"\n') -> JobFile:
    written = DAILY + HOURLY + group + rest
    return load_jobs(io.BytesIO(written.encode()), now=NOW, zones={"CDBUGS": ZoneInfo("America/New_York")})


@pytest.mark.parametrize(
    "rest",
    [
        'date_grouping = "hour"',
        'date_grouping = "hour"\ndate_from = 2026-01-01',
        'date_grouping = "hour"\ndate_to = 2026-01-01',
        'matrix = { date_grouping = ["hour", "day"] }',
        'date_grouping = "hour"\ncomplete = true',
    ],
)
def test_hours_without_a_whole_range_are_refused(rest: str) -> None:
    with pytest.raises(JobFileError) as caught:
        load(rest)
    assert [str(fault) for fault in caught.value.faults] == [NO_RANGE]


@pytest.mark.parametrize("group", ["", 'field_grouping = "browser"\nsort_by = "browser:asc"\n'])
def test_the_first_rows_of_many_hours_are_refused_where_they_have_no_common_order(group: str) -> None:
    with pytest.raises(JobFileError) as caught:
        load('date_grouping = "hour"\nperiod = "last 30 days"\nlimit = 10\n', group)
    assert [str(fault) for fault in caught.value.faults] == [NO_ORDER]


@pytest.mark.parametrize(
    "rest",
    [
        'period = "last 7 days"',
        'period = "last 30 days"',
        "date_from = 2026-01-01\ndate_to = 2026-02-28",
        'period = "last 7 days"\nlimit = 10',
        'period = "last 30 days"\nlimit = 10',
        'period = "last 30 days"\nlimit = 10\nsort_by = "visits:desc"',
        'period = "last 30 days"\nlimit = 10\nsort_by = "timestamp:asc"',
    ],
)
def test_hours_are_loaded_where_they_can_be_run(rest: str) -> None:
    assert len(load('date_grouping = "hour"\n' + rest)) == 2
