"""One request from call to answer: admitted by its lane, sent, judged, decoded, and retried where that is safe.

Only this module interprets an answer's status. It knows no service: lanes, headers and what a refusal looks like are
parameters.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from attrs import Factory, define, evolve, field, frozen

from fathom_async._core.codec.failures import read_error
from fathom_async._core.request import Request, Response, Transport
from fathom_async._core.retry import RetryPolicy, believed, next_delay, was_perhaps_done
from fathom_async._core.scope import Scope, close_all
from fathom_async._core.token import AskingTransport
from fathom_async._ratelimit.account import LearnedLanes
from fathom_async._ratelimit.admission import Admission, Again, Feedback, read_feedback
from fathom_async._ratelimit.bucket import delay as delay_of
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, priority_of
from fathom_async._util import checks
from fathom_async._util.clock import Clock
from fathom_async.errors import (
    APIError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DecodeError,
    NetworkSettingsError,
    NotFoundError,
    RateLimitError,
    TransportError,
)
from fathom_async.telemetry import Admitted, Answered, Failed, Queued, Retried, Sent, Telemetry

T = TypeVar("T")

_SUCCESS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_TOO_MANY = int(HTTPStatus.TOO_MANY_REQUESTS)


def _flow_of(name: str | None) -> str:
    return name or ""


@frozen
class Options:
    """Settings of a single request.

    Attributes:
        priority: Order among waiting requests.
        max_wait: Longest wait for admission in seconds, over all attempts; None for no bound.
        timeout: Seconds from an attempt's admission to its whole answer.
        flow: Waiting requests of one priority take turns by flow.
    """

    priority: Priority = field(default=Priority.NORMAL, converter=priority_of)
    max_wait: float | None = None
    timeout: float = 30.0
    flow: str = field(default="", converter=_flow_of)

    def __attrs_post_init__(self) -> None:
        checks.seconds("timeout", self.timeout, least=0.001)
        if self.max_wait is not None:
            checks.seconds("max_wait", self.max_wait, least=0)


def _note_failure(admission: Admission, error: TransportError) -> None:
    if not isinstance(error, NetworkSettingsError):  # which is no sign that the server is away
        admission.failed(f"{type(error).__name__}: {error.message}", answered=False)


def is_too_many(response: Response) -> bool:
    """Whether the answer is the usual refusal, 429."""
    return response.status == _TOO_MANY


@define(eq=False, repr=False)
class Session:
    """Carries requests through lanes over one transport; used from one event loop, by any number of tasks.

    Attributes:
        transport: Sends requests; closed with the session. An `AskingTransport` is asked for its credentials.
        lanes: Lanes by the names that requests use.
        clock: Source of time.
        retry: How often to try again.
        is_refusal: Whether an answer refuses a request for going over a rate limit.
        telemetry: Receives counts and events.
        account: Tells the answers of this session from those of others; it holds no secret. Empty if unknown.
        not_found_hint: Ends the message of a 404.
        learned: Changes `lanes` with the account's plan, as the answers show it; None where it is given.
        scope: Ends with the session.
    """

    transport: Transport
    lanes: Mapping[str, Lane]
    clock: Clock = field(kw_only=True)
    retry: RetryPolicy = field(kw_only=True)
    is_refusal: Callable[[Response], bool] = field(default=is_too_many, kw_only=True)
    telemetry: Telemetry = field(factory=Telemetry, kw_only=True)
    _account: str = field(default="", kw_only=True, alias="account")
    not_found_hint: str = field(default="", kw_only=True)
    learned: LearnedLanes | None = field(default=None, kw_only=True)
    scope: Scope = field(init=False, default=Factory(lambda self: Scope(self.clock), takes_self=True))
    _numbers: Iterator[int] = field(init=False, factory=lambda: itertools.count(1))
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)

    def send(self, request: Request[T], options: Options) -> Coroutine[object, object, T]:
        """Return a coroutine that carries out a request.

        Raises:
            APIError: The server answered with an error.
            TransportError: No complete answer arrived, more often than the policy allows.
            DecodeError: The answer does not have the endpoint's form.
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
            self.telemetry.emit(Failed(number, lane, self.clock.now(), reason))
            raise

    async def _carry_out(self, request: Request[T], options: Options, number: int) -> T:
        failures = refusals = 0
        again: Again | None = None
        perhaps_done = False
        failing_since: float | None = None
        deadline = None if options.max_wait is None else self.clock.now() + options.max_wait
        while True:
            try:
                response = await self._attempt(
                    request, options, deadline, number, failures + refusals + 1, again
                )
                return self._judge(request, response)
            except NotFoundError:
                if perhaps_done and request.already_gone_result is not None:
                    return request.already_gone_result
                raise
            except (APIError, TransportError) as error:
                if self.scope.is_shut:
                    raise ClosedError("the client was closed while this request was in flight") from None
                is_refused = isinstance(error, RateLimitError)
                refusals += is_refused
                failures += not is_refused
                again = "refused" if is_refused else "failed"
                perhaps_done = perhaps_done or was_perhaps_done(error)
                lane = self.lanes[request.lane]
                if failing_since is None and not is_refused:
                    failing_since = self.clock.now()
                delay = next_delay(
                    self.retry,
                    error,
                    idempotent=request.idempotent,
                    failures=failures,
                    refusals=refusals,
                    jitter=random.random(),  # noqa: S311 - no secret
                    away_for=lane.away_for(failing_since, options.priority),
                )
                if delay is not None and again == "failed" and not lane.retries.has_capacity():
                    delay = max(delay, delay_of(lane.retries, self.clock))
                is_late = deadline is not None and self.clock.now() + (delay or 0.0) > deadline
                if delay is None or is_late or lane.is_given_up:
                    raise
                reason = f"{type(error).__name__}: {error}"
                event = Retried(number, lane.name, self.clock.now(), failures + refusals, delay, reason)
                self.telemetry.retry(event, error)
            await self.scope.sleep(delay)
            if again == "failed":
                await self._take_retry(lane)

    async def send_with_token(self, transport: AskingTransport, request: Request[T], options: Options) -> T:
        """Carry out a request, once more if the credentials are refused (see `AskingTransport`)."""
        await self._renew(transport)
        try:
            return await self.send(request, options)
        except AuthenticationError:
            await self._renew(transport)
        return await self.send(request, options)

    async def _renew(self, transport: AskingTransport) -> None:
        if transport.is_wanting:
            self._check_loop()
            await self.scope.share(transport, transport.renew)

    @property
    def account(self) -> str:
        """See the class.

        Raises:
            ConfigurationError: It is not known.
        """
        if not self._account and isinstance(self.transport, AskingTransport):
            raise ConfigurationError(
                "a store keeps answers by account: name it by budget_key=, as the token may change"
            )
        return self._account

    async def _take_retry(self, lane: Lane) -> None:
        """Wait until the lane may be burdened with one more retry."""
        while not lane.retries.has_capacity():
            await self.scope.sleep(delay_of(lane.retries, self.clock))
        await lane.retries.acquire()

    async def close(self) -> None:
        """Fail waiting requests, abort the others, and leave nothing running."""
        self.scope.shut()
        lanes = set(self.lanes.values()).union(self.learned or ())
        for lane in lanes:
            lane.close()
        try:
            await self.transport.close()
        finally:
            # Tasks end by themselves, with `ClosedError`, unless the transport does not abort its requests.
            await close_all([*lanes, self.scope])

    async def _attempt(  # noqa: PLR0917 - the state of `_carry_out`
        self,
        request: Request[T],
        options: Options,
        deadline: float | None,
        number: int,
        attempt: int,
        again: Again | None,
    ) -> Response:
        max_wait = None if deadline is None else max(0.0, deadline - self.clock.now())
        lane = self.lanes[request.lane]
        telemetry = self.telemetry
        if telemetry.listens:
            now = self.clock.now()
            telemetry.emit(Queued(number, lane.name, request.method, request.path, attempt, now))
        permit = lane.permit(
            options.priority,
            flow=options.flow,
            max_wait=max_wait,
            again=again,
            asks=request,
            kind=request.lane,
        )
        async with permit as admission:
            lane = admission.lane
            if request.on_admitted is not None:
                await request.on_admitted()
            if self.scope.is_shut:
                raise ClosedError("the client was closed before this request was sent")
            telemetry.waited += admission.waited
            sent = admission.sent
            admitted = self.clock.now() if telemetry.listens else 0.0
            if telemetry.listens:
                telemetry.emit(Admitted(number, lane.name, admitted, admission.waited))
            if telemetry.listens or request.on_sent is not None:
                sent = partial(self._note_sent, admission, number, lane.name, request.on_sent)
            try:
                response = await self.transport.send(request, options.timeout, sent)
            except TransportError as error:
                _note_failure(admission, error)
                raise
            finally:
                telemetry.sent[lane.name] += admission.is_sent
            feedback = read_feedback(response.headers, self.clock.unix)
            heard = self._heard(request, lane, response, feedback)
            if self.is_refusal(response):
                telemetry.refused += 1
                wait = believed(self.retry, feedback.retry_after, lane.limit.per)
                limits = (None, None) if heard is None else (heard.limit, heard.remaining)
                admission.refused(Feedback(*limits, wait))
            elif response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                wait = believed(self.retry, feedback.retry_after) or 0.0
                admission.failed(f"it answers {response.status}", answered=True, retry_after=wait)
            else:
                admission.answered(heard)
            if telemetry.listens:
                now = self.clock.now()
                telemetry.emit(Answered(number, lane.name, now, response.status, now - admitted))
            return response

    def _heard(
        self, request: Request[T], lane: Lane, response: Response, feedback: Feedback
    ) -> Feedback | None:
        """Return what an answer tells its lane about the limits; None for nothing, as some proxy's page does."""
        if "json" not in response.headers.get("Content-Type", "json").lower():
            return None
        if self.learned is None or feedback.limit in (None, lane.limit.requests):
            return feedback
        return self.learned.named(request.lane, lane, response.status, feedback)

    def _note_sent(
        self, admission: Admission, number: int, lane: str, on_sent: Callable[[], None] | None
    ) -> None:
        admission.sent()
        self.telemetry.emit(Sent(number, lane, self.clock.now()))
        if on_sent is not None:
            on_sent()

    def _judge(self, request: Request[T], response: Response) -> T:
        if response.status not in _SUCCESS:
            raise self._error(request, response)
        try:
            return request.decode(response.body)
        except DecodeError as error:
            raise DecodeError(
                error.message, request.method, self.transport.url(request), response.body[:200]
            ) from None

    def _error(self, request: Request[T], response: Response) -> APIError:
        url = self.transport.url(request)
        retry_after = read_feedback(response.headers, self.clock.unix).retry_after
        is_missing = response.status == HTTPStatus.NOT_FOUND
        hint = self.not_found_hint if is_missing else request.retired_hint
        error = read_error(response, request.method, url, hint, retry_after)
        if self.is_refusal(response) and not isinstance(error, RateLimitError):
            return RateLimitError(*error.args)
        return error

    def next_number(self) -> int:
        """Return a number that nothing else of this session has."""
        return next(self._numbers)

    def unix(self) -> float:
        """Return the time in Unix seconds."""
        return self.clock.unix()

    @property
    def speed(self) -> float:
        """Seconds of the session's clock in one second of the event loop."""
        return self.clock.speed

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; make one client per loop")


@frozen(eq=False)
class Caller:
    """A session with one set of options; resources send their requests through it.

    Attributes:
        session: Carries the requests.
        options: Settings of each request.
    """

    session: Session
    options: Options

    def __call__(self, request: Request[T]) -> Coroutine[object, object, T]:
        """Carry out a request; see `Session.send`."""
        session, transport = self.session, self.session.transport
        if isinstance(transport, AskingTransport):
            return session.send_with_token(transport, request, self.options)
        return session.send(request, self.options)

    def for_run(self, priority: Priority) -> "Caller":
        """Return the caller of a run: with its priority, and a flow of its own unless this caller names one."""
        flow = self.options.flow or f"run {self.session.next_number()}"
        return Caller(self.session, evolve(self.options, priority=priority, flow=flow))
