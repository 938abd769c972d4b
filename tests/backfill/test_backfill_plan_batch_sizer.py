"""How many periods go into one request."""

import pytest

from fathom_async._reports.fields import DateGrouping
from fathom_async.backfill._backfill_plan import BatchSizer


@pytest.mark.parametrize(
    ("grouping", "size"), [("hour", 168), ("day", None), ("month", None), ("year", None)]
)
def test_without_fields_nothing_but_hours_is_cut(grouping: DateGrouping, size: int | None) -> None:
    pace = BatchSizer.begin(grouping, has_fields=False)
    assert pace.size == size
    assert pace.after(10, 10_000) == pace


@pytest.mark.parametrize(
    ("periods", "rows", "size"),
    [
        (7, 0, 56),  # nothing yet: careful growth
        (56, 100, 366),  # at most a year
        (7, 700, 8),  # a hundred rows a day: eight days fit
        (7, 70_000, 1),  # never less than a day
        (1, 30_000, 1),
    ],
)
def test_with_fields_the_rows_of_the_last_answer_decide(periods: int, rows: int, size: int) -> None:
    assert BatchSizer.begin("day", has_fields=True).after(periods, rows).size == size


def test_hours_never_exceed_what_the_server_groups() -> None:
    assert BatchSizer.begin("hour", has_fields=True).after(168, 0).size == 168


def test_too_many_rows_halve_the_pace_down_to_one_period() -> None:
    pace = BatchSizer.begin("day", has_fields=True)
    assert [pace.halved(periods).size for periods in (7, 3, 1)] == [3, 1, 1]
