"""The decision after a failed attempt."""

import pytest

from fathom_async import (
    APIError,
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
        (DecodeError("nonsense"), True, False),
    ],
)
def test_what_is_tried_again(error: FathomError, idempotent: bool, again: bool) -> None:
    assert (delay(error, idempotent=idempotent) is not None) is again


def test_the_back_off_doubles_up_to_its_cap_and_is_spread_by_chance() -> None:
    assert [delay(SENT, failures=failures) for failures in (1, 2, 3)] == [0.25, 0.5, 1.0]
    patient = RetryPolicy(attempts=99, base=0.5, cap=3.0)
    late = next_delay(patient, SENT, idempotent=True, failures=50, refusals=0, jitter=1.0)
    assert late == 3.0


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
    assert again(4, 0.0) == again(9_999, POLICY.outage - 1) == 37.5
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
