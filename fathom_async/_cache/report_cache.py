"""One account's view of a store: queries and reports instead of keys and bytes, and what answers imply."""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from itertools import chain
from os import PathLike, fspath
from typing import Final, Generic, Literal
from zoneinfo import ZoneInfo

import attrs

from fathom_async._cache.account import AccountFinder
from fathom_async._cache.entry import (
    SKEW,
    CacheEntry,
    CachePolicy,
    Freshness,
    answer_key,
    digest,
    freshness,
    needs_zone,
    query_of,
    site_of,
    subject_of,
    subjects_of,
    tell_once,
)
from fathom_async._cache.open import open_store
from fathom_async._cache.single_flight import SingleFlight
from fathom_async._cache.site_zones import SiteZones
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.arguments import first_moment
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.implication import SourceAnswer, implies
from fathom_async._reports.query import AnyQuery, Query
from fathom_async._reports.report import Report
from fathom_async._util.checks import known_zone
from fathom_async.errors import ArgumentError, ConfigurationError, DecodeError, FathomError

_MOST_TRIED: Final = 3
"""How many answers are read to derive one from."""

_log = logging.getLogger("fathom_async")


@attrs.frozen
class Found(Generic[RowT_co]):
    """An answer that may be served, and the Unix time of its request.

    It is `is_fresh` if it can be served without a refresh, and ``implied`` if it is from the answer to another query.
    """

    report: Report[RowT_co]
    is_fresh: bool
    asked_at: float
    origin: Literal["kept", "implied"] = "kept"


@attrs.frozen
class ReportCache:
    """The answers of a caller's account in a store, which is not closed here.

    `single_flight` has the requests that the client's runs are about to send; `exact` returns the properties that the
    server is known to compare exactly.
    """

    caller: Caller
    store: ReportStore
    keeping: CachePolicy
    zones: SiteZones
    single_flight: SingleFlight
    exact: Callable[[], Collection[str]] = frozenset

    def now(self) -> float:
        """Return the present moment in Unix seconds."""
        return self.caller.session.clock.unix()

    async def find_account(self) -> None:
        """Find out whose answers these are, before any of their keys is made."""
        finder = self.caller.session.finder
        if isinstance(finder, AccountFinder):
            await finder.use(self.store, self.caller.options)

    async def recall_zones(self, queries: Iterable[Query[RowT]]) -> None:
        """Read the time zones of these queries' sites that the store has."""
        sites = {query.site_id for query in queries if query.timezone is None}
        await self.zones.load(self.caller, self.store, sites, now=self.now())

    async def learn(self, queries: Iterable[Query[RowT]]) -> bool:
        """Request the time zones that these queries depend on and the store lacks; return whether there were any."""
        at = self.now()
        sites = {query.site_id for query in queries if needs_zone(query, at, self.keeping.grace)}
        return await self.zones.learn(self.caller, self.store, sites, now=at)

    async def look(
        self, queries: Iterable[Query[RowT]], *, since: float = math.inf
    ) -> dict[Query[RowT], Found[RowT]]:
        """Return the answers that may be served: stored, or derived from stored ones.

        Until the time zone of a site is known, that of the stored answer stands in for it. What was asked for at the
        Unix time `since` or later, and not in the future, is fresh whatever its age.
        """
        by_key = {self._key(query): query for query in queries}
        found: dict[Query[RowT], Found[RowT]] = {}
        for key, kept in (await self.store.get_many(by_key)).items():
            query = by_key[key]
            judged = self._judge(kept, query, since)
            if judged != "expired" and (report := _read(kept, query)) is not None:
                found[query] = Found(report, judged == "fresh", kept.asked_at)
        left = [query for query in by_key.values() if query not in found or not found[query].is_fresh]
        for query, answer in (await self._derive(left, since)).items():
            if query not in found or answer.is_fresh:
                found[query] = answer
        return found

    async def _derive(self, queries: Sequence[Query[RowT]], since: float) -> dict[Query[RowT], Found[RowT]]:
        """Return what stored answers to other queries contain."""
        space = self.caller.session.account
        subjects = {query: subjects_of(space, query) for query in queries}
        about: dict[str, list[_Source]] = defaultdict(list)
        entries = await self.store.find(dict.fromkeys(chain.from_iterable(subjects.values())))
        for key, kept in entries.items():
            if kept.query and (known := query_of(kept.query)) is not None:
                about[kept.subject or ""].append(_Source(key, kept, known))
        left = {
            query: self._sources(query, chain.from_iterable(about[each] for each in subjects[query]), since)
            for query in queries
        }
        answers: dict[str, SourceAnswer[Row]] = {}
        found: dict[Query[RowT], Found[RowT]] = {}
        for turn in range(_MOST_TRIED):
            tried = {
                query: sources[turn]
                for query, sources in left.items()
                if query not in found and turn < len(sources)
            }
            unread = {source.key: source for source in tried.values() if source.key not in answers}
            for key, kept in (await self.store.get_many(unread)).items():
                if (report := _read(kept, unread[key].query)) is not None:
                    answers[key] = SourceAnswer(
                        report, zone=self._zone(unread[key].query, kept), exact=self.exact()
                    )
            for query, source in tried.items():
                answer = answers.get(source.key)
                if answer is not None and (derived := answer.derive(query)) is not None:
                    is_fresh = self._judge(source.kept, query, since) == "fresh"
                    found[query] = Found(derived, is_fresh, source.kept.asked_at, "implied")
        return found

    def _sources(self, query: Query[RowT], known: "Iterable[_Source]", since: float) -> "Sequence[_Source]":
        """Return the stored answers that may contain a query's and be served: the fresh and the newest first."""
        sorts_texts = (query.sort_by or "").partition(":")[0] in FIELD_GROUPINGS
        judged = [
            (self._judge(each.kept, query, since), each)
            for each in known
            if not (sorts_texts and self._is_sorted_here(each))
            and implies(
                each.query, query, zone=self._zone(query, each.kept), is_truncated=each.kept.truncated
            )
        ]
        usable = [
            (freshness != "fresh", -each.kept.asked_at, each)
            for freshness, each in judged
            if freshness != "expired"
        ]
        return [each for _, _, each in sorted(usable, key=lambda item: item[:2])]

    def _judge(self, kept: CacheEntry, query: Query[RowT], since: float) -> Freshness:
        now = self.now()
        if since <= kept.asked_at <= now + SKEW:  # later ones bear the stamp of a clock that was wrong
            return "fresh"
        return freshness(kept, query, self.keeping, now=now, zone=self._zone(query, kept))

    def _zone(self, query: Query[RowT], kept: CacheEntry) -> ZoneInfo | None:
        return self.zones.zone(query.site_id) or known_zone(kept.timezone)

    async def look_for_fresh(
        self, queries: Iterable[Query[RowT]], *, since: float = math.inf
    ) -> dict[Query[RowT], Found[RowT]]:
        """Return the stored answers that are fresh; see `look`."""
        found = await self.look(queries, since=since)
        return {query: answer for query, answer in found.items() if answer.is_fresh}

    async def kept_for_good(self, query: Query[RowT]) -> Report[RowT] | None:
        """Return the stored answer about a range that is over."""
        patient = attrs.evolve(
            self, keeping=attrs.evolve(self.keeping, max_age=0.0, stale_while_revalidate=0.0)
        )
        found = (await patient.look_for_fresh([query])).get(query)
        return None if found is None else found.report

    async def complete(self, query: Query[RowT], ask: Callable[[], Awaitable[Report[RowT]]]) -> Report[RowT]:
        """Return a report with every row: the stored one if it is fresh, or else that of `ask`, which is stored."""
        await self.find_account()
        await self.recall_zones([query])
        report = await self._complete_kept(query)
        if report is None and await self.learn([query]):
            report = await self._complete_kept(query)
        if report is None:
            asked_at = self.now()
            report = await ask()
            await self._put({self._complete_key(query): report}, asked_at)
        return report

    async def _complete_kept(self, query: Query[RowT]) -> Report[RowT] | None:
        for kept in (await self.store.get_many([self._complete_key(query)])).values():
            if self._judge(kept, query, math.inf) == "fresh":
                return _read(kept, query)
        return None

    async def put(self, reports: Mapping[Query[RowT], Report[RowT]], asked_at: float) -> None:
        """Store answers, all or none, requested at a Unix time. A failure is logged; the caller still has them."""
        await self._put({self._key(query): report for query, report in reports.items()}, asked_at)

    async def _put(self, reports: Mapping[str, Report[RowT]], asked_at: float) -> None:
        answers: dict[str, CacheEntry] = {}
        for key, report in reports.items():
            query = report.query
            zone = self.zones.zone(query.site_id)
            answers[key] = CacheEntry.of(
                report,
                asked_at,
                timezone=None if zone is None else zone.key,
                drop_after=self.keeping.drop_after(query, asked_at, zone),
                subject=subject_of(self.caller.session.account, query),
            )
        try:
            await self.store.put_many(answers)
        except FathomError as error:
            _log.warning("%d answers could not be stored: %s", len(answers), error)

    async def recall(self) -> bytes:
        """Return what runs have remembered of the account's server."""
        found = await self.store.get_many([self._memory])
        return found[self._memory].body if found else b""

    async def remember(self, body: bytes) -> None:
        """Keep what runs have learned of the account's server. If that fails, it is logged."""
        try:
            await self.store.put_many({self._memory: CacheEntry(body, self.now())})
        except FathomError as error:
            _log.warning("what was learned of the server could not be stored: %s", error)

    @property
    def _memory(self) -> str:
        return f"{self.caller.session.account} server"

    async def forget(self, site_id: str, since: date | str | None) -> int:
        """Delete the answers about a site whose ranges reach a moment or later ones; return how many there were.

        The site's time zone is forgotten, too: that it was changed is a reason to forget.
        """
        moment = first_moment(since, "since")
        await self.find_account()
        await self.zones.load(self.caller, self.store, [site_id], now=self.now())
        zone = self.zones.zone(site_id)
        gone = await self.store.forget(
            site_of(self.caller.session.account, site_id),
            lambda kept: moment is None or kept.reaches(moment, zone),
        )
        await self.zones.forget(self.caller, self.store, site_id, now=self.now())
        return gone

    @contextmanager
    def declare(
        self, queries: Iterable[Query[RowT]], priority: Priority
    ) -> Generator[Mapping[Query[RowT], asyncio.Future[None]]]:
        """Tell the client's other runs what is about to be asked; see `SingleFlight.declare`."""
        by_key = {(id(self.store), self._key(query)): query for query in queries}
        with self.single_flight.declare(by_key, priority) as theirs:
            yield {by_key[key]: end for key, end in theirs.items()}

    @asynccontextmanager
    async def claim(self, queries: Iterable[Query[RowT]]) -> AsyncGenerator[frozenset[Query[RowT]]]:
        """Claim the queries that are free, until the end of the block."""
        by_key = {self._key(query): query for query in queries}
        async with self.store.claim(by_key) as mine:
            yield frozenset(by_key[key] for key in mine)

    async def wait(self, query: Query[RowT]) -> None:
        """Wait until the holder of the claim has stored the answer or given up."""
        await self.store.wait(self._key(query))

    def _is_sorted_here(self, source: "_Source") -> bool:
        """Whether the texts of a stored answer are in our order, and not in that of the server."""
        return source.query.exceeds_hour_span or source.key == self._complete_key(source.query)

    def _complete_key(self, query: Query[Row]) -> str:
        return digest(self.caller.session.account, "complete", query.key())

    def _key(self, query: Query[RowT]) -> str:
        return answer_key(self.caller.session.account, query)


Store = ReportStore | str | PathLike[str]
"""A store, or the place of one."""


def open_cache(caller: Caller, store: Store, keeping: CachePolicy) -> ReportCache:
    """Return the answers of a caller's account; the client keeps the store at a place open for the next run."""
    session, scope = caller.session, caller.session.scope
    if not isinstance(store, ReportStore | str | PathLike):
        raise ArgumentError(
            f"store must be a path, memory://, a redis:// URL or a ReportStore, not {store!r}"
        )
    if not session.account:
        raise ConfigurationError(
            "a store keeps answers by account: name it by budget_key=, as the token may change"
        )
    if not isinstance(store, ReportStore):
        place = store
        store = scope.resource(("store", fspath(place)), lambda: open_store(place, clock=session.clock.unix))
    zones = scope.resource("site zones", SiteZones)
    single_flight = scope.resource("single flight", SingleFlight)
    return ReportCache(caller, store, keeping, zones, single_flight)


@attrs.frozen
class _Source:
    """An answer in the store, without its rows, and its query."""

    key: str
    kept: CacheEntry
    query: AnyQuery


def _read(kept: CacheEntry, query: Query[RowT]) -> Report[RowT] | None:
    try:
        return kept.report(query)
    except DecodeError as error:
        tell_once("an answer in the store cannot be read and is requested again: %s", str(error))
        return None
