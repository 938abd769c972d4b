"""The verdict on a period: a pure function of a rule and the figures of its site.

1. A **period** is known by the number of its last hour or day (`fathom_async._reports.calendar`), and its figure is
   the sum of theirs. An hour that the clock skips has none, nor has an average of nothing: they are not judged.
2. **Comparable** are the same hours of the same weekday, in the weeks before. Those before something was counted for
   the first time do not count: the site, the page or the event may not have been there.
3. Less than half of the comparable periods, or a median of 0, say nothing of what is usual.
4. Alerts of a rule do not **overlap**: the next one is about a period that began when the last one had ended. So
   ``6 hours`` without a purchase are told at once, and again after six more, not every hour.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from itertools import dropwhile
from math import sqrt
from operator import not_
from statistics import median
from typing import Final

import attrs

from fathom_async._cache.entry import digest
from fathom_async._reports.fields import RATES
from fathom_async.watch._rules import Rule

Figure = int | float
Series = Mapping[int, Figure | None]
"""The figures of hours or days by their number."""

_NORMAL: Final = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""


@attrs.frozen
class Alert:
    """A period whose figure is beyond a bound.

    Attributes:
        rule: The rule.
        start: The period's first second.
        end: Its last one.
        figure: The figure of the period.
        bound: The bound that the figure exceeds.
        median: The median of comparable periods, if it was compared with them.
    """

    rule: Rule
    start: datetime
    end: datetime
    figure: Figure
    bound: float
    median: float | None

    @property
    def id(self) -> str:
        """What is the same whenever and wherever this alert is told."""
        return digest(self.rule.key, self.start.isoformat())

    @property
    def text(self) -> str:
        """The alert in a sentence."""
        rule = self.rule
        what = f"{rule.metric} of {rule.entity_name!r}" if rule.entity_name else rule.metric
        is_one_day = self.start.date() == self.end.date()
        when = f"from {self.start:%Y-%m-%d %H:%M} to {self.end:{'%H:%M' if is_one_day else '%Y-%m-%d %H:%M'}}"
        if rule.period == "day":
            when = f"on {self.start:%A, %Y-%m-%d}"
        beyond = f"{'below' if self.figure < self.bound else 'above'} {_shown(self.bound)}"
        usual = "" if self.median is None else f"; the median of comparable periods is {_shown(self.median)}"
        return f"{rule.name}: {_shown(self.figure)} {what} of {rule.site_id} {when}, {beyond}{usual}"

    def to_dict(self) -> dict[str, str | float | None]:
        """Return the alert as it is told: as JSON has it."""
        rule = {name: getattr(self.rule, name) for name in ("site_id", "metric", "entity_name")}
        times = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        figures = {"figure": self.figure, "bound": self.bound, "median": self.median}
        return {"id": self.id, "rule": self.rule.name, "text": self.text, **rule, **times, **figures}


def judge(rule: Rule, series: Series, last: int, zone: tzinfo) -> Alert | None:
    """Return the alert about the period that ends with an hour or day, if it is beyond a bound."""
    figure = _figure(rule, series, last)
    if figure is None:
        return None
    lows, highs = [rule.below], [rule.above]
    known = _history(rule, series, last)
    usual = None if lacking(rule, series, last) or not known else median(known)
    if usual is not None:
        chance = 0.0 if rule.metric in RATES else sqrt(usual)
        spread = max(_NORMAL * median(abs(each - usual) for each in known), chance)
        lows.append(None if rule.below_median is None else rule.below_median * usual)
        highs.append(None if rule.above_median is None else rule.above_median * usual)
        if rule.deviations is not None and spread:
            lows.append(usual - rule.deviations * spread)
            highs.append(usual + rule.deviations * spread)
    beyond = [
        *(each for each in lows if each is not None and figure < each),
        *(each for each in highs if each is not None and figure > each),
    ]
    if not beyond:
        return None
    start, end = rule.unit.start(last - rule.length + 1), rule.unit.end(last)
    return Alert(rule, start.replace(tzinfo=zone), end.replace(tzinfo=zone, fold=1), figure, beyond[0], usual)


def alerts(
    rule: Rule, series: Series, numbers: range, told: int | None, zone: tzinfo
) -> Iterator[tuple[int, Alert]]:
    """Yield the alerts about some periods, with their numbers, after one that was told (rule 4)."""
    for number in numbers:
        if told is None or number >= told + rule.length:
            found = judge(rule, series, number, zone)
            if found is not None:
                told = number
                yield number, found


def lacking(rule: Rule, series: Series, last: int) -> str:
    """Return why a period cannot be compared with the past although it should; an empty text if it can (rule 3)."""
    known, needed = _history(rule, series, last), (len(rule.earlier) + 1) // 2
    if len(known) < needed:
        return f"not enough history, {len(known)} of the {needed} comparable periods that it takes"
    if known and not median(known):
        return "nothing is unusual, since the median of comparable periods is 0"
    return ""


def _history(rule: Rule, series: Series, last: int) -> list[Figure]:
    """Return the figures of comparable periods, the oldest first (rule 2)."""
    each = (_figure(rule, series, last - distance) for distance in reversed(rule.earlier))
    return list(dropwhile(not_, (figure for figure in each if figure is not None)))


def _figure(rule: Rule, series: Series, last: int) -> Figure | None:
    """Return the figure of a period (rule 1)."""
    each = (series.get(number) for number in range(last - rule.length + 1, last + 1))
    known = [figure for figure in each if figure is not None]
    return sum(known) if known else None


def _shown(figure: Figure) -> str:
    return f"{figure:,.0f}" if figure == round(figure) else f"{figure:,.2f}"
