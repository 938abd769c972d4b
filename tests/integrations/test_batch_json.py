"""Batches and outcomes as JSON values: the same on the other side."""

import json

import pytest

from fathom_async import (
    DecodeError,
    EventQuery,
    FathomError,
    NotFoundError,
    PageviewQuery,
    TimeoutError,  # noqa: A004 - the package's own
    ValidationError,
    where,
)
from fathom_async._bulk.complete import InconsistentError
from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import Query
from fathom_async.errors import WaitTooLongError
from fathom_async.integrations._batch_json import batch_value, outcome_value, read_batch, read_outcomes
from fathom_async.integrations.workers import Batch

GROUPED = PageviewQuery(
    "CDBUGS", aggregates=["visits"], field_grouping=["pathname"], filters=[where.pathname.matching("^/b")]
)
EVENTS = EventQuery("CDBUGS", "purchase", aggregates=["value"], date_grouping="month", date_from="2026-01-01")


def travelled(outcome: Outcome[Row]) -> Outcome[Row]:
    batch = Batch((outcome.query,), (outcome.position,))
    return read_outcomes(batch, json.loads(json.dumps([outcome_value(outcome)])))[0]


NEW = GROUPED.replace(
    extra={"field_grouping": ["new"], "aggregates": ["newer"], "newest": "x"}, sort_by="new:asc"
)


@pytest.mark.parametrize("query", [GROUPED, GROUPED.replace(sort_by="visits:desc", limit=7), EVENTS, NEW])
def test_a_query_arrives_as_it_left_and_is_fused_as_there(query: Query[Row]) -> None:
    arrived = read_batch(json.loads(json.dumps(batch_value(Batch((query,), (3,), "acme")))))
    assert arrived == Batch((query,), (0,), "acme")
    assert arrived.queries[0].limit == query.limit
    assert fuse(arrived.queries)[0].query.params() == query.params()


def test_a_report_arrives_as_it_left() -> None:
    report = GROUPED.read(b'[{"pathname": "/b\\u00e4r", "visits": "3"}]')
    outcome: Outcome[Row] = Outcome(GROUPED, report, None, "fused", 1790000000.5, 4)
    assert travelled(outcome) == outcome
    assert travelled(outcome).result().to_dicts() == [{"pathname": "/bär", "visits": 3}]


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError(404, "no such site", None, "GET", "https://api/v1/aggregations", None),
        ValidationError(422, "wrong", {"sort_by": ["is unknown"]}, "GET", "https://api/v1/aggregations"),
        TimeoutError("no answer", "GET", "https://api/v1/aggregations", sent=True),
        WaitTooLongError("reports", 60.0, 2.0),
    ],
)
def test_an_error_arrives_as_it_left(error: FathomError) -> None:
    arrived = travelled(Outcome(EVENTS, None, error, position=2))
    assert arrived.position == 2
    assert type(arrived.error) is type(error)
    assert str(arrived.error) == str(error)


def test_the_body_of_an_answer_that_was_none_stays_behind() -> None:
    arrived = travelled(Outcome(EVENTS, None, DecodeError("no JSON", "GET", "https://api", b"<html>")))
    assert isinstance(arrived.error, DecodeError)
    assert arrived.error.body == b""


def test_an_error_that_json_cannot_hold_arrives_as_what_it_says() -> None:
    arrived = travelled(Outcome(EVENTS, None, InconsistentError("rows contradict each other", EVENTS)))
    assert type(arrived.error) is FathomError
    assert "InconsistentError: " in str(arrived.error)
    assert "rows contradict each other" in str(arrived.error)
