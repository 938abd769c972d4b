"""UTC offsets of a time zone over a period."""

from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = 86_400


@lru_cache(maxsize=256)
def offsets(name: str, first: int, last: int) -> tuple[tuple[int, int], ...]:
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
    """Return the first second with the new offset."""
    old = _offset(zone, before)
    return before + bisect_left(range(before, after), True, key=lambda moment: _offset(zone, moment) != old)
