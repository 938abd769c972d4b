"""Pageviews from a web server's access log in combined format.

A pageview is a `GET` with a status of 2xx or 3xx; lines that do not parse count as skipped. Requests of one address
and agent form one visit until a pause of half an hour. A page's duration is the time to the next page, and unknown
for the last one; a visit of a single page bounced. Browser, operating system and device follow from the user agent by
a few rules that cover most traffic.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import evolve, frozen

from fathom_async.testing._dataset import Dataset, Pageview, Site

_LINE = re.compile(
    r"(?P<ip>\S+) \S+ \S+ \[(?P<at>[^\]]+)\] "
    r'"(?P<method>[A-Z]+) (?P<target>\S+)[^"]*" (?P<status>\d{3}) (?:\d+|-)'
    r'(?: "(?P<referrer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_ASSET = re.compile(r"\.(?:png|jpe?g|gif|ico|svg|webp|css|js|map|woff2?|ttf|eot|mp4|webm)$", re.IGNORECASE)
_CAMPAIGN = ("utm_campaign", "utm_content", "utm_medium", "utm_source", "utm_term", "ref")
_GAP = timedelta(minutes=30)
_SOURCES = (
    ("Google", re.compile(r"(^|\.)google\.")),
    ("Bing", re.compile(r"(^|\.)bing\.com$")),
    ("Yahoo", re.compile(r"(^|\.)yahoo\.")),
    ("DuckDuckGo", re.compile(r"(^|\.)duckduckgo\.com$")),
    ("Yandex", re.compile(r"(^|\.)yandex\.")),
    ("Baidu", re.compile(r"(^|\.)baidu\.com$")),
    ("Reddit", re.compile(r"(^|\.)reddit\.com$")),
    ("Twitter", re.compile(r"(^|\.)(t\.co|twitter\.com)$")),
    ("Facebook", re.compile(r"(^|\.)facebook\.com$")),
    ("Hacker News", re.compile(r"^news\.ycombinator\.com$")),
    ("GitHub", re.compile(r"(^|\.)github\.com$")),
    ("Stack Overflow", re.compile(r"(^|\.)stackoverflow\.com$")),
)
_BOT = re.compile(
    r"bot\b|bot[/;)]|crawl|spider|slurp|feed|fetch|curl|wget|python|java/|ruby|libwww|monitor|check",
    re.IGNORECASE,
)
_BROWSERS = (
    ("Edge", re.compile(r"Edge?/")),
    ("Opera", re.compile(r"OPR/|Opera")),
    ("Mobile Firefox", re.compile(r"Mobile;.*Firefox/|FxiOS")),
    ("Firefox", re.compile(r"Firefox/|Iceweasel/")),
    ("Chrome", re.compile(r"Chrome/|CriOS|Chromium/")),
    ("Android Browser", re.compile(r"Android.*Version/")),
    ("Mobile Safari", re.compile(r"(iPhone|iPad|iPod).*Safari")),
    ("Safari", re.compile(r"Safari/")),
    ("Internet Explorer", re.compile(r"MSIE |Trident/")),
)
_SYSTEMS = (
    ("iOS", re.compile(r"iPhone|iPad|iPod")),
    ("Android", re.compile(r"Android")),
    ("Windows", re.compile(r"Windows")),
    ("macOS", re.compile(r"Mac OS X|Macintosh")),
    ("Chrome OS", re.compile(r"CrOS")),
    ("Linux", re.compile(r"Linux|X11")),
)
_DEVICES = (
    ("Tablet", re.compile(r"iPad|Tablet|Android(?!.*Mobile)")),
    ("Phone", re.compile(r"iPhone|iPod|Mobile|Android")),
    ("Desktop", re.compile(r"Windows|Macintosh|Linux|X11|CrOS")),
)


@frozen
class _Request:
    ip: str
    at: datetime
    target: str
    referrer: str
    agent: str
    is_page: bool


def open_log(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8", errors="replace")


def parse_access_log(
    lines: Iterable[str],
    *,
    site_id: str = "CDBUGS",
    hostname: str = "localhost",
    timezone: str = "UTC",
    keep_bots: bool = True,
    keep_assets: bool = True,
) -> Dataset:
    """Return the dataset of some log lines; the arguments are those of `Dataset.from_access_log`."""
    parsed = [_parse_line(line) for line in lines if line.strip()]
    pages = [
        request
        for request in parsed
        if request is not None
        and request.is_page
        and (keep_bots or not parse_agent(request.agent).is_bot)
        and (keep_assets or not _ASSET.search(urlsplit(request.target).path))
    ]
    views = [
        view
        for number, visit in enumerate(_visits(pages))
        for view in _views(visit, number, site_id, hostname)
    ]
    begin = min((view.at for view in views), default=None)
    site = Site(id=site_id, name=hostname, timezone=timezone)
    if begin is not None:
        site = evolve(site, created_at=begin)
    return Dataset(sites=[site], pageviews=views, skipped=parsed.count(None))


def _parse_line(line: str) -> _Request | None:
    found = _LINE.match(line)
    if found is None:
        return None
    try:
        at = datetime.strptime(found["at"], "%d/%b/%Y:%H:%M:%S %z")
        urlsplit(found["target"])
    except ValueError:
        return None
    is_page = found["method"] == "GET" and found["status"][0] in "23"
    return _Request(
        found["ip"], at, found["target"], found["referrer"] or "-", found["agent"] or "-", is_page
    )


def _visits(requests: Iterable[_Request]) -> Iterator[Sequence[_Request]]:
    open_visits: dict[tuple[str, str], list[_Request]] = {}
    for request in sorted(requests, key=lambda request: request.at):
        visitor = (request.ip, request.agent)
        visit = open_visits.get(visitor)
        if visit is not None and request.at - visit[-1].at <= _GAP:
            visit.append(request)
            continue
        if visit is not None:
            yield visit
        open_visits[visitor] = [request]
    yield from open_visits.values()


def _views(visit: Sequence[_Request], number: int, site_id: str, hostname: str) -> Iterator[Pageview]:
    paths = [unquote(urlsplit(request.target).path) or "/" for request in visit]
    agent = parse_agent(visit[0].agent)
    for position, (request, path) in enumerate(zip(visit, paths, strict=True)):
        following = visit[position + 1].at if position + 1 < len(visit) else None
        query = parse_qs(urlsplit(request.target).query)
        yield Pageview(
            site_id=site_id,
            at=request.at,
            session=f"visit-{number}",
            hostname=hostname,
            pathname=path,
            browser=agent.browser,
            device_type=agent.device_type,
            operating_system=agent.operating_system,
            entry_page=paths[0],
            exit_page=paths[-1],
            duration=None if following is None else int((following - request.at).total_seconds()),
            bounced=len(visit) == 1,
            **{name: query.get(name, [""])[0] for name in _CAMPAIGN},
            **_referrer(request.referrer, hostname),
        )


@lru_cache(maxsize=4096)
def _referrer(text: str, own_host: str) -> Mapping[str, str]:
    """Split a referrer; one of the site's own pages is none."""
    try:
        url = urlsplit(text)
        host = url.hostname or ""
    except ValueError:
        return {}
    if (
        url.scheme not in ("http", "https")
        or not host
        or host.removeprefix("www.") == own_host.removeprefix("www.")
    ):
        return {}
    source = _first(_SOURCES, host) or host.removeprefix("www.")
    keyword = parse_qs(url.query).get("q", [""])[0]
    return {
        "referrer_hostname": f"{url.scheme}://{host}",
        "referrer_pathname": url.path or "/",
        "referrer_source": source,
        "keyword": keyword,
    }


@frozen
class Agent:
    """A classified user agent; an unknown value is an empty string, and a script or a feed reader is a bot too."""

    browser: str
    operating_system: str
    device_type: str
    is_bot: bool


@lru_cache(maxsize=4096)
def parse_agent(text: str) -> Agent:
    is_bot = text in ("", "-") or _BOT.search(text) is not None
    return Agent(_first(_BROWSERS, text), _first(_SYSTEMS, text), _first(_DEVICES, text), is_bot)


def _first(rules: Sequence[tuple[str, re.Pattern[str]]], text: str) -> str:
    return next((name for name, pattern in rules if pattern.search(text)), "")
