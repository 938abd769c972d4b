"""Each endpoint once: the request, and the result of the reference page's sample answer."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from aioresponses.compat import normalize_url
from attrs import evolve, frozen

from fathom_async import (
    Account,
    CurrentVisitors,
    Deleted,
    Event,
    EventQuery,
    FathomClient,
    Milestone,
    Page,
    PageviewQuery,
    Site,
    Token,
)
from fathom_async.models import PageVisitors, ReferrerVisitors

BASE = "https://api.usefathom.com/v1"


class _Unsent:
    """Stands for the stream that a mocked request was never written to."""

    output_size = 0


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Answers of our choice instead of the network.

    aioresponses 0.7.9 makes answers without the `stream_writer` that aiohttp demands since 3.14. Newer releases
    of aioresponses will pass one themselves, and older ones of aiohttp have no such parameter: then nothing is
    changed.
    """
    if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
        plain = ClientResponse.__init__

        def with_stream_writer(self: ClientResponse, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", _Unsent())
            plain(self, *args, **kwargs)

        monkeypatch.setattr(ClientResponse, "__init__", with_stream_writer)
    with aioresponses() as mock:
        yield mock


@frozen
class Call:
    """One call of one endpoint, and the page's sample of its answer."""

    made: Callable[[FathomClient], Awaitable[object]]
    method: str
    target: str
    sample: object
    result: object
    body: object = None
    status: int = 200


SITE = {
    "id": "CDBUGS",
    "object": "site",
    "name": "Bugs Bunny Portfolio",
    "sharing": "none",
    "created_at": "2020-07-27 12:01:01",
    "timezone": "America/New_York",
}
SITE_OBJECT = Site(
    "CDBUGS",
    "Bugs Bunny Portfolio",
    "none",
    datetime(2020, 7, 27, 12, 1, 1, tzinfo=UTC),
    "America/New_York",
)
EVENT = {
    "id": "ABCDEFGH",
    "object": "event",
    "name": "Signed up to newsletter",
    "currency": None,
    "created_at": "2020-08-21 15:24:00",
}
EVENT_OBJECT = Event("Signed up to newsletter", "ABCDEFGH", None, datetime(2020, 8, 21, 15, 24, tzinfo=UTC))
EVENT_WITHOUT_ID = {name: value for name, value in EVENT.items() if name != "id"}
MILESTONE_ID = "ddc9cdff-ab83-41fa-96c6-dfb276a862e7"
MILESTONE = {
    "id": MILESTONE_ID,
    "object": "milestone",
    "name": "Website Redesign Launch",
    "milestone_date": "2024-01-15 00:00:00",
    "created_at": "2024-01-10 12:00:00",
    "updated_at": "2024-01-10 12:00:00",
}
MILESTONE_OBJECT = Milestone(
    MILESTONE_ID,
    "Website Redesign Launch",
    date(2024, 1, 15),
    datetime(2024, 1, 10, 12, tzinfo=UTC),
    datetime(2024, 1, 10, 12, tzinfo=UTC),
)


def page_of(url: str, *objects: object) -> dict[str, object]:
    return {"object": "list", "url": url, "has_more": False, "data": list(objects)}


CALLS = {
    "account.get": Call(
        lambda f: f.account.get(),
        "GET",
        "/account",
        {"id": 500302232, "object": "account", "name": "Homer Simpson", "email": "homer@simpsonsfamily.doh"},
        Account(500302232, "Homer Simpson", "homer@simpsonsfamily.doh"),
    ),
    "token.get": Call(
        lambda f: f.token.get(),
        "GET",
        "/token",
        {
            "name": "Production server",
            "version": 4,
            "abilities": ["*"],
            "last_used_at": "2024-01-15 09:24:00",
            "expires_at": None,
            "created_at": "2024-01-01 12:00:00",
            "updated_at": "2024-01-15 09:24:00",
        },
        Token(
            "Production server",
            4,
            ("*",),
            datetime(2024, 1, 15, 9, 24, tzinfo=UTC),
            None,
            datetime(2024, 1, 1, 12, tzinfo=UTC),
            datetime(2024, 1, 15, 9, 24, tzinfo=UTC),
        ),
    ),
    "sites.list": Call(
        lambda f: f.sites.list(limit=10, starting_after="CDAAAA"),
        "GET",
        "/sites?limit=10&starting_after=CDAAAA",
        page_of("/v1/sites", SITE),
        Page((SITE_OBJECT,), has_more=False, url="/v1/sites"),
    ),
    "sites.get": Call(lambda f: f.sites.get("CDBUGS"), "GET", "/sites/CDBUGS", SITE, SITE_OBJECT),
    "sites.create": Call(
        lambda f: f.sites.create(
            name="Bugs Bunny Portfolio",
            sharing="private",
            share_password="carrot",
            timezone="America/New_York",
        ),
        "POST",
        "/sites",
        SITE,
        SITE_OBJECT,
        {
            "name": "Bugs Bunny Portfolio",
            "sharing": "private",
            "share_password": "carrot",
            "timezone": "America/New_York",
        },
    ),
    "sites.update": Call(
        lambda f: f.sites.update("CDBUGS", share_password=None, multi_domain=False),
        "POST",
        "/sites/CDBUGS",
        SITE,
        SITE_OBJECT,
        {"share_password": None, "multi_domain": False},
    ),
    "sites.wipe": Call(lambda f: f.sites.wipe("CDBUGS"), "DELETE", "/sites/CDBUGS/data", SITE, None),
    "sites.delete": Call(
        lambda f: f.sites.delete("GCDFS"),
        "DELETE",
        "/sites/GCDFS",
        {"id": "GCDFS", "object": "site", "deleted": True},
        Deleted("GCDFS", object="site"),
    ),
    "events.list": Call(
        lambda f: f.events.list("CDBUGS", ending_before="IJKLMNOP"),
        "GET",
        "/sites/CDBUGS/events?limit=100&ending_before=IJKLMNOP",
        page_of("/v1/sites/CDBUGS/events", EVENT),
        Page((EVENT_OBJECT,), has_more=False, url="/v1/sites/CDBUGS/events"),
    ),
    "events.list by name": Call(
        lambda f: f.events.list("CDBUGS"),
        "GET",
        "/sites/CDBUGS/events?limit=100",
        page_of("/v1/sites/CDBUGS/events", EVENT_WITHOUT_ID),
        Page(
            (Event("Signed up to newsletter", created_at=datetime(2020, 8, 21, 15, 24, tzinfo=UTC)),),
            has_more=False,
            url="/v1/sites/CDBUGS/events",
        ),
    ),
    "events.get": Call(
        lambda f: f.events.get("CDBUGS", "ABCDEFGH"),
        "GET",
        "/sites/CDBUGS/events/ABCDEFGH",
        EVENT,
        EVENT_OBJECT,
    ),
    "events.create": Call(
        lambda f: f.events.create("CDBUGS", name="Signed up to newsletter", currency="euro"),
        "POST",
        "/sites/CDBUGS/events",
        EVENT,
        EVENT_OBJECT,
        {"name": "Signed up to newsletter", "currency": "euro"},
    ),
    "events.update": Call(
        lambda f: f.events.update("CDBUGS", "ABCDEFGH", name="Purchase early access (live)"),
        "POST",
        "/sites/CDBUGS/events/ABCDEFGH",
        EVENT,
        EVENT_OBJECT,
        {"name": "Purchase early access (live)"},
    ),
    "events.wipe": Call(
        lambda f: f.events.wipe("CDBUGS", "ABCDEFGH"),
        "DELETE",
        "/sites/CDBUGS/events/ABCDEFGH/data",
        EVENT,
        None,
    ),
    "events.delete": Call(
        lambda f: f.events.delete("CDBUGS", "ABCDEFGH"),
        "DELETE",
        "/sites/CDBUGS/events/ABCDEFGH",
        {"id": "ABCDEFGH", "object": "event", "deleted": True},
        Deleted("ABCDEFGH", object="event"),
    ),
    "events.delete_by_name": Call(
        lambda f: f.events.delete_by_name("CDBUGS", "Signed up & paid"),
        "DELETE",
        "/sites/CDBUGS/events?name=Signed+up+%26+paid",
        {"id": None, "object": "event", "deleted": True},
        Deleted(None, object="event"),
    ),
    "events.set_currency": Call(
        lambda f: f.events.set_currency("CDBUGS", "purchase", "yen"),
        "POST",
        "/sites/CDBUGS/events/currency",
        EVENT,
        evolve(EVENT_OBJECT, currency="yen"),
        {"name": "purchase", "currency": "yen"},
    ),
    "events.set_currency answered without a name": Call(
        lambda f: f.events.set_currency("CDBUGS", "purchase", "yen"),
        "POST",
        "/sites/CDBUGS/events/currency",
        {"object": "event", "name": None, "success": True},
        Event("purchase", currency="yen", extra={"success": True}),
        {"name": "purchase", "currency": "yen"},
    ),
    "milestones.list": Call(
        lambda f: f.milestones.list("CDBUGS"),
        "GET",
        "/sites/CDBUGS/milestones?limit=100",
        page_of("/api/v1/CDBUGS/milestones", MILESTONE),
        Page((MILESTONE_OBJECT,), has_more=False, url="/api/v1/CDBUGS/milestones"),
    ),
    "milestones.get": Call(
        lambda f: f.milestones.get("CDBUGS", MILESTONE_ID),
        "GET",
        f"/sites/CDBUGS/milestones/{MILESTONE_ID}",
        MILESTONE,
        MILESTONE_OBJECT,
    ),
    "milestones.create": Call(
        lambda f: f.milestones.create(
            "CDBUGS", name="Website Redesign Launch", milestone_date=date(2024, 1, 15)
        ),
        "POST",
        "/sites/CDBUGS/milestones",
        MILESTONE,
        MILESTONE_OBJECT,
        {"name": "Website Redesign Launch", "milestone_date": "2024-01-15"},
        status=201,
    ),
    "milestones.update": Call(
        lambda f: f.milestones.update("CDBUGS", MILESTONE_ID, name="v2", milestone_date="2024-01-20"),
        "POST",
        f"/sites/CDBUGS/milestones/{MILESTONE_ID}",
        MILESTONE,
        MILESTONE_OBJECT,
        {"name": "v2", "milestone_date": "2024-01-20"},
    ),
    "milestones.delete": Call(
        lambda f: f.milestones.delete("CDBUGS", MILESTONE_ID),
        "DELETE",
        f"/sites/CDBUGS/milestones/{MILESTONE_ID}",
        {"id": MILESTONE_ID, "object": "milestone", "deleted": True},
        Deleted(MILESTONE_ID, object="milestone"),
    ),
    "reports.current_visitors": Call(
        lambda f: f.reports.current_visitors("CDBUGS"),
        "GET",
        "/current_visitors?site_id=CDBUGS",
        {"total": 14},
        CurrentVisitors(14),
    ),
    "reports.current_visitors detailed": Call(
        lambda f: f.reports.current_visitors("CDBUGS", detailed=True),
        "GET",
        "/current_visitors?site_id=CDBUGS&detailed=true",
        {
            "total": 144,
            "content": [{"hostname": "bugsbunny.com", "pathname": "/spacejam", "total": "100"}],
            "referrers": [
                {
                    "referrer_hostname": "https://usefathom.com",
                    "referrer_pathname": "/why-we-love-bugs-bunny",
                    "total": 50,
                }
            ],
        },
        CurrentVisitors(
            144,
            (PageVisitors("bugsbunny.com", "/spacejam", 100),),
            (ReferrerVisitors("https://usefathom.com", "/why-we-love-bugs-bunny", 50),),
        ),
    ),
}


def sent_body(request: Any) -> object:
    data = request.kwargs["data"]
    return None if data is None else json.loads(data)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_an_endpoint_sends_and_reads_what_its_page_says(mocked: Any, call: Call) -> None:
    mocked.add(BASE + call.target, call.method, status=call.status, payload=call.sample)
    async with FathomClient("secret") as fathom:
        assert await call.made(fathom) == call.result
    [[request]] = mocked.requests.values()
    [(method, url)] = mocked.requests
    assert (method, url) == (call.method, normalize_url(BASE + call.target))
    assert sent_body(request) == call.body


NEW: dict[str, object] = {"colour": "red", "id": [1, None], "cls": {"created_at": 5}}

WRITES: dict[str, tuple[Callable[[FathomClient], Awaitable[object]], dict[str, object]]] = {
    "sites.create": (lambda f: f.sites.create(name="A", extra=NEW), {"name": "A"}),
    "sites.update": (lambda f: f.sites.update("CDBUGS", extra=NEW), {}),
    "events.create": (lambda f: f.events.create("CDBUGS", name="A", extra=NEW), {"name": "A"}),
    "events.update": (lambda f: f.events.update("CDBUGS", "E", extra=NEW), {}),
    "events.set_currency": (
        lambda f: f.events.set_currency("CDBUGS", "A", "yen", extra=NEW),
        {"name": "A", "currency": "yen"},
    ),
    "milestones.create": (
        lambda f: f.milestones.create("CDBUGS", name="A", milestone_date="2024-01-15", extra=NEW),
        {"name": "A", "milestone_date": "2024-01-15"},
    ),
    "milestones.update": (
        lambda f: f.milestones.update("CDBUGS", "M", name="A", milestone_date="2024-01-15", extra=NEW),
        {"name": "A", "milestone_date": "2024-01-15"},
    ),
}


@pytest.mark.parametrize(("write", "known"), WRITES.values(), ids=WRITES)
async def test_fields_that_we_do_not_know_are_sent(
    mocked: Any, write: Callable[[FathomClient], Awaitable[object]], known: dict[str, object]
) -> None:
    anything: Any = re.compile(".*")
    mocked.add(anything, "POST", payload=SITE | EVENT | MILESTONE)
    async with FathomClient("secret") as fathom:
        await write(fathom)
    [[request]] = mocked.requests.values()
    assert sent_body(request) == known | NEW


async def test_a_field_that_we_do_not_know_stands_in_for_none_of_an_answer_without_a_body(
    mocked: Any,
) -> None:
    mocked.add(BASE + "/sites/CDBUGS/events/E", "POST", status=204)
    async with FathomClient("secret") as fathom:
        made = await fathom.events.update("CDBUGS", "E", name="A", extra=NEW | {"created_at": 5})
    assert made == Event("A", id="E")


async def test_a_pageview_report(mocked: Any) -> None:
    target = (
        "/aggregations?entity=pageview&entity_id=CDBUGS&aggregates=pageviews"
        "&field_grouping=browser%2Cdevice_type&limit=1000"
    )
    sample = [
        {"browser": "Chrome", "device_type": "Desktop", "pageviews": "30000"},
        {"browser": "Firefox", "device_type": "Mobile", "pageviews": "300"},
    ]
    mocked.add(BASE + target, "GET", payload=sample)
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["browser", "device_type"])
    async with FathomClient("secret") as fathom:
        report = await fathom.reports.aggregate(query)
    assert report.columns == ("browser", "device_type", "pageviews")
    assert [(row.browser, row.device_type, row.pageviews) for row in report.rows] == [
        ("Chrome", "Desktop", 30000),
        ("Firefox", "Mobile", 300),
    ]
    assert not report.truncated


async def test_an_event_report(mocked: Any) -> None:
    target = "/aggregations?entity=event&site_id=CDBUGS&entity_name=purchase&aggregates=conversions%2Cvalue"
    mocked.add(BASE + target, "GET", payload=[{"conversions": "12", "value": "4599"}])
    async with FathomClient("secret") as fathom:
        report = await fathom.reports.aggregate(
            EventQuery("CDBUGS", "purchase", aggregates=["conversions", "value"])
        )
    assert report.rows[0].conversions == 12
    assert report.rows[0].value == 4599


async def test_fields_that_the_server_adds_are_kept(mocked: Any) -> None:
    mocked.add(BASE + "/sites/CDBUGS", "GET", payload={**SITE, "colour": "grey", "tags": ["a"]})
    async with FathomClient("secret") as fathom:
        site = await fathom.sites.get("CDBUGS")
    assert site == SITE_OBJECT
    assert site.extra == {"colour": "grey", "tags": ["a"]}
