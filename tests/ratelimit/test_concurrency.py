"""The cap on requests in flight, as learned from refusals."""

import pytest

from fathom_async.ratelimit.concurrency import PATIENCE, Concurrency


def test_a_refusal_lowers_it_to_the_crowd_it_met() -> None:
    concurrency = Concurrency(10)
    concurrency.refused(5, now=0.0)
    concurrency.refused(8, now=1.0)
    assert concurrency.cap == 5


def test_it_recovers_by_one_at_a_time_and_never_beyond_what_is_known() -> None:
    concurrency = Concurrency(7)
    concurrency.refused(5, now=0.0)
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
