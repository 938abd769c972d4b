"""Figures of a report, to draw in a terminal or on a page."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final, Literal

from attrs import frozen

from fathom_async import Report
from fathom_async._util.text import printable
from fathom_async.reports import RATES
from fathom_async.reports import Row as ReportRow

Unit = Literal["hour", "day", "week", "month", "year"]
Number = int | float | None

RANKED: Final = 20
LINES: Final = 8
NAMELESS: Final = "(none)"


@frozen
class Ranking:
    """One metric of the highest groups, from the highest down, and how many more there are."""

    metric: str
    labels: tuple[str, ...]
    values: tuple[Number, ...]
    left_out: int = 0


@frozen
class Line:
    """One group's figures, None for a date without one; the label is empty where there is only one line."""

    label: str
    values: tuple[Number, ...]


@frozen
class TimeSeries:
    """One metric of the highest groups at every date, and how many more groups there are."""

    metric: str
    unit: Unit
    dates: tuple[date, ...]
    lines: tuple[Line, ...]
    left_out: int = 0


@frozen
class Total:
    """One figure that stands alone."""

    metric: str
    value: Number


Figure = Ranking | TimeSeries | Total
Row = tuple[object, ...]
Dates = tuple[date, ...]


def every_date(report: Report[ReportRow], now: datetime) -> Dates:
    """Return the dates of a report's range, with and without rows, up to the present on the site's clock."""
    query = report.query
    if query.date_grouping is None:
        return ()
    found: set[date] = {getattr(row, "date") for row in report}  # noqa: B009 - only some rows have one
    start = query.date_from or min(found, default=None)
    alone = query.replace(field_grouping=(), sort_by=None, limit=None, extra={}, date_from=start)
    found |= {getattr(row, "date") for row in Report(alone, ()).filled(now=now)}  # noqa: B009 - likewise
    return tuple(sorted(found))


def figures_of(
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    metrics: Sequence[str],
    unit: Unit | None,
    dates: Dates = (),
) -> list[Figure]:
    """Return a figure of each metric of a report; none of a report without rows.

    The columns are ``date`` if there is a unit, then groupings, then metrics. The dates are all those of the range.
    """
    groups = len(columns) - len(metrics) - (unit is not None)
    found: list[Figure] = []
    for metric in metrics if rows else ():
        place = columns.index(metric)
        if unit is not None:
            found.append(_time_series(metric, unit, dates, rows, place, groups))
        elif groups:
            found.append(_ranking(metric, [(_label(row[:groups]), _number(row[place])) for row in rows]))
        else:
            found.append(Total(metric, _number(rows[0][place])))
    return found


def _ranking(metric: str, groups: Iterable[tuple[str, Number]]) -> Ranking:
    ranked = sorted(groups, key=lambda group: -(group[1] or 0))
    labels, values = zip(*ranked[:RANKED], strict=True)
    return Ranking(metric, labels, values, max(0, len(ranked) - RANKED))


def _time_series(  # noqa: PLR0917 - what `figures_of` knows
    metric: str, unit: Unit, dates: Dates, rows: Sequence[Row], place: int, groups: int
) -> TimeSeries:
    nothing = None if metric in RATES else 0  # a date without traffic has no row
    found: dict[str, dict[object, Number]] = {}
    for row in rows:
        found.setdefault(_label(row[1 : 1 + groups]) if groups else "", {})[row[0]] = _number(row[place])
    # By the peak: visitors and averages of several dates do not add up.
    highest = sorted(found.items(), key=lambda line: -max(value or 0 for value in line[1].values()))
    lines = tuple(
        Line(label, tuple(values.get(each, nothing) for each in dates)) for label, values in highest[:LINES]
    )
    return TimeSeries(metric, unit, dates, lines, max(0, len(highest) - LINES))


def day_label(moment: date, unit: Unit) -> str:
    """Return how a date of a course is written."""
    if isinstance(moment, datetime):
        return f"{moment:%d %b %H:%M}"
    return f"{moment:{ {'month': '%b %Y', 'year': '%Y'}.get(unit, '%d %b') }}"


def _label(group: Row) -> str:
    return " · ".join(NAMELESS if part in {None, ""} else printable(str(part)) for part in group)


def _number(value: object) -> Number:
    return value if isinstance(value, int | float) else None
