"""Plausible traffic from a seed.

Each calendar day depends on `(seed, site, day)` alone, so its figures are the same in every dataset. Traffic follows
the hours of the site's own time zone and the days of the week; a few paths draw most visits.
"""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pkgutil import get_data
from random import Random
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async.testing._dataset import GROUPINGS, Completion, Dataset, Event, Milestone, Pageview, Site

_WORDS: dict[str, Any] = tomllib.loads((get_data("fathom_async.testing", "synthetic.toml") or b"").decode())
_SITES: Sequence[tuple[str, str, str, str]] = _WORDS["sites"]
_ZONES: Sequence[str] = _WORDS["zones"]
_SECTIONS: Sequence[str] = _WORDS["sections"]
_PAGES: Sequence[str] = _WORDS["pages"]
_PLACES: Sequence[Sequence[str]] = _WORDS["places"]
_CLIENTS: Sequence[Sequence[str]] = _WORDS["clients"]
_REFERRERS: Sequence[Sequence[str]] = _WORDS["referrers"]
_CAMPAIGNS: Sequence[Sequence[str]] = _WORDS["campaigns"]
_EVENTS: Sequence[Sequence[str]] = _WORDS["events"]
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 11, 15, 17, 17, 15, 16, 17, 16, 14, 13, 12, 13, 14, 12, 8, 4)
_WEEK = (1.15, 1.2, 1.2, 1.15, 1.0, 0.65, 0.7)
_PLACE = ("country_code", "city", "state", "region")
_CLIENT = ("browser", "operating_system", "device_type")
_REFERRER = ("referrer_hostname", "referrer_pathname", "referrer_source", "keyword")
_CAMPAIGN = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_T = TypeVar("_T")


@frozen
class _Plan:
    site: Site
    hostname: str
    paths: Sequence[str]
    visits_per_day: float
    seed: int

    def random(self, *what: object) -> Random:
        return Random(":".join(map(str, (self.seed, self.site.id, *what))))  # noqa: S311 - made-up visitors


@lru_cache(maxsize=8)
def synthesize(
    *, sites: int, days: int, visits_per_day: float, paths: int, seed: int, until: date
) -> Dataset:
    """Return a dataset; the same arguments return the same object, with its SQL tables."""
    plans = [
        _Plan(site, hostname, _make_paths(paths), visits_per_day, seed)
        for site, hostname in _make_sites(sites, seed)
    ]
    calendar = [until - timedelta(days=age) for age in reversed(range(days))]
    by_id = {plan.site.id: plan for plan in plans}
    return Dataset(
        sites=[plan.site for plan in plans],
        events=[event for plan in plans for event in _make_events(plan)],
        milestones=[milestone for plan in plans for milestone in _make_milestones(plan, until)],
        pageviews=lambda: (view for plan in plans for day in calendar for view in _pageviews(plan, day)),
        completions=lambda: (done for plan in plans for day in calendar for done in _completions(plan, day)),
        live=lambda site_id, now: _live(by_id[site_id], now) if site_id in by_id else (),
    )


def _make_sites(count: int, seed: int) -> Iterator[tuple[Site, str]]:
    random = Random(f"{seed}:sites")  # noqa: S311 - made-up ids
    for number in range(count):
        created = datetime(2020, 7, 27, 12, 1, 1, tzinfo=UTC) + timedelta(days=number)
        if number < len(_SITES):
            site_id, name, hostname, zone = _SITES[number]
        else:
            site_id = "".join(random.choices(_LETTERS, k=6))
            name, hostname = f"Site {number + 1}", f"site-{number + 1}.example"
            zone = _ZONES[number % len(_ZONES)]
        yield Site(id=site_id, name=name, timezone=zone, created_at=created), hostname


def _make_paths(count: int) -> Sequence[str]:
    made = (
        f"/{_SECTIONS[n % len(_SECTIONS)]}/{2020 + n % 7}/{1 + n % 12:02d}/item-{n}" for n in range(count)
    )
    return (*_PAGES, *made)[:count]


def _make_events(plan: _Plan) -> Iterator[Event]:
    for number, (name, currency) in enumerate(_EVENTS):
        event_id = "".join(plan.random("event", number).choices(_LETTERS, k=8))
        created = plan.site.created_at + timedelta(days=25 + number)
        yield Event(site_id=plan.site.id, id=event_id, name=name, currency=currency, created_at=created)


def _make_milestones(plan: _Plan, until: date) -> Iterator[Milestone]:
    for number, name in enumerate(("Website Redesign Launch", "Marketing Campaign Start")):
        yield Milestone(
            site_id=plan.site.id,
            id=str(UUID(int=plan.random("milestone", number).getrandbits(128), version=4)),
            name=name,
            milestone_date=until - timedelta(days=60 - 30 * number),
            created_at=plan.site.created_at + timedelta(days=40 + number),
        )


def _pick(random: Random, options: Sequence[_T]) -> _T:
    """Pick one of the options, the first ones more often."""
    return options[int(random.random() ** 1.7 * len(options))]


def _pick_path(plan: _Plan, random: Random) -> str:
    return plan.paths[min(int(len(plan.paths) ** random.random()), len(plan.paths)) - 1]


def _visits(plan: _Plan, day: date) -> Iterator[tuple[Random, str, datetime]]:
    """Yield the visits of one local day: the random source, the name and the start of each."""
    random = plan.random(day)
    expected = plan.visits_per_day * _WEEK[day.weekday()] * random.uniform(0.8, 1.2)
    count = int(expected) + (random.random() < expected % 1)
    zone = ZoneInfo(plan.site.timezone)
    for number, hour in enumerate(random.choices(range(24), _HOURS, k=count)):
        local = time(hour, random.randrange(60), random.randrange(60))
        begin = datetime.combine(day, local, zone).astimezone(UTC)
        yield random, f"{plan.site.id}-{day:%Y%m%d}-{number}", begin


def _pageviews(plan: _Plan, day: date) -> Iterator[Pageview]:
    for random, session, begin in _visits(plan, day):
        yield from _one_visit(plan, random, session, begin)


def _one_visit(plan: _Plan, random: Random, session: str, begin: datetime) -> Iterator[Pageview]:
    pages = [_pick_path(plan, random)]
    while random.random() < 0.56 and len(pages) < 12:  # noqa: PLR2004
        pages.append(_pick_path(plan, random))
    columns: dict[str, str] = dict(zip(_PLACE, _pick(random, _PLACES), strict=True))
    columns |= zip(_CLIENT, _pick(random, _CLIENTS), strict=True)
    columns |= zip(_REFERRER, _pick(random, _REFERRERS), strict=True)
    if random.random() < 0.1:  # noqa: PLR2004
        columns |= zip(_CAMPAIGN, random.choice(_CAMPAIGNS), strict=True)
    if columns["referrer_source"] == "Hacker News":
        columns["ref"] = "producthunt"
    at = begin
    for number, path in enumerate(pages):
        last = number == len(pages) - 1
        duration = None if last else random.randrange(4, 240)
        yield Pageview(
            site_id=plan.site.id,
            at=at,
            session=session,
            hostname=plan.hostname,
            pathname=path,
            entry_page=pages[0],
            exit_page=pages[-1],
            duration=duration,
            bounced=len(pages) == 1,
            **columns,
        )
        at += timedelta(seconds=duration or 0)


def _completions(plan: _Plan, day: date) -> Iterator[Completion]:
    chances = plan.random(day, "completions")
    for random, session, begin in _visits(plan, day):
        view, *_ = _one_visit(plan, random, session, begin)
        for (event, currency), chance in zip(_EVENTS, (0.05, 0.08, 0.12), strict=True):
            if chances.random() >= chance:
                continue
            value = (
                None
                if currency == "none"
                else chances.randrange(1, 60) * (100 if currency == "dollar" else 1)
            )
            shared = {name: getattr(view, name) for name in ("site_id", "at", *GROUPINGS)}
            yield Completion(event=event, visitor=session, value=value, **shared)


def _live(plan: _Plan, now: datetime) -> Sequence[Pageview]:
    """Return the pageviews of the last five minutes; some sessions start in each half minute."""
    local_hour = now.astimezone(ZoneInfo(plan.site.timezone)).hour
    permit = int(now.timestamp()) // 30
    views: list[Pageview] = []
    for current in range(permit - 9, permit + 1):
        random = plan.random("live", current)
        for number in range(random.randint(0, 1 + _HOURS[local_hour] // 5)):
            begin = datetime.fromtimestamp(current * 30, UTC)
            views += [
                view for view in _one_visit(plan, random, f"live-{current}-{number}", begin) if view.at <= now
            ]
    return views
