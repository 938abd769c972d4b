"""A process that writes one day after the other into a target, until it is killed."""

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fathom_async import PageviewQuery
from fathom_async.backfill._layout import Layout, Series
from fathom_async.backfill._ledger import Span
from tests.backfill.conftest import target_in
from tests.support.evaluation import ZONE

if TYPE_CHECKING:
    from fathom_async.backfill._layout import Cells

LAYOUT = Layout.of(
    PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"], date_grouping="day")
)
SERIES = Series("CDBUGS")
FIRST = date(2026, 1, 1).toordinal()
ROWS = 200


def main(directory: str, kind: str) -> None:
    held = target_in(Path(directory), kind).using(LAYOUT, ZONE)
    held.open()
    for number in range(10_000):
        day = Span(FIRST + 20 * number, FIRST + 20 * number + 20)
        rows: list[Cells] = [
            (*SERIES.cells, date.fromordinal(index), f"/{path}", path)
            for index in range(day.first, day.after)
            for path in range(ROWS)
        ]
        held.replace(SERIES, day, rows, day)
        print(number, flush=True)  # noqa: T201 - tells the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
