"""Pageviews from a web server's access log in combined format.

A pageview is a `GET` with a status of 2xx or 3xx; lines that do not parse count as skipped. Requests of one address
and agent form one visit until a pause of half an hour. A page's duration is the time to the next page, and unknown
for the last one; a visit of a single page bounced. Browser, operating system and device follow from the user agent by
a few rules that cover most traffic.
"""

import gzip
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from pkgutil import get_data
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
_BOT = re.compile(
    r"bot\b|bot[/;)]|crawl|spider|slurp|feed|fetch|curl|wget|python|java/|ruby|libwww|monitor|check",
    re.IGNORECASE,
)
_RULES = {
    kind: {name: re.compile(pattern) for name, pattern in rules.items()}
    for kind, rules in tomllib.loads(
        (get_data("fathom_async.testing", "access_log.toml") or b"").decode()
    ).items()
}


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
    source = _first("sources", host) or host.removeprefix("www.")
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
    return Agent(_first("browsers", text), _first("systems", text), _first("devices", text), is_bot)


def _first(kind: str, text: str) -> str:
    return next((name for name, pattern in _RULES[kind].items() if pattern.search(text)), "")
