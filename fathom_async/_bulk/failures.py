"""What a run does about a request that failed.

1. **All.** Of an error that may be about the account, a few other sites are asked, or else this one, by the simplest
   query. If all fail in the same way, all queries of the run fail with it. A token may be for some sites only: if
   it lacks a permission, more of them are asked, and if any request of the run was answered, that is not about all.
2. **Length.** What the server refuses for its length is sent with fewer values, also by other runs from then on.
3. **Parts.** Another fused request is split, and its halves are sent, down to single queries: a query fails by its
   own answer only, and k bad ones of n take about 2 k log2(n) requests.
4. **Outage.** Of a server that answers nothing, that would ask every query. So before a request is split, and again
   when both of its halves have failed, the simplest query about the same site or event is sent. If that fails, too,
   the others fail as the request did. A rejection is an answer: it shows that the server is there. Any other refusal
   may be a proxy's, which dislikes a fused URL, or about the site.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Final, Generic
from urllib.parse import unquote_plus, urlsplit

import attrs

from fathom_async._bulk.fusing import Fused, ServerKnowledge, fuse
from fathom_async._bulk.request import Answer, Sender
from fathom_async._bulk.results import Collector
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import EventQuery, Query
from fathom_async._util.tasks import gather_all
from fathom_async.errors import (
    APIError,
    ArgumentError,
    DecodeError,
    FathomError,
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    RateLimitError,
    ServerError,
    TransportError,
    ValidationError,
)

_HALVES: Final = 2
_PROBES, _PERMISSION_PROBES = 3, 9
"""Other sites that are asked, when one has failed, before all are believed to fail."""
_TOO_LONG: Final = frozenset(
    {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)
_REJECTED: Final = _TOO_LONG | {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
"""Parts of a fused request may be accepted although the whole was rejected."""
_WORD: Final = re.compile(r"\w+")
_PARAMETERS: Final = attrs.fields_dict(EventQuery).keys()


class EverythingFailsError(Exception):
    """The account or its token is at fault, so that every request fails with this error."""

    def __init__(self, error: FathomError) -> None:
        super().__init__(str(error))
        self.error = error


@attrs.define(eq=False, repr=False)
class Failures(Generic[RowT]):
    """Retries what may succeed of a failed request, and fails the rest.

    `attempt` sends one request, hands out its answers, and returns the error if it failed; `ask` also deals with
    that.
    """

    _attempt: Callable[[Fused[RowT]], Coroutine[object, object, FathomError | None]]
    _ask: Callable[[Fused[RowT]], Coroutine[object, object, None]]
    _sender: Sender[RowT]
    _collector: Collector[RowT]
    _knowledge: ServerKnowledge
    _probing: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _is_about_all: bool | None = attrs.field(default=None, init=False)

    async def retry(self, group: Fused[RowT], error: FathomError, *, is_there: bool = False) -> None:
        """Retry what may succeed of a failed request, and fail the rest.

        `is_there` says whether the server is known to answer others.
        """
        if _may_be_about_all(error):
            is_there = await self._probe(group, error) or is_there
        if _is_too_long(error) and group.pattern_length:
            self._knowledge.longest_patterns = min(
                self._knowledge.longest_patterns, group.pattern_length // 2
            )
            await self._sender.remember()
            await self.ask_shorter(group, error)
            return
        queries = [asked.query for asked in group.asked]
        if len(queries) == 1 or not _may_succeed_in_part(error):
            self._fail(group, error)
            return
        if not is_there and not await self._is_there([group], [error]):
            self._fail(group, error)
            return
        middle = len(queries) // 2
        parts = [*fuse(queries[:middle], self._knowledge), *fuse(queries[middle:], self._knowledge)]
        halves = self._collector.admit(parts, error)
        failures = await gather_all(self._attempt(half) for half in halves)
        is_there = await self._is_there(halves, failures)
        for half, failure in zip(halves, failures, strict=True):
            if failure is not None and is_there:
                await self.retry(half, failure, is_there=True)
            elif failure is not None:
                self._fail(half, failure)

    async def ask_shorter(self, group: Fused[RowT], error: FathomError | None = None) -> None:
        """Request the queries of a group with fewer values in a URL; the first request tells whether that helps."""
        groups = self._collector.admit(fuse([asked.query for asked in group.asked], self._knowledge), error)
        for each in groups[:1]:
            await self._ask(each)
        async with asyncio.TaskGroup() as asking:
            for each in groups[1:]:
                asking.create_task(self._ask(each))

    async def _is_there(self, groups: Sequence[Fused[RowT]], errors: Sequence[FathomError | None]) -> bool:
        """Whether the server answers anything about the same, if only the simplest query; see rule 4."""
        is_short = all(len(group.asked) <= _HALVES for group in groups)
        if is_short or any(error is None or _is_rejected(error) for error in errors):
            return True
        if not self._collector.spend(1):
            return True
        answer = await self._sender.answer_to(Fused.of(_simplest(groups[0].query)))
        return isinstance(answer, Answer) or _is_rejected(answer)

    def _fail(self, group: Fused[RowT], error: FathomError) -> None:
        for asked in group.asked:
            self._collector.fail(asked.query, error)

    async def _probe(self, group: Fused[RowT], error: FathomError) -> bool:
        """Find out whether other sites fail in the same way: that raises `EverythingFailsError`.

        Return whether this site was asked instead, and answered.
        """
        async with self._probing:
            if self._is_about_all is not None or self._is_about_sites(error):
                is_there = False
            else:
                probes = self._probes(group, error)
                is_there = [probe.site_id for probe in probes] == [group.query.site_id]
                self._is_about_all = True
                for probe in probes:
                    if not await self._fails_alike(probe, error) or self._is_about_sites(error):
                        self._is_about_all = False
                        break
        if self._is_about_all:
            raise EverythingFailsError(error)
        return is_there

    def _is_about_sites(self, error: FathomError) -> bool:
        """Whether the token may be for the sites that have answered, and not for this one."""
        return self._sender.has_answered and isinstance(error, PermissionDeniedError | ValidationError)

    def _probes(self, group: Fused[RowT], error: FathomError) -> Sequence[Query[RowT]]:
        """Return the simplest queries of other sites, spread over all of them, or else one of the same site."""
        by_site = {query.site_id: query for query in self._collector.open if query != group.query}
        same = by_site.pop(group.query.site_id, None)
        sites = list(by_site.values()) or ([] if same is None else [same])
        most = _PERMISSION_PROBES if isinstance(error, PermissionDeniedError) else _PROBES
        last = min(most, len(sites)) - 1
        simplest = [_simplest(sites[place * (len(sites) - 1) // max(last, 1)]) for place in range(last + 1)]
        return sites if simplest == [group.query] else simplest

    async def _fails_alike(self, probe: Query[RowT], error: FathomError) -> bool:
        if not self._collector.spend(1):
            return False
        answer = await self._sender.answer_to(Fused.of(probe))
        if isinstance(answer, Answer):
            for query, report in answer.reports.items():
                self._collector.hand_out(query, report, "asked", answer.asked_at)
            return False
        return _kind(answer) == _kind(error) and _may_be_about_all(answer)


def _simplest(query: Query[RowT]) -> Query[RowT]:
    """Return the simplest query about the same site or event."""
    moment = query.date_from or query.date_to
    return query.replace(
        aggregates=query.aggregates[:1],
        field_grouping=(),
        date_grouping=None,
        date_from=moment and moment.date(),
        date_to=moment and moment.date(),
        filters=(),
        sort_by=None,
        limit=None,
    )


def _kind(error: FathomError) -> tuple[type[FathomError], int | None]:
    return type(error), error.status if isinstance(error, APIError) else None


def _is_rejected(error: FathomError) -> bool:
    """Whether the server rejected the request, rather than failed to answer it."""
    return isinstance(error, APIError) and error.status in _REJECTED


def _is_too_long(error: FathomError) -> bool:
    """Whether the server refused the request for the length of its URL."""
    return isinstance(error, APIError) and error.status in _TOO_LONG


def _may_be_about_all(error: FathomError) -> bool:
    """Whether the account or its token may be at fault, rather than the query.

    A lapsed account, and some missing permissions, are a rejection that names nothing that was asked; the answer to
    a bad token may be a web page, or a redirect to one.
    """
    if isinstance(error, ArgumentError):  # of the network's settings, or of the token
        return not isinstance(error, QueryError)
    if isinstance(error, DecodeError):
        return error.is_garbled
    if not isinstance(error, APIError) or isinstance(error, NotFoundError | RateLimitError | ServerError):
        return False
    if error.status in _TOO_LONG:
        return False
    return error.status not in _REJECTED or not _names_what_is_asked(error)


def _names_what_is_asked(error: APIError) -> bool:
    """Whether a field of the error's messages is a parameter of a query, or stands in this one."""
    named = {word for name in error.errors for word in _WORD.findall(name.lower())}
    asked = _WORD.findall(unquote_plus(urlsplit(error.url).query).lower())
    return not named.isdisjoint((*asked, *_PARAMETERS))


def _may_succeed_in_part(error: FathomError) -> bool:
    """Whether parts of a failed request may succeed."""
    if isinstance(error, TransportError):
        return error.sent
    return isinstance(error, APIError | DecodeError) and not isinstance(error, RateLimitError)
