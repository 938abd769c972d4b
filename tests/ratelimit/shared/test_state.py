"""The shared window's arithmetic: examples of its rules."""

import array
from collections import Counter

import pytest
from attrs import evolve

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared.commands import NOBODY, PLAN_FOR, Command, QuotaConfig
from fathom_async._ratelimit.shared.state import CLOCK_STEP, LONGEST_WAITED_OUT, SharedState, size_of
from fathom_async.errors import ConfigurationError

SPAN = 61.0
LEASE = 91.0
HOUR = 3601.0
INTERACTIVE, NORMAL, BULK = Priority


def terms_of(requests: int = 10, span: float = SPAN) -> QuotaConfig:
    return QuotaConfig(requests, per=span - 1, span=span, settle=5.0, ticket_ttl=1.0)


def pool_of(requests: int = 10, span: float = SPAN) -> SharedState:
    memory = array.array("d", bytes(8 * size_of(requests)))
    return SharedState(memoryview(memory), terms_of(requests, span))


def ask(
    owner: int,
    permit: int,
    count: int = 1,
    reserve: int = 0,
    *,
    priority: Priority = NORMAL,
    arrived: tuple[int, int] = (0, 0),
    cap: int = 0,
    span: float = SPAN,
) -> Command:
    waiting = Counter({priority: count})
    return Command(
        "ask",
        owner,
        permit,
        count,
        30.0 + span,
        reserve,
        waiting=(waiting[INTERACTIVE], waiting[NORMAL], waiting[BULK]),
        arrived=arrived,
        cap=cap,
    )


def answered(
    permit: int, foreign_usage: int | None = None, *, took: float = 0.0, span: float = SPAN
) -> Command:
    return Command("answered", 1, permit, delay=span, foreign_usage=foreign_usage, took=took)


def fill(pool: SharedState, now: float = 0.0, requests: int = 10) -> None:
    """Grant all permits to process 9, and answer them."""
    assert pool.step(ask(9, 900, requests), now).granted == requests
    for number in range(requests):
        pool.step(answered(900 + number), now)


def test_all_slots_go_to_one_process_while_nobody_else_waits() -> None:
    reply = pool_of().step(ask(1, 100, 25), 0.0)
    assert (reply.granted, reply.held) == (10, 10)
    assert reply.wait == 5.0  # none of them is answered: look again


def test_a_waiting_process_is_told_the_moment_exactly() -> None:
    pool = pool_of()
    fill(pool)
    assert pool.step(ask(1, 100), 20.0).wait == SPAN - 20
    assert pool.step(ask(1, 100), 60.9).granted == 0
    assert pool.step(ask(1, 100), SPAN).granted == 1


def test_processes_take_turns() -> None:
    pool = pool_of(2)
    fill(pool, requests=2)
    waits = [pool.step(ask(owner, 100 * owner, 5), 1.0).wait for owner in (1, 2, 3)]
    assert waits == [
        60.0,
        60.0,
        60.5,
    ]  # the third is a turn of all permits away, and half of that is asked at
    assert pool.step(ask(3, 300, 5), SPAN).granted == 0
    assert pool.step(ask(1, 110, 5), SPAN).granted == 1


def test_a_long_timeout_lets_nobody_look_later() -> None:
    """Requests are answered as a rule, so that a permit comes back a span after its turn."""
    pool = pool_of(1)
    first, second, third = (evolve(ask(owner, 100 * owner), delay=600 + SPAN) for owner in (1, 2, 3))
    assert pool.step(first, 0.0).granted == 1
    assert pool.step(second, 0.0).wait == 5.0, "the first is not answered yet"
    assert pool.step(third, 0.0).wait == SPAN, "half of the two turns until its own"


def test_a_place_that_is_not_used_lapses() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    assert pool.step(ask(1, 100), 1.0).granted == 0  # and is killed
    assert pool.step(ask(2, 200), 2.0).granted == 0
    assert pool.step(ask(2, 200), SPAN + 0.5).granted == 0
    assert pool.step(ask(2, 200), SPAN + 1.5).granted == 1


def test_dead_processes_keep_their_places_no_longer_than_a_slot() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    for owner in range(2, 22):
        pool.step(ask(owner, 100 * owner), 1.0)
    wait = pool.step(ask(1, 100), 1.0).wait
    now = 1.0 + wait
    while pool.step(reply := ask(1, 100), now).granted == 0:
        now += pool.step(reply, now).wait
    assert now < 2 * LEASE + SPAN


def test_who_says_nothing_more_holds_its_slot_for_the_lease_and_no_longer() -> None:
    pool = pool_of(1)
    pool.step(ask(1, 100), 0.0)
    assert pool.step(ask(2, 200), LEASE - 0.1).granted == 0
    assert pool.step(ask(2, 200), LEASE).granted == 1


def test_a_slot_that_was_sent_is_held_for_what_the_sender_says() -> None:
    pool = pool_of(1)
    pool.step(ask(1, 100), 0.0)
    pool.step(Command("hold", 1, 100, delay=5 + SPAN), 0.0)
    assert pool.step(ask(2, 200), 65.9).granted == 0
    assert pool.step(ask(2, 200), 66.0).granted == 1


def test_a_slot_that_was_given_back_goes_to_the_next() -> None:
    pool = pool_of(2)
    pool.step(ask(1, 100, 2), 0.0)
    pool.step(Command("freed", 1, 101), 1.0)
    assert pool.step(ask(2, 200, 2), 1.0).granted == 1


def test_reserved_slots_stay_unused() -> None:
    assert pool_of().step(ask(1, 100, 25, reserve=3), 0.0).granted == 7


def test_what_others_have_spent_is_held_for_them() -> None:
    pool = pool_of()
    base = pool.step(ask(1, 100), 0.0).base
    pool.step(answered(100, foreign_usage=10 - 2 - base), 1.0)  # 2 remain, and one of the 8 was ours
    assert pool.step(ask(1, 101, 10), 1.0).granted == 2


def test_our_own_hits_are_not_taken_for_others() -> None:
    pool = pool_of()
    base = pool.step(ask(1, 100), 0.0).base
    pool.step(ask(2, 200, 4), 0.0)
    pool.step(answered(100, foreign_usage=10 - 5 - base), 1.0)
    assert pool.step(ask(1, 101, 10), 1.0).granted == 5


def test_a_pause_keeps_everyone_away() -> None:
    pool = pool_of()
    reply = pool.step(Command("pause", 1, delay=21.0), 0.0)
    assert (reply.blocked, reply.pauses) == (21.0, 1)
    assert pool.step(ask(2, 200), 1.0).wait == 20.0
    assert pool.step(ask(2, 200), 21.0).granted == 1


def test_a_store_that_lost_its_memory_grants_nothing_for_a_span() -> None:
    epoch = pool_of().step(ask(1, 100), 0.0).epoch
    pool = pool_of()
    reply = pool.step(ask(1, 101), 10.0, epoch)
    assert (reply.granted, reply.wait) == (0, SPAN)
    newcomer = pool_of()
    assert newcomer.step(ask(2, 200), 10.0).granted == 1
    assert newcomer.step(ask(1, 101), 11.0, epoch).wait == SPAN


def test_a_state_that_was_restored_from_before_grants_nothing_for_a_span() -> None:
    """A snapshot of Redis, a lagging replica, or a copy of the file that was put back: the epoch is the same."""
    pool = pool_of()
    old = pool.step(ask(1, 100), 0.0)
    assert pool.step(ask(1, 101), 10.0, old.epoch, old.total + 6).wait == SPAN
    assert pool.step(ask(2, 200), 11.0, old.epoch, old.total + 6).wait == SPAN - 1, "it is noticed once"
    assert pool.step(ask(1, 101), 10.0 + SPAN, old.epoch, old.total + 6).granted == 1


def test_an_epoch_alone_proves_no_loss() -> None:
    pool = pool_of()
    epoch = pool.step(Command("look", 1), 0.0).epoch
    assert pool.step(ask(1, 100), 1.0, epoch).granted == 1


def test_a_clock_that_began_anew_makes_a_new_pool() -> None:
    pool = pool_of(1)
    fill(pool, now=90_000.0, requests=1)
    assert pool.step(ask(1, 100), 5.0).granted == 1


def test_a_clock_that_went_back_a_little_makes_no_new_pool() -> None:
    pool = pool_of(1)
    fill(pool, now=90_000.0, requests=1)
    back = 90_000.0 - CLOCK_STEP
    assert not pool.is_idle(back)
    assert pool.step(ask(1, 100), back).wait == SPAN, "by its own time, which does not go back"
    assert pool.is_idle(back - 0.25)
    assert pool.step(ask(1, 100), back - 0.25).granted == 1


def test_a_pool_is_idle_when_its_last_permit_is_back() -> None:
    pool = pool_of()
    assert pool.is_idle(0.0)
    pool.step(ask(1, 100), 1.0)
    pool.step(answered(100), 2.0)
    assert not pool.is_idle(2.0 + SPAN - 0.25)
    assert pool.is_idle(2.0 + SPAN)


def test_a_pool_in_which_somebody_waits_is_not_idle() -> None:
    pool = pool_of(1)
    pool.step(Command("pause", 1, delay=5.0), 0.0)
    assert pool.step(ask(1, 100), 1.0).wait == 4.0
    assert not pool.is_idle(5.75), "until its ticket lapses"
    assert pool.is_idle(6.0)


@pytest.mark.parametrize(
    ("step", "seconds"),
    [(Command("pause", 1, delay=5.0), 5.0), (Command("leave", 1, plan=600), PLAN_FOR)],
)
def test_a_pool_that_holds_somebody_back_is_not_idle(step: Command, seconds: float) -> None:
    pool = pool_of()
    pool.step(step, 1.0)
    assert not pool.is_idle(1.0 + seconds - 0.25)
    assert pool.is_idle(1.0 + seconds)


def test_a_plan_is_known_for_as_long_as_it_holds_and_no_longer() -> None:
    pool = pool_of()
    pool.step(Command("leave", 1, plan=600), 1.0)
    with pytest.raises(ConfigurationError):
        pool.step(Command("leave", 2, plan=1200), 1.0 + PLAN_FOR - 0.25)
    assert pool.step(Command("leave", 2, plan=1200), 1.0 + PLAN_FOR).epoch


@pytest.mark.parametrize(("beyond", "pause"), [(0.0, LONGEST_WAITED_OUT), (0.25, 10.0)])
def test_only_a_short_window_is_waited_out(beyond: float, pause: float) -> None:
    pool = pool_of(span=LONGEST_WAITED_OUT + beyond)
    assert pool.step(ask(1, 100), 1.0, known=77).blocked == pause


def test_a_short_reply_says_the_same_but_what_takes_longest() -> None:
    pools = pool_of(2), pool_of(2)
    steps = [ask(1, 100, arrived=(3, 0)), ask(2, 200, 3, priority=BULK), answered(100, took=0.5), ask(1, 101)]
    for number, step in enumerate(steps):
        whole = pools[0].step(step, 1.0 + number)
        short = pools[1].step(step, 1.0 + number, full=False)
        uncounted = evolve(whole, held=0, base=-whole.total, first=0.0, last=0.0, left=NOBODY)
        assert short == uncounted
        assert whole.held > 0


def test_the_more_urgent_class_is_served_first_and_then_who_came_first() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    for owner, priority in enumerate((BULK, BULK, NORMAL, INTERACTIVE), 1):
        assert pool.step(ask(owner, 100 * owner, priority=priority), 1.0).granted == 0
    served: list[int] = []
    now = SPAN
    while len(served) < 4:
        for owner, priority in enumerate((BULK, BULK, NORMAL, INTERACTIVE), 1):
            if owner not in served and pool.step(ask(owner, 100 * owner, priority=priority), now).granted:
                served.append(owner)
                pool.step(Command("freed", owner, 100 * owner), now)
    assert served == [4, 3, 1, 2]


def test_a_process_has_a_ticket_for_each_class_in_which_somebody_waits() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    both = evolve(ask(1, 100), waiting=(1, 0, 7))
    assert pool.step(both, 1.0).granted == 0
    reply = pool.step(ask(2, 200, priority=BULK), 1.0)
    assert reply.waiting == 1, "processes are counted, not tickets"
    assert reply.queues == ([1], [], [7]), "and it is known how many wait behind each"
    pool.step(ask(1, 100, priority=BULK), 1.0)  # nobody interactive is left there
    assert pool.step(ask(3, 300, priority=NORMAL), SPAN).granted == 1
    pool.step(Command("freed", 3, 300), SPAN)
    assert pool.step(ask(2, 200, priority=BULK), SPAN).granted == 0
    assert pool.step(ask(1, 100, priority=BULK), SPAN).granted == 1, "its bulk ticket kept its place"


def test_all_classes_of_a_process_are_served_at_once_and_the_more_urgent_ones_first() -> None:
    pool = pool_of(10)
    assert pool.step(evolve(ask(1, 100, 10), waiting=(2, 3, 4)), 1.0).granted == 9
    assert pool.step(evolve(ask(2, 200, 10), waiting=(1, 0, 1)), 1.0).granted == 1
    assert pool.step(Command("look", 3), 1.0).queues == ([], [], [1])


def test_a_class_that_its_own_process_cannot_serve_yet_has_a_ticket_too() -> None:
    pool = pool_of(10)
    assert pool.step(evolve(ask(1, 100), waiting=(1, 0, 9)), 1.0).granted == 1
    assert pool.step(Command("look", 2), 1.0).queues == ([], [], [9])


def test_a_permit_that_a_class_is_due_is_for_that_class() -> None:
    pool = pool_of(10)
    fill(pool)
    both = evolve(ask(1, 100, 20), waiting=(20, 0, 20))
    assert pool.step(both, 1.0).due == (0, 0, 0)
    assert pool.step(both, SPAN).due == (0, 0, 0)
    fill_up = [answered(100 + number) for number in range(10)]
    for step in fill_up:
        pool.step(step, SPAN)
    reply = pool.step(both, 2 * SPAN)
    assert (reply.granted, reply.due) == (10, (0, 0, 1))


def test_no_more_is_granted_than_is_free_to_a_class_that_is_due_more() -> None:
    pool = pool_of(20)
    pool.step(Command("pause", 1, delay=4.0), 1.0)
    assert pool.step(ask(1, 100, 5, priority=BULK), 1.0).granted == 0
    assert pool.step(ask(2, 200, 19, priority=INTERACTIVE), 5.0).granted == 19 >= 2 * PASSES
    reply = pool.step(ask(1, 100, 5, priority=BULK), 5.0)
    assert (reply.granted, reply.due) == (1, (0, 0, 1))
    assert reply.wait == 5.0, "it is due another one, and no promise holds that back"


def test_leaving_gives_up_the_tickets_of_all_classes() -> None:
    pool = pool_of(1)
    fill(pool, requests=1)
    for priority in (BULK, NORMAL, INTERACTIVE):
        pool.step(ask(1, 100, priority=priority), 1.0)
    pool.step(Command("leave", 1), 1.0)
    reply = pool.step(ask(2, 200, priority=BULK), SPAN)
    assert (reply.granted, reply.waiting) == (1, 0)


def test_nothing_is_left_for_classes_that_were_not_seen_for_a_day() -> None:
    assert pool_of().step(ask(1, 100, 10, priority=BULK), 0.0).granted == 10
    pool = pool_of()
    pool.step(Command("expect", 2, priority=INTERACTIVE), 1.0)
    assert pool.step(ask(1, 100, 10, priority=BULK), 86_402.0).granted == 10


@pytest.mark.parametrize(
    ("seen", "arrivals", "asks", "left"),
    [
        (INTERACTIVE, 0, BULK, 2),
        (NORMAL, 0, BULK, 2),
        (INTERACTIVE, 0, NORMAL, 2),
        (INTERACTIVE, 15, BULK, 2 + 3),  # one a minute over 900 s, and half as many more than twice a span's
        (INTERACTIVE, 900, BULK, 9),
        (BULK, 0, BULK, 0),
        (NORMAL, 0, NORMAL, 0),
        (INTERACTIVE, 0, INTERACTIVE, 0),
    ],
)
def test_a_class_leaves_what_the_classes_above_will_want(
    seen: Priority, arrivals: int, asks: Priority, left: int
) -> None:
    pool = pool_of()
    pool.step(Command("expect", 2, priority=seen), 1.0)
    if arrivals:
        pool.step(ask(2, 200, priority=INTERACTIVE, arrived=(arrivals, 0)), 1.0)
        pool.step(Command("freed", 2, 200), 1.0)
    reply = pool.step(ask(1, 100, 10, priority=asks), 1.0)
    # All are free: what is left comes at once, and the promise spreads what goes beyond.
    assert reply.granted == 10 - left
    assert (reply.wait > 0) == (left > 0)


def test_the_promise_says_when_to_look_again() -> None:
    pool = pool_of()
    pool.step(Command("expect", 2, priority=INTERACTIVE), 1.0)
    assert pool.step(ask(1, 100, 10, priority=BULK), 1.0).granted == 8
    for number in range(8):
        pool.step(answered(100 + number), 1.0)
    back = 1 + SPAN
    # The second next permit after the ninth is back then, and may be two times this late:
    late = 1.1 * SPAN / 10
    reply = pool.step(ask(1, 110, priority=BULK), 1.0)
    assert reply.granted == 0
    assert reply.wait == pytest.approx(back - 2 * late - 1)
    assert pool.step(ask(1, 110, priority=BULK), back - 2 * late - 0.1).granted == 0
    assert pool.step(ask(1, 110, priority=BULK), back - 2 * late + 0.1).granted == 1
    assert pool.step(ask(2, 200, priority=INTERACTIVE), back - 2 * late + 0.1).granted == 1


@pytest.mark.parametrize(("wanted", "at_least"), [(30, 9), (1, 12)])
def test_bulk_gets_one_in_nine_whatever_comes_and_less_where_it_does_not_wait(
    wanted: int, at_least: int
) -> None:
    pool = pool_of(10)
    now, permit = 1.0, 1000
    counts = {INTERACTIVE: 4, BULK: wanted}  # neither is ever satisfied
    served, at = dict.fromkeys(counts, 0), dict.fromkeys(counts, 0.0)
    while now < 3600:
        for priority, count in counts.items():
            if at[priority] <= now:
                asks = ask(priority + 1, permit, count, priority=priority, arrived=(count, 0))
                reply = pool.step(asks, now)
                for number in range(reply.granted):
                    pool.step(answered(permit + number), now)
                served[priority] += reply.granted
                permit += count
                at[priority] = now + reply.wait
        now = max(now + 0.001, min(at.values()))
    assert served[INTERACTIVE] + served[BULK] >= 10 * 58
    assert served[INTERACTIVE] / at_least <= served[BULK] <= served[INTERACTIVE] / 7


def test_a_class_that_did_not_wait_was_not_passed_over() -> None:
    pool = pool_of(20)
    for number in range(9):
        pool.step(ask(1, 100 + number, priority=INTERACTIVE, arrived=(1, 0)), 1.0)
    assert pool.step(ask(2, 200, 11, priority=BULK), 1.0).granted < 11


def test_so_many_are_in_flight_at_most() -> None:
    pool = pool_of(600, HOUR)
    assert pool.step(ask(1, 100, 5, cap=5, span=HOUR), 0.0).granted == 5
    waits = [pool.step(ask(owner, 100 * owner, cap=5, span=HOUR), 1.0).wait for owner in (2, 3)]
    assert waits == [1.25 / 5 / 4, 2 * 1.25 / 5 / 4], "those behind look later"
    pool.step(answered(100, took=2.0, span=HOUR), 2.0)
    assert pool.step(ask(3, 300, cap=5, span=HOUR), 2.0).granted == 0
    assert pool.step(ask(2, 200, cap=5, span=HOUR), 2.0).granted == 1
    assert pool.step(ask(3, 300, cap=5, span=HOUR), 2.0).wait == 2.0 / 5 / 4
    pool.step(Command("abandoned", 1, 101), 2.0)
    pool.step(Command("freed", 1, 102), 2.0)
    assert pool.step(ask(3, 300, 3, cap=5, span=HOUR), 2.0).granted == 2
    assert pool.step(Command("look", 1), 2.0).held == 5 + 1 + 2 - 1


def test_what_a_dead_process_has_in_flight_ends_with_its_timeout_and_not_with_the_hour() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, 5, cap=5, span=HOUR), 0.0)
    assert pool.step(ask(2, 200, cap=5, span=HOUR), 29.9).granted == 0
    assert pool.step(ask(2, 200, 9, cap=5, span=HOUR), 30.0).granted == 5
    assert pool.step(Command("look", 1), 30.0).held == 10


def test_a_refusal_lowers_the_cap_for_all_and_it_recovers_carefully() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, 6, span=HOUR), 0.0)
    pool.step(ask(2, 200, 2, span=HOUR), 0.0)
    for number in (104, 105):  # two of the eight are refused
        pool.step(Command("freed", 1, number), 1.0)
        reply = pool.step(Command("crowd", 1, count=4), 1.0)
    assert reply.cap == 6, "those of the other process were let in too"
    assert pool.step(ask(2, 202, span=HOUR), 1.0).granted == 0
    assert pool.step(ask(2, 202, span=HOUR), 2.0).cap == 6
    for number in range(4):
        pool.step(answered(100 + number, span=HOUR), 2.0)
    assert pool.step(ask(2, 202, span=HOUR), 2.0).granted == 1
    assert pool.step(ask(3, 300, 20, span=HOUR), 2.0).granted == 3
    assert pool.step(ask(3, 310, 20, cap=5, span=HOUR), 32.0).granted == 5, "the smaller cap holds"
    assert pool.step(Command("look", 1), 60.9).cap == 6
    assert pool.step(Command("look", 1), 61.0).cap == 7
    assert pool.step(ask(3, 330, 20, span=HOUR), 61.5).granted == 7 - 5
    assert pool.step(ask(3, 350, 20, span=HOUR), 62.0).granted == 7 - 2
    pool.step(Command("freed", 3, 350), 62.0)
    pool.step(Command("crowd", 3, count=1), 62.0)
    assert pool.step(Command("look", 1), 62.0).cap == 6
    assert pool.step(Command("look", 1), 62.0 + 119.9).cap == 6, "it was too early, so it takes twice as long"
    assert pool.step(Command("look", 1), 62.0 + 120.0).cap == 7


def test_a_long_window_that_was_forgotten_is_opened_by_one_probe() -> None:
    pool = pool_of(600, HOUR)
    assert pool.step(ask(1, 100, 9, span=HOUR), 0.0, known=77).granted == 0
    reply = pool.step(ask(2, 200, 9, span=HOUR), 1.0)
    assert (reply.granted, reply.wait, reply.unsure) == (0, 9.0, HOUR - 1)
    probe = pool.step(ask(1, 100, 9, span=HOUR), 10.0)
    assert probe.granted == 1
    assert pool.step(ask(2, 200, 9, span=HOUR), 10.0).granted == 0
    pool.step(answered(55, span=HOUR), 10.5)  # was admitted before, and tells nothing
    assert pool.step(ask(2, 200, 9, span=HOUR), 10.5).granted == 0
    pool.step(Command("leave", 1), 10.5)
    spent = 51
    pool.step(answered(100, spent - probe.base, span=HOUR), 11.0)
    reply = pool.step(ask(2, 200, 600, span=HOUR), 11.0)
    assert (reply.granted, reply.unsure) == (600 - spent, 0.0)


def test_a_probe_that_is_told_nothing_has_the_window_waited_out() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, span=HOUR), 0.0, known=77)
    assert pool.step(ask(1, 100, span=HOUR), 10.0).granted == 1
    pool.step(answered(100, span=HOUR), 11.0)
    assert pool.step(ask(1, 101, span=HOUR), 12.0).blocked == HOUR - 12
    assert pool.step(ask(1, 101, 9, span=HOUR), HOUR).granted == 9


def test_a_probe_that_is_lost_is_followed_by_another() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, span=HOUR), 0.0, known=77)
    assert pool.step(ask(1, 100, span=HOUR), 10.0).granted == 1
    assert pool.step(ask(2, 200, 9, span=HOUR), 39.9).granted == 0
    probe = pool.step(ask(2, 200, 9, span=HOUR), 40.0)
    assert probe.granted == 1
    pool.step(answered(200, 2 - probe.base, span=HOUR), 41.0)
    assert pool.step(ask(1, 101, 9, span=HOUR), 41.0).granted == 9


def test_a_probe_from_before_another_loss_tells_nothing() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, span=HOUR), 0.0, known=77)
    probe = pool.step(ask(1, 100, span=HOUR), 10.0)
    assert pool.step(Command("look", 1), 11.0, probe.epoch, probe.total + 6).unsure == HOUR
    pool.step(answered(100, 7 - probe.base, span=HOUR), 12.0)
    assert pool.step(Command("look", 1), 12.0).unsure == HOUR - 1


def test_memory_is_found_lost_once_however_many_knew_it() -> None:
    pool = pool_of(600, HOUR)
    pool.step(ask(1, 100, span=HOUR), 0.0, known=77)
    probe = pool.step(ask(1, 100, span=HOUR), 10.0)
    pool.step(answered(100, 1 - probe.base, span=HOUR), 11.0)
    assert pool.step(ask(2, 200, 9, span=HOUR), 12.0, known=77).granted == 9


def test_all_processes_learn_that_everybody_moved() -> None:
    pool = pool_of()
    assert pool.step(Command("look", 1), 0.0).moved == 0
    pool.step(Command("move", 1, count=600), 0.0)
    assert pool.step(ask(2, 200), 1e6).moved == 600
