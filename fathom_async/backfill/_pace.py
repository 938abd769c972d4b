"""How many periods go into one request.

Without fields to group by, a report has one row a period, and nothing stops it: all that is missing is one request,
except that the server groups no more than 7 days by the hour. With fields, an answer of less than 1,000 rows costs
one request, and each thousand beyond costs two. So the rows of the periods read last tell how many to read next,
and a run that is killed loses no more than one such piece.
"""

from typing import Final

import attrs

from fathom_async._reports.fields import MAX_ROWS, DateGrouping
from fathom_async._reports.query import HOUR_GROUPING_SPAN

_HOURS: Final = HOUR_GROUPING_SPAN.days * 24
_FILL: Final = 0.8
_GROWTH: Final = 8
_FIRST: Final[dict[DateGrouping, int]] = {"hour": 24, "day": 7, "month": 3, "year": 1}
_MOST: Final[dict[DateGrouping, int]] = {"hour": _HOURS, "day": 366, "month": 36, "year": 10}


@attrs.frozen
class Pace:
    """How many periods to ask for next.

    Args:
        size: That many; None for all.
        most: The highest it may grow to; None where rows do not matter.
    """

    size: int | None
    most: int | None

    @classmethod
    def begin(cls, grouping: DateGrouping, *, has_fields: bool) -> "Pace":
        """Return the pace of a report that nothing is known of yet."""
        if has_fields:
            return cls(_FIRST[grouping], _MOST[grouping])
        return cls(_HOURS if grouping == "hour" else None, None)

    def halved(self, periods: int) -> "Pace":
        """Return the pace after so many periods had more rows than can be had."""
        return attrs.evolve(self, size=max(1, periods // 2))

    def after(self, periods: int, rows: int) -> "Pace":
        """Return the pace after so many periods had so many rows."""
        if self.most is None:
            return self
        fitting = int(_FILL * MAX_ROWS * periods / max(rows, 1))
        return attrs.evolve(self, size=max(1, min(fitting, periods * _GROWTH, self.most)))
