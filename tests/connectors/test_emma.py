"""Emma: each endpoint once against the page's sample, then batches, pages, limits and dates."""

import asyncio
import inspect
import json
import pickle
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TypedDict, cast

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    DecodeError,
    Deleted,
    NotFoundError,
    PermissionDeniedError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    ServerError,
    TransportError,
    ValidationError,
    WaitTooLongError,
)
from fathom_async._core.request import Response
from fathom_async.connectors import EmmaClient
from fathom_async.connectors.emma import BatchError, EmmaPlan, EventType, MemberEvent, NewMemberEvent
from fathom_async.connectors.emma._client import is_refusal
from fathom_async.models import Page
from fathom_async.testing import Disconnect, Status
from tests.conftest import EAGER, until
from tests.connectors.recorded import Recorder
from tests.support.emma_pages import EmmaPages, documented_limit

pytestmark = pytest.mark.virtual_time


class Keys(TypedDict):
    public_key: str
    private_key: str


MEMBERS = {number: f"m{number}@example.com" for number in range(1, 100)}
KEYS = Keys(public_key="public", private_key="s3cret")

VISITED = """{
    "account_id": 100,
    "created_at": "@D:2025-11-24T10:23:10",
    "display_name": "Visited Website",
    "event_type": "visited_website",
    "event_type_id": 300
}"""
# The page has `event_type` and `display_name` the wrong way round here. They are read as they come.
PURCHASED = """{
    "account_id": 100,
    "created_at": "@D:2025-11-25T10:32:44",
    "event_type": "Purchased Tickets",
    "display_name": "purchased_tickets",
    "event_type_id": 200
}"""
VISITED_TYPE = EventType(
    300, "visited_website", "Visited Website", 100, datetime(2025, 11, 24, 10, 23, 10, tzinfo=UTC)
)
PURCHASED_TYPE = EventType(
    200, "Purchased Tickets", "purchased_tickets", 100, datetime(2025, 11, 25, 10, 32, 44, tzinfo=UTC)
)

# The page lacks the comma after `inserted_at`, and has one too many after `member_id`.
CREATED = """[
    {
        "account_id": 100,
        "attributes": null,
        "event_timestamp": "@D:2025-12-02T11:23:47",
        "event_id": 1,
        "event_type_id": 300,
        "event_monetary_value": 8.0,
        "inserted_at": "@D:2025-12-02T11:23:47",
        "mailing_id": null,
        "member_id": 555
    },
    {
        "account_id": 100,
        "attributes": null,
        "event_timestamp": "@D:2025-12-02T11:23:47",
        "event_id": 1,
        "event_type_id": 300,
        "event_monetary_value": 2.0,
        "inserted_at": "@D:2025-12-02T11:23:47",
        "mailing_id": null,
        "member_id": 444
    }
]"""
# Likewise. The page asks for member 555 and answers with 444; there is no `event_id` and are no `attributes`.
LISTED = """[
    {
        "account_id": 100,
        "event_timestamp": "@D:2025-12-02T11:23:47",
        "event_type_id": 300,
        "event_monetary_value": 8.0,
        "inserted_at": "@D:2025-12-02T11:23:47",
        "mailing_id": null,
        "member_id": 444
    },
    {
        "account_id": 100,
        "event_timestamp": "@D:2025-12-02T11:23:47",
        "event_type_id": 400,
        "event_monetary_value": 2.0,
        "inserted_at": "@D:2025-12-02T11:23:47",
        "mailing_id": null,
        "member_id": 444
    }
]"""
AT = datetime(2025, 12, 2, 11, 23, 47, tzinfo=UTC)
HOMERS = MemberEvent(300, 555, 1, 8.0, AT, AT, account_id=100)
MARGES = MemberEvent(300, 444, 1, 2.0, AT, AT, account_id=100)

EVERYTHING = NewMemberEvent(
    member_id=555,
    event_type_id=300,
    attributes={"seats": [1, 2], "note": "@D: no date"},
    event_monetary_value=8.0,
    mailing_id=7,
    event_timestamp=AT,
)
BY_NAMES = NewMemberEvent(
    email="marge@simpsonsfamily.doh", event_type="visited_website", extra={"colour": {"a": [1]}}
)


@frozen
class Call:
    """One call of one endpoint: the request, the answer, and the result."""

    made: Callable[[EmmaClient], Awaitable[object]]
    method: str
    path: str
    sample: str
    result: object
    params: Mapping[str, str] = {}
    body: object = None


LOOP: dict[str, object] = {}
LOOP["self"] = LOOP


def sent_events(wire: Recorder) -> list[dict[str, str]]:
    """The events of the last request."""
    return cast("dict[str, list[dict[str, str]]]", wire.requests[-1].body)["events"]


async def created(emma: EmmaClient) -> object:
    return (await emma.member_events.create([EVERYTHING, BY_NAMES])).result()


ALL = {"start": "0", "end": "500"}
TICKETS = {"event_type": "Purchased Tickets", "display_name": "purchased_tickets"}

CALLS = {
    "event_types.create": Call(
        lambda e: e.event_types.create(event_type="visited_website", display_name="Visited Website"),
        "POST",
        "/events",
        VISITED,
        VISITED_TYPE,
        body={"event_type": "visited_website", "display_name": "Visited Website"},
    ),
    "event_types.list": Call(
        lambda e: e.event_types.list(),
        "GET",
        "/events",
        f"[{VISITED}, {PURCHASED}]",
        Page((VISITED_TYPE, PURCHASED_TYPE), has_more=False),
        ALL,
    ),
    "event_types.count": Call(lambda e: e.event_types.count(), "GET", "/events", "2", 2, {"count": "true"}),
    "event_types.get": Call(
        lambda e: e.event_types.get(200),
        "GET",
        "/events/200",
        PURCHASED.replace("Purchased", "New Purchased").replace("purchased", "new_purchased"),
        evolve(PURCHASED_TYPE, event_type="New Purchased Tickets", display_name="new_purchased_tickets"),
    ),
    "event_types.update": Call(
        lambda e: e.event_types.update(200, **TICKETS, extra={"colour": "red"}),
        "PUT",
        "/events/200",
        PURCHASED,
        PURCHASED_TYPE,
        body={**TICKETS, "colour": "red"},
    ),
    "event_types.delete": Call(
        lambda e: e.event_types.delete(200),
        "DELETE",
        "/events/200",
        "true",
        Deleted("200", object="event_type"),
    ),
    "member_events.create": Call(
        created,
        "POST",
        "/events/members",
        CREATED,
        (HOMERS, MARGES),
        body={
            "events": [
                {
                    "member_id": 555,
                    "event_type_id": 300,
                    "attributes": {"seats": [1, 2], "note": "@D: no date"},
                    "event_monetary_value": 8.0,
                    "mailing_id": 7,
                    "event_timestamp": "@D:2025-12-02T11:23:47",
                },
                {"email": "marge@simpsonsfamily.doh", "event_type": "visited_website", "colour": {"a": [1]}},
            ]
        },
    ),
    "member_events.list": Call(
        lambda e: e.member_events.list(555),
        "GET",
        "/events/members/555",
        LISTED,
        Page(
            (
                evolve(HOMERS, member_id=444, event_id=None),
                evolve(MARGES, event_type_id=400, event_id=None),
            ),
            has_more=False,
        ),
        ALL,
    ),
    "member_events.count": Call(
        lambda e: e.member_events.count(555), "GET", "/events/members/555", "2", 2, {"count": "true"}
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_each_endpoint(name: str) -> None:
    call = CALLS[name]
    wire = Recorder(call.sample)
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        assert await call.made(emma) == call.result
    assert wire.last == (call.method, call.path, call.params, call.body)


def test_every_endpoint_is_tested() -> None:
    public = {
        f"{name}.{method}"
        for name, kind in inspect.get_annotations(EmmaClient).items()
        if not name.startswith("_")
        for method, _ in inspect.getmembers(kind, inspect.isfunction)
        if not method.startswith("_")
    }
    assert public == set(CALLS)


@pytest.fixture
async def server() -> AsyncIterator[EmmaPages]:
    async with EmmaPages(members=MEMBERS, limit=documented_limit()) as running:
        yield running


@pytest.fixture
async def emma(server: EmmaPages) -> AsyncIterator[EmmaClient]:
    async with EmmaClient(100, base_url=server.url, retry=EAGER, **KEYS) as client:
        yield client


def visits(count: int, member_id: int | None = None) -> list[NewMemberEvent]:
    """Events of the type `visit` that can be told apart by their value."""
    return [
        NewMemberEvent(
            member_id=member_id or 1 + number % 99, event_type="visit", event_monetary_value=number
        )
        for number in range(count)
    ]


async def test_types_come_and_go(emma: EmmaClient, server: EmmaPages) -> None:
    made = await emma.event_types.create(event_type="купить", display_name="Купить")
    assert await emma.event_types.get(made.event_type_id) == made
    assert (await emma.event_types.update(made.event_type_id, event_type="buy", display_name="B")) == evolve(
        made, event_type="buy", display_name="B"
    )
    other = await emma.event_types.create(event_type="sell", display_name="Sell")
    with pytest.raises(ValidationError, match="already exists"):
        await emma.event_types.update(other.event_type_id, event_type="buy", display_name="Buy")
    await emma.event_types.delete(other.event_type_id)
    await emma.event_types.delete(made.event_type_id)
    assert (server.types, await emma.event_types.count()) == ({}, 0)
    with pytest.raises(NotFoundError):
        await emma.event_types.delete(made.event_type_id)


async def test_any_number_of_events_in_batches_and_in_order(emma: EmmaClient, server: EmmaPages) -> None:
    server.add_type("visit")
    creation = await emma.member_events.create(iter(visits(47)))
    assert [len(batch.events) for batch in creation.batches] == [10, 10, 10, 10, 7]
    assert [event.event_monetary_value for event in creation.result()] == [*range(47)]
    assert creation.failed == ()
    assert await emma.member_events.count(1) == 1
    assert (await emma.member_events.create([])).result() == ()


async def test_a_batch_that_fails_is_reported_with_its_events(emma: EmmaClient, server: EmmaPages) -> None:
    server.add_type("visit")
    events = visits(30)
    events[15] = NewMemberEvent(email="nobody@example.com", event_type="visit")
    creation = await emma.member_events.create(events)
    (failed,) = creation.failed
    assert failed.events == tuple(events[10:20])
    assert isinstance(failed.error, ValidationError)
    assert not failed.perhaps_created
    assert len(creation.created) == len(server.events) == 20
    with pytest.raises(BatchError, match="1 of 3 batches failed, with 10 events") as caught:
        creation.result()
    assert pickle.loads(pickle.dumps(caught.value)).batches[0] == creation.batches[0]  # noqa: S301 - our own


@pytest.mark.parametrize("fault", [Disconnect(after_processing=True), Status(500), Status(503)])
async def test_a_batch_that_was_perhaps_processed_is_never_sent_twice(
    emma: EmmaClient, server: EmmaPages, fault: Disconnect | Status
) -> None:
    server.add_type("visit")
    server.inject(fault, method="POST")
    creation = await emma.member_events.create(visits(20))
    (failed,) = creation.failed
    assert isinstance(failed.error, TransportError | ServerError)
    assert failed.perhaps_created
    assert len(server.hits) == 2
    values = [event["event_monetary_value"] for event in server.events]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("status", [408, 501, 520, 522, 524])
async def test_a_status_that_does_not_say_leaves_the_batch_in_doubt(
    emma: EmmaClient, server: EmmaPages, status: int
) -> None:
    server.add_type("visit")
    server.inject(Status(status), method="POST")
    (failed,) = (await emma.member_events.create(visits(1))).failed
    assert failed.perhaps_created
    assert len(server.hits) == 1


async def test_one_event_that_cannot_be_sent_keeps_every_batch_back(
    emma: EmmaClient, server: EmmaPages
) -> None:
    server.add_type("visit")
    said: dict[str, object] = {"seats": [1]}
    changed = NewMemberEvent(member_id=1, event_type="visit", attributes=said)
    assert isinstance(changed.attributes, dict)
    changed.attributes["seats"] = object()
    early = datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))
    late = NewMemberEvent(member_id=1, event_type="visit", event_timestamp=early)
    for bad in (changed, late):
        with pytest.raises(ArgumentError):
            await emma.member_events.create([*visits(25), bad])
    assert (server.hits, server.events) == ((), [])


def test_attributes_are_copied_when_the_event_is_made() -> None:
    said: dict[str, object] = {"seats": [1], "pair": (1, 2)}
    event = NewMemberEvent(member_id=1, event_type="visit", attributes=said)
    said["seats"] = object()
    assert event.attributes == {"seats": [1], "pair": [1, 2]}


async def test_events_differ_by_their_attributes() -> None:
    def answer(attributes: object) -> Recorder:
        return Recorder([{"event_type_id": 2, "member_id": 1, "attributes": attributes, "colour": "red"}])

    made: list[MemberEvent] = []
    for attributes in ({"a": 1}, {"a": 2}, {"a": 1}):
        async with EmmaClient(100, transport=answer(attributes), **KEYS) as emma:
            made += await emma.member_events.list(1)
    assert (made[0] == made[1], made[0] == made[2]) == (False, True)
    assert hash(made[0]) == hash(made[2])
    assert made[0] == evolve(made[0], extra={**made[0].extra, "colour": "blue"})


async def test_an_answer_of_another_length_is_no_success() -> None:
    wire = Recorder(CREATED)
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        (failed,) = (await emma.member_events.create(visits(3))).failed
    assert isinstance(failed.error, DecodeError)
    assert failed.perhaps_created


async def test_batches_that_cannot_be_sent_in_time_are_outcomes_too() -> None:
    async with EmmaPages() as server:
        server.add_type("visit")
        plan = EmmaPlan(requests=RateLimit(2, per=60))
        async with EmmaClient(100, base_url=server.url, plan=plan, **KEYS) as emma:
            await emma.event_types.list()
            urgent = emma.with_options(max_wait=1.0)
            creation = await urgent.member_events.create(visits(30, member_id=555))
    assert [type(batch.error) for batch in creation.batches] == [
        type(None),
        WaitTooLongError,
        WaitTooLongError,
    ]
    assert not any(batch.perhaps_created for batch in creation.batches)
    assert len(server.events) == 10


async def test_closing_the_client_leaves_batches_in_doubt() -> None:
    async with EmmaPages(handler_time=60.0) as server:
        server.add_type("visit")
        async with EmmaClient(100, base_url=server.url, **KEYS) as emma:
            creating = asyncio.create_task(emma.member_events.create(visits(10)))
            await until(lambda: emma.limits["account"].in_flight > 0)
            await emma.aclose()
            (batch,) = (await creating).batches
    assert isinstance(batch.error, ClosedError)
    assert batch.perhaps_created


async def test_two_clients_share_one_budget(tmp_path: Path) -> None:
    budget = f"file://{tmp_path}/budget"
    plan = EmmaPlan(requests=RateLimit(6, per=3600))
    async with (
        EmmaPages(limit=documented_limit()) as server,
        EmmaClient(100, base_url=server.url, plan=plan, budget=budget, **KEYS) as one,
        EmmaClient(100, base_url=server.url, plan=plan, budget=budget, **KEYS) as other,
    ):
        for _ in range(3):
            await one.event_types.count()
            await other.event_types.count()
        with pytest.raises(WaitTooLongError):
            await other.with_options(max_wait=1.0).event_types.count()
        assert len(server.hits) == 6


async def test_what_happens_is_told_without_the_keys(server: EmmaPages) -> None:
    told: list[object] = []
    async with EmmaClient(100, base_url=server.url, on_event=told.append, **KEYS) as emma:
        await emma.event_types.list()
    assert [type(event).__name__ for event in told] == ["Queued", "Admitted", "Sent", "Answered"]
    assert "s3cret" not in repr(told)
    assert b64encode(b"public:s3cret").decode() not in repr(told)


async def test_a_cancelled_creation_leaves_nothing_running() -> None:
    async with EmmaPages(handler_time=60.0) as server:
        server.add_type("visit")
        async with EmmaClient(100, base_url=server.url, **KEYS) as emma:
            creating = asyncio.create_task(emma.member_events.create(visits(300)))
            await until(lambda: emma.limits["account"].in_flight > 0)
            creating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creating
            assert (emma.limits["account"].in_flight, emma.limits["account"].queued) == (0, 0)
            assert asyncio.all_tasks() == {asyncio.current_task()} | {
                task for task in asyncio.all_tasks() if "RequestHandler" in repr(task)
            }
        assert server.events == []


async def test_180_a_minute_and_none_is_refused() -> None:
    async with (
        EmmaPages(members=MEMBERS, limit=documented_limit()) as server,
        EmmaClient(100, base_url=server.url, **KEYS) as emma,
    ):
        server.add_type("visit")
        creation = await emma.member_events.create(visits(2500, member_id=1))
        assert server.max_in_window("account") == 180
        assert {hit.status for hit in server.hits} == {200}
        assert len(creation.result()) == 2500
    assert 60 < asyncio.get_running_loop().time() < 70


async def test_a_refusal_is_a_403_that_pauses_the_lane() -> None:
    async with EmmaPages(limit=documented_limit()) as server:
        server.add_type("visit")
        for _ in range(180):  # somebody else has spent the budget
            limit = server.throttles["account"]
            assert limit is not None
            limit.hit(server.clock.time())
        async with EmmaClient(100, base_url=server.url, **KEYS) as emma:
            made = await emma.member_events.create(visits(1, member_id=555))
            assert emma.stats.refused >= 2  # without Retry-After, the pauses grow
    assert len(made.result()) == len(server.events) == 1


async def test_the_two_kinds_of_403_are_told_apart() -> None:
    once = RetryPolicy(refusals=0)
    over = Recorder({"error": "Rate Limit Exceeded"}, status=403)
    async with EmmaClient(100, transport=over, retry=once, **KEYS) as emma:
        with pytest.raises(RateLimitError, match="403 Forbidden"):
            await emma.event_types.list()
        assert emma.limits["account"].paused_for > 0
    plain = Recorder("403 Rate Limit Exceeded", status=403)
    async with EmmaClient(100, transport=plain, retry=once, **KEYS) as emma:
        with pytest.raises(RateLimitError):
            await emma.event_types.list()
    forbidden = Recorder({"error": "You may not see this account"}, status=403)
    async with EmmaClient(100, transport=forbidden, retry=once, **KEYS) as emma:
        with pytest.raises(PermissionDeniedError):
            await emma.event_types.list()
        assert emma.limits["account"].paused_for == 0


async def test_pages_of_500_until_the_end(emma: EmmaClient, server: EmmaPages) -> None:
    for number in range(1203):
        server.add_event(200, 5, event_monetary_value=float(number))
    values = [event.event_monetary_value async for event in emma.member_events.list(5)]
    assert values == [float(number) for number in range(1203)]
    part = emma.member_events.list(5, start=100, end=700)
    for _ in range(2):
        assert [event.event_monetary_value async for event in part] == values[100:700]
    assert len(await part) == 500
    asked = [(hit.query["start"], hit.query["end"]) for hit in server.hits]
    assert asked[:3] == [("0", "500"), ("500", "1000"), ("1000", "1500")]
    assert asked[3:5] == [("100", "600"), ("600", "700")]


async def test_a_whole_last_page_is_followed_by_an_empty_one(emma: EmmaClient, server: EmmaPages) -> None:
    for number in range(500):
        server.add_type(f"type {number}")
    assert len([kind async for kind in emma.event_types.list()]) == 500
    assert len(server.hits) == 2


async def test_a_server_that_does_not_page_does_not_loop() -> None:
    def sample(count: int) -> Recorder:
        return Recorder(json.dumps([json.loads(VISITED) | {"event_type_id": n} for n in range(count)]))

    for count, requests in ((499, 1), (500, 2), (501, 2), (502, 1), (700, 1)):
        whole = sample(count)
        async with EmmaClient(100, transport=whole, **KEYS) as emma:
            assert [kind.event_type_id async for kind in emma.event_types.list()] == [*range(count)]
        assert len(whole.requests) == requests


@pytest.mark.parametrize("count", [500, 501, 502])
async def test_a_list_that_grows_while_it_comes_whole_has_each_object_once(count: int) -> None:
    async with EmmaPages(ranges=False) as server, EmmaClient(100, base_url=server.url, **KEYS) as emma:
        for number in range(count):
            server.add_type(f"type {number}")
        found: list[str] = []
        async for kind in emma.event_types.list():
            if not found:
                server.add_type("late")
            found.append(kind.event_type)
    assert len(found) == len(set(found)) >= count


@pytest.mark.parametrize("count", [500, 501])
async def test_a_member_may_have_exactly_as_many_events_as_a_range(count: int) -> None:
    async with EmmaPages(ranges=False) as server, EmmaClient(100, base_url=server.url, **KEYS) as emma:
        for number in range(count):
            server.add_event(200, 555, event_monetary_value=float(number))
        values = [event.event_monetary_value async for event in emma.member_events.list(555)]
    assert values == [*range(count)]


@given(
    moment=st.datetimes(
        datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
        datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
    )
)
async def test_dates_survive_the_way_there_and_back(moment: datetime) -> None:
    wire = Recorder("[]")
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        event = NewMemberEvent(member_id=1, event_type_id=2, event_timestamp=moment)
        await emma.member_events.create([event])
        (sent,) = sent_events(wire)
    answer = Recorder([{"event_type_id": 2, "member_id": 1, "event_timestamp": sent["event_timestamp"]}])
    async with EmmaClient(100, transport=answer, **KEYS) as emma:
        (made,) = (await emma.member_events.create([event])).result()
    assert made.event_timestamp == moment.replace(microsecond=0)


@pytest.mark.parametrize("year", [1, 44, 999])
async def test_years_have_four_digits(year: int) -> None:
    wire = Recorder("[]")
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        moment = datetime(year, 3, 15, tzinfo=UTC)
        await emma.member_events.create(
            [NewMemberEvent(member_id=1, event_type_id=2, event_timestamp=moment)]
        )
    assert sent_events(wire)[0]["event_timestamp"] == f"@D:{year:04}-03-15T00:00:00"


async def test_dates_are_in_the_zone_of_the_account() -> None:
    wire = Recorder(f"[{VISITED}]")
    async with EmmaClient(100, transport=wire, timezone="America/Chicago", **KEYS) as emma:
        (visited,) = await emma.event_types.list()
        await emma.member_events.create([evolve(EVERYTHING, attributes=None)])
    assert visited.created_at == datetime(2025, 11, 24, 16, 23, 10, tzinfo=UTC)
    (sent,) = sent_events(wire)
    assert sent["event_timestamp"] == "@D:2025-12-02T05:23:47"


async def test_a_day_that_does_not_exist_is_kept_beside() -> None:
    wire = Recorder(VISITED.replace("11-24", "02-31"))
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        found = await emma.event_types.get(300)
    assert (found.event_type, found.created_at) == ("visited_website", None)
    assert found.extra == {"created_at": "@D:2025-02-31T10:23:10"}


async def test_a_date_before_the_first_year_of_utc_is_an_error_of_ours() -> None:
    wire = Recorder(VISITED.replace("2025-11-24T10", "0001-01-01T00"))
    async with EmmaClient(100, transport=wire, timezone="Asia/Tokyo", **KEYS) as emma:
        with pytest.raises(DecodeError, match="out of range in Asia/Tokyo"):
            await emma.event_types.get(300)


async def test_what_only_looks_like_a_date_stays_as_it_is() -> None:
    said = {
        "quote": 'she said "@D:2025-11-24T10:23:10"',
        "day": "@D:2025-11-24",
        "moment": "@D:2025-11-24T10:23:10",
        "@D:2025-11-24T10:23:10": {"event_timestamp": "@D:2025-11-24T10:23:10"},
        "none": None,
        "large": 10**30,
    }
    wire = Recorder([{"event_type_id": 2, "member_id": 1, "attributes": said, "event_timestamp": None}])
    async with EmmaClient(100, transport=wire, **KEYS) as emma:
        (event,) = await emma.member_events.list(1)
    assert (event.attributes, event.event_timestamp) == (said, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"event_type": "x"}, "either member_id or email, not neither"),
        ({"event_type": "x", "member_id": 1, "email": "a@b.c"}, "either member_id or email, not both"),
        ({"member_id": 1}, "either event_type_id or event_type, not neither"),
        ({"member_id": 1, "event_type": "x", "event_type_id": 2}, "not both"),
        ({"member_id": "1", "event_type": "x"}, "member_id must be a whole number"),
        ({"email": "homer", "event_type": "x"}, "email must be an address"),
        ({"member_id": 1, "event_type": " "}, "event_type must not be empty"),
        ({"member_id": 1, "event_type": "x", "event_monetary_value": float("nan")}, "finite number"),
        ({"member_id": 1, "event_type": "x", "attributes": [1]}, "attributes must be a mapping"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": object()}}, "JSON values only"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": [float("nan")]}}, "JSON values only"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": float("inf")}}, "JSON values only"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": b"x"}}, "bytes is not JSON"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": {1}}}, "set is not JSON"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": 10**5000}}, "JSON values only"),
        ({"member_id": 1, "event_type": "x", "attributes": {"a": "\ud83d"}}, "JSON values only"),
        ({"member_id": 1, "event_type": "x", "attributes": LOOP}, "Circular reference"),
        ({"member_id": 1, "event_type": "x", "event_monetary_value": 10**400}, "finite number"),
        ({"member_id": 1, "event_type": "x", "event_monetary_value": True}, "finite number"),
        ({"event_type": "x", "email": " a@b"}, "email must be an address"),
        ({"event_type": "x", "email": "@"}, "email must be an address"),
        ({"event_type": "x", "email": "homer@"}, "email must be an address"),
        ({"member_id": 1, "event_type": "x", "event_timestamp": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"member_id": 1, "event_type": "x", "event_timestamp": "2026-01-01"}, "time zone"),
    ],
)
def test_an_event_that_would_be_refused_cannot_be_made(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        NewMemberEvent(**fields)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def test_what_would_be_refused_costs_no_request() -> None:
    wire = Recorder("[]")
    async with EmmaClient("100", transport=wire, **KEYS) as emma:
        with pytest.raises(ArgumentError, match="must be a NewMemberEvent"):
            await emma.member_events.create([*visits(10), {"member_id": 1}])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match=r"write create\(\[event\]\)"):
            await emma.member_events.create(BY_NAMES)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match="must be a collection of NewMemberEvent, not None"):
            await emma.member_events.create(None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match="display_name must not be empty"):
            await emma.event_types.create(event_type="x", display_name="")
        with pytest.raises(ArgumentError, match="event_type_id must be a whole number"):
            await emma.event_types.get("members")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match="end must be greater"):
            await emma.member_events.list(1, start=5, end=5)
    assert wire.requests == []


async def test_keys_go_into_the_header_and_nowhere_else() -> None:
    async with (
        EmmaPages(keys=("public", "other")) as server,
        EmmaClient(100, base_url=server.url, **KEYS) as emma,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await emma.event_types.list()
        shown = f"{caught.value!r} {caught.value} {emma!r} {vars(emma)}"
    assert "s3cret" not in shown
    assert b64encode(b"public:s3cret").decode() not in shown
    async with (
        EmmaPages(keys=("public", "s3cret")) as server,
        EmmaClient(100, base_url=server.url, **KEYS) as emma,
    ):
        assert (await emma.event_types.list()).data == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"account_id": "../x"}, "account_id must be the account's number"),
        ({"account_id": True}, "account_id must be the account's number"),
        ({"private_key": "s3 cret"}, "private_key must be a string"),
        ({"public_key": "a:b"}, "must not have a colon"),
        ({"timezone": "Mars"}, "TZ database name"),
        ({"base_url": "http://api.e2ma.net"}, "plain http"),
        ({"base_url": None}, "is not a URL"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        EmmaClient(**{"account_id": 100, **KEYS} | settings)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert "s3 cret" not in str(caught.value)


def test_a_plan_is_checked() -> None:
    with pytest.raises(ArgumentError, match="concurrency must be a whole number of at least 1, not 0"):
        EmmaClient(100, **KEYS, plan=EmmaPlan(concurrency=0))
    with pytest.raises(ArgumentError, match="limits must"):
        EmmaClient(100, **KEYS, plan=EmmaPlan(requests=None))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("response", "is_one"),
    [
        (Response(403, {}, b'{"error": "Rate Limit Exceeded"}'), True),
        (Response(403, {}, b"", "Rate Limit Exceeded"), True),
        (Response(403, {}, b'{"error": "Forbidden"}', "Forbidden"), False),
        (Response(429, {}, b""), True),
        (Response(404, {}, b"rate limit exceeded"), False),
    ],
)
def test_a_refusal_is_told_by_its_words_wherever_they_stand(response: Response, is_one: bool) -> None:
    assert is_refusal(response) is is_one


def test_an_event_has_no_argument_of_its_own_in_extra() -> None:
    for name in ("email", "extra", "attributes"):
        with pytest.raises(ArgumentError, match=f"extra has '{name}', which is an argument of its own"):
            NewMemberEvent(member_id=1, event_type_id=2, extra={name: "x"})
    with pytest.raises(ArgumentError, match="extra must hold JSON values only"):
        NewMemberEvent(member_id=1, event_type_id=2, extra={"colour": object()})
