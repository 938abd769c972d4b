"""The cap on requests in flight, as learned from refusals."""

import pytest

from fathom_async._ratelimit.admission import PATIENCE, Concurrency


def test_a_refusal_lowers_it_to_the_crowd_it_met() -> None:
    concurrency = Concurrency(10)
    concurrency.refused(0.0, beside=5, in_flight=5, now=1.0)
    concurrency.refused(2.0, beside=8, in_flight=8, now=3.0)
    assert concurrency.cap == 5


def test_the_crowd_may_have_gone_home_before_the_refusal_is_heard() -> None:
    concurrency = Concurrency(10)
    concurrency.refused(0.0, beside=5, in_flight=1, now=1.0)
    assert concurrency.cap == 5


def test_whoever_was_turned_away_too_was_no_part_of_the_crowd() -> None:
    concurrency = Concurrency(10)
    for heard, (beside, in_flight) in enumerate([(5, 8), (6, 7), (8, 6), (7, 5)]):
        concurrency.refused(0.0, beside=beside, in_flight=in_flight, now=1.0 + heard / 100)
    assert concurrency.cap == 5


def test_those_turned_away_earlier_and_later_say_nothing_of_a_crowd() -> None:
    concurrency = Concurrency(10)
    concurrency.refused(0.0, beside=8, in_flight=8, now=1.0)
    concurrency.refused(3.0, beside=7, in_flight=7, now=4.0)
    concurrency.refused(2.0, beside=6, in_flight=3, now=5.0)
    assert concurrency.cap == 6


def test_it_recovers_by_one_at_a_time_and_never_beyond_what_is_known() -> None:
    concurrency = Concurrency(7)
    concurrency.refused(0.0, beside=5, in_flight=5, now=0.0)
    caps: list[int] = []
    for now in (PATIENCE - 1, PATIENCE, PATIENCE + 1, 2 * PATIENCE, 3 * PATIENCE, 4 * PATIENCE):
        concurrency.answered(now - 1, now)
        caps.append(concurrency.cap)
    assert caps == [5, 6, 6, 7, 7, 7]


def test_the_usual_time_follows_the_answers() -> None:
    concurrency = Concurrency(2)
    for now in range(100):
        concurrency.answered(now - 3.0, float(now))
    concurrency.answered(None, 100.0)
    assert concurrency.usual_time == pytest.approx(3.0, abs=0.01)
    assert concurrency.delay(0) == 0
    assert concurrency.delay(2) == pytest.approx(1.5, abs=0.01)
