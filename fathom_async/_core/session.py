"""One request from call to answer: admitted by its lane, sent, judged, decoded, and retried where that is safe.

Only this module interprets an answer's status. It knows no service: lanes, headers and what a refusal looks like are
parameters.
"""

import asyncio
import builtins
import itertools
import math
import random
from collections.abc import Callable, Coroutine, Hashable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeVar, cast
from weakref import WeakValueDictionary

from attrs import Factory, define, evolve, field, frozen

from fathom_async._core.codec.failures import partial_answer, read_error
from fathom_async._core.codec.objects import is_json
from fathom_async._core.request import Options, Request, Response, Transport, is_too_many
from fathom_async._core.retry import RetryPolicy, believed, next_delay, was_perhaps_done
from fathom_async._core.scope import Scope, close_all
from fathom_async._core.sharing import Call
from fathom_async._core.token import AskingTransport
from fathom_async._ratelimit.account import LearnedLanes
from fathom_async._ratelimit.admission import Admission, Feedback, LimitHeaders, read_feedback
from fathom_async._ratelimit.bucket import delay as delay_of
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority
from fathom_async._util.clock import Clock
from fathom_async.errors import (
    APIError,
    ArgumentError,
    ClosedError,
    DecodeError,
    NetworkSettingsError,
    NotFoundError,
    RateLimitError,
    TimeoutError,  # noqa: A004 - ours is one
    TransportError,
)
from fathom_async.telemetry import Admitted, Answered, Failed, Queued, Retried, Sent, Telemetry

T = TypeVar("T")

_LOOK_SECONDS = 0.02
_SUCCESS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_SILENCE = (b"", b"null", b"{}")
"""Bodies of answers that say nothing."""


class Finder(Protocol):
    """Finds the account of the token while it `is_searching`; before that, nothing is to be sent."""

    is_searching: bool

    async def send(self, request: Request[T], options: Options) -> T:
        """Carry out a request once the account is known, or turns out not to be for now."""
        ...

    async def look(self) -> None:
        """Find the account if that takes no request."""


@define(eq=False, repr=False)
class Session:
    """Carries requests through lanes over one transport; used from one event loop, by any number of tasks.

    Attributes:
        transport: Sends requests; closed with the session. An `AskingTransport` is asked for its credentials.
        lanes: Lanes by the names that requests use.
        clock: Source of time.
        retry: How often to try again.
        is_refusal: Whether an answer refuses a request for going over a rate limit.
        limit_headers: The names of the headers that tell the limits.
        telemetry: Receives counts and events.
        account: Tells the answers of this session from those of others; it holds no secret. Empty if unknown.
        not_found_hint: Ends the message of a 404.
        learned: Changes `lanes` with the account's plan, as the answers show it; None where it is given.
        finder: Finds the account of the token, where its budget is shared; None where nobody needs it.
        rekey: Moves the lanes to the budget of another key, where a request is held that was sent through this one.
        scope: Ends with the session.
    """

    transport: Transport
    lanes: Mapping[str, Lane]
    clock: Clock = field(kw_only=True)
    retry: RetryPolicy = field(kw_only=True)
    is_refusal: Callable[[Response], bool] = field(default=is_too_many, kw_only=True)
    limit_headers: LimitHeaders = field(factory=LimitHeaders, kw_only=True)
    telemetry: Telemetry = field(factory=Telemetry, kw_only=True)
    account: str = field(default="", kw_only=True)
    not_found_hint: str = field(default="", kw_only=True)
    learned: LearnedLanes | None = field(default=None, kw_only=True)
    finder: Finder | None = field(init=False, default=None)
    rekey: Callable[[str, Lane | None], None] | None = field(default=None, kw_only=True)
    scope: Scope = field(init=False, default=Factory(lambda self: Scope(self.clock), takes_self=True))
    _numbers: Iterator[int] = field(init=False, factory=lambda: itertools.count(1))
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)
    _shared: WeakValueDictionary[Hashable, Call[object]] = field(
        init=False, factory=WeakValueDictionary[Hashable, Call[object]]
    )

    def send(self, request: Request[T], options: Options) -> Coroutine[object, object, T]:
        """Return a coroutine that carries out a request.

        Raises:
            APIError: The server answered with an error.
            TransportError: No complete answer arrived, more often than the policy allows.
            DecodeError: The answer does not have the endpoint's form.
            WaitTooLongError: The lane cannot admit the request within `max_wait`.
            ClosedError: The client was closed.
            ArgumentError: There is no lane of the request's name.
        """
        self.check_loop()
        if request.lane not in self.lanes:
            raise ArgumentError(f"there is no lane {request.lane!r}: pass one of {', '.join(self.lanes)}")
        if request.is_shared:
            return self._share(request, options)
        return self._begin(Call(request, options, next(self._numbers), self._deadline(options), [request]))

    def _deadline(self, options: Options) -> float:
        return math.inf if options.max_wait is None else self.clock.now() + options.max_wait

    def _begin(self, call: Call[T]) -> Coroutine[object, object, T]:
        return self._carry_out_observed(call) if self.telemetry.listens else self._carry_out(call)

    async def _share(self, request: Request[T], options: Options) -> T:
        """Carry out a request, or wait for an equal one that is under way."""
        key = request.sameness
        deadline = self._deadline(options)
        call = cast("Call[T] | None", self._shared.get(key)) if self.scope.is_running(key) else None
        if call is None:
            call = Call(request, options, next(self._numbers), deadline, [request])
            self._shared[key] = cast("Call[object]", call)
        else:
            call.join(request, options, deadline, self.lanes[call.request.lane])
            self.telemetry.shared += 1
        patience = None if options.max_wait is None else call.be_patient(deadline, options.max_wait)
        if call.patience:
            call.watch(self.lanes, self.clock)
        try:
            leaving = None if patience is None else patience.leaving
            return await self.scope.share(key, partial(self._begin, call), leaving)
        finally:
            call.requests.remove(request)
            if patience is not None:
                call.forget(patience)

    async def _carry_out_observed(self, call: Call[T]) -> T:
        try:
            return await self._carry_out(call)
        except BaseException as error:
            lane, reason = self.lanes[call.request.lane].name, f"{type(error).__name__}: {error}"
            self.telemetry.emit(Failed(call.number, lane, self.clock.now(), reason))
            raise

    async def _carry_out(self, call: Call[T]) -> T:
        request = call.request
        while True:
            within = call.options.timeout
            try:
                return self._judge(request, await self._attempt(call, within))
            except NotFoundError:
                if call.perhaps_done and request.already_gone_result is not None:
                    return request.already_gone_result
                raise
            except (APIError, TransportError, DecodeError) as error:
                if self.scope.is_shut:
                    raise ClosedError("the client was closed while this request was in flight") from None
                if isinstance(error, TimeoutError) and within < call.options.timeout:
                    call.admission = None  # somebody with more time has come
                    continue
                delay = self._delay(call, error)
                if delay is None:
                    raise
                lane = self.lanes[request.lane]
                reason = f"{type(error).__name__}: {error}"
                attempt = call.failures + call.refusals
                event = Retried(call.number, lane.name, self.clock.now(), attempt, delay, reason)
                self.telemetry.retry(event, error)
            await self.scope.sleep(delay)
            if call.again == "failed":
                await self._take_retry(lane)

    def _delay(self, call: Call[T], error: APIError | TransportError | DecodeError) -> float | None:
        """Return the seconds until the next attempt, or None to give up."""
        lane, now = self.lanes[call.request.lane], self.clock.now()
        call.admission = None
        is_refused = isinstance(error, RateLimitError)
        call.refusals += is_refused
        call.failures += not is_refused
        call.again = "refused" if is_refused else "failed"
        call.perhaps_done = call.perhaps_done or was_perhaps_done(error)
        if call.failing_since is None and not is_refused:
            call.failing_since = now
        delay = next_delay(
            self.retry,
            error,
            idempotent=call.request.idempotent,
            failures=call.failures,
            refusals=call.refusals,
            jitter=random.random(),  # noqa: S311 - no secret
            failing_for=0.0 if call.failing_since is None else now - call.failing_since,
            away_for=lane.away_for(call.failing_since, call.options.priority),
        )
        if delay is None or lane.is_given_up:
            return None
        if call.again == "failed" and not lane.retries.has_capacity():
            delay = max(delay, delay_of(lane.retries, self.clock))
        for caller in call.patience:
            if caller.until < now + delay and caller.until < call.deadline:  # rule 2 of `sharing`
                caller.end(error)
        return delay if now + delay <= call.deadline else None

    async def _take_retry(self, lane: Lane) -> None:
        """Wait until the lane may be burdened with one more retry."""
        while not lane.retries.has_capacity():
            await self.scope.sleep(delay_of(lane.retries, self.clock))
        await lane.retries.acquire()

    @property
    def _all_lanes(self) -> set[Lane]:
        return set(self.lanes.values()).union(self.learned or ())

    async def drain(self, seconds: float) -> None:
        """Send nothing any more, and wait for the answers to what was sent, for so many seconds at most.

        Requests that wait stay where they are: failing them would abort the runs that others belong to.
        """
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(seconds):
                # An answer may bring another plan, with other lanes.
                while [lane for lane in self._all_lanes if lane.hold()]:  # noqa: ASYNC110 - lanes set no event
                    await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Fail waiting requests, abort the others, and leave nothing running."""
        self.scope.shut()
        lanes = self._all_lanes
        for lane in lanes:
            lane.close()
        try:
            await self.transport.close()
        finally:
            # Tasks end by themselves, with `ClosedError`, unless the transport does not abort its requests.
            await close_all([*lanes, self.scope])

    async def _attempt(self, call: Call[T], within: float) -> Response:
        request, options, number, telemetry = call.request, call.options, call.number, self.telemetry
        lane = self.lanes[request.lane]
        if telemetry.listens:
            now = self.clock.now()
            attempt = call.failures + call.refusals + 1
            telemetry.emit(Queued(number, lane.name, request.method, request.path, attempt, now))
        call.admission = admission = lane.permit(
            options.priority,
            flow=options.flow,
            max_wait=None if call.deadline == math.inf else max(0.0, call.deadline - self.clock.now()),
            again=call.again,
            asks=request,
            kind=request.lane,
        )
        async with admission:
            lane = admission.lane
            for each in call.requests:
                if each.on_admitted is not None:
                    await each.on_admitted()
            if self.scope.is_shut:
                raise ClosedError("the client was closed before this request was sent")
            telemetry.waited += admission.waited
            sent, admitted = admission.sent, 0.0
            if telemetry.listens:
                admitted = self.clock.now()
                telemetry.emit(Admitted(number, lane.name, admitted, admission.waited))
            if telemetry.listens or request.on_sent is not None or len(call.requests) > 1:
                sent = partial(self._note_sent, call, admission)
            try:
                response = await self.transport.send(request, within, sent)
            except TransportError as error:
                if not isinstance(error, NetworkSettingsError):  # which is no sign that the server is away
                    admission.failed(f"{type(error).__name__}: {error.message}", answered=False)
                raise
            finally:
                telemetry.sent[lane.name] += admission.is_sent
            self._settle(admission, request, response)
            if telemetry.listens:
                now = self.clock.now()
                telemetry.emit(Answered(number, lane.name, now, response.status, now - admitted))
            return response

    def _settle(self, admission: Admission, request: Request[T], response: Response) -> None:
        """Tell the lane what an answer means for it."""
        lane = admission.lane
        feedback = read_feedback(response.headers, self.clock.unix, self.limit_headers)
        heard = self._heard(request, lane, response, feedback)
        if self.is_refusal(response):
            self.telemetry.refused += 1
            wait = believed(self.retry, feedback.retry_after, lane.limit.per)
            limits = (None, None) if heard is None else (heard.limit, heard.remaining)
            admission.refused(Feedback(*limits, wait))
        elif response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = believed(self.retry, feedback.retry_after) or 0.0
            admission.failed(f"it answers {response.status}", answered=True, retry_after=wait)
        else:
            admission.answered(heard)

    def _heard(
        self, request: Request[T], lane: Lane, response: Response, feedback: Feedback
    ) -> Feedback | None:
        """Return what an answer tells its lane about the limits; None for nothing, as some proxy's page does."""
        if "json" not in response.headers.get("Content-Type", "json").lower():
            return None
        if self.learned is None or feedback.limit in (None, lane.limit.requests):
            return feedback
        return self.learned.named(request.lane, lane, response.status, feedback)

    def _note_sent(self, call: Call[T], admission: Admission) -> None:
        admission.sent()
        self.telemetry.emit(Sent(call.number, admission.lane.name, self.clock.now()))
        for each in call.requests:
            if each.on_sent is not None:
                each.on_sent()

    def _judge(self, request: Request[T], response: Response) -> T:
        if response.status not in _SUCCESS:
            raise self._error(request, response)
        is_partial = response.status == HTTPStatus.PARTIAL_CONTENT
        is_silent = response.body.strip() in _SILENCE
        if request.already_gone_result is not None and is_silent:
            return request.already_gone_result  # such as 204
        try:
            if is_partial:
                raise partial_answer()
            found = request.decode(response.body)
            return found if request.with_headers is None else request.with_headers(found, response.headers)
        except DecodeError as error:
            words, is_read = error.message, request.is_read
            if not is_read and (is_silent or is_partial):
                words += ": it was probably carried out, so look before you send it again"
            located = DecodeError(words, request.method, self.transport.url(request), response.body[:200])
            located.is_garbled = is_read and (is_partial or not is_json(response.body))
            raise located from None

    def _error(self, request: Request[T], response: Response) -> APIError:
        url = self.transport.url(request)
        retry_after = read_feedback(response.headers, self.clock.unix, self.limit_headers).retry_after
        is_missing = response.status == HTTPStatus.NOT_FOUND
        hint = self.not_found_hint if is_missing else request.retired_hint
        error = read_error(response, request.method, url, hint, retry_after)
        if self.is_refusal(response) and not isinstance(error, RateLimitError):
            return RateLimitError(*error.args)
        return error

    def next_number(self) -> int:
        """Return a number that nothing else of this session has."""
        return next(self._numbers)

    def check_loop(self) -> None:
        """Raise an error in another event loop than the first."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this client belongs to another event loop, and each asyncio.run makes one; open the client inside"
            )


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
        if session.finder is not None and session.finder.is_searching:
            session.check_loop()
            return session.finder.send(request, self.options)
        if isinstance(transport, AskingTransport):
            session.check_loop()
            send = partial(session.send, request, self.options)
            return transport.carry(send, session.scope, session.clock, self.options.timeout)
        return session.send(request, self.options)

    def for_run(self, priority: Priority) -> "Caller":
        """Return the caller of a run: with its priority, and a flow of its own unless this caller names one."""
        flow = self.options.flow or f"run {self.session.next_number()}"
        return Caller(self.session, evolve(self.options, priority=priority, flow=flow))
