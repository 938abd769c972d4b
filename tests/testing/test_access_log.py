import gzip
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from fathom_async.testing import Dataset, FathomServer
from fathom_async.testing._access_log import parse_access_log, parse_agent

CHROME = "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 Chrome/32.0.1700.77 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 7_0 like Mac OS X) Version/7.0 Mobile/11A465 Safari/9537.53"
REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "semicomplete-access.log.gz"


def line(
    at: str,
    target: str = "/",
    referrer: str = "-",
    *,
    agent: str = CHROME,
    status: int = 200,
    method: str = "GET",
) -> str:
    return f'10.0.0.1 - - [17/May/2015:{at} +0200] "{method} {target} HTTP/1.1" {status} 512 "{referrer}" "{agent}"\n'


def test_a_visit_lasts_until_half_an_hour_of_silence() -> None:
    data = parse_access_log([line("10:00:00", "/a"), line("10:01:30", "/b"), line("10:40:00", "/c")])
    first, second, third = data.pageviews
    assert (first.session, first.duration, first.bounced) == (second.session, 90, False)
    assert (first.entry_page, first.exit_page, second.duration) == ("/a", "/b", None)
    assert third.session != first.session
    assert (third.bounced, third.duration, third.at.hour) == (True, None, 8)


def test_only_successful_gets_are_pageviews_and_broken_lines_are_counted() -> None:
    data = parse_access_log(
        [
            line("10:00:00", "/ok"),
            line("10:00:01", "/moved", status=301),
            line("10:00:02", "/gone", status=404),
            line("10:00:03", "/form", method="POST"),
            "rubbish\n",
            "\n",
            line("25:61:00", "/impossible"),
        ]
    )
    assert [view.pathname for view in data.pageviews] == ["/ok", "/moved"]
    assert data.skipped == 2


def test_referrers_and_campaigns_are_split() -> None:
    search = line("10:00:00", "/x?utm_source=mail&ref=hn", "https://www.google.de/search?q=fat+hom&hl=de")
    inside = line("10:00:05", "/y", "http://www.example.com/x")
    outside, own = parse_access_log([search, inside], hostname="example.com").pageviews
    assert (outside.pathname, outside.utm_source, outside.ref) == ("/x", "mail", "hn")
    assert (outside.referrer_hostname, outside.referrer_pathname) == ("https://www.google.de", "/search")
    assert (outside.referrer_source, outside.keyword) == ("Google", "fat hom")
    assert (own.referrer_hostname, own.referrer_source) == ("", "")


def test_bots_and_assets_may_be_left_out() -> None:
    lines = [
        line("10:00:00", "/page"),
        line("10:00:01", "/logo.png?v=2"),
        line("10:00:02", "/page", agent="Mozilla/5.0 (compatible; Googlebot/2.1)"),
    ]
    assert len(parse_access_log(lines).pageviews) == 3
    strict = parse_access_log(lines, keep_bots=False, keep_assets=False)
    assert [view.browser for view in strict.pageviews] == ["Chrome"]


@pytest.mark.parametrize(
    ("text", "browser", "system", "device", "is_bot"),
    [
        (CHROME, "Chrome", "Windows", "Desktop", False),
        (IPHONE, "Mobile Safari", "iOS", "Phone", False),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0",
            "Firefox",
            "Linux",
            "Desktop",
            False,
        ),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "", "", "", True),
        ("-", "", "", "", True),
    ],
)
def test_agents_are_told_apart(text: str, browser: str, system: str, device: str, is_bot: bool) -> None:
    agent = parse_agent(text)
    assert (agent.browser, agent.operating_system, agent.device_type, agent.is_bot) == (
        browser,
        system,
        device,
        is_bot,
    )


async def test_a_server_can_run_on_a_log(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    log = tmp_path / "access.log.gz"
    log.write_bytes(gzip.compress((line("10:00:00", "/a") + line("10:00:10", "/b")).encode()))
    async with FathomServer(data=Dataset.from_access_log(log), speed=2) as server:
        query = {
            "entity": "pageview",
            "entity_id": "CDBUGS",
            "aggregates": "pageviews,avg_duration,bounce_rate",
        }
        async with http.get(f"{server.url}/aggregations", params=query) as answer:
            assert await answer.json() == [{"pageviews": "2", "avg_duration": "10.0000", "bounce_rate": 0}]


@pytest.mark.skipif(not REAL_LOG.exists(), reason="the sample log is not there")
def test_a_real_log() -> None:
    data = Dataset.from_access_log(REAL_LOG, hostname="semicomplete.com")
    assert data.skipped <= 1
    assert len(data.pageviews) > 4000
    paths = Counter(view.pathname for view in data.pageviews)
    assert len(paths) == 902
    assert paths.most_common(1)[0][0] == "/favicon.ico"
    assert {view.browser for view in data.pageviews} >= {"Chrome", "Firefox", "Safari"}
