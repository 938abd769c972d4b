"""``--per week``: the days of a report, added up by ISO weeks, which begin on Monday."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

from fathom_async import Change
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.output import note
from fathom_async.reports import ADDITIVE_METRICS, Query, Row

_SUNDAY: Final = 6

Labels = tuple[date | str | None, ...]
Line = tuple[Labels, tuple[Change, ...]]
"""A date and groups, and the figures; `Change.previous` is None where nothing is compared."""


def check_additive(metrics: Sequence[str]) -> None:
    """Check that the figures of a week are those of its days, added up."""
    if wrong := [name for name in metrics if name not in ADDITIVE_METRICS]:
        raise CommandError(
            f"--per week adds up days, but {' and '.join(wrong)} of several days do not add up; write --per day, "
            f"or leave out all --metrics but {', '.join(sorted(ADDITIVE_METRICS))}",
            ExitCode.USAGE,
        )


def tell_cut_weeks(query: Query[Row]) -> None:
    """Note which weeks at the ends of the range of a query it has in part."""
    first, last = query.date_from, query.date_to
    if first is not None and first.weekday():
        note(f"the first week has only its days from {first.date()}")
    if last is not None and last.weekday() != _SUNDAY:
        note(f"the last week has only its days to {last.date()}")


def weekly(days: Iterable[Line], query: Query[Row], sort: str | None, limit: int | None) -> list[Line]:
    """Return the sums of days by the Monday of their week: by date, unless sorted, the highest groups first."""
    weeks: dict[Labels, tuple[Change, ...]] = {}
    for (day, *groups), figures in days:
        week = (day - timedelta(days=day.weekday()) if isinstance(day, date) else day, *groups)
        weeks[week] = tuple(map(_sum, weeks[week], figures)) if week in weeks else figures
    found = sorted(weeks.items(), key=lambda line: _rank(line[1][0].current), reverse=True)
    name, _, direction = (sort or "date:asc").partition(":")
    place = query.columns.index({"timestamp": "date"}.get(name, name))

    def rank(line: Line) -> tuple[float, str]:
        labels, figures = line
        return _rank(labels[place] if place < len(labels) else figures[place - len(labels)].current)

    return sorted(found, key=rank, reverse=direction == "desc")[:limit]


def _sum(one: Change, other: Change) -> Change:
    return Change(_added(one.current, other.current), _added(one.previous, other.previous))


def _added(one: float | None, other: float | None) -> float | None:
    return other if one is None else one + (other or 0)


def _rank(cell: date | str | float | None) -> tuple[float, str]:
    """Return what sorts the values of one column."""
    if isinstance(cell, date):
        return cell.toordinal(), ""
    return (-1.0, cell or "") if cell is None or isinstance(cell, str) else (cell, "")
