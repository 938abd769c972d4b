"""The embedded servers, with requests that the clients never send."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator

import aiohttp
import pytest

from fathom_async.testing.connectors import EmmaServer, SecodaServer
from tests.conftest import until

pytestmark = pytest.mark.virtual_time

BASIC = {"Authorization": f"Basic {b64encode(b'public:private').decode()}"}
BEARER = {"Authorization": "Bearer token"}
EVENT: dict[str, object] = {"member_id": 555, "event_type": "visit"}


@pytest.fixture
async def mail() -> AsyncIterator[EmmaServer]:
    async with EmmaServer(throttle=None) as server:
        server.add_type("visit")
        yield server


@pytest.fixture
async def catalog() -> AsyncIterator[SecodaServer]:
    async with SecodaServer(writes_throttle=None) as server:
        yield server


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_who_does_not_say_who_they_are_is_told_so_whatever_they_accept(
    mail: EmmaServer, catalog: SecodaServer, web: aiohttp.ClientSession
) -> None:
    for url, told in (
        (f"{mail.url}/100/events", {"error": "Unauthorized"}),
        (
            f"{catalog.url}/api/v1/event/events/",
            {"detail": "Authentication credentials were not provided."},
        ),
    ):
        for accept in ("*/*", "application/json", "text/html"):
            async with web.get(url, headers={"Accept": accept}) as answer:
                assert (answer.status, await answer.json()) == (401, told)


@pytest.mark.parametrize(
    "query",
    ["start=abc", "start=-1", "end=x", "start=0&end=501", "start=0&end=1000", "start=5&end=3", "start=1e2"],
)
async def test_emma_refuses_ranges_that_are_none(
    mail: EmmaServer, web: aiohttp.ClientSession, query: str
) -> None:
    for at in ("events", "events/members/555"):
        async with web.get(f"{mail.url}/100/{at}?{query}", headers=BASIC) as answer:
            assert answer.status == 400


@pytest.mark.parametrize(
    "event",
    [
        "x",
        {**EVENT, "event_timestamp": "@D:garbage"},
        {**EVENT, "event_timestamp": "2025-12-02T11:23:47"},
        {**EVENT, "event_timestamp": 5},
        {**EVENT, "event_monetary_value": "x"},
        {**EVENT, "event_monetary_value": True},
        {**EVENT, "mailing_id": 1.5},
        {**EVENT, "attributes": 5},
    ],
)
async def test_emma_refuses_events_that_are_none(
    mail: EmmaServer, web: aiohttp.ClientSession, event: object
) -> None:
    url = f"{mail.url}/100/events/members"
    async with web.post(url, json={"events": [EVENT, event]}, headers=BASIC) as answer:
        assert answer.status == 400
    assert mail.events == []


async def test_emma_takes_events_with_everything(mail: EmmaServer, web: aiohttp.ClientSession) -> None:
    whole = {
        **EVENT,
        "event_timestamp": "@D:2025-12-02T11:23:47.5",
        "event_monetary_value": 1,
        "mailing_id": 7,
        "attributes": {"a": [1]},
    }
    url = f"{mail.url}/100/events/members"
    async with web.post(url, json={"events": [whole]}, headers=BASIC) as answer:
        assert answer.status == 200
    assert mail.events[0]["event_timestamp"] == "@D:2025-12-02T11:23:47.5"


async def test_emma_wants_names_to_be_texts(mail: EmmaServer, web: aiohttp.ClientSession) -> None:
    names = {"event_type": 5, "display_name": ["x"]}
    async with web.post(f"{mail.url}/100/events", json=names, headers=BASIC) as answer:
        assert answer.status == 400


async def test_emma_gives_no_number_twice(mail: EmmaServer, web: aiohttp.ClientSession) -> None:
    first, second = next(iter(mail.types)), mail.add_type("buy")
    events = [mail.add_event(number, 555)["event_id"] for number in (first, second)]
    async with web.delete(f"{mail.url}/100/events/{first}", headers=BASIC) as answer:
        assert answer.status == 200
    third = mail.add_type("sell")
    assert len({first, second, third}) == 3
    assert mail.types[second]["event_type"] == "buy"
    assert mail.add_event(third, 555)["event_id"] not in events


@pytest.mark.parametrize("page", ["abc", "0", "-1", "2", ""])
async def test_secoda_has_no_such_page(catalog: SecodaServer, web: aiohttp.ClientSession, page: str) -> None:
    for at in ("event/events", "resource/catalog"):
        async with web.get(f"{catalog.url}/api/v1/{at}/?page={page}", headers=BEARER) as answer:
            assert (answer.status, await answer.json()) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pii", "maybe"),
        ("verified", 1),
        ("tags", "x"),
        ("owners", [1]),
        ("description", 5),
        ("definition", ["x"]),
    ],
)
async def test_secoda_names_the_field_that_is_wrong(
    catalog: SecodaServer, web: aiohttp.ClientSession, field: str, value: object
) -> None:
    name = catalog.add("event", "signup")
    before = dict(catalog.entries[name])
    url = f"{catalog.url}/api/v1/event/events/{name}/"
    async with web.patch(url, json={field: value}, headers=BEARER) as answer:
        assert answer.status == 400
        assert list(await answer.json()) == [field]
    assert catalog.entries[name] == before


@pytest.mark.parametrize(
    "filter", ["x", "[]", '{"operator": "zz"}', '{"operator": "and", "operands": 5}', '{"operator": []}']
)
async def test_secoda_refuses_filters_that_are_none(
    catalog: SecodaServer, web: aiohttp.ClientSession, filter: str
) -> None:
    catalog.add("event", "signup")
    url = f"{catalog.url}/api/v1/resource/catalog/"
    async with web.get(url, params={"filter": filter}, headers=BEARER) as answer:
        assert answer.status == 400


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_fault(
    mail: EmmaServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host, port = mail.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /100/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BASIC['Authorization']}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await until(lambda: bool(mail.hits))
    await asyncio.sleep(0.05)
    assert [hit.status for hit in mail.hits] == [499]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
