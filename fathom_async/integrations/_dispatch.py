"""Decide which batches of a job go to the engine, and when; pure, and the same for all engines.

1. An account has at most `at_once` unfinished tasks, and the next is sent as one ends. So the tasks of a slow account
   occupy few workers, and those of the others pass it.
2. A task that could not run **yet** is no outcome: the store or the budget was out of reach, the worker was closing,
   or the engine failed. Its batch is sent again; the answers that are in the store cost no request.
3. Meanwhile one task at a time tries, after pauses that double, until one of the account succeeds. Once none has for
   `patience` seconds, errors are outcomes. A token that every worker found rejected from the start is waited for at
   most a minute; one that was valid before is being replaced.
4. A task that would wait for its account's limit for longer than `HOLD` is handed back at once (`max_wait`), and sent
   again when half of the wait is over, for as long as it takes. So no task runs for long, and one that does is lost.
5. What the engine fails to run `_MOST_TIMES` times is an outcome, if it ran another batch since the first time: this
   batch kills its workers.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import zip_longest
from typing import Final, Generic

import attrs

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async._util import checks
from fathom_async._util.text import reason
from fathom_async.errors import (
    BudgetError,
    ClosedError,
    FathomError,
    StoreError,
    WaitTooLongError,
    WorkerTokenError,
)
from fathom_async.integrations.batches import Batch

_log = logging.getLogger("fathom_async")

AT_ONCE: Final = 4
PATIENCE: Final = 600.0
HOLD: Final = 120.0
"""Seconds for which a task may wait for its account's limit (rule 4)."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_LONGEST_REST: Final = 300.0
_TOKEN_PATIENCE: Final = 60.0
_MOST_TIMES: Final = 3
_NOT_YET: Final = (BudgetError, ClosedError, StoreError, WaitTooLongError, WorkerTokenError)


@attrs.define(eq=False)
class _Account:
    """The batches of an account that are not sent, and since when none of its tasks could run."""

    name: str
    todo: deque[int] = attrs.field(factory=deque[int])
    sent: int = 0
    not_before: float = -math.inf
    pause: float = 0.0
    failing_since: float | None = None
    has_answered: bool = False
    begun: float | None = None
    ended: int = 0
    """Requests of the batches that ended, and `left` of the others."""
    left: int = 0


@attrs.define
class _Failures:
    """How often the engine failed to run a batch, and how many others had ended the first time (rule 5)."""

    times: int
    others: int


class Dispatch(Generic[RowT]):
    """Keeps account of the batches of one job, each by its index; times are those of a monotonic clock.

    Args:
        todo: The batches.
        at_once: Most unfinished tasks of one account.
        patience: Seconds without a success after which an account's errors are outcomes.
    """

    def __init__(
        self, todo: Sequence[Batch[RowT]], *, at_once: int = AT_ONCE, patience: float = PATIENCE
    ) -> None:
        self._todo = todo
        self._at_once = checks.count("at_once", at_once)
        self._patience = checks.seconds("patience", patience, least=0)
        self._accounts: dict[str, _Account] = {}
        self._ended = 0
        self._failures: dict[int, _Failures] = {}
        for place, batch in enumerate(todo):
            account = self._accounts.setdefault(batch.account, _Account(batch.account))
            account.todo.append(place)
            account.left += batch.requests
        self._ready = dict.fromkeys(self._accounts)
        self._later: list[tuple[float, str]] = []
        self._failing: set[str] = set()
        self._rejections: set[str] = set()

    @property
    def is_over(self) -> bool:
        return self._ended == len(self._todo)

    def due(self, now: float) -> Sequence[int]:
        """Return the batches to send now; accounts take turns."""
        while self._later and self._later[0][0] <= now:
            self._ready[heappop(self._later)[1]] = None
        ready, self._ready = self._ready, {}
        turns = zip_longest(*(self._take(self._accounts[name], now) for name in ready))
        return [place for turn in turns for place in turn if place is not None]

    def next_due(self) -> float:
        """Return when to ask again, unless a task ends before."""
        return self._later[0][0] if self._later else math.inf

    def seconds_left(self, planned: Callable[[int], float], now: float) -> float:
        """Estimate the seconds until the last batch ends: as slow as planned, or as the account has been so far.

        Args:
            planned: Returns the seconds in which an account's limit admits a number of requests.
            now: The time.
        """
        return max(
            (
                max(planned(each.left), each.left * _pace(each, now))
                for each in self._accounts.values()
                if each.left
            ),
            default=0.0,
        )

    def settle(
        self, place: int, outcomes: Sequence[Outcome[RowT]], now: float
    ) -> Sequence[Outcome[RowT]] | None:
        """Return the outcomes of a batch, or None if it is sent again later."""
        error = next((each.error for each in outcomes if isinstance(each.error, _NOT_YET)), None)
        if error is not None:
            return self.put_back(place, error, now)
        account = self._account(place)
        account.has_answered, account.pause, account.not_before = True, 0.0, -math.inf
        self._can_run(account)
        return self._end(place, outcomes)

    def put_back(self, place: int, error: Exception, now: float) -> Sequence[Outcome[RowT]] | None:
        """Send a batch again that could not run, or return its outcomes if that has gone on for too long."""
        account = self._account(place)
        pause = min(max(2 * account.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        if isinstance(error, WaitTooLongError) and not error.away:  # rule 4
            account.todo.appendleft(place)
            self._can_run(account)
            pause = min(max((error.eta - error.max_wait) / 2, _FIRST_PAUSE), _LONGEST_REST)
        else:
            account.failing_since = now if account.failing_since is None else account.failing_since
            is_hopeless = isinstance(error, WorkerTokenError) and not account.has_answered
            patience = min(self._patience, _TOKEN_PATIENCE) if is_hopeless else self._patience
            if now - account.failing_since >= patience or self._fails_for_good(place, error):
                account.pause, account.not_before = 0.0, -math.inf
                return self._end(place, self._todo[place].failed(_told(error)))
            self._tell(account, error, patience)
            account.todo.append(place)
        if now >= account.not_before:  # those sent before the pause began are not another reason for one
            account.pause, account.not_before = pause, now + pause
        heappush(self._later, (account.not_before, account.name))
        return None

    def _tell(self, account: _Account, error: Exception, patience: float) -> None:
        """Log that tasks cannot run; a worker's rejected token once, as other workers may answer in between."""
        told = _told(error)
        if isinstance(error, WorkerTokenError):
            if str(told) in self._rejections:
                return
            self._rejections.add(str(told))
        if not self._failing:
            _log.warning("a task cannot run, such tasks are sent again for %g s: %s", patience, told)
        self._failing.add(account.name)

    def _account(self, place: int) -> _Account:
        account = self._accounts[self._todo[place].account]
        account.sent -= 1
        self._ready[account.name] = None
        return account

    def _can_run(self, account: _Account) -> None:
        account.failing_since = None
        if account.name in self._failing:
            self._failing.remove(account.name)
            if not self._failing:
                _log.warning("tasks run again")

    def _end(self, place: int, outcomes: Sequence[Outcome[RowT]]) -> Sequence[Outcome[RowT]]:
        batch = self._todo[place]
        account = self._accounts[batch.account]
        account.left -= batch.requests
        account.ended += batch.requests
        self._ended += 1
        self._failures.pop(place, None)
        return outcomes

    def _fails_for_good(self, place: int, error: Exception) -> bool:
        """Count a failure of the engine (rule 5)."""
        if isinstance(error, FathomError):
            return False
        failures = self._failures.setdefault(place, _Failures(0, self._ended))
        failures.times += 1
        return failures.times >= _MOST_TIMES and self._ended > failures.others

    def _take(self, account: _Account, now: float) -> Iterable[int]:
        if now < account.not_before:
            return ()
        account.begun = now if account.begun is None else account.begun
        most = 1 if account.pause else self._at_once  # rule 3
        taken = [account.todo.popleft() for _ in range(min(most - account.sent, len(account.todo)))]
        account.sent += len(taken)
        return taken


def _pace(account: _Account, now: float) -> float:
    """Return the seconds that a request of the account has taken on average."""
    return (now - account.begun) / account.ended if account.begun is not None and account.ended else 0.0


def _told(error: Exception) -> FathomError:
    return error if isinstance(error, FathomError) else FathomError(f"the task failed: {reason(error)}")
