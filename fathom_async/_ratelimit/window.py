"""The window: at most N requests in any T seconds of the server's time, whatever the network does.

Theory
======

A server that admits N requests in T seconds may anchor its window anywhere: at the first hit, at the full
minute, at every single hit. One rule is safe against all of them: *no T seconds of the server's time hold more
than N of our requests*. What makes it hard is that a request is counted neither when we admit it nor when the
answer arrives, but at some moment in between that we do not see.

So a request takes one of N **permits** when it is admitted, and the permit comes back T (plus a pad, because some
servers count in whole seconds) after the request was *counted at the latest*. That is

- when its answer arrived, for it was counted before it was answered; or
- ``count_delay`` after its bytes left, whichever is first. This second bound is for slow reports, whose hit was
  counted long before the answer; without it a handler of 20 s would cost a third of a 60 s window.

Two hits that share a permit are therefore at least T apart on the server's clock: the earlier one was counted at
the latest T before the permit came back, the later one was sent after that. With N permits, no T seconds hold more
than N hits. A request that was admitted and never sent gives its permit back at once. One that was lost on the
wire, or whose caller went away, may yet be counted: its permit stays out as if it had been sent and never answered.

A stamp taken when a request is *sent* is not enough: one request that is delayed by 300 ms on its way, and one
that is not, a window later, are less than T apart at the server. Measured: a quarter of all requests refused.

Feedback
========

``X-RateLimit-Remaining`` tells how many requests the server would still have admitted at some moment between a
request's sending and its answer. Requests of ours that overlapped with it may or may not be in that number, so

- ``remaining - overlapping`` is certainly still admitted. Where that is more than our free permits, the server's
  window was reopened or our hits have left it: the oldest permits come back early. A stale answer never gains.
- ``N - remaining - own``, where *own* is everything of ours that could be in the count, was certainly spent by
  somebody else: as many permits are held for them, for T.

A word that is nearly T old is worth nothing: the first request after such a silence goes alone, to ask. It costs one
round trip a window, and a client that began to spend beside us costs one refusal at most, not ten.

Where others were seen to spend, they will spend again, and a permit of ours that comes back says nothing of theirs.
Such a window is *shared* for two spans. What goes out is what the server's last word certainly admits, and beyond
that one request alone, to ask. And where ``remaining`` rose from one word to the next, the server let hits go: all
that were counted by the earlier word are taken for gone, so that everything that is still counted, and not ours
since, was spent by others. That is exact for windows that end at once, as Laravel's do, and for others it errs by
waiting.

Everything here is a pure state machine: time is an argument, and must not go backwards.
"""

import math
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from heapq import merge
from operator import itemgetter

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.promise import Permits, patience
from fathom_async._ratelimit.protocol import Demand, Permit, Window, WindowStatus

MEMORY = 900.0
"""Seconds over which arrivals are counted at the least."""

SEEN_FOR = 86_400.0
"""Seconds after its last request for which a class is expected to come back."""

SAFETY = 2.0
"""How many times the expected number of arrivals is provided for."""

_BEGAN, _COUNT, _BEFORE, _SEEN = range(4)
_FIELDS = 4

FORECAST_SIZE = _FIELDS * Priority.BULK
"""How many numbers a forecast needs: nothing is left for BULK, so that nobody counts it."""

STALE = 0.95
"""The part of T after which the server's last word no longer tells what is left."""

GRAIN = 0.001
"""Seconds between two looks for permits that came back: those that come back together are handed out together."""

_REMEMBERED = 64


class Forecast:
    """How often the more urgent classes come, on one budget, kept in `FORECAST_SIZE` numbers, all zeros when new.

    Arrivals are counted in bins as long as the memory; of the bin before the present one that part counts which
    still lies within the memory.
    """

    __slots__ = ("_memory", "_never", "_numbers", "_span")

    def __init__(self, span: float, numbers: "list[float] | memoryview[float] | None" = None) -> None:
        self._span = span
        self._memory = max(span, MEMORY)
        self._never = -math.inf if numbers is None else 0.0  # the moment that stands for none
        self._numbers = [-math.inf, 0.0, 0.0, -math.inf] * Priority.BULK if numbers is None else numbers

    def note(self, priority: Priority, now: float, count: int = 1) -> None:
        """Count requests of a class; 0 of them say only that somebody is there."""
        if priority >= Priority.BULK:
            return
        numbers, at, memory = self._numbers, _FIELDS * priority, self._memory
        passed = now - numbers[at + _BEGAN]
        if passed >= memory or numbers[at + _SEEN] == self._never:
            is_next = passed < 2 * memory
            numbers[at + _BEFORE] = numbers[at + _COUNT] if is_next else 0.0
            numbers[at + _COUNT] = 0.0
            numbers[at + _BEGAN] = now - passed % memory if is_next else now
        numbers[at + _COUNT] += count
        numbers[at + _SEEN] = now

    def wanted(self, priority: Priority, permits: int, now: float) -> int:
        """Return how many permits a class has to leave: k of rule 1 of `fathom_async._ratelimit.promise`."""
        for each in range(priority):
            if self._is_expected(each, now):
                expected = self.rate(priority, now) * self._span
                return min(permits - 1, max(2, permits // 50) + math.ceil(SAFETY * expected))  # rule 2
        return 0  # rule 3

    def rate(self, priority: Priority, now: float) -> float:
        """Return how many requests more urgent than this class come in a second (rule 4)."""
        return sum(self._arrivals(each, now) for each in range(priority)) / self._memory

    def _is_expected(self, priority: int, now: float) -> bool:
        seen = self._numbers[_FIELDS * priority + _SEEN]
        return seen != self._never and now - seen < SEEN_FOR

    def _arrivals(self, priority: int, now: float) -> float:
        began, count, before, _ = self._numbers[_FIELDS * priority : _FIELDS * (priority + 1)]
        passed = (now - began) / self._memory
        return count + before * (1 - passed) if passed < 1 else count * max(0.0, 2 - passed)


class LocalWindow(Window):
    """The permits of one rate limit, a process's own; see the module's docstring for why it is safe.

    The reserve is left to the account's other clients; `count_delay` are the seconds after which a request that
    left this machine was counted for certain.
    """

    def __init__(self, limit: RateLimit, *, reserve: int = 0, count_delay: float = 5.0) -> None:
        self.span = limit.per + limit.pad
        self._stale_after = STALE * limit.per
        self._limit = limit
        self._reserve = self._wished_reserve = reserve
        self._usable = limit.requests - reserve
        self._count_delay = count_delay
        self._forecast = Forecast(self.span)
        self._held: dict[Priority, float] = {}  # see `_held_until`
        self._held_since: dict[Priority, float] = {}  # when each class was first held back from a free permit
        self._returned: dict[tuple[int, Priority], float] = {}  # what `returns` found since the last change
        self._free = limit.requests
        self._ageing: deque[float] = deque()  # when answered requests' permits come back, in order
        self._foreign: deque[float] = deque()  # the same for permits held for other clients
        self._lost: deque[float] = deque()  # the same for requests that nobody waits for
        self._sent: OrderedDict[Permit, None] = OrderedDict()  # not answered yet, in the order of sending
        self._in_flight = self._granted = 0
        self._own: deque[float] = deque()  # when our last hits were counted at the latest
        self._quiet_until = math.inf  # no permit comes back before
        self._heard_at = -math.inf  # the server's last word
        self._remaining = 0  # how many it said remained
        self._certain = 0  # how many more it admits for certain
        self._is_refused = False  # its last word was a refusal
        self._shared_until = -math.inf  # others were seen to spend

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def status(self, now: float) -> WindowStatus:
        self._expire(now)
        return WindowStatus(used=self._limit.requests - self._free)

    def expect(self, priority: Priority, now: float, count: int = 1) -> None:
        self._forecast.note(priority, now, count)

    def resize(self, requests: int) -> None:
        self._more()
        self._free += requests - self._limit.requests
        self._reserve = min(self._wished_reserve, requests - 1)
        self._usable = requests - self._reserve
        self._limit = RateLimit(requests, self._limit.per)

    def is_cold(self, now: float) -> bool:
        is_used_up = self._certain <= 0 and now < self._shared_until
        return self._is_refused or is_used_up or now - self._heard_at >= self._stale_after

    def on_rate_limited(self, now: float) -> None:
        self._is_refused = True
        self._heard_at, self._remaining = now, 0
        self._shared_until = math.inf  # until the next answer says from when to count

    def has_room(self, demand: Demand, now: float) -> bool:
        if now >= self._quiet_until:
            self._expire(now)
        if self._free <= 0 or self._free + len(self._foreign) <= self._reserve:
            return False
        return not demand.priority or demand.is_due or self._held_until(demand.priority, now) <= now

    def next_look(self, demand: Demand, now: float) -> float | None:
        self._expire(now)
        at = -math.inf if demand.is_due else self._held_until(demand.priority, now)
        if self._free > 0 and at > now:
            return at
        return None if self._quiet_until == math.inf else max(self._quiet_until, at)

    def returns(
        self, position: int, priority: Priority, now: float, passes: int = 0, urgent: int = 0
    ) -> float:
        del urgent  # of interest where other processes have more of them
        self._expire(now)
        at = self._returned.get((position, priority))
        if at is None or at <= now:
            at = max(now, self._permits(now).nth(position), self._promised_at(position, priority, now))
            if len(self._returned) >= _REMEMBERED:
                self._returned.clear()
            self._returned[position, priority] = at
        if at <= now or not priority:
            return at
        # More urgent requests that are expected take a part of what comes back, but for every ninth (queue, rule 2).
        taken = self._forecast.rate(priority, now) * self.span / self._usable
        left = self._forecast.wanted(priority, self._usable, now)
        aged_at = self._permits(now).aged_at(position, passes, left, self._held_since.get(priority))
        return min(now + (at - now) / max(1 - taken, 1 / 9), aged_at)

    def take(self, priority: Priority) -> Permit:
        self._returned.clear()
        self._held_since.pop(priority, None)
        self._free -= 1
        self._certain -= 1
        self._granted += 1
        permit = Permit(self._granted, self._in_flight)
        self._in_flight += 1
        return permit

    def sent(self, permit: Permit, now: float) -> None:
        permit.sent_at = now
        self._sent[permit] = None
        due = now + self._count_delay + self.span
        self._quiet_until = min(self._quiet_until, due)

    def release(self, permit: Permit) -> None:
        self._more()
        self._in_flight -= 1
        if permit.sent_at is None or permit in self._sent:
            self._sent.pop(permit, None)
            self._free += 1

    def abandon(self, permit: Permit) -> None:
        self._returned.clear()
        self._in_flight -= 1
        due = self._due(permit)
        self._note_own(due - self.span)
        if permit in self._sent:
            del self._sent[permit]
            insort(self._lost, due)

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> bool:
        self._returned.clear()
        self._in_flight -= 1
        if (sent_at := permit.sent_at) is None:
            self.sent(permit, sent_at := now)
        if permit in self._sent:
            del self._sent[permit]
            due = min(now, sent_at + self._count_delay) + self.span
            if self._ageing and due < self._ageing[-1]:
                insort(self._ageing, due)
            else:
                self._ageing.append(due)
            self._quiet_until = min(self._quiet_until, due)
        self._note_own(now)
        if feedback is None:
            return self._free > 0 or now >= self._quiet_until
        requests, remaining = self._limit.requests, feedback.remaining
        self._is_refused = False
        if self._shared_until == math.inf:
            self._shared_until = now + 2 * self.span
        if remaining is not None and feedback.limit == requests and 0 <= remaining <= requests:
            self._learn(permit, sent_at, now, remaining)
        else:
            remaining = self._certain = requests  # whom the server tells nothing cannot ask
        self._heard_at, self._remaining = now, remaining
        return self._free > 0 or now >= self._quiet_until

    def _held_until(self, priority: Priority, now: float) -> float:
        """Return from when on, at the earliest, the promise allows to take the next permit.

        Found once for all who come meanwhile: until permits come back it only grows, but for the forecast, which is
        looked at again then.
        """
        at = self._held.get(priority)
        if at is None or (at <= now and self._free > 0):
            at = self._promised_at(0, priority, now)
            if at > now and self._free > max(0, self._reserve - len(self._foreign)):  # rule 5 of the promise
                since = self._held_since.setdefault(priority, now)
                left = self._forecast.wanted(priority, self._usable, now)
                at = min(at, since + patience(left, self.span))
            self._held[priority] = at
        return at

    def _promised_at(self, position: int, priority: Priority, now: float) -> float:
        """Return from when on the promise allows to take a permit (`fathom_async._ratelimit.promise`)."""
        left = self._forecast.wanted(priority, self._usable, now)
        if not left or self._free - position > left + self._reserve:
            return -math.inf
        return self._permits(now).promised_at(position, left)

    def _permits(self, now: float) -> Permits:
        latest = now + self.span
        unanswered = [min(self._due(permit), latest) for permit in self._sent]
        if self._lost:
            unanswered = [*merge(self._lost, unanswered)]
        total, free = self._limit.requests, self._free
        return Permits(total, self._reserve, free, self._ageing, self._foreign, unanswered, now, self.span)

    def _due(self, permit: Permit) -> float:
        """Return when the permit of a request that was sent comes back, if no answer arrives."""
        assert permit.sent_at is not None  # noqa: S101 - for the type checker: only sent permits are asked about
        return permit.sent_at + self._count_delay + self.span

    def _expire(self, now: float) -> None:
        if now < self._quiet_until:
            return
        self._more()
        self._let_go(now)
        while self._sent and self._due(permit := next(iter(self._sent))) <= now:
            del self._sent[permit]
            self._free += 1
        heads = [queue[0] for queue in (self._ageing, self._foreign, self._lost) if queue]
        if self._sent:
            heads.append(self._due(next(iter(self._sent))))
        self._quiet_until = max(min(heads, default=math.inf), now + GRAIN)

    def _more(self) -> None:
        """Forget what was found: permits come back."""
        self._held.clear()
        self._returned.clear()

    def _let_go(self, until: float) -> None:
        """Free the permits that come back until then."""
        for queue in (self._ageing, self._foreign, self._lost):
            while queue and queue[0] <= until:
                queue.popleft()
                self._free += 1

    def _learn(self, permit: Permit, sent_at: float, now: float, remaining: int) -> None:
        gone = sent_at - self.span + self._limit.pad / 2  # what was counted by then, the server has let go
        if now < self._shared_until and remaining > self._remaining and sent_at >= self._heard_at:
            gone = max(gone, self._heard_at)
            self._more()
            self._let_go(gone + self.span)
        while self._own and self._own[0] <= gone:
            self._own.popleft()
        foreign = self._limit.requests - remaining - (len(self._own) + self._in_flight)
        self._hold(foreign, now, gone)
        settled = bisect_left(self._lost, sent_at + self.span)
        overlapping = permit.outstanding_before + (self._granted - permit.number) + len(self._lost) - settled
        self._certain = remaining - overlapping - self._reserve
        if self._free < self._certain:
            self._more()
        while self._free < self._certain and self._take_back(sent_at):
            self._free += 1

    def _note_own(self, counted_by: float) -> None:
        """Remember a hit; those of two windows ago are of no use, even to a server that tells nothing."""
        self._own.append(counted_by)
        if self._own[0] < counted_by - 2 * self.span:
            self._own.popleft()

    def _hold(self, foreign: int, now: float, gone: float) -> None:
        """Hold so many permits for others: free ones, then those of ours that the server has let go."""
        if foreign > 0:
            self._shared_until = now + 2 * self.span
        while len(self._foreign) < foreign:
            if self._free > 0:
                self._free -= 1
            elif self._ageing and self._ageing[0] <= gone + self.span:
                self._ageing.popleft()
            else:
                break
            self._foreign.append(now + self.span)
            self._quiet_until = min(self._quiet_until, now + self.span)

    def _take_back(self, sent_at: float) -> bool:
        """Forget the oldest hit that was over before this request began; return whether there is one.

        Oldest first, for what is left must be those that the server counts: a hit of the window before that came
        back later, by itself, would be a permit too many.
        """
        queues = [queue for queue in (self._lost, self._ageing, self._foreign) if queue]
        if self._lost and self._lost[0] >= sent_at + self.span:
            queues = queues[1:]
        if queues:
            min(queues, key=itemgetter(0)).popleft()
        return bool(queues)
