"""The cap on requests in flight, as learned from refusals."""

import pytest

from fathom_async._ratelimit.concurrency import CALM, Concurrency


def refused(concurrency: Concurrency, sent_at: float, *, beside: int, in_flight: int, now: float) -> None:
    concurrency.lower(concurrency.let_in(sent_at, beside, in_flight, now), now)


def test_a_refusal_lowers_it_to_the_crowd_it_met() -> None:
    concurrency = Concurrency(10)
    refused(concurrency, 0.0, beside=5, in_flight=5, now=1.0)
    refused(concurrency, 2.0, beside=8, in_flight=8, now=3.0)
    assert concurrency.cap(10.0) == 5


def test_the_crowd_may_have_gone_home_before_the_refusal_is_heard() -> None:
    concurrency = Concurrency(10)
    refused(concurrency, 0.0, beside=5, in_flight=1, now=1.0)
    assert concurrency.cap(10.0) == 5


def test_whoever_was_turned_away_too_was_no_part_of_the_crowd() -> None:
    concurrency = Concurrency(10)
    for heard, (beside, in_flight) in enumerate([(5, 8), (6, 7), (8, 6), (7, 5)]):
        refused(concurrency, 0.0, beside=beside, in_flight=in_flight, now=1.0 + heard / 100)
    assert concurrency.cap(10.0) == 5


def test_those_turned_away_earlier_and_later_say_nothing_of_a_crowd() -> None:
    concurrency = Concurrency(10)
    refused(concurrency, 0.0, beside=8, in_flight=8, now=1.0)
    refused(concurrency, 3.0, beside=7, in_flight=7, now=4.0)
    refused(concurrency, 2.0, beside=6, in_flight=3, now=5.0)
    assert concurrency.cap(10.0) == 6


def test_it_recovers_by_one_at_a_time_where_that_many_were_answered() -> None:
    concurrency = Concurrency(7)
    refused(concurrency, 0.0, beside=5, in_flight=5, now=0.0)
    caps: list[int] = []
    for now in (CALM - 1, CALM, 2 * CALM, 3 * CALM):
        caps.append(concurrency.cap(now))
        concurrency.proved(concurrency.cap(now), now)
    assert caps == [5, 6, 7, 7]
    assert not concurrency.is_lowered


def test_what_nobody_used_is_not_taken_for_proved() -> None:
    concurrency = Concurrency(7)
    refused(concurrency, 0.0, beside=5, in_flight=5, now=0.0)
    assert concurrency.cap(100 * CALM) == 6


def test_trying_one_more_in_vain_makes_the_next_try_wait_twice_as_long() -> None:
    concurrency = Concurrency(7)
    refused(concurrency, 0.0, beside=5, in_flight=5, now=0.0)
    refused(concurrency, CALM, beside=5, in_flight=5, now=CALM)
    assert concurrency.cap(2.5 * CALM) == 5
    assert concurrency.cap(3 * CALM) == 6


def test_the_delay_follows_the_usual_time() -> None:
    concurrency = Concurrency(2)
    concurrency.usual_time = 3.0
    assert concurrency.delay(0, 0.0) == 0
    assert concurrency.delay(2, 0.0) == pytest.approx(1.5)
