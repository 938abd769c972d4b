"""One request from call to answer: admitted by its lane, sent, judged, decoded, and tried again where that is safe.

The only place where an answer's status is interpreted. It knows no service: what differs between services (lanes,
headers, what a refusal looks like) is given to it.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve, field, frozen

from fathom_async._core.codec.failures import read_error
from fathom_async._core.request import Request, Response
from fathom_async._core.retry import RetryPolicy, next_delay, was_perhaps_done
from fathom_async._core.scope import Scope, close_all
from fathom_async._ratelimit.admission import read_feedback
from fathom_async._ratelimit.lane import Admission, Lane
from fathom_async._ratelimit.plan import Priority, priority_of
from fathom_async._util import checks
from fathom_async._util.clock import Clock
from fathom_async.errors import (
    APIError,
    ClosedError,
    DecodeError,
    FathomError,
    NotFoundError,
    RateLimitError,
    TransportError,
)
from fathom_async.telemetry import Admitted, Answered, Failed, Queued, Retried, Sent, Telemetry

if TYPE_CHECKING:
    from fathom_async._core.request import Transport

T = TypeVar("T")

_SUCCESS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_TOO_MANY = int(HTTPStatus.TOO_MANY_REQUESTS)

_log = logging.getLogger("fathom_async")


@frozen
class Options:
    """What a caller may choose per request.

    Attributes:
        priority: Who goes first when requests wait.
        max_wait: Seconds to wait for admission at most, over all attempts; None for as long as it takes.
        timeout: Seconds from an attempt's admission to its whole answer.
    """

    priority: Priority = field(default=Priority.NORMAL, converter=priority_of)
    max_wait: float | None = None
    timeout: float = 30.0

    def __attrs_post_init__(self) -> None:
        checks.seconds("timeout", self.timeout, least=0.001)
        if self.max_wait is not None:
            checks.seconds("max_wait", self.max_wait, least=0)


def is_too_many(response: Response) -> bool:
    """Whether the answer is the usual refusal, 429."""
    return response.status == _TOO_MANY


class Session:
    """Carries requests through lanes over one transport; used from one event loop, by any number of tasks.

    Args:
        transport: What sends; closed with the session.
        lanes: The lane of each name that requests use.
        clock: Where time comes from.
        retry: How often to try again.
        is_refusal: Tells an answer that refuses a request for going over a rate limit.
        telemetry: Where to note what happens.
        account: What tells the answers of this session from those of others; it holds no secret.
        secret: What no error may show, though the server's words may repeat it.

    Attributes:
        scope: What ends with the session.
    """

    def __init__(
        self,
        transport: "Transport",
        lanes: Mapping[str, Lane],
        *,
        clock: Clock,
        retry: RetryPolicy,
        is_refusal: Callable[[Response], bool] = is_too_many,
        telemetry: Telemetry | None = None,
        account: str = "",
        secret: str = "",
    ) -> None:
        self.lanes = lanes
        self.account = account
        self._secret = secret
        self._transport = transport
        self._clock = clock
        self._retry = retry
        self._is_refusal = is_refusal
        self.telemetry: Telemetry = telemetry or Telemetry()
        self._numbers = itertools.count(1)
        self.scope: Scope = Scope(clock)
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, request: Request[T], options: Options) -> Coroutine[object, object, T]:
        """Carry out a request; to be awaited.

        Raises:
            APIError: The server answered with an error.
            TransportError: No complete answer arrived, more often than the policy allows.
            DecodeError: The answer is not what the endpoint answers.
            WaitTooLongError: The lane cannot admit the request within `max_wait`.
            ClosedError: The client was closed.
        """
        self._check_loop()
        carry_out = self._carry_out_observed if self.telemetry.listens else self._carry_out
        if not request.is_shared:
            return carry_out(request, options, next(self._numbers))
        key = (request.method, request.target, options)
        self.telemetry.shared += self.scope.is_running(key)
        return self.scope.share(key, partial(carry_out, request, options, next(self._numbers)))

    async def _carry_out_observed(self, request: Request[T], options: Options, number: int) -> T:
        try:
            return await self._carry_out(request, options, number)
        except BaseException as error:
            lane, reason = self.lanes[request.lane].name, f"{type(error).__name__}: {error}"
            self.telemetry.emit(Failed(number, lane, self._clock.now(), reason))
            raise

    async def _carry_out(self, request: Request[T], options: Options, number: int) -> T:
        failures = refusals = 0
        perhaps_done = False
        deadline = None if options.max_wait is None else self._clock.now() + options.max_wait
        while True:
            try:
                response = await self._attempt(request, options, deadline, number, failures + refusals + 1)
                return self._judge(request, response)
            except NotFoundError:
                if perhaps_done and request.already_gone_result is not None:
                    return request.already_gone_result
                raise
            except (APIError, TransportError) as error:
                if self.scope.is_shut:
                    raise ClosedError("the client was closed while this request was on its way") from None
                is_refused = isinstance(error, RateLimitError)
                refusals += is_refused
                failures += not is_refused
                perhaps_done = perhaps_done or was_perhaps_done(error)
                delay = self._decide(request, error, failures, refusals)
                if delay is None or (deadline is not None and self._clock.now() + delay > deadline):
                    raise
                self._note_retry(request, number, failures + refusals, delay, error)
            await self.scope.sleep(delay)

    async def close(self) -> None:
        """Tell everyone who waits, break what is under way, and leave nothing running."""
        self.scope.shut()
        for lane in self.lanes.values():
            lane.close()
        try:
            await self._transport.close()
        finally:
            # Tasks end by themselves, with `ClosedError`; only a transport that does not break needs more.
            await close_all([*self.lanes.values(), self.scope])

    async def _attempt(
        self, request: Request[T], options: Options, deadline: float | None, number: int, attempt: int
    ) -> Response:
        max_wait = None if deadline is None else max(0.0, deadline - self._clock.now())
        lane = self.lanes[request.lane]
        telemetry = self.telemetry
        if telemetry.listens:
            now = self._clock.now()
            telemetry.emit(Queued(number, lane.name, request.method, request.path, attempt, now))
        async with lane.permit(options.priority, max_wait=max_wait, first=attempt > 1) as admission:
            if request.on_admitted is not None:
                await request.on_admitted()
            if self.scope.is_shut:
                raise ClosedError("the client was closed before this request was sent")
            telemetry.waited += admission.waited
            sent = admission.sent
            admitted = self._clock.now() if telemetry.listens else 0.0
            if telemetry.listens:
                telemetry.emit(Admitted(number, lane.name, admitted, admission.waited))
            if telemetry.listens or request.on_sent is not None:
                sent = partial(self._note_sent, admission, number, lane.name, request.on_sent)
            try:
                response = await self._transport.send(request, options.timeout, sent)
            finally:
                telemetry.sent[lane.name] += admission.is_sent
            feedback = read_feedback(response.headers)
            if self._is_refusal(response):
                telemetry.refused += 1
                admission.refused(feedback)
            else:
                admission.answered(feedback)
            if telemetry.listens:
                now = self._clock.now()
                telemetry.emit(Answered(number, lane.name, now, response.status, now - admitted))
            return response

    def _note_sent(
        self, admission: Admission, number: int, lane: str, on_sent: Callable[[], None] | None
    ) -> None:
        admission.sent()
        self.telemetry.emit(Sent(number, lane, self._clock.now()))
        if on_sent is not None:
            on_sent()

    def _note_retry(
        self, request: Request[T], number: int, attempt: int, delay: float, error: FathomError
    ) -> None:
        self.telemetry.retried += 1
        if self.telemetry.listens:
            lane = self.lanes[request.lane].name
            reason = f"{type(error).__name__}: {error}"
            self.telemetry.emit(Retried(number, lane, self._clock.now(), attempt, delay, reason))

    def _judge(self, request: Request[T], response: Response) -> T:
        if response.status not in _SUCCESS:
            raise self._error(request, response)
        try:
            return request.decode(response.body)
        except DecodeError as error:
            raise DecodeError(
                error.message, request.method, self._transport.url(request), response.body[:200]
            ) from None

    def _error(self, request: Request[T], response: Response) -> APIError:
        url = self._transport.url(request)
        retry_after = read_feedback(response.headers).retry_after
        error = read_error(response, request.method, url, request.retired_hint, retry_after).without(
            self._secret
        )
        if self._is_refusal(response) and not isinstance(error, RateLimitError):
            return RateLimitError(*error.args)
        return error

    def _decide(self, request: Request[T], error: FathomError, failures: int, refusals: int) -> float | None:
        delay = next_delay(
            self._retry,
            error,
            idempotent=request.idempotent,
            failures=failures,
            refusals=refusals,
            jitter=random.random(),  # noqa: S311 - no secret
        )
        if delay is not None:
            attempt = failures + refusals
            facts = {"lane": self.lanes[request.lane].name, "attempt": attempt, "delay": delay}
            # The pause of the lane says all there is to say of a refusal, to those who do not follow requests.
            level = logging.INFO if isinstance(error, RateLimitError) else logging.WARNING
            _log.log(
                level, "attempt %d failed, trying again in %.1f s: %s", attempt, delay, error, extra=facts
            )
        return delay

    def unix(self) -> float:
        """Return the present moment in Unix seconds."""
        return self._clock.unix()

    @property
    def speed(self) -> float:
        """Seconds of the session's clock in one second of the event loop."""
        return self._clock.speed

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; make one client per loop")


@frozen(eq=False)
class Caller:
    """A session with one set of options: what resources send their requests through.

    Attributes:
        session: Carries the requests.
        options: How.
    """

    session: Session
    options: Options

    def __call__(self, request: Request[T]) -> Coroutine[object, object, T]:
        """Carry out a request; see `Session.send`."""
        return self.session.send(request, self.options)

    def with_priority(self, priority: Priority) -> "Caller":
        """Return a caller that sends with another priority."""
        return Caller(self.session, evolve(self.options, priority=priority))
