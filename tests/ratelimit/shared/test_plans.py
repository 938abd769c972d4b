"""How a plan that was given is told to the windows of the classic plan."""

import asyncio

import pytest
from attrs import define, field

from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Wanted
from fathom_async._ratelimit.shared.commands import PLAN_FOR, Command, Result, Sharing, hourly
from fathom_async._ratelimit.shared.protocol import LOST_AFTER, Done, Listener
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util.clock import LoopClock
from fathom_async.errors import BudgetError, ConfigurationError, FathomError

pytestmark = pytest.mark.virtual_time

PLAN = hourly(600, 5)
BULK = Demand(Priority.BULK)
LOOK = Result(0, (0, 0, 0), 0.0, 0, 0, 0, 0.0, 0, 1, 0.0, 0.0, 0)


@define
class Asked:
    """A store that answers when the test says so."""

    reply_time: float = 1.0
    steps: list[tuple[Command, Done | None]] = field(factory=list[tuple[Command, Done | None]])
    heard_by: Listener | None = None

    def listen(self, listener: Listener) -> None:
        self.heard_by = listener

    def submit(self, step: Command, done: Done | None = None) -> None:
        self.steps.append((step, done))

    def peek(self, step: Command) -> Result | None:
        del step
        return None

    def rekey(self, key: str) -> None:
        """Nothing is kept by a key."""

    def answer(self, reply: Result | None = LOOK) -> str:
        step, done = self.steps.pop(0)
        assert done is not None
        done(reply)
        return step.action

    def fail(self, error: FathomError) -> None:
        assert self.heard_by is not None
        self.heard_by.lost(error)

    async def aclose(self) -> None:
        """Nothing is open."""


class Lane:
    """A lane that wants one permit."""

    def wanted(self) -> Wanted | None:
        return Wanted((0, 0, 1), 1)

    def on_change(self) -> None:
        """The test looks by itself."""

    def on_cap(self, cap: int) -> None:
        raise AssertionError(cap)

    def on_forgotten(self, seconds: float) -> None:
        raise AssertionError(seconds)

    def on_moved(self, requests: int) -> None:
        raise AssertionError(requests)


def opened() -> tuple[SharedWindow, Asked, list[Asked]]:
    own, classic = Asked(), [Asked(), Asked()]
    sharing = Sharing(RateLimit(600, per=3600), 3631.0, plan=PLAN)
    window = SharedWindow(sharing, own, clock=LoopClock(), tell=classic)
    window.bind(Lane())
    return window, own, classic


async def test_nothing_is_asked_before_all_had_time_to_object_and_the_lane_need_not_look_meanwhile() -> None:
    window, own, classic = opened()
    for action in ("look", "move"):
        assert not window.has_room(BULK, 0.0)
        assert window.next_look(BULK, 0.0) is None
        assert own.steps == []
        assert [store.answer() for store in classic] == [action, action]
    window.has_room(BULK, 0.0)
    assert [step.action for step, _ in own.steps] == ["ask"]


async def test_it_is_told_again_while_it_is_used() -> None:
    window, own, classic = opened()
    window.has_room(BULK, 0.0)
    assert [store.answer() for store in classic + classic] == ["look", "look", "move", "move"]
    window.has_room(BULK, 0.0)
    own.answer()
    window.has_room(BULK, 0.6 * PLAN_FOR)
    assert [step.action for store in classic for step, _ in store.steps] == ["look", "look"]


async def test_where_one_objects_nothing_is_told_to_the_others_until_it_does_so_no_more() -> None:
    window, own, classic = opened()
    window.has_room(BULK, 0.0)
    classic[0].fail(ConfigurationError("another plan"))
    classic[0].answer(None)
    classic[1].answer()
    assert [store.steps for store in (own, *classic)] == [[], [], []]
    assert isinstance(window.failure, ConfigurationError)
    window.has_room(BULK, 1.0)
    assert own.steps == []
    assert classic[0].heard_by is not None
    classic[0].heard_by.back()
    assert window.failure is None
    window.has_room(BULK, 2.0)
    assert [store.answer() for store in classic] == ["look", "look"]
    await asyncio.sleep(0)


@pytest.mark.parametrize("is_lost_before", [True, False])
async def test_that_the_others_are_out_of_reach_is_no_objection_and_holds_nobody_up(
    *, is_lost_before: bool
) -> None:
    window, own, classic = opened()
    if is_lost_before:
        classic[0].fail(BudgetError("no answer"))
    window.has_room(BULK, 0.0)
    if is_lost_before:
        classic[0].answer(None)
    else:
        classic[0].fail(BudgetError("no answer"))
    assert window.failure is None
    window.has_room(BULK, 0.0)
    assert [step.action for step, _ in own.steps] == ["ask"]
    own.answer()
    classic[1].answer()
    for store in classic:
        store.steps.clear()
    window.has_room(BULK, asyncio.get_running_loop().time() + 2 * LOST_AFTER)
    assert [[step.action for step, _ in store.steps] for store in classic] == [["look"], ["look"]]


async def test_a_process_that_asks_nothing_keeps_its_plan_known_until_it_ends() -> None:
    window, own, classic = opened()
    window.has_room(BULK, 0.0)
    assert [store.answer() for store in classic + classic] == ["look", "look", "move", "move"]
    for _ in range(3):
        await asyncio.sleep(0.9 * PLAN_FOR)
        for store in (own, *classic):
            assert {(step.action, step.plan) for step, _ in store.steps} == {("look", PLAN)}
            store.steps.clear()
    await window.aclose()
    await asyncio.sleep(10 * PLAN_FOR)
    assert [store.steps for store in (own, *classic)] == [[], [], []]
