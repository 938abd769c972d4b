"""The lanes of an account whose rate plan is learned: which they are follows from what the answers tell.

The rules by which a plan is learned are in `fathom_async._ratelimit.plan_learning`. This carries them out:

1. Requests find their lane by the names of the classic ones, whatever the plan. An hourly plan has one lane of both
   names.
2. When the plan changes, those who wait move to the lanes of the new plan; what is under way is settled where it was
   admitted. A lane that takes over knows nothing of the server, so that it asks with one request first, whose answer
   tells what is left.
3. Lanes that are not in use keep what they know of their window, and are used again if the plan changes back.
4. The other processes of a shared budget are told through the windows of the classic lanes, with which each begins.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from attrs import define, field

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.plan_learning import INCLUDED, LearnedPlan, follow, is_hint, learn

_CRUD = "crud"

MakeHourly = Callable[[int, int], Lane]
"""Makes the one lane of an hourly plan of so many requests, so many at once."""


@define(eq=False)
class LearnedLanes:
    """The lanes of an account, by the names that requests know (rule 1), and what is known of its plan.

    `report` is called with the hourly limit before and after a change, 0 for the classic plan.
    """

    classic: dict[str, Lane]
    make_hourly: MakeHourly
    report: Callable[[int, int], None]
    names: dict[str, Lane] = field(init=False)
    _known: LearnedPlan = field(init=False, factory=LearnedPlan)
    _hourly: dict[int, Lane] = field(init=False, factory=dict[int, Lane])
    _expected: set[Priority] = field(init=False, factory=set[Priority])

    def __attrs_post_init__(self) -> None:
        self.names = dict(self.classic)

    def __iter__(self) -> Iterator[Lane]:
        yield from self.classic.values()
        yield from self._hourly.values()

    def named(self, kind: str, lane: Lane, status: int, feedback: Feedback) -> Feedback | None:
        """Learn from an answer that names another limit than its lane's; return what it tells that lane.

        An answer about another plan tells nothing (None). A refusal about another plan is explained by that: the
        lane hears of a window that is full, and does not look for a reason of its own. An error of the server's
        teaches nothing.
        """
        if feedback.limit is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return feedback
        before = self._known
        self._know(learn(before, kind, feedback.limit, feedback.remaining))
        if before.hourly is None and self._known.hourly is None:
            if kind == _CRUD and is_hint(feedback.limit):
                for each in self.classic.values():
                    each.restraint.keep_to(INCLUDED, each.now())
            is_own = lane in self.classic.values()
        else:
            is_own = self._hourly.get(feedback.limit) is lane
        if is_own:
            return feedback
        return Feedback(lane.limit.requests, 0) if status == HTTPStatus.TOO_MANY_REQUESTS else None

    def told(self, requests: int) -> None:
        """Another process of the budget found an hourly limit."""
        self._know(follow(self._known, requests), is_ours=False)

    def expect(self, priority: Priority) -> None:
        """Note on all lanes, also on those to come, that somebody is there who will make requests of a class."""
        self._expected.add(priority)
        for lane in self:
            lane.expect(priority)

    def _know(self, known: LearnedPlan, *, is_ours: bool = True) -> None:
        before, self._known = self._known.hourly, known
        if known.hourly == before:
            return
        self.report(before or 0, known.hourly or 0)
        self.names |= (
            self.classic if known.hourly is None else dict.fromkeys(self.classic, self._lane(known.hourly))
        )
        in_use = set(self.names.values())
        if known.hourly is None:
            for lane in in_use:
                lane.window.on_rate_limited(lane.now())  # rule 2
        if is_ours:
            for lane in self.classic.values():
                lane.window.move(known.hourly or 0)  # rule 4
        for lane in self:
            if lane not in in_use:
                lane.waiting.hand_over(self.names.__getitem__)  # rule 2

    def _lane(self, requests: int) -> Lane:
        lane = self._hourly.get(requests)
        if lane is not None:  # rule 3
            lane.window.on_rate_limited(lane.now())  # rule 2
        else:
            lane = self._hourly[requests] = self.make_hourly(requests, INCLUDED)
            for priority in self._expected:
                lane.expect(priority)
        return lane
