"""Batches, and batches and outcomes as JSON values: the same on the other side."""

import json
import pickle
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import (
    ArgumentError,
    DecodeError,
    EventQuery,
    FathomError,
    NotFoundError,
    PageviewQuery,
    QueryError,
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
from fathom_async.integrations.batches import (
    Batch,
    batches,
    interleaved,
    outcome_value,
    read_outcomes,
    unanswered,
)
from tests.integrations.asked import by_browser, by_day

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
    arrived = Batch.from_json(json.loads(json.dumps(Batch((query,), (3,), "acme").to_json())))
    assert arrived == Batch((query,), (3,), "acme")
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


def test_what_can_be_fused_is_one_batch() -> None:
    queries = [by_day(1), by_browser("CDBUGS", 5), by_day(2, "visits"), by_day(1)]
    assert batches(queries) == [
        Batch((queries[0], queries[2], queries[3]), (0, 2, 3)),
        Batch((queries[1],), (1,)),
    ]


def test_several_requests_may_be_one_batch() -> None:
    queries = [by_browser("CDBUGS", limit) for limit in range(1, 6)]
    assert [batch.positions for batch in batches(queries, requests=2)] == [(0, 1), (2, 3), (4,)]


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.sampled_from(["pageviews", "visits"]), st.booleans()), max_size=20
    )
)
def test_every_query_is_in_one_batch_that_takes_one_request_wherever_it_arrives(
    drawn: Sequence[tuple[int, str, bool]],
) -> None:
    queries = [by_browser("CDBUGS", day) if alone else by_day(day, name) for day, name, alone in drawn]
    made = batches(queries)
    assert sorted(position for batch in made for position in batch.positions) == list(range(len(queries)))
    for batch in made:
        arrived: Batch[object] = pickle.loads(pickle.dumps(batch))  # type: ignore[type-var] # noqa: S301 - our own
        assert arrived == batch
        assert len(fuse(batch.queries)) == 1
        assert [queries[position] for position in batch.positions] == list(batch.queries)


def test_accounts_take_turns() -> None:
    one = batches([by_browser("CDBUGS", limit) for limit in (1, 2, 3)], account="one")
    two = batches([by_browser("CDBUGS", limit) for limit in (1,)], account="two")
    assert [(batch.account, batch.positions) for batch in interleaved([one, two])] == [
        ("one", (0,)),
        ("two", (0,)),
        ("one", (1,)),
        ("one", (2,)),
    ]


def test_what_cannot_be_asked_is_refused_before_anything_is_handed_out() -> None:
    with pytest.raises(ArgumentError, match=r"queries\[1\] must be a PageviewQuery"):
        batches(cast("list[PageviewQuery]", [by_day(1), "pageviews"]))
    with pytest.raises(QueryError):
        batches([PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="hour", sort_by="visits:desc")])
    with pytest.raises(ArgumentError, match="requests"):
        batches([by_day(1)], requests=0)


def test_a_batch_knows_how_many_requests_it_takes() -> None:
    queries = [by_browser("CDBUGS", limit) for limit in range(1, 6)]
    assert [batch.requests for batch in batches(queries, requests=2)] == [2, 2, 1]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"queries": None},
        {"queries": [], "extra": [], "positions": [1], "account": "", "requests": 1},
        {"queries": ["x"], "extra": [], "positions": [], "account": "", "requests": 1},
    ],
)
def test_what_is_no_batch_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match="not the JSON value of a batch"):
        Batch.from_json(value)


def test_errors_of_another_version_arrive_as_what_they_say() -> None:
    batch = batches([by_day(1)])[0]
    for name, facts in (("NewError", ["it rained", 3]), ("NotFoundError", [])):
        (outcome,) = read_outcomes(batch, [{"error": name, "facts": facts}])
        assert type(outcome.error) is FathomError
        assert str(outcome.error) == ": ".join(map(str, [name, *facts]))


def test_what_failed_can_be_run_again() -> None:
    todo = interleaved(
        batches([by_day(1), by_day(2), by_browser("CDBUGS", 3)], account=account) for account in "ab"
    )
    failed = FathomError("it rained")
    report = by_day(1).read(b"[]")
    ended = [
        (
            todo[0],
            [Outcome(todo[0].queries[0], report), Outcome(todo[0].queries[1], None, failed, position=1)],
        ),
        (todo[1], [Outcome(each, report) for each in todo[1].queries]),
        (todo[2], todo[2].failed(failed)),
    ]
    again = unanswered(ended)
    assert [(each.account, each.positions) for each in again] == [("a", (1,)), ("a", (2,))]
    assert [Batch.from_json(each.to_json()) for each in again] == again
