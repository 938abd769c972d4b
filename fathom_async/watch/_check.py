"""Ask for what rules need in few requests, judge it, and tell each alert once.

1. A period is **complete** an hour after its end: no hit arrives late any more, and its answer is kept for good.
2. Rules ask for each **day** by itself. So its answer is kept, and what is new is asked for next time, in boxes that
   are small enough to fuse many rules. A run also fuses the days that it asks for.
3. The **state** of a rule, in the store, has the last period that was judged, and the last one that was told. What
   ended while nobody watched is judged later, up to a month. A rule without a state begins with the latest period.
4. A rule is judged under a **claim**, by the state as it is then, and its state is written after each alert. What
   could not be told is told next time. After a kill between the two, an alert is told again, with the same id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, tzinfo
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

import attrs
import msgspec

from fathom_async._bulk.results import OnProgress
from fathom_async._cache.entry import GRACE, SKEW, CacheEntry, digest
from fathom_async._cache.store import ReportStore
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.fields import DATE_COLUMN, RATES
from fathom_async._reports.query import AnyQuery
from fathom_async._util.clock import unix_time
from fathom_async.client import FathomClient
from fathom_async.errors import ConfigurationError, NotFoundError, PermissionDeniedError
from fathom_async.watch._judge import Alert, Series, alerts, lacking
from fathom_async.watch._rules import Rule

_OF_ONE_SITE: Final = (NotFoundError, PermissionDeniedError, ConfigurationError)
_MONTH: Final = {"hour": 744, "day": 31}


@attrs.frozen
class WatchResult:
    """What came of the rules.

    Attributes:
        alerts: The alerts sent, or of a replay, those that would have been.
        lacking: Why rules could not compare the latest period with the past.
        errors: Why rules were not checked, or their alerts not sent; the next check catches up.
    """

    alerts: list[Alert] = attrs.field(factory=list[Alert])
    lacking: dict[Rule, str] = attrs.field(factory=dict[Rule, str])
    errors: dict[Rule, Exception] = attrs.field(factory=dict[Rule, Exception])


async def check(
    fathom: FathomClient,
    rules: Iterable[Rule],
    tell: Callable[[Alert], Awaitable[object]],
    *,
    store: ReportStore,
) -> WatchResult:
    """Judge the periods that were completed since the last check, and tell each alert once.

    Any number of processes may do so at once. Requests go behind all others.

    Args:
        fathom: The client.
        rules: The rules.
        tell: Sends an alert. If it raises, the next check sends the alert again.
        store: Keeps answers, and the alerts sent.

    Raises:
        FathomError: No rule could be judged: the token is wrong, the server away, or the store cannot be used.
    """
    watch = _Watch(fathom, store)
    await watch.find_zones(dict.fromkeys(rules))
    last = {rule: watch.complete(rule) for rule in watch.zones}
    series = await watch.ask(
        {rule: range((await watch.state(rule)).judged + 1, last[rule] + 1) for rule in last}
    )
    todo = {digest(watch.key(rule), "claim"): rule for rule in series}
    while todo:
        async with store.claim(todo) as mine:  # rule 4
            for key in [key for key in todo if key in mine]:
                rule = todo.pop(key)
                await watch.tell(rule, series[rule], last[rule], tell)
        if todo:
            await store.wait(next(iter(todo)))
    return watch.result


async def replay(
    fathom: FathomClient,
    rules: Iterable[Rule],
    over: timedelta,
    *,
    store: ReportStore,
    on_progress: OnProgress | None = None,
) -> WatchResult:
    """Return past alerts of a time until now, without sending them; the store keeps answers only.

    Args:
        fathom: The client.
        rules: The rules.
        over: How far to look back.
        store: Keeps answers, so that an interrupted replay resumes.
        on_progress: Called with the progress at the start and after each step; see
            `fathom_async.reports.ReportsResource.run`.

    Raises:
        FathomError: No rule could be judged; see `check`.
    """
    watch = _Watch(fathom, store)
    await watch.find_zones(dict.fromkeys(rules))
    spans = {rule: range(watch.complete(rule, over) + 1, watch.complete(rule) + 1) for rule in watch.zones}
    for rule, series in (await watch.ask(spans, on_progress)).items():
        found = alerts(rule, series, spans[rule], None, watch.zones[rule])
        watch.result.alerts.extend(alert for _, alert in found)
    watch.result.alerts.sort(key=attrgetter("end"))
    return watch.result


@attrs.frozen
class _State:
    """The numbers of the last period that was judged, and of the last one that was told (rule 3)."""

    judged: int
    told: int | None = None


@attrs.define
class _Watch:
    """One check or replay."""

    fathom: FathomClient
    store: ReportStore
    zones: dict[Rule, tzinfo] = attrs.field(init=False, factory=dict[Rule, tzinfo])
    result: WatchResult = attrs.field(init=False, factory=WatchResult)

    async def find_zones(self, rules: Iterable[Rule]) -> None:
        """Learn the clock of each rule; a site that does not exist fails its own rules only."""
        fathom = self.fathom.with_options(priority=Priority.BULK)
        sites = {rule.site_id for rule in rules if rule.timezone is None}
        found, failed = dict[str, ZoneInfo](), dict[str, Exception]()
        for some in (sites, *([site] for site in sites)):
            try:
                found |= await fathom.reports.time_zones(some, store=self.store)
                if some is sites:
                    break
            except _OF_ONE_SITE as error:
                failed |= {} if some is sites else dict.fromkeys(some, error)
        for rule in rules:
            if rule.timezone is None and rule.site_id in failed:
                self.result.errors[rule] = failed[rule.site_id]
            else:
                self.zones[rule] = ZoneInfo(rule.timezone) if rule.timezone else found.get(rule.site_id, UTC)

    def complete(self, rule: Rule, ago: timedelta = timedelta()) -> int:
        """Return the number of the hour or day that was complete last, some time ago (rule 1)."""
        moment = datetime.fromtimestamp(_now() - GRACE, UTC) - ago
        return rule.unit.index(moment.astimezone(self.zones[rule])) - 1

    async def ask(
        self, spans: Mapping[Rule, range], on_progress: OnProgress | None = None
    ) -> Mapping[Rule, Series]:
        """Return the figures that rules need to judge some periods, if there are any (rule 2)."""
        wanted = list[tuple[Rule, AnyQuery]]()
        for rule, span in spans.items():
            unit, size = rule.unit, 24 if rule.unit.name == "hour" else 1
            first = span.start - rule.length + 1 - max(rule.earlier, default=0)
            for low in range(first - first % size, span.stop, size) if span else ():
                end = unit.end(min(low + size, span.stop) - 1)
                wanted.append((rule, rule.query.replace(date_from=unit.start(low), date_to=end)))
        found: dict[Rule, dict[int, int | float | None]] = {rule: {} for rule, _ in wanted}
        queries = [query for _, query in wanted]
        run = self.fathom.reports.run(queries, store=self.store, on_progress=on_progress)
        async with aclosing(run) as outcomes:
            async for outcome in outcomes:
                rule = wanted[outcome.position][0]
                if outcome.error is not None:
                    self.result.errors[rule] = outcome.error
                    continue
                now = datetime.fromtimestamp(_now(), self.zones[rule])
                for row in outcome.result().filled(now=now):
                    figure: int | float | None = getattr(row, rule.metric)
                    number = rule.unit.index(getattr(row, DATE_COLUMN))
                    found[rule][number] = figure if rule.metric in RATES else figure or 0
        for rule in found.keys() & self.result.errors:
            del found[rule]
        for rule, series in found.items():
            if lacks := lacking(rule, series, spans[rule][-1]):
                self.result.lacking[rule] = lacks
        return found

    async def tell(
        self, rule: Rule, series: Series, last: int, tell: Callable[[Alert], Awaitable[object]]
    ) -> None:
        """Judge the periods of a rule that are left up to one, and tell the alerts."""
        state = await self.state(rule)
        due = range(state.judged + 1, last + 1)  # none if another process was faster
        for number, alert in alerts(rule, series, due, state.told, self.zones[rule]):
            try:
                await tell(alert)
            except Exception as error:  # noqa: BLE001 - whatever it is, the alert is told next time
                self.result.errors[rule] = error
                await self.keep(rule, attrs.evolve(state, judged=number - 1))
                return
            self.result.alerts.append(alert)
            state = _State(number, number)
            await self.keep(rule, state)
        if state.judged < last:
            await self.keep(rule, attrs.evolve(state, judged=last))

    def key(self, rule: Rule) -> str:
        return digest(self.fathom.base_url, rule.key)

    async def state(self, rule: Rule) -> _State:
        """Return the state of a rule (rule 3); one by a clock that was wrong counts as none."""
        entry, last = (await self.store.get_many([self.key(rule)])).get(self.key(rule)), self.complete(rule)
        try:
            state = _State(last - 1) if entry is None else msgspec.json.decode(entry.body, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _State(last - 1)
        if state.judged > last + 1:
            return _State(last - 1)
        return attrs.evolve(state, judged=max(state.judged, last - _MONTH[rule.unit.name]))

    async def keep(self, rule: Rule, state: _State) -> None:
        """Write the state of a rule. An older entry never replaces a newer one, and clocks of machines differ."""
        entry = (await self.store.get_many([self.key(rule)])).get(self.key(rule))
        asked_at = max(_now(), 0.0 if entry is None or entry.asked_at > _now() + SKEW else entry.asked_at)
        await self.store.put_many({self.key(rule): CacheEntry(msgspec.json.encode(state), asked_at)})


def _now() -> float:
    return unix_time(asyncio.get_running_loop())
