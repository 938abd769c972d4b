from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fathom_async.testing import Dataset, FathomServer, Pageview, Site

Ask = Callable[..., Awaitable[tuple[int, Any]]]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def seen(minutes: float, session: str, path: str, referrer: str = "") -> Pageview:
    return Pageview(
        site_id="CDBUGS",
        at=NOW - timedelta(minutes=minutes),
        session=session,
        hostname="bugsbunny.com",
        pathname=path,
        referrer_hostname=referrer,
        referrer_pathname="/why" if referrer else "",
    )


async def test_current_visitors_are_the_sessions_of_five_minutes(ask: Ask) -> None:
    views = [
        seen(6, "old", "/"),
        seen(4, "a", "/", "https://usefathom.com"),
        seen(3, "a", "/"),
        seen(2, "b", "/"),
        seen(1, "b", "/x"),
    ]
    data = Dataset(sites=[Site(id="CDBUGS", name="Bugs")], pageviews=views)
    async with FathomServer(data=data, now=NOW, clock=lambda: 0.0) as server:
        assert await ask(server, "GET", "/current_visitors", site_id="CDBUGS") == (200, {"total": 2})
        assert await ask(server, "GET", "/current_visitors", site_id="CDBUGS", detailed="true") == (
            200,
            {
                "total": 2,
                "content": [
                    {"hostname": "bugsbunny.com", "pathname": "/", "total": "2"},
                    {"hostname": "bugsbunny.com", "pathname": "/x", "total": "1"},
                ],
                "referrers": [
                    {"referrer_hostname": "https://usefathom.com", "referrer_pathname": "/why", "total": 1}
                ],
            },
        )


async def test_the_top_150_pages_are_told(ask: Ask) -> None:
    views = [seen(1, "a", f"/{n}") for n in range(200)]
    data = Dataset(sites=[Site(id="CDBUGS", name="Bugs")], pageviews=views)
    async with FathomServer(data=data, now=NOW, clock=lambda: 0.0) as server:
        _, body = await ask(server, "GET", "/current_visitors", site_id="CDBUGS", detailed="1")
        assert len(body["content"]) == 150


async def test_the_site_must_be_told_and_exist(ask: Ask) -> None:
    async with FathomServer() as server:
        status, body = await ask(server, "GET", "/current_visitors")
        assert (status, body) == (400, {"errors": {"site_id": ["The site id field is required."]}})
        assert (await ask(server, "GET", "/current_visitors", site_id="NOSUCH"))[0] == 404
