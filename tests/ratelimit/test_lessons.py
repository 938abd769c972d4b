"""What refusals teach: the rules of `fathom_async._ratelimit.lessons`, and of its parts, one by one."""

import pytest

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.lessons import (
    CALM,
    CALM_SPANS,
    DISTRUST_SPANS,
    Belief,
    Circumstances,
    Lessons,
    Pace,
)
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.protocol import Permit

SPAN = 61.0


def permit(sent_at: float | None, beside: int = 0) -> Permit:
    sent = Permit(1, beside)
    sent.sent_at = sent_at
    return sent


def circumstances(
    *, in_flight: int = 0, cap: int = 0, used: int = 1, is_told: bool = False, is_lie: bool = False
) -> Circumstances:
    return Circumstances(in_flight=in_flight, cap=cap, used=used, is_told=is_told, is_lie=is_lie)


@pytest.fixture
def lessons() -> Lessons:
    return Lessons(RateLimit(10, per=60.0), SPAN)


def waits(lessons: Lessons, retry_after: float | None, times: int) -> list[float]:
    waited: list[float] = []
    now = 0.0
    for _ in range(times):
        wait = lessons.refused(permit(now + 0.5), Feedback(None, None, retry_after), circumstances(), now + 1)
        waited.append(wait)
        now += 1 + wait
    return waited


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [
        (None, [1, 2, 4, 8, 16, 32, 60]),
        (0.0, [0, 2, 4, 8, 16, 32, 60]),
        (0.5, [0.5, 2, 4, 8, 16, 32, 60]),
        (20.0, [20, 40, 60, 60, 60, 60, 60]),
        (300.0, [300, 300, 300, 300, 300, 300, 300]),
    ],
)
def test_each_refusal_in_a_row_doubles_the_wait(
    lessons: Lessons, retry_after: float | None, waited: list[float]
) -> None:
    assert waits(lessons, retry_after, 7) == waited
    lessons.answered(permit(1e4), SILENT, 1, 1e4)
    assert waits(Lessons(RateLimit(10, per=60.0), SPAN), retry_after, 1) == waited[:1]


@pytest.mark.parametrize(
    ("feedback", "known", "is_crowd"),
    [
        (Feedback(10, 4, 1), circumstances(in_flight=3, is_told=True), True),
        (Feedback(10, 4, None), circumstances(in_flight=3, is_told=True), True),
        (Feedback(10, 0, 1), circumstances(in_flight=3, is_told=True), False),
        (Feedback(10, 4, 1), circumstances(is_told=True), False),
        (Feedback(None, None, 1), circumstances(in_flight=3), True),
        (Feedback(None, None, 4), circumstances(in_flight=3), False),
        (Feedback(None, None, None), circumstances(in_flight=3), False),
        (Feedback(None, None, 1), circumstances(in_flight=3, is_told=True), True),
        (Feedback(None, None, 1), circumstances(in_flight=3, is_told=True, used=9), False),
        (Feedback(None, None, 1), circumstances(in_flight=3, used=9), False),
        (Feedback(None, None, 1), circumstances(in_flight=3, cap=5), False),
        (Feedback(None, None, 1), circumstances(in_flight=4, cap=5), True),
    ],
)
def test_a_crowd_is_told_from_the_rate(
    lessons: Lessons, feedback: Feedback, known: Circumstances, is_crowd: bool
) -> None:
    lessons.refused(permit(0.5), feedback, known, 1.0)
    assert lessons.is_crowd is is_crowd


def test_refusals_of_requests_that_went_out_together_are_one(lessons: Lessons) -> None:
    for _ in range(5):
        assert lessons.refused(permit(0.5), Feedback(None, None, 5), circumstances(), 1.0) == 5
    assert (lessons.limit.requests, lessons.together) == (10, 1)


def test_a_refusal_that_is_explained_changes_nothing_but_the_wait(lessons: Lessons) -> None:
    lessons.refused(permit(0.5), Feedback(10, 0, 5), circumstances(is_told=True), 1.0)
    lessons.refused(permit(99.5), Feedback(None, None, 5), circumstances(used=0), 100.0)
    assert (lessons.limit.requests, lessons.together) == (10, None)


def test_what_is_neither_new_nor_learned_needs_no_looking_at(lessons: Lessons) -> None:
    lessons.refused(permit(0.5), Feedback(10, 0, 5), circumstances(is_told=True), 1.0)
    assert not lessons.is_learning, "that others spend is no news"
    lessons.refused(permit(99), Feedback(None, None, 5), circumstances(), 100.0)
    assert lessons.is_learning
    for number in range(1, 6):
        lessons.answered(permit(99), SILENT, 1, 100 + number * CALM)
    assert not lessons.is_learning


def test_requests_are_spaced_first_and_become_fewer_then() -> None:
    pace = Pace(60.0, SPAN)
    pace.refused(10, 0.0)
    assert (pace.together, pace.fewer) == (1, None)
    for now in (10.0, 17.0, 24.0, 31.0, 38.0):
        pace.answered(10, now)
    pace.refused(10, 45.0)
    assert (pace.together, pace.fewer) == (1, 5)


def test_a_window_that_refuses_at_once_is_given_a_second_chance() -> None:
    pace = Pace(60.0, SPAN)
    pace.refused(10, 0.0)
    for now in (70.0, 80.0):
        pace.answered(10, now)
    pace.refused(10, 81.0)
    assert pace.fewer is None
    pace.refused(10, 90.0)
    assert pace.fewer == 2


def test_fewer_become_more_by_halves() -> None:
    pace = Pace(60.0, SPAN)
    pace.refused(10, 0.0)
    pace.refused(10, 1.0)
    pace.refused(10, 2.0)
    found: list[int | None] = []
    for number in range(1, 6):
        pace.answered(10, 2.0 + number * CALM_SPANS * SPAN)
        found.append(pace.fewer)
    assert found == [6, 8, 9, None, None]


def test_bursts_come_back_by_doubling() -> None:
    pace = Pace(60.0, SPAN)
    pace.refused(10, 0.0)
    pace.answered(10, CALM)
    assert pace.together == 2
    pace.answered(10, 2 * CALM - 1)
    assert pace.together == 2
    pace.answered(10, 2 * CALM)
    assert pace.together == 4
    pace.refused(10, 2 * CALM + 1)
    assert pace.together == 1
    pace.answered(10, 4 * CALM)
    assert pace.together == 1, "the calm is longer now"


def test_the_same_number_found_again_and_again_is_doubted() -> None:
    belief = Belief(SPAN)
    assert [belief.heard(2, 9, is_alone=True, now=now) for now in (0, 61, 122)] == [2, 2, 2]
    assert belief.doubted == 2
    assert belief.heard(2, 9, is_alone=False, now=129) == 2
    assert belief.heard(1, 9, is_alone=False, now=136) == 1
    assert belief.doubted is None
    for now in (200, 261, 322, 383):
        belief.heard(1, 9, is_alone=True, now=now)
        assert belief.doubted is None, "more is needed now"


def test_nothing_left_is_doubted_sooner_and_disregarded() -> None:
    belief = Belief(SPAN)
    assert [belief.heard(0, 9, is_alone=True, now=now) for now in (0, 61)] == [0, None]
    assert belief.heard(0, 9, is_alone=False, now=80) is None


def test_who_has_the_budget_to_itself_is_believed() -> None:
    belief = Belief(SPAN)
    for now, remaining in ((0, 0), (61, 9), (122, 0)):
        assert belief.heard(remaining, 9, is_alone=True, now=now) == remaining
    assert not belief.is_settled(122)


def test_promises_that_are_not_kept_are_not_believed() -> None:
    belief = Belief(SPAN)
    belief.refused(is_lie=True, now=1.0)
    assert not belief.is_distrusted(1.0)
    belief.refused(is_lie=True, now=1.0)
    assert belief.heard(9, 9, is_alone=True, now=2.0) is None
    assert belief.heard(9, 9, is_alone=True, now=1.0 + DISTRUST_SPANS * SPAN) == 9


def test_lies_that_are_kept_apart_by_an_honest_refusal_say_little() -> None:
    belief = Belief(SPAN)
    for is_lie in (True, False, True, False):
        belief.refused(is_lie, 1.0)
    assert not belief.is_distrusted(1.0)


def test_headers_on_refusals_alone_explain_nothing(lessons: Lessons) -> None:
    lessons.refused(permit(0.5), Feedback(10, 0, 5), circumstances(is_told=False), 1.0)
    assert lessons.together == 1
