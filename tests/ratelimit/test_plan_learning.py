"""What answers tell about an account's plan: the rules of `fathom_async._ratelimit.plan_learning`."""

import pytest

from fathom_async._ratelimit.plan_learning import LearnedPlan, follow, learn

CLASSIC = LearnedPlan()
Word = tuple[str, int, int | None]
REPORT_600: Word = ("reports", 600, 599)
SITES_2000: Word = ("crud", 2000, 1999)
REPORT_10: Word = ("reports", 10, 9)


def after(known: LearnedPlan, *words: Word) -> LearnedPlan:
    for word in words:
        known = learn(known, *word)
    return known


def test_a_plan_nobody_named_is_the_classic_one() -> None:
    assert CLASSIC.hourly is None


def test_one_report_shows_an_hourly_plan_with_five_at_once() -> None:
    assert after(CLASSIC, REPORT_600).hourly == 600


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(("crud", 600, 599), id="other endpoints may have a limit of their own"),
        pytest.param(("reports", 600, 9), id="a limit of reports may have fewer left and not be shown"),
        pytest.param(("reports", 600, None), id="nothing about what is left"),
        pytest.param(("reports", 600, 601), id="more is left than there is"),
        pytest.param(("reports", 20, 19), id="a smaller limit is the window's own"),
        pytest.param(("reports", 10**9, 10**9 - 1), id="no plan has as much"),
        pytest.param(REPORT_10, id="classic reports"),
        pytest.param(SITES_2000, id="classic sites"),
        pytest.param(("reports", -1, 99), id="nonsense"),
    ],
)
def test_nothing_else_shows_one(word: Word) -> None:
    assert after(CLASSIC, *[word] * 20) == CLASSIC


def test_an_old_plan_is_unlearned_after_two_answers_that_name_another() -> None:
    known = after(CLASSIC, REPORT_600)
    assert after(known, SITES_2000).hourly == 600
    assert after(known, SITES_2000, REPORT_10).hourly is None


@pytest.mark.parametrize(
    "words", [[("reports", 2000, 1990)] * 2, [("reports", 2000, 1990), ("crud", 2000, 1989)]]
)
def test_a_larger_plan_replaces_a_smaller_one(words: list[Word]) -> None:
    assert after(CLASSIC, REPORT_600, *words).hourly == 2000


def test_an_answer_that_names_the_plan_changes_nothing() -> None:
    known = after(CLASSIC, REPORT_600)
    assert after(known, ("reports", 600, 3), ("crud", 600, 0)) == known


def test_a_plan_that_was_given_up_takes_longer_and_longer_to_learn() -> None:
    known, takes = CLASSIC, list[int]()
    for _ in range(5):
        words = 0
        while known.hourly is None:
            known = after(known, REPORT_600)
            words += 1
        takes.append(words)
        known = after(known, REPORT_10, SITES_2000)
        assert known.hourly is None
    assert takes == [1, 4, 16, 64, 256]


def test_a_server_that_names_two_limits_in_turns_is_not_followed_for_ever() -> None:
    known, changes = CLASSIC, 0
    for _ in range(1_000):
        for word in (REPORT_600, ("reports", 2000, 1999)):
            before, known = known, learn(known, *word)
            changes += before.hourly != known.hourly
    assert 3 <= changes <= 14


def test_other_processes_are_believed_and_their_memory_is_unlearned_alike() -> None:
    known = follow(CLASSIC, 600)
    assert known.hourly == 600
    assert follow(known, 600) is known
    assert after(known, SITES_2000, REPORT_10).hourly is None
    assert follow(known, 2000).hourly == 2000
