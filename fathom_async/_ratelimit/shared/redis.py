"""A shared window in Redis, for processes on any number of machines.

Steps are carried out in their order by one task, as many at a time as have gathered. All
times are the server's own; what goes over the wire are delays, so the clients' clocks do not matter. A step is
carried out by the script ``step.lua``.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from hashlib import sha1
from importlib import resources
from json import dumps
from typing import Any, cast

from attrs import fields

from fathom_async._ratelimit.concurrency import CALM, LONGEST_CALM
from fathom_async._ratelimit.promise import STRETCH
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared import state
from fathom_async._ratelimit.shared.commands import PLAN_FOR, Command, QuotaConfig, Result, other_plan
from fathom_async._ratelimit.shared.protocol import FORMAT, Done, Health, Listener, other_format, other_limit
from fathom_async._ratelimit.shared.tickets import MAX_TICKETS
from fathom_async._ratelimit.window import MEMORY as FORECAST_MEMORY
from fathom_async._ratelimit.window import SAFETY, SEEN_FOR
from fathom_async._util.redis_pool import Pipeline, SharedRedis
from fathom_async._util.secrets import told
from fathom_async.errors import BudgetError, ConfigurationError

_MICRO = 1_000_000
_TIMEOUT = 2.0
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0
_LAST_WORDS_WITHIN = 1.0
_ROUNDS = 3
_COMMAND, _RESULT = ([each.name for each in fields(kind)] for kind in (Command, Result))
_TIMES = [_RESULT.index(name) for name in ("wait", "blocked", "first", "last", "heard", "unsure")]
_UNSENT = object()
_REFUSALS = (
    *("NOAUTH", "WRONGPASS", "NOPERM", "DB index", "ACL failure"),
    "executing the script can't run",  # so Redis 6 says the last one
)
MEMORY = 3600.0
"""Seconds for which the keys outlive everything in them."""

SCRIPT = resources.files("fathom_async._ratelimit.shared").joinpath("step.lua").read_text(encoding="utf-8")

_SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
# Processes of another format look for permits under these names, and so see that the budget is in use.
_KINDS = ("slots", "others", "flying", "queue", "lapse", "counts", "meta")


class _Job:
    """A step on its way."""

    __slots__ = ("done", "is_again", "step")

    def __init__(self, step: Command, done: Done | None) -> None:
        self.step = step
        self.done = done
        self.is_again = False


class RedisStore:
    """Carries out steps on a Redis or Valkey server, under a key without secrets; used from one event loop.

    `speed` are the seconds of the caller's clock in a real one. Raises `ConfigurationError` without the redis
    library, or if it cannot read the URL.
    """

    reply_time = 1.0

    def __init__(self, url: str, key: str, terms: QuotaConfig, *, speed: float = 1.0) -> None:
        self._redis = SharedRedis(url, "a budget", timeout=_TIMEOUT)
        self._url = url
        self._where: str = self._redis.where
        self._speed = speed
        self._config = dumps(
            {
                "terms": f"{FORMAT}:{terms.requests}/{self._micros(terms.per)}",
                "requests": terms.requests,
                "span": self._micros(terms.span),
                "settle": self._micros(terms.settle),
                "ticket_ttl": self._micros(terms.ticket_ttl),
                "forecast_memory": self._micros(max(terms.span, FORECAST_MEMORY)),
                "seen_for": self._micros(SEEN_FOR),
                "safety": SAFETY,
                "stretch": STRETCH,
                "calm": self._micros(CALM),
                "longest_calm": self._micros(LONGEST_CALM),
                "longest_waited_out": self._micros(state.LONGEST_WAITED_OUT),
                "shortest_look": self._micros(state.SHORTEST_LOOK),
                "look_again": state.LOOK_AGAIN,
                "plan_for": self._micros(PLAN_FOR),
                "never": self._micros(state.NEVER),
                "passes": PASSES,
                "most_passes": state.MOST_PASSES,
                "max_tickets": MAX_TICKETS,
                "memory": round(MEMORY * _MICRO),
                "clock_step": round(state.CLOCK_STEP * _MICRO),
            }
        )
        self._limit = terms
        self._pending: list[_Job] = []
        self._health = Health()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False
        self._heard_at = 0.0
        self._server_ahead: float | None = None
        self.rekey(key)

    def listen(self, listener: Listener) -> None:
        self._health.listen(listener)

    def rekey(self, key: str) -> None:
        self._keys = [f"fathom:{{{key}}}:{kind}" for kind in _KINDS]
        self._epoch = self._total = 0

    def submit(self, step: Command, done: Done | None = None) -> None:
        self._pending.append(_Job(step, done))
        self._wake.set()
        if not self._is_closed and (self._worker is None or self._worker.done()):
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def peek(self, step: Command) -> Result | None:  # noqa: ARG002 - no answer comes at once
        return None

    async def aclose(self) -> None:
        """Carry out what is left, for a second at most, and close the connection, if nobody else uses it."""
        self._is_closed = True
        self._wake.set()
        worker, self._worker = self._worker, None
        try:
            if worker is not None and not self._health.is_lost:
                await asyncio.wait((worker,), timeout=_LAST_WORDS_WITHIN)
        finally:
            if worker is not None:
                worker.cancel()
            await self._redis.aclose()

    async def _work(self) -> None:
        retry = _FIRST_RETRY
        while self._pending or not self._is_closed:
            await self._wake.wait()
            batch, self._pending = self._pending, []
            self._wake.clear()
            error = await self._carry_out(batch) if batch else None
            if error is None:
                retry = _FIRST_RETRY
                continue
            self._put_back(batch, is_lost=self._health.failed(error, asyncio.get_running_loop().time()))
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LAST_RETRY)

    async def _carry_out(self, batch: Sequence[_Job]) -> ConfigurationError | BudgetError | None:
        """Carry out steps and tell their replies; return what went wrong."""
        calls: list[tuple[Command, Done | None]] = []
        for job in batch:
            if job.is_again and job.step.action == "ask":
                # It may have been carried out, only its reply was lost.
                calls.append((Command("freed", job.step.owner, job.step.id, job.step.count), None))
            calls.append((job.step, job.done))
        keys = self._keys
        try:
            answers = await self._call([step for step, _ in calls])
            replies = [self._read(answer, step) for answer, (step, _) in zip(answers, calls, strict=True)]
        except ConfigurationError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the steps must be tried again
            if _is_mistake(error):
                return ConfigurationError(
                    f"{self._where} does not let this client in: {told(error, self._url)}"
                )
            return BudgetError(f"{self._where} cannot be used: {told(error, self._url)}")
        self._health.worked()
        self._heard_at = time.monotonic()
        for (_, done), reply in zip(calls, replies, strict=True):
            if self._keys is keys:
                self._epoch, self._total = reply.epoch, reply.total
            if done is not None:
                done(reply)
        return None

    def _put_back(self, batch: list[_Job], *, is_lost: bool) -> None:
        kept: list[_Job] = []
        dropped: list[Done] = []
        for job in [*batch, *self._pending]:
            step = job.step
            job.is_again = True
            if is_lost and step.action == "ask":
                kept.append(_Job(Command("freed", step.owner, step.id, step.count), None))
                if job.done is not None:
                    dropped.append(job.done)
            elif is_lost and step.action == "look" and job.done is not None:
                dropped.append(job.done)
            elif step.action != "look" or job.done is not None:
                kept.append(job)
        self._pending = kept or [_Job(Command("look", 1, plan=batch[0].step.plan), None)]
        self._wake.set()
        for done in dropped:
            done(None)

    async def _call(self, steps: Sequence[Command]) -> list[object]:
        from redis.exceptions import NoScriptError  # noqa: PLC0415 - an optional dependency

        known = self._epoch if time.monotonic() - self._heard_at < MEMORY else 0
        answers: list[object] = [_UNSENT] * len(steps)
        for _ in range(_ROUNDS):
            again = [index for index, answer in enumerate(answers) if _is_to_be_sent(answer)]
            if not again:
                break
            is_unknown = any(isinstance(answers[index], NoScriptError) for index in again)
            queue = partial(self._queue, [steps[index] for index in again], known, is_unknown=is_unknown)
            told = await self._redis.run(queue)
            for index, answer in zip(again, told[is_unknown:], strict=True):
                answers[index] = answer
                if isinstance(answer, list):
                    arrival = cast("list[object]", answer)[-1]
                    self._server_ahead = int(cast("bytes", arrival)) / _MICRO - time.monotonic()
        return answers

    def _queue(self, steps: Sequence[Command], known: int, pipeline: Pipeline, *, is_unknown: bool) -> None:
        if is_unknown:
            pipeline.script_load(SCRIPT)
        until = self._reply_expected_until()
        for step in steps:
            arguments = self._arguments(step, known, until)
            pipeline.evalsha(_SHA, len(self._keys), *self._keys, *arguments)

    def _reply_expected_until(self) -> int:
        if self._server_ahead is None:
            return 0
        return round((time.monotonic() + self._server_ahead + _TIMEOUT) * _MICRO)

    def _arguments(self, step: Command, known: int, until_when: int = 0) -> tuple[str, str]:
        """Return what the script is called with: what all steps have in common, and this step."""
        micros = {"delay": self._micros(step.delay), "took": self._micros(step.took)}
        named = {name: getattr(step, name) for name in _COMMAND if getattr(step, name) is not None} | micros
        named |= {"known": known, "known_total": self._total if known else 0, "until_when": until_when}
        return self._config, dumps(named)

    def _read(self, answer: object, step: Command) -> Result:
        if isinstance(answer, Exception):
            raise answer
        *values, _ = cast("list[Any]", answer)
        if len(values) != len(_RESULT):
            raise self._disagreement(values, step)
        for index in _TIMES:
            values[index] *= self._speed / _MICRO
        return Result(*values)

    def _disagreement(self, values: list[Any], step: Command) -> ConfigurationError:
        if values[0] == b"plan":
            return other_plan(values[1], step.plan)
        before, _, terms = values[1].decode().rpartition(":")
        if before != str(FORMAT):
            return other_format(self._where, int(before or 1))
        requests, _, per = terms.partition("/")
        return other_limit(
            int(requests), int(per) / _MICRO * self._speed, self._limit.requests, self._limit.per
        )

    def _micros(self, seconds: float) -> int:
        return round(seconds / self._speed * _MICRO)


def _is_to_be_sent(answer: object) -> bool:
    from redis.exceptions import NoScriptError  # noqa: PLC0415 - an optional dependency

    is_late = isinstance(answer, list) and cast("list[object]", answer)[0] == b"late"
    return is_late or answer is _UNSENT or isinstance(answer, NoScriptError)


def _is_mistake(error: Exception) -> bool:
    """Whether the server cannot be used as it was named: a wrong password, database or missing rights."""
    from redis import exceptions  # noqa: PLC0415 - an optional dependency

    kinds = exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError
    return isinstance(error, kinds) or any(word in str(error) for word in _REFUSALS)
