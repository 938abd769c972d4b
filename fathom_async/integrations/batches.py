"""Batches of queries, and batches and their outcomes as JSON values.

A batch is made by the process that has the queries, and answered by a worker. It names the account, but never holds a
token. As a JSON value it can pass through any job engine: unpickling untrusted data can run any code, and reading
these values cannot.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, Generic, cast

import attrs

from fathom_async import errors
from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Origin, Outcome, checked, count_requests
from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._reports.query import Query, query_from_params
from fathom_async._util import checks
from fathom_async.errors import ArgumentError, FathomError, TransportError

Json = Mapping[str, object]
"""A JSON object, such as a task or an outcome."""

_KINDS: Final = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, FathomError)
}


@attrs.frozen
class Batch(Generic[RowT_co]):
    """Queries that one task sends together; can be pickled.

    Attributes:
        queries: The queries.
        positions: Index of each query among the queries of all batches.
        account: Name of the account, as `Connect` takes it.
        requests: Number of requests that it takes at most, as long as no answer is truncated.
    """

    queries: tuple[Query[RowT_co], ...]
    positions: tuple[int, ...]
    account: str = ""
    requests: int = 1

    def to_json(self) -> Json:
        """Return the batch as a JSON value."""
        return {
            "queries": [_params(query) for query in self.queries],
            "extra": [query.extra for query in self.queries],
            "positions": list(self.positions),
            "account": self.account,
            "requests": self.requests,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Batch[Row]":
        """Read a batch from its JSON value.

        Raises:
            ArgumentError: It is none.
            QueryError: The API cannot answer one of its queries.
        """
        known = cast("Mapping[str, Any]", value)
        try:
            queries = tuple(map(query_from_params, known["queries"], known["extra"]))
            positions = tuple(map(int, known["positions"]))
            read = Batch(
                cast("tuple[Query[Row], ...]", queries), positions, known["account"], known["requests"]
            )
        except (KeyError, TypeError) as error:
            raise ArgumentError(f"not the JSON value of a batch: {error!r}") from None
        if not len(queries) == len(positions) == len(known["queries"]):
            raise ArgumentError("not the JSON value of a batch: each query needs a position, and its extra")
        return read

    def failed(self, error: FathomError) -> Sequence[Outcome[RowT_co]]:
        """Return the outcomes of a batch that failed as a whole."""
        pairs = zip(self.positions, self.queries, strict=True)
        return [Outcome(query, None, error, position=position) for position, query in pairs]


def batches(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> Sequence[Batch[RowT]]:
    """Split queries into batches of one fused request, or of a few.

    Args:
        queries: `PageviewQuery`s and `EventQuery`s.
        account: Name of the account, as `Connect` takes it.
        requests: Number of fused requests in a batch.

    Raises:
        ArgumentError: An item is not a query, or `requests` is less than 1.
        QueryError: The API cannot answer one of the queries.
    """
    asked = checked(queries)
    size = checks.count("requests", requests)
    groups = fuse(asked)
    made: list[Batch[RowT]] = []
    for first in range(0, len(groups), size):
        part = groups[first : first + size]
        positions = sorted(chain.from_iterable(each.positions for group in part for each in group.asked))
        queries_of = tuple(asked[position] for position in positions)
        made.append(Batch(queries_of, tuple(positions), account, count_requests(part)))
    return made


def interleaved(accounts: Iterable[Iterable[Batch[RowT]]]) -> Sequence[Batch[RowT]]:
    """Interleave the batches of several accounts, for an engine that runs tasks in order.

    An engine that finishes one account before it starts the next makes all workers wait for the first account's rate
    limit and leaves the other accounts' limits unused.
    """
    turns = zip_longest(*accounts)
    return [batch for turn in turns for batch in turn if batch is not None]


def in_order(outcomes: Iterable[Outcome[RowT]]) -> Sequence[Outcome[RowT]]:
    """Sort outcomes into the order of their queries."""
    return sorted(outcomes, key=lambda outcome: outcome.position)


def unanswered(ended: Iterable[tuple[Batch[RowT], Iterable[Outcome[RowT]]]]) -> Sequence[Batch[RowT]]:
    """Return the batches that have failed queries, with these alone, to be run again.

    Args:
        ended: Batches and their outcomes, as `Fleet.run_batches` yields them.
    """
    made: list[Batch[RowT]] = []
    for batch, outcomes in ended:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if failed:
            queries, positions = zip(*((each.query, each.position) for each in failed), strict=True)
            made.append(attrs.evolve(batch, queries=queries, positions=positions))
    return made


def outcome_value(outcome: Outcome[Row]) -> Json:
    """Return an outcome as a JSON value, for `read_outcomes` to read beside its batch."""
    if outcome.report is None:
        return _error_value(outcome.error or FathomError("the outcome has neither a report nor an error"))
    return {
        "rows": outcome.report.to_json().decode(),
        "truncated": outcome.report.truncated,
        "origin": outcome.origin,
        "asked_at": outcome.asked_at,
    }


def read_outcomes(batch: Batch[RowT], values: Sequence[Json]) -> Sequence[Outcome[RowT]]:
    """Read the outcomes of a batch from their JSON values, which are in the order of its queries."""
    asked = zip(batch.positions, batch.queries, cast("Sequence[Mapping[str, Any]]", values), strict=True)
    return [_outcome(position, query, value) for position, query, value in asked]


def _params(query: Query[Row]) -> dict[str, str]:
    """Return the parameters of a query, without the server's default limit if the query sets none."""
    return {name: text for name, text in query.params().items() if name != "limit" or query.limit is not None}


def _outcome(position: int, query: Query[RowT], value: Mapping[str, Any]) -> Outcome[RowT]:
    if "error" in value:
        return Outcome(query, None, _error(value["error"], value["facts"]), position=position)
    report = attrs.evolve(query.read(value["rows"].encode()), truncated=value["truncated"])
    return Outcome(query, report, None, cast("Origin", value["origin"]), value["asked_at"], position)


def _error_value(error: FathomError) -> Json:
    """Return an error as its class name and arguments, without the raw body of an invalid response."""
    facts = [fact for fact in error.args if not isinstance(fact, bytes)]
    if isinstance(error, TransportError):  # as an OSError it keeps only two arguments in `args`
        facts = [error.message, error.method, error.url, error.sent]
    name = type(error).__name__
    try:
        if name in _KINDS:
            return {"error": name, "facts": json.loads(json.dumps(facts))}
    except TypeError:
        pass
    return {"error": "FathomError", "facts": [f"{name}: {error}"]}


def _error(name: str, facts: Sequence[Any]) -> FathomError:
    try:
        return _KINDS[name](*facts)
    except (KeyError, TypeError):  # of another version of this package
        return FathomError(": ".join(map(str, [name, *facts])))
