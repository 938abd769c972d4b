"""The requests that a job file would send, for people and for programs."""

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from fathom_async import BulkPlan
from fathom_async._cli.formatting import duration
from fathom_async._cli.output import Kind, Records
from fathom_async._util.text import counted, printable
from fathom_async.reports import Query, Row

COLUMNS: Final[dict[str, Kind]] = {
    "reports": "count",
    "requests": "count",
    "pageviews": "count",
    "seconds": "number",
    "complete": "count",
}
_SHOWN: Final = 40


@frozen
class Overview:
    """The requests that a job file would send: a fused run, and at least one for each query for every row."""

    reports: int
    plan: BulkPlan[Row]
    complete: Sequence[Query[Row]]
    seconds: float

    @property
    def requests(self) -> int:
        """Number of requests, with one for each complete query; each is a pageview on the account's bill."""
        return self.plan.requests + len(self.complete)

    def cells(self) -> tuple[int | float, ...]:
        return (self.reports, self.requests, self.requests, round(self.seconds, 1), len(self.complete))


def headline(overview: Overview) -> str:
    """Return the figures in one line."""
    least = "at least " if overview.complete else ""
    spared = ""
    if overview.requests < overview.reports:
        spared = f" ({overview.reports / overview.requests:.1f} times fewer)"
    return (
        f"{counted(overview.reports, 'report')} in {least}{counted(overview.requests, 'request')}{spared}, "
        f"{_time(overview.seconds, least)}, {least}{counted(overview.requests, 'pageview')} on the account"
    )


def table(overview: Overview) -> Records:
    """Return the first requests, one a row."""
    lines = list(_lines(overview))
    rows = [(reports, how, query.site_id, asked(query)) for reports, how, query in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        rows.append(
            (sum(reports for reports, *_ in lines[_SHOWN:]), f"and {len(lines) - _SHOWN:,} more", "", "")
        )
    return Records({"reports": "count", "how": "text", "site": "text", "what": "text"}, rows)


def asked(query: Query[Row]) -> str:
    """Return a query in a few words."""
    parts = [", ".join(query.aggregates)]
    if groupings := [*query.field_grouping, *([query.date_grouping] if query.date_grouping else [])]:
        parts.append(f"by {', '.join(groupings)}")
    if name := getattr(query, "entity_name", None):
        parts.append(f"of {name}")
    if query.date_from is not None or query.date_to is not None:
        ends = [f"{end:%Y-%m-%d}" if end else "…" for end in (query.date_from, query.date_to)]
        parts.append(ends[0] if ends[0] == ends[1] else " to ".join(ends))
    if query.filters:
        conditions = [f"{each.property} {each.operator} {each.value}" for each in query.filters]
        parts.append(f"where {' and '.join(conditions)}")
    return printable(" ".join(parts))


def _time(seconds: float, least: str) -> str:
    return f"{least}{duration(seconds)}" if seconds else "all admitted at once"


def _lines(overview: Overview) -> Iterator[tuple[int, str, Query[Row]]]:
    for group in overview.plan.groups:
        yield len(group.asked), ", ".join(group.how) or "as asked", group.query
    for each in overview.complete:
        yield 1, "every row", each
