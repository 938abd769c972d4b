"""Attributes of a report's rows, for editors and type checkers.

The attributes exist where the query asked for the column, or the server sends it unasked; any other is an
`AttributeError`. Rows are made by `fathom_async._core.codec.rows` with the columns of their query.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

from fathom_async._core.codec.rows import ColumnKind, Row
from fathom_async._reports.arguments import missing
from fathom_async._reports.fields import (
    DATE_COLUMN,
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    METRIC_KINDS,
    PAGEVIEW_AGGREGATES,
    RATES,
    VALUE,
)

_GROUPS: Final[Mapping[str, tuple[object, str | None]]] = {
    DATE_COLUMN: (
        datetime | date,
        "On the site's clock: a moment for hours, the first day of a month or year.",
    ),
    **dict.fromkeys(FIELD_GROUPINGS, (str | None, None)),
}
_UNITS: Final = {
    "avg_duration": "In seconds.",
    "bounce_rate": "From 0 to 1.",
    VALUE: "In cents where the event's unit is a currency.",
}


def _shape(metrics: Sequence[str]) -> Mapping[str, tuple[object, str | None]]:
    return {
        **_GROUPS,
        **{name: ((float if name in RATES else int) | None, _UNITS.get(name)) for name in metrics},
    }


class GroupedRow(Row, frozen=True, gc=False):
    """The columns that pageview and event reports share.

    ``date`` is a `datetime.date` (the first of the month or year for these groupings), and with
    ``date_grouping="hour"`` a `datetime.datetime` without a time zone: both on the clock of the site. A
    grouping column is None where the server has no value.

    A column that the query does not name is an attribute too if the server sends it, and its values are texts,
    numbers, flags or null. Rows that are read out of the answer to another query, as where queries are fused, have
    their own columns only.
    """

    kinds_: ClassVar[Mapping[str, ColumnKind]] = METRIC_KINDS

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            told = "" if name.startswith("_") else missing(name, self.__struct_fields__)
            raise AttributeError(f"the row has no column {name!r}{told}", name=name)

        def __getitem__(self, name: object) -> NoReturn:
            raise TypeError(f"a row has attributes; write row.{name} instead of row[{name!r}]")

    if TYPE_CHECKING:
        date: date
        hostname: str | None
        pathname: str | None
        entry_page: str | None
        exit_page: str | None
        referrer_hostname: str | None
        referrer_pathname: str | None
        referrer_source: str | None
        browser: str | None
        country_code: str | None
        city: str | None
        state: str | None
        region: str | None
        device_type: str | None
        operating_system: str | None
        utm_campaign: str | None
        utm_content: str | None
        utm_medium: str | None
        utm_source: str | None
        utm_term: str | None
        keyword: str | None
        ref: str | None
        ai_source: str | None


class PageviewRow(GroupedRow, frozen=True, gc=False):
    """A row of a pageview report.

    ``avg_duration`` is in seconds, ``bounce_rate`` between 0 and 1. A metric is None where the server says
    null. ``visits``, ``uniques``, ``avg_duration`` and ``bounce_rate`` must not be added up over rows.
    """

    shape_: ClassVar[Mapping[str, tuple[object, str | None]]] = _shape(PAGEVIEW_AGGREGATES)

    if TYPE_CHECKING:
        visits: int | None
        uniques: int | None
        pageviews: int | None
        avg_duration: float | None
        bounce_rate: float | None


class EventRow(GroupedRow, frozen=True, gc=False):
    """A row of an event report.

    ``value`` is in cents where the event's unit is a currency, and a plain number otherwise: see
    `fathom_async._reports.report.Report.money`. A metric is None where the server says null.
    """

    shape_: ClassVar[Mapping[str, tuple[object, str | None]]] = _shape(EVENT_AGGREGATES)

    if TYPE_CHECKING:
        conversions: int | None
        unique_conversions: int | None
        value: int | None
