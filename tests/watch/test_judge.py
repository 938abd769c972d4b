"""Verdicts on periods, as pure functions of their figures."""

from collections.abc import Mapping
from datetime import UTC, date

import pytest

from fathom_async.watch._judge import alerts, judge, lacking
from fathom_async.watch._rules import Rule

from .traffic import rule

DAY = date(2026, 11, 29).toordinal()
HOUR = 24 * DAY


def weeks(*figures: float | None, now: float | None) -> Mapping[int, float | None]:
    """Return the figures of the same weekday, the oldest first, and that of the last day."""
    before = {DAY - 7 * ago: figure for ago, figure in enumerate(reversed(figures), start=1)}
    return dict.fromkeys(range(DAY - 99, DAY), 0) | before | {DAY: now}


def bound(given: Rule, series: Mapping[int, float | None], last: int = DAY) -> float | None:
    found = judge(given, series, last, UTC)
    return None if found is None else found.bound


def test_a_figure_beyond_an_absolute_bound_is_an_alert() -> None:
    assert bound(rule(below=10), {DAY: 9}) == 10
    assert bound(rule(below=10), {DAY: 10}) is None
    assert bound(rule(above=50), {DAY: 51}) == 50
    assert bound(rule(above=50), {DAY: 50}) is None
    assert bound(rule(below=1), {DAY: 0}) == 1, "0 is a figure"


def test_what_has_no_figure_is_not_judged() -> None:
    assert bound(rule(below=1), {}) is None
    assert bound(rule(metric="bounce_rate", below=0.1), {DAY: None}) is None
    assert bound(rule(period="3 hours", below=10), {DAY: 4, DAY - 2: 5}) == 10, "a skipped hour adds nothing"
    assert bound(rule(period="2 hours", below=10), {DAY - 2: 5}) is None


def test_a_figure_is_compared_with_the_median_of_the_same_weekday() -> None:
    half = rule(below_median=0.5)
    assert bound(half, weeks(100, 100, 100, 5_000, now=49)) == 50
    assert bound(half, weeks(100, 100, 100, 5_000, now=50)) is None
    assert bound(rule(above_median=2), weeks(100, 100, 100, 1, now=201)) == 200
    found = judge(half, weeks(90, 100, 110, 120, now=3), DAY, UTC)
    assert found is not None
    assert (found.figure, found.bound, found.median) == (3, 52.5, 105)


def test_deviations_are_robust_and_never_less_than_chance() -> None:
    odd = rule(deviations=3)
    assert bound(odd, weeks(100, 100, 100, 100, now=129)) is None, "3 square roots of 100"
    assert bound(odd, weeks(100, 100, 100, 100, now=131)) == 130
    assert bound(odd, weeks(100, 100, 100, 100, now=69)) == 70
    assert bound(odd, weeks(60, 80, 120, 140, 9_999, now=240)) is None
    assert bound(odd, weeks(60, 80, 100, 120, 140, now=190)) == pytest.approx(100 + 3 * 1.4826 * 20)
    share = rule(metric="bounce_rate", deviations=3)
    assert bound(share, weeks(0.5, 0.5, 0.5, 0.5, now=0.9)) is None, "nothing is known of its spread"
    assert bound(share, weeks(0.5, 0.52, 0.48, 0.5, now=0.9)) == pytest.approx(0.5 + 3 * 1.4826 * 0.01)


def test_too_little_history_and_a_median_of_zero_are_no_alert_but_told() -> None:
    odd = rule(below_median=0.5, above_median=2, deviations=3)
    for given, told in (
        (weeks(now=500), "not enough history, 0 of the 4 comparable periods"),
        (weeks(0, 0, 0, 9, 9, 9, now=500), "not enough history, 3 of the 4"),
        (weeks(9, 0, 0, 0, now=500), "nothing is unusual, since the median of comparable periods is 0"),
    ):
        assert bound(odd, given) is None
        assert told in lacking(odd, given, DAY)
    assert bound(rule(above=400, above_median=2), weeks(now=500)) == 400, "an absolute bound needs no history"
    assert lacking(odd, weeks(9, 0, 9, 9, now=500), DAY) == ""
    assert lacking(rule(below=1), {}, DAY) == ""


def test_zeros_after_the_first_figure_are_history() -> None:
    assert bound(rule(above_median=2), weeks(8, 8, 0, 8, now=17)) == 16
    assert bound(rule(above_median=2), weeks(0, 0, 0, 0, 8, 8, 0, 8, now=17)) == 16


def test_alerts_of_a_rule_do_not_overlap() -> None:
    quiet = rule(period="6 hours", below=1)
    series = {DAY + hour: int(hour == 0) for hour in range(40)}

    def told(first: int, last: int, before: int | None = None) -> list[int]:
        numbers = range(DAY + first, DAY + last + 1)
        return [number - DAY for number, _ in alerts(quiet, series, numbers, before, UTC)]

    assert told(0, 30) == [6, 12, 18, 24, 30]
    assert told(7, 30, DAY + 6) == [12, 18, 24, 30], "it goes on from what was told"
    days = rule(below=1)
    found = alerts(days, {DAY + day: 0 for day in range(3)}, range(DAY, DAY + 3), None, UTC)
    assert [number - DAY for number, _ in found] == [0, 1, 2]


def test_an_alert_says_all_that_matters_in_a_sentence_and_in_json() -> None:
    found = judge(rule(below_median=0.5), weeks(2_000, 2_000, 2_000, 2_001, now=12), DAY, UTC)
    assert found is not None
    assert found.text == (
        "rule: 12 pageviews of CDBUGS on Sunday, 2026-11-29, below 1,000; the median of comparable periods is 2,000"
    )
    told = found.to_dict()
    assert told == {
        "id": found.id,
        "rule": "rule",
        "text": found.text,
        "site_id": "CDBUGS",
        "metric": "pageviews",
        "entity_name": None,
        "start": "2026-11-29T00:00:00+00:00",
        "end": "2026-11-29T23:59:59+00:00",
        "figure": 12,
        "bound": 1000.0,
        "median": 2000.0,
    }
    sale = rule(metric="conversions", entity_name="purchase", period="2 hours", above=1)
    sold = judge(sale, {HOUR: 2, HOUR - 1: 1}, HOUR, UTC)
    assert sold is not None
    assert sold.text == (
        "rule: 3 conversions of 'purchase' of CDBUGS from 2026-11-28 23:00 to 2026-11-29 00:59, above 1"
    )


def test_an_alert_has_one_id_whatever_it_is_found_by() -> None:
    given = rule(below=5)
    first, again = (judge(given, {DAY: figure}, DAY, UTC) for figure in (1, 2))
    other = judge(given, {DAY + 1: 1}, DAY + 1, UTC)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.id == again.id != other.id
