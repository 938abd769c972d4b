import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async.testing import (
    AlignedWindow,
    ConcurrencyCap,
    LaravelWindow,
    SlidingLog,
    Throttle,
    TokenBucket,
    Verdict,
)
from fathom_async.testing._traffic import max_in_window

GAPS = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)


def accepted(throttle: Throttle, gaps: list[float], start: float = 1000.0) -> list[float]:
    now, times = start, list[float]()
    for gap in gaps:
        now += gap
        if throttle.hit(now).allowed:
            times.append(now)
    return times


def makespan(throttle: Throttle, n: int, start: float) -> float:
    """A client that knows the future: it tries every twentieth of a second."""
    now, left = start, n
    while True:
        while left and throttle.hit(now).allowed:
            left -= 1
        if not left:
            return now - start
        now = round(now + 0.05, 2)


def test_a_laravel_window_opens_with_its_first_hit() -> None:
    window = LaravelWindow(2, per=60)
    assert window.remaining(7.0) == 2
    assert window.hit(7.0) == Verdict(allowed=True, limit=2, remaining=1)
    assert window.hit(50.0).allowed
    assert window.hit(66.5) == Verdict(allowed=False, limit=2, remaining=0, retry_after=1)
    assert window.hit(67.0).allowed


def test_refused_hits_do_not_prolong_a_laravel_window() -> None:
    window = LaravelWindow(1, per=60)
    window.hit(0.0)
    assert not any(window.hit(float(second)).allowed for second in range(1, 60))
    assert window.hit(60.0).allowed


def test_who_sleeps_exactly_as_long_as_laravel_says_may_be_refused_with_zero() -> None:
    window = LaravelWindow(1, per=60)
    window.hit(100.9)
    verdict = window.hit(130.5)
    assert verdict.retry_after == 30
    assert window.hit(130.5 + verdict.retry_after) == Verdict(
        allowed=False, limit=1, remaining=0, retry_after=0
    )
    assert window.hit(130.5 + verdict.retry_after + 1).allowed


def test_a_floor_store_expires_at_a_whole_second() -> None:
    window = LaravelWindow(1, per=60, store="floor")
    window.hit(100.9)
    assert not window.hit(159.99).allowed
    assert window.hit(160.0).allowed


def test_an_aligned_window_ends_at_a_multiple_of_its_length() -> None:
    window = AlignedWindow(1, per=60)
    assert window.hit(119.0).allowed
    assert window.hit(119.5).retry_after == 1
    assert window.hit(120.0).allowed


def test_a_sliding_log_forgets_each_hit_by_itself() -> None:
    log = SlidingLog(2, per=60)
    assert [log.hit(at).allowed for at in (0.0, 30.0, 59.9, 60.0, 89.9, 90.0)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert log.hit(90.0).retry_after == 30


def test_a_token_bucket_refills_evenly() -> None:
    bucket = TokenBucket(60, per=60, burst=2)
    assert [bucket.hit(0.0).allowed for _ in range(3)] == [True, True, False]
    assert bucket.hit(0.5).retry_after == 1
    assert bucket.remaining(1.0) == 1
    assert bucket.hit(1.0).allowed
    assert TokenBucket(5, per=60).capacity == 5


def test_a_cap_counts_what_is_in_flight() -> None:
    cap = ConcurrencyCap(1)
    assert cap.enter()
    assert not cap.enter()
    cap.leave()
    assert cap.enter()


@given(GAPS, st.integers(1, 8))
def test_a_sliding_log_never_accepts_more_than_its_limit(gaps: list[float], limit: int) -> None:
    assert max_in_window(accepted(SlidingLog(limit, per=20), gaps), 20 - 1e-6) <= limit


@given(GAPS, st.integers(1, 8), st.sampled_from(["exact", "floor"]))
def test_a_laravel_window_never_accepts_more_than_its_limit(
    gaps: list[float], limit: int, store: str
) -> None:
    times: list[float] = accepted(
        LaravelWindow(limit, per=20, store="floor" if store == "floor" else "exact"), gaps
    )
    while times:
        end = (math.floor(times[0]) if store == "floor" else times[0]) + 20
        assert sum(time < end for time in times) <= limit
        times = [time for time in times if time >= end]


@given(GAPS, st.integers(1, 8))
def test_an_aligned_window_never_accepts_more_than_its_limit(gaps: list[float], limit: int) -> None:
    windows = [time // 20 for time in accepted(AlignedWindow(limit, per=20), gaps)]
    assert all(windows.count(window) <= limit for window in windows)


@given(GAPS, st.integers(1, 8))
def test_a_token_bucket_never_accepts_more_than_burst_and_refill(gaps: list[float], burst: int) -> None:
    times = accepted(TokenBucket(10, per=20, burst=burst), gaps)
    for first, begin in enumerate(times):
        for last, end in enumerate(times[first:], first):
            assert last - first + 1 <= burst + (end - begin) * 10 / 20 + 1e-3


@given(GAPS, st.sampled_from([LaravelWindow, AlignedWindow, SlidingLog, TokenBucket]))
def test_remaining_foretells_what_is_accepted_now(gaps: list[float], kind: type[LaravelWindow]) -> None:
    throttle = kind(5, 20)
    now = sum(gaps) + 1000
    accepted(throttle, gaps)
    foretold = throttle.remaining(now)
    assert [throttle.hit(now).allowed for _ in range(foretold + 1)] == [True] * foretold + [False]


@pytest.mark.parametrize("n", [1, 3, 4, 10])
@pytest.mark.parametrize(
    "fresh",
    [
        lambda: LaravelWindow(3, 6),
        lambda: LaravelWindow(3, 6, "floor"),
        lambda: AlignedWindow(3, 6),
        lambda: SlidingLog(3, 6),
        lambda: TokenBucket(3, 6),
    ],
    ids=["laravel", "laravel-floor", "aligned", "sliding", "bucket"],
)
def test_the_optimum_is_what_a_perfect_client_needs(fresh: Callable[[], Throttle], n: int) -> None:
    expected = fresh().optimum(n, start=100.5)
    assert makespan(fresh(), n, start=100.5) == pytest.approx(expected, abs=0.06)
