"""What a bulk run would send, told without sending it."""

from collections.abc import Iterable, Sequence
from typing import Generic

import attrs

from fathom_async._bulk.fusing import Fused, fuse
from fathom_async._bulk.hours import hour_pieces
from fathom_async._core.codec.rows import RowT, RowT_co
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.query import Query
from fathom_async.errors import ArgumentError

_SHOWN = 40
"""Requests that are listed; the figures above them are of all."""


@attrs.frozen(repr=False)
class BulkPlan(Generic[RowT_co]):
    """What a bulk run would send; prints well.

    Attributes:
        groups: The requests, each with the queries that it answers and how.
        queries: Queries asked.
        requests: Requests to be sent: more than `groups` where a group takes several.
        seconds: Until the last one would be admitted, by the lane's own account.
    """

    groups: Sequence[Fused[RowT_co]]
    queries: int
    requests: int
    seconds: float

    @property
    def pageviews(self) -> int:
        """What the requests cost on the account's bill, where each counts as a pageview."""
        return self.requests

    def __repr__(self) -> str:
        return f"<BulkPlan of {self.queries} queries in {self.requests} requests, {self.seconds:.0f} s>"

    def __str__(self) -> str:
        lines = [self._headline()]
        for number, group in enumerate(self.groups[:_SHOWN], start=1):
            how = ", ".join(group.how) or "as asked"
            lines.append(f"{number:>4}  {len(group.asked):>4} x {how:<40} {group.query!r}")
        if len(self.groups) > _SHOWN:
            lines.append(f"      … and {len(self.groups) - _SHOWN:,} more")
        return "\n".join(lines)

    def _headline(self) -> str:
        factor = f", {self.queries / self.requests:.1f} times fewer" if self.requests < self.queries else ""
        minutes, seconds = divmod(round(self.seconds), 60)
        return (
            f"{_count(self.queries, 'query', 'queries')} in {_count(self.requests, 'request', 'requests')}{factor}; "
            f"{minutes} min {seconds:02} s; {_count(self.pageviews, 'pageview', 'pageviews')} on the account"
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def planned(queries: Iterable[Query[RowT]], lane: Lane, *, is_fused: bool) -> BulkPlan[RowT]:
    """Return what a run would send through a lane; see `ReportsResource.plan`."""
    first: dict[Query[RowT], Query[RowT]] = {}
    asked = [first.setdefault(query, query) for query in checked(queries)]  # a run asks equal ones once
    groups = grouped(asked, is_fused=is_fused)
    requests = sum(len(hour_pieces(group.query)) for group in groups)
    seconds = lane.eta(requests, Priority.BULK) if requests else 0.0
    return BulkPlan(groups, len(asked), requests, seconds)


def grouped(queries: Sequence[Query[RowT]], *, is_fused: bool) -> Sequence[Fused[RowT]]:
    """Return the requests that answer all queries: few, or one for each."""
    return (
        fuse(queries) if is_fused else [group for query in dict.fromkeys(queries) for group in fuse([query])]
    )


def checked(queries: Iterable[Query[RowT]]) -> Sequence[Query[RowT]]:
    """Return the queries, all of which can be asked.

    Raises:
        ArgumentError: One of them is no query.
        QueryError: One of them cannot be asked at all.
    """
    if isinstance(queries, Query):
        raise ArgumentError("queries takes a list of queries; for a single one write [query]")
    asked = list(queries)
    for position, query in enumerate(asked):
        if not isinstance(query, Query):
            raise ArgumentError(
                f"queries[{position}] must be a PageviewQuery or an EventQuery, not {query!r}"
            )
        hour_pieces(query)
    return asked
