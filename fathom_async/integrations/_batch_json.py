"""Batches and their outcomes as JSON values, for engines that do not or should not pickle.

Unpickling untrusted data can run any code; these values are safe to read from any broker.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from fathom_async import errors
from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.query import Query, query_from_params
from fathom_async.errors import FathomError, TransportError
from fathom_async.integrations.workers import Batch

if TYPE_CHECKING:
    from fathom_async._bulk.results import Origin
    from fathom_async._reports.query import AnyQuery

Value = dict[str, Any]

_KINDS: Final = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, FathomError)
}


def batch_value(batch: Batch[Row]) -> Value:
    queries = [_params(query) for query in batch.queries]
    return {"queries": queries, "extra": [query.extra for query in batch.queries], "account": batch.account}


def read_batch(value: Mapping[str, Any]) -> Batch[Row]:
    """Read a batch from a JSON value; its positions count within the batch."""
    queries: tuple[AnyQuery, ...] = tuple(map(query_from_params, value["queries"], value["extra"]))
    return Batch(cast("tuple[Query[Row], ...]", queries), tuple(range(len(queries))), value["account"])


def outcome_value(outcome: Outcome[Row]) -> Value:
    """Return an outcome as a JSON value, for `read_outcomes` to read beside its batch."""
    if outcome.report is None:
        return _error_value(outcome.error or FathomError("the outcome has neither a report nor an error"))
    return {
        "rows": outcome.report.to_json().decode(),
        "truncated": outcome.report.truncated,
        "origin": outcome.origin,
        "asked_at": outcome.asked_at,
    }


def read_outcomes(batch: Batch[RowT], values: Sequence[Mapping[str, Any]]) -> Sequence[Outcome[RowT]]:
    """Read the outcomes of a batch from their JSON values, which are in the order of its queries."""
    asked = zip(batch.positions, batch.queries, values, strict=True)
    return [_outcome(position, query, value) for position, query, value in asked]


def _params(query: Query[Row]) -> dict[str, str]:
    """Return the parameters of a query, without the server's default limit if the query sets none."""
    return {name: text for name, text in query.params().items() if name != "limit" or query.limit is not None}


def _outcome(position: int, query: Query[RowT], value: Mapping[str, Any]) -> Outcome[RowT]:
    if "error" in value:
        return Outcome(query, None, _error(value), position=position)
    report = attrs.evolve(query.read(value["rows"].encode()), truncated=value["truncated"])
    return Outcome(query, report, None, cast("Origin", value["origin"]), value["asked_at"], position)


def _error_value(error: FathomError) -> Value:
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


def _error(value: Mapping[str, Any]) -> FathomError:
    return _KINDS[value["error"]](*value["facts"])
