"""The decision after a failed attempt."""

from collections.abc import Callable, Iterable
from typing import cast

import pytest

from fathom_async import (
    APIError,
    ArgumentError,
    ConnectError,
    DecodeError,
    FathomError,
    OutageError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from fathom_async._core.retry import next_delay, was_perhaps_done

POLICY = RetryPolicy(attempts=4, refusals=2, base=0.5, cap=3.0)
SENT = ConnectError("broke", sent=True)
UNSENT = ConnectError("no connection", sent=False)


def garbled() -> DecodeError:
    error = DecodeError("nonsense")
    error.is_garbled = True
    return error


def delay(
    error: FathomError, *, idempotent: bool = True, failures: int = 1, refusals: int = 0
) -> float | None:
    return next_delay(POLICY, error, idempotent=idempotent, failures=failures, refusals=refusals, jitter=0.5)


@pytest.mark.parametrize(
    ("error", "idempotent", "again"),
    [
        (SENT, True, True),
        (SENT, False, False),
        (UNSENT, True, True),
        (UNSENT, False, True),
        (ServerError(500, ""), True, True),
        (ServerError(502, ""), True, True),
        (ServerError(503, ""), True, True),
        (ServerError(504, ""), True, True),
        (ServerError(501, ""), True, False),
        (ServerError(503, ""), False, False),
        (ValidationError(400, ""), True, False),
        (APIError(302, ""), True, False),
        (APIError(408, ""), True, True),
        (APIError(408, ""), False, False),
        (APIError(425, ""), True, True),
        *((ServerError(status, ""), True, True) for status in (520, 521, 522, 523, 524, 529, 530)),
        (ServerError(525, ""), True, False),
        (DecodeError("another shape"), True, False),
        (garbled(), True, True),
    ],
)
def test_what_is_tried_again(error: FathomError, idempotent: bool, again: bool) -> None:
    assert (delay(error, idempotent=idempotent) is not None) is again


def test_the_back_off_doubles_up_to_its_cap_and_is_spread_by_chance() -> None:
    assert [delay(SENT, failures=failures) for failures in (1, 2, 3)] == [0.25, 0.5, 1.0]
    patient = RetryPolicy(attempts=99, base=0.5, cap=3.0)
    late = next_delay(patient, SENT, idempotent=True, failures=50, refusals=0, jitter=1.0)
    assert late == 3.0


@pytest.mark.parametrize("kind", [list, tuple, iter, frozenset])
def test_the_statuses_are_a_setting(kind: Callable[[Iterable[int]], Iterable[int]]) -> None:
    policy = RetryPolicy(statuses=kind([409, 503]))
    kinds = [APIError(409, ""), ServerError(503, ""), ServerError(500, "")]
    delays = [next_delay(policy, kind, idempotent=True, failures=1, refusals=0, jitter=0) for kind in kinds]
    assert [each is not None for each in delays] == [True, True, False]


@pytest.mark.parametrize(("most", "tried"), [(0, []), (1, [1]), (2, [1, 2]), (9, [1, 2, 3])])
def test_an_answer_that_is_no_json_is_tried_again_so_often(most: int, tried: list[int]) -> None:
    policy = RetryPolicy(garbled=most)
    again = [
        failures
        for failures in range(1, 9)
        if next_delay(policy, garbled(), idempotent=True, failures=failures, refusals=0, jitter=0) is not None
    ]
    assert again == tried


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attempts": 0}, "attempts must be a whole number of at least 1, not 0"),
        ({"refusals": -1}, "refusals must be a whole number of at least 0"),
        ({"garbled": 0.5}, "garbled must be a whole number"),
        ({"outage": float("nan")}, "outage must be a number of seconds of at least 0"),
        ({"longest_pause": "1h"}, "longest_pause must be a number of seconds"),
        ({"statuses": [200]}, "statuses must be numbers from 400 to 599, not 200"),
        ({"statuses": ["503"]}, "statuses must be numbers from 400 to 599, not '503'"),
        ({"statuses": iter([503, 200])}, "statuses must be numbers from 400 to 599, not 200"),
        ({"statuses": 503}, "statuses must be a set of numbers from 400 to 599, not 503"),
        ({"statuses": None}, "statuses must be a set of numbers from 400 to 599, not None"),
        ({"statuses": [[503]]}, "statuses must be a set of numbers from 400 to 599"),
    ],
)
def test_a_setting_that_cannot_be_says_what_to_write(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        cast("Callable[..., RetryPolicy]", RetryPolicy)(**settings)


def test_a_request_is_given_up_when_it_has_failed_for_so_long() -> None:
    slow = ServerError(500, "")
    for failing_for, again in ((0, True), (599, True), (600, False)):
        found = next_delay(
            POLICY, slow, idempotent=True, failures=1, refusals=0, jitter=0, failing_for=failing_for
        )
        assert (found is not None) is again


def test_the_last_attempt_is_the_last() -> None:
    assert delay(SENT, failures=3) is not None
    assert delay(SENT, failures=4) is None


def test_a_server_that_says_when_to_come_back_is_obeyed_up_to_a_bound() -> None:
    assert delay(ServerError(503, "", retry_after=10)) == 10.25
    assert delay(ServerError(503, "", retry_after=86_400)) == RetryPolicy().longest_pause + 0.25


def test_a_server_that_stays_away_for_longer_than_the_caller_waits_is_not_tried_again() -> None:
    away = ServerError(503, "", retry_after=60)
    for outage, again in ((5, None), (59, None), (60, 60.25)):
        policy = RetryPolicy(outage=outage)
        assert next_delay(policy, away, idempotent=True, failures=1, refusals=0, jitter=0.5) == again


@pytest.mark.parametrize("error", [UNSENT, ServerError(502, ""), ServerError(503, "")])
def test_an_outage_uses_up_time_instead_of_attempts(error: FathomError) -> None:
    def again(failures: int, away_for: float | None, policy: RetryPolicy = POLICY) -> float | None:
        return next_delay(
            policy,
            error,
            idempotent=True,
            failures=failures,
            refusals=0,
            jitter=1.0,
            away_for=away_for,
        )

    assert again(4, None) is None
    assert again(3, 0.0) == 2.0
    assert again(4, 0.0) == again(9_999, POLICY.outage - 38) == 37.5
    assert again(9_999, POLICY.outage - 1) == 1.0, "the last attempt is the end of its patience"
    assert again(4, 3.0, RetryPolicy(outage=5)) == 2.0
    assert again(4, POLICY.outage) is again(1, POLICY.outage) is None
    assert again(1, 0.0, RetryPolicy(attempts=1)) is None


@pytest.mark.parametrize("error", [SENT, ServerError(500, ""), ServerError(504, "")])
def test_a_request_that_may_fail_by_itself_uses_up_attempts_in_an_outage_too(error: FathomError) -> None:
    late = next_delay(POLICY, error, idempotent=True, failures=4, refusals=0, jitter=0.5, away_for=1.0)
    assert late is None


def test_a_server_that_was_given_up_is_not_tried_again() -> None:
    assert delay(OutageError("away")) is None


def test_after_a_refusal_the_lane_does_the_waiting() -> None:
    refused = RateLimitError(429, "", retry_after=59)
    assert delay(refused, idempotent=False, refusals=2) == 0
    assert delay(refused, refusals=3) is None


@pytest.mark.parametrize(
    ("error", "perhaps"),
    [
        (SENT, True),
        (UNSENT, False),
        (ServerError(504, ""), True),
        (ServerError(501, ""), True),
        (ServerError(520, ""), True),
        (ServerError(524, ""), True),
        (APIError(408, ""), True),
        (ValidationError(400, ""), False),
        (APIError(409, ""), False),
        (RateLimitError(429, ""), False),
    ],
)
def test_what_may_have_been_carried_out(error: FathomError, perhaps: bool) -> None:
    assert was_perhaps_done(error) is perhaps
