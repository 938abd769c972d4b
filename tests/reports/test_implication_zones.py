"""On which days an answer is in doubt, given the clocks of all time zones."""

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from fathom_async._reports.implication import implies
from tests.reports.test_implication import BY_DAY, JANUARY


def test_days_are_certain_without_a_time_zone_where_no_zone_changes_its_clocks_at_midnight() -> None:
    """The few zones that are asked stand for all."""
    weeks = [datetime(2014, 1, 1) + timedelta(weeks=number) for number in range(52 * 14)]  # noqa: DTZ001 - wall clocks
    doubts = set[datetime]()
    for zone in map(ZoneInfo, available_timezones()):
        offsets = [week.replace(tzinfo=zone).utcoffset() for week in weeks]
        for (week, before), (_, after) in pairwise(zip(weeks, offsets, strict=True)):
            if before != after:
                days = [week + timedelta(days=number) for number in range(8)]
                ends = (day - timedelta(seconds=early) for day in days for early in (0, 1))
                doubts.update(end for end in ends if is_doubtful(end, zone))
    azores = ZoneInfo("Atlantic/Azores")
    doubts = {end for end in doubts if end.hour or not is_doubtful(end, azores)}
    assert len(doubts) > 150
    always = BY_DAY.replace(date_from=None, date_to=None)
    for end in doubts:
        name = "date_from" if end.hour == 0 else "date_to"
        assert not implies(always, JANUARY.replace(date_from=None, date_to=None).replace(**{name: end}))


def is_doubtful(end: datetime, zone: ZoneInfo) -> bool:
    return len({end.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}) > 1
