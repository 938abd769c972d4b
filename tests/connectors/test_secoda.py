"""Secoda: each endpoint once, then lists, limits and errors against the embedded server."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

import pytest
from attrs import frozen

from fathom_async import (
    ArgumentError,
    AuthenticationError,
    DecodeError,
    Deleted,
    NotFoundError,
    PagingError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    TransportError,
    ValidationError,
)
from fathom_async.connectors import SecodaClient
from fathom_async.connectors.secoda import CatalogPage, Metadata, Resource, SecodaPlan
from fathom_async.testing import Body, Disconnect, Status
from tests.conftest import EAGER
from tests.connectors.recorded import Recorder
from tests.support.secoda_pages import SecodaPages, documented_writes

pytestmark = pytest.mark.virtual_time

CATEGORY_ID = "43d7c33dad744dfbbfadc172f6701afb"
EVENT_ID = "226dc8aafa8d46468b116652cdc64065"
INTEGRATION_ID = "cf103b4785764467ad34384cd523abd9"
TEAMS = ["e8ac09ede51e4e618eaf59942c98c260"]

METADATA: Metadata = {
    "description": "This is a description for a sample table.",
    "definition": "\n# Castae illa\n\n## Finemque aequore\n\nLorem markdownum motus",
    "pii": False,
    "verified": True,
    "published": True,
    "teams": ["e8ac09ed-e51e-4e61-8eaf-59942c98c260", "cca810f1-11c1-4117-bc23-20ae8020897f"],
    "owners": ["33733f42-8ff7-460b-9e20-50a2133d3bb0", "c90dedee-40ee-47ec-9c27-96dc3b2ec363"],
    "collections": ["3b2c7185-fb5d-4d94-89d4-3dae08e093a9"],
    "tags": ["04654d61-4f64-4f08-b697-3915b5137c49", "429693a2-a5e7-4525-b413-ece5e96bc5b3"],
    "subscribers": ["c90dedee-40ee-47ec-9c27-96dc3b2ec363"],
}
"""Every parameter of the page, with the page's example of it."""

SAMPLE: dict[str, object] = {
    "id": EVENT_ID,
    "created_at": "2023-08-16T23:12:53.245493Z",
    "updated_at": "2023-08-16T23:12:53.245507Z",
    "entity_type": "event",
    "title": "Clicked",
    "parent": CATEGORY_ID,
    "total_usage": 483,
    **METADATA,
}
RESOURCE = Resource(
    id=EVENT_ID,
    title="Clicked",
    description="This is a description for a sample table.",
    definition="\n# Castae illa\n\n## Finemque aequore\n\nLorem markdownum motus",
    entity_type="event",
    parent=CATEGORY_ID,
    pii=False,
    verified=True,
    published=True,
    teams=("e8ac09ed-e51e-4e61-8eaf-59942c98c260", "cca810f1-11c1-4117-bc23-20ae8020897f"),
    owners=("33733f42-8ff7-460b-9e20-50a2133d3bb0", "c90dedee-40ee-47ec-9c27-96dc3b2ec363"),
    collections=("3b2c7185-fb5d-4d94-89d4-3dae08e093a9",),
    tags=("04654d61-4f64-4f08-b697-3915b5137c49", "429693a2-a5e7-4525-b413-ece5e96bc5b3"),
    subscribers=("c90dedee-40ee-47ec-9c27-96dc3b2ec363",),
    created_at=datetime(2023, 8, 16, 23, 12, 53, 245493, tzinfo=UTC),
    updated_at=datetime(2023, 8, 16, 23, 12, 53, 245507, tzinfo=UTC),
)
LIST = {"links": {"next": None, "previous": "None"}, "count": 1, "total_pages": 1, "results": [SAMPLE]}
PAGE = CatalogPage((RESOURCE,), has_more=False, count=1, total_pages=1)

TYPE_IS_EVENT = {"operator": "exact", "field": "type", "value": "event"}


@frozen
class Call:
    """One call of one endpoint: the request, the answer, and the result."""

    made: Callable[[SecodaClient], Awaitable[object]]
    method: str
    path: str
    sample: object = SAMPLE
    result: object = RESOURCE
    params: Mapping[str, object] = {}
    body: object = None
    status: int = 200
    reads: Literal["catalog", "events"] = "events"


NEW = {"title": "Clicked", "integration": INTEGRATION_ID, "parent": CATEGORY_ID}
OF_CATEGORY = {"integration_id": INTEGRATION_ID, "parent_id": CATEGORY_ID, "title": "Clicked"}

CALLS = {
    "categories.list": Call(
        lambda s: s.categories.list(title="Landing Page"),
        "GET",
        "/event/category/",
        LIST,
        PAGE,
        {"title": "Landing Page"},
    ),
    "categories.create": Call(
        lambda s: s.categories.create(
            title="Landing Page", integration=INTEGRATION_ID, teams=TEAMS, extra={"colour": "red"}
        ),
        "POST",
        "/event/category/",
        body={"title": "Landing Page", "integration": INTEGRATION_ID, "teams": TEAMS, "colour": "red"},
        status=201,
    ),
    "categories.get": Call(lambda s: s.categories.get(CATEGORY_ID), "GET", f"/event/category/{CATEGORY_ID}/"),
    "events.list": Call(
        lambda s: s.events.list(integration_id=INTEGRATION_ID, parent_id=CATEGORY_ID, title="Clicked"),
        "GET",
        "/event/events/",
        LIST,
        PAGE,
        OF_CATEGORY,
    ),
    "events.list from the catalog": Call(
        lambda s: s.events.list(),
        "GET",
        "/resource/catalog/",
        LIST,
        PAGE,
        {"filter": json.dumps(TYPE_IS_EVENT, separators=(",", ":"))},
        reads="catalog",
    ),
    "events.look_up": Call(
        lambda s: s.events.look_up(parent_id=CATEGORY_ID, title="Clicked"),
        "GET",
        "/event/events/",
        LIST,
        PAGE,
        {"parent_id": CATEGORY_ID, "title": "Clicked"},
        reads="catalog",
    ),
    "events.create": Call(
        lambda s: s.events.create(
            title="Clicked", integration=INTEGRATION_ID, parent=CATEGORY_ID, **METADATA
        ),
        "POST",
        "/event/events/",
        body=NEW | METADATA,
    ),
    "events.get": Call(lambda s: s.events.get(EVENT_ID), "GET", f"/event/events/{EVENT_ID}/"),
    "events.get from the catalog": Call(
        lambda s: s.events.get(EVENT_ID), "GET", f"/resource/all/{EVENT_ID}/", reads="catalog"
    ),
    "events.delete": Call(
        lambda s: s.events.delete(EVENT_ID),
        "DELETE",
        f"/event/events/{EVENT_ID}/",
        "",
        Deleted(EVENT_ID, object="event"),
        status=204,
    ),
    "events.update": Call(
        lambda s: s.events.update(EVENT_ID, **METADATA),
        "PATCH",
        f"/event/events/{EVENT_ID}/",
        body=METADATA,
    ),
    "properties.list": Call(
        lambda s: s.properties.list(integration_id=INTEGRATION_ID, parent_id=EVENT_ID, title="true"),
        "GET",
        "/event/event_properties/",
        LIST,
        PAGE,
        {"integration_id": INTEGRATION_ID, "parent_id": EVENT_ID, "title": "true"},
    ),
    "properties.create": Call(
        lambda s: s.properties.create(title="Clicked", integration=INTEGRATION_ID, parent=CATEGORY_ID),
        "POST",
        "/event/event_properties/",
        body=NEW,
    ),
    "properties.create with everything": Call(
        lambda s: s.properties.create(
            title="Clicked",
            integration=INTEGRATION_ID,
            parent=CATEGORY_ID,
            type="string",
            regex="^[a-z]+$",
            is_required=True,
            is_array_type=False,
            enum_values=["euro", "dollar"],
            owners_groups=TEAMS,
            entity_type="event_property",
            extra={"colour": "red"},
        ),
        "POST",
        "/event/event_properties/",
        body={
            **NEW,
            "type": "string",
            "regex": "^[a-z]+$",
            "is_required": True,
            "is_array_type": False,
            "enum_values": ["euro", "dollar"],
            "owners_groups": TEAMS,
            "entity_type": "event_property",
            "colour": "red",
        },
    ),
    "properties.get": Call(
        lambda s: s.properties.get(EVENT_ID), "GET", f"/event/event_properties/{EVENT_ID}/"
    ),
    "properties.delete": Call(
        lambda s: s.properties.delete(EVENT_ID),
        "DELETE",
        f"/event/event_properties/{EVENT_ID}/",
        "",
        Deleted(EVENT_ID, object="event_property"),
        status=204,
    ),
    "properties.update": Call(
        lambda s: s.properties.update(EVENT_ID, **METADATA),
        "PATCH",
        f"/event/event_properties/{EVENT_ID}/",
        body=METADATA,
    ),
    "resources.list": Call(
        lambda s: s.resources.list(
            TYPE_IS_EVENT, sort={"field": "title", "order": "asc"}, page=2, teams=TEAMS
        ),
        "GET",
        "/resource/catalog/",
        LIST,
        PAGE,
        {
            "filter": '{"operator":"exact","field":"type","value":"event"}',
            "sort": '{"field":"title","order":"asc"}',
            "page": "2",
            "teams": TEAMS,
        },
    ),
    "resources.get": Call(lambda s: s.resources.get(EVENT_ID), "GET", f"/resource/all/{EVENT_ID}/"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_each_endpoint(name: str) -> None:
    call = CALLS[name]
    wire = Recorder(call.sample, call.status)
    async with SecodaClient("token", transport=wire, reads=call.reads) as secoda:
        assert await call.made(secoda) == call.result
    assert wire.last == (call.method, call.path, call.params, call.body)
    lane = "writes" if call.method in ("POST", "PATCH") else "reads"
    assert wire.requests[0].lane == lane


def test_every_endpoint_is_tested() -> None:
    resources = inspect.get_annotations(SecodaClient)
    public = {
        f"{name}.{method}"
        for name, kind in resources.items()
        if not name.startswith("_")
        for method, _ in inspect.getmembers(kind, inspect.isfunction)
        if not method.startswith("_")
    }
    assert public == {name.split(" ")[0] for name in CALLS}


@pytest.fixture
async def server() -> AsyncIterator[SecodaPages]:
    async with SecodaPages(page_size=2, writes=documented_writes()) as running:
        yield running


@pytest.fixture
async def secoda(server: SecodaPages) -> AsyncIterator[SecodaClient]:
    async with SecodaClient("token", base_url=server.url, retry=EAGER) as client:
        yield client


async def test_from_category_to_property_and_back(secoda: SecodaClient, server: SecodaPages) -> None:
    category = await secoda.categories.create(title="Acme", integration=INTEGRATION_ID)
    event = await secoda.events.create(
        title="купить 🛒", integration=INTEGRATION_ID, parent=category.id, tags=TEAMS
    )
    prop = await secoda.properties.create(
        title="currency", integration=INTEGRATION_ID, parent=event.id, description="euro"
    )
    assert (event.parent, event.tags, prop.parent) == (category.id, tuple(TEAMS), event.id)
    assert await secoda.events.get(event.id.replace("-", "")) == event
    changed = await secoda.events.update(event.id, description="Bought", pii=True)
    assert (changed.description, changed.pii, changed.title) == ("Bought", True, "купить 🛒")
    assert await secoda.events.delete(event.id) == Deleted(event.id, object="event")
    assert event.id not in server.entries
    with pytest.raises(NotFoundError):
        await secoda.events.get(event.id)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("reads", ["catalog", "events"])
async def test_all_pages_in_either_envelope_and_by_either_way(
    old: bool, reads: Literal["catalog", "events"]
) -> None:
    async with SecodaPages(old=old, page_size=2) as server:
        titles = [f"event {number}" for number in range(5)]
        for title in titles:
            server.add("event", title, parent=CATEGORY_ID, integration=INTEGRATION_ID)
        server.add("event", "elsewhere", parent=EVENT_ID, integration=INTEGRATION_ID)
        async with SecodaClient("token", base_url=f"{server.url}/api/v1/", reads=reads) as secoda:
            found = secoda.events.list(parent_id=CATEGORY_ID, integration_id=INTEGRATION_ID)
            assert [event.title async for event in found] == titles
            assert [event.title async for event in found] == titles
            first = await found
    assert (len(first), first.has_more) == (2, True)
    assert isinstance(first, CatalogPage)
    assert first.count == 5


@pytest.mark.parametrize("reads", ["catalog", "events"])
async def test_a_parent_may_be_called_parent_id(reads: Literal["catalog", "events"]) -> None:
    async with SecodaPages(generated=True) as server:
        server.add("event", "signup", parent=CATEGORY_ID)
        async with SecodaClient("token", base_url=server.url, reads=reads) as secoda:
            (event,) = await secoda.events.list()
    assert (event.parent, event.archived, event.extra.get("parent_id")) == (CATEGORY_ID, None, None)


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ({"tags": [{"id": "t1", "name": "Tag"}, "t2"]}, {"tags": ("t1", "t2")}),
        ({"tags": [{"name": "Tag"}]}, {"tags": None}),
        ({"tags": "t1"}, {"tags": None}),
        ({"pii": "False", "verified": "TRUE"}, {"pii": False, "verified": True}),
        ({"pii": "maybe"}, {"pii": None}),
        ({"title": 404}, {"title": "404"}),
        ({"title": 1.5, "description": ["x"]}, {"title": "1.5", "description": None}),
        ({"parent": {"id": "p"}}, {"parent": "p"}),
        ({"created_at": "yesterday", "updated_at": 5}, {"created_at": None, "updated_at": None}),
        ({"owners": None, "teams": {}}, {"owners": None, "teams": None}),
    ],
)
async def test_one_odd_field_does_not_make_a_list_unreadable(
    odd: dict[str, object], read: dict[str, object]
) -> None:
    async with SecodaPages() as server, SecodaClient("token", base_url=server.url) as secoda:
        server.add("event", "signup", parent=CATEGORY_ID, popularity=7)
        server.odd = odd
        for (event,) in (await secoda.events.list(), [await secoda.events.get(next(iter(server.entries)))]):
            assert {name: getattr(event, name) for name in read} == read
            assert event.extra["popularity"] == 7
            lost = {name for name, value in read.items() if value is None and odd[name] is not None}
            assert {name: event.extra[name] for name in lost} == {name: odd[name] for name in lost}


async def test_an_object_without_its_id_is_an_error() -> None:
    wire = Recorder({"results": [{"title": "signup", "pii": "False"}]})
    async with SecodaClient("token", transport=wire) as secoda:
        with pytest.raises(DecodeError, match="id"):
            await secoda.categories.list()


async def test_unknown_fields_are_kept(secoda: SecodaClient, server: SecodaPages) -> None:
    name = server.add("event", "signup", parent=CATEGORY_ID, popularity=7)
    assert (await secoda.events.get(name)).extra["popularity"] == 7


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("https://api.secoda.co/api/v1/event/category/", "no page number"),
        ("https://api.secoda.co/api/v1/event/category/?page=1", "go in circles"),
    ],
)
async def test_a_link_is_not_followed_blindly(link: str, words: str) -> None:
    wire = Recorder({"count": 2, "next": link, "previous": None, "results": [SAMPLE]})
    async with SecodaClient("token", transport=wire) as secoda:
        with pytest.raises(PagingError, match=words):
            [_ async for _ in secoda.categories.list()]
    assert len(wire.requests) <= 2


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("links", ["https://evil.test", "http://api.secoda.co", "//inner:8000", ""])
async def test_only_the_number_of_a_link_is_used_whatever_its_host(links: str, old: bool) -> None:
    async with SecodaPages(page_size=2, links=links or "/somewhere", old=old) as server:
        for number in range(5):
            server.add("event", f"event {number}", integration=INTEGRATION_ID)
            server.add("event_category", f"category {number}")
        async with SecodaClient("token", base_url=server.url) as secoda:
            events = [event.title async for event in secoda.events.list(integration_id=INTEGRATION_ID)]
            categories = [category.title async for category in secoda.categories.list()]
    assert events == [f"event {number}" for number in range(5)]
    assert categories == [f"category {number}" for number in range(5)]
    assert len(server.hits) == 6


async def test_a_catalog_that_leaves_out_objects_says_so() -> None:
    wire = Recorder({"count": 10_001, "links": {"next": "None"}, "results": [SAMPLE]})
    async with SecodaClient("token", transport=wire) as secoda:
        with pytest.raises(PagingError, match="10,000 of 10,001"):
            [_ async for _ in secoda.resources.list()]


@pytest.mark.parametrize("reads", ["catalog", "events"])
async def test_lists_that_are_not_the_catalogs_may_be_longer(reads: Literal["catalog", "events"]) -> None:
    wire = Recorder({"count": 10_001, "next": None, "results": [SAMPLE]})
    async with SecodaClient("token", transport=wire, reads=reads) as secoda:
        for found in (secoda.categories.list(), secoda.properties.list()):
            assert len([_ async for _ in found]) == 1
        if reads == "events":
            assert len([_ async for _ in secoda.events.list()]) == 1
        else:
            with pytest.raises(PagingError, match="10,000 of 10,001"):
                await secoda.events.list()


async def test_only_the_catalogs_list_of_the_server_ends_at_10_000() -> None:
    async with SecodaPages(page_size=10_000) as server:
        for number in range(10_001):
            server.add("event", f"event {number}")
        async with SecodaClient("token", base_url=server.url, reads="events") as secoda:
            assert len([_ async for _ in secoda.events.list()]) == 10_001
            with pytest.raises(PagingError, match="narrow the filter"):
                await secoda.resources.list()


@pytest.mark.parametrize(
    ("envelope", "more"),
    [
        ({"links": {}, "next": "https://api.secoda.co/x?page=2"}, True),
        ({"links": {"next": None}, "next": "/x?page=2"}, True),
        ({"links": {"next": "/x?page=2"}, "next": None}, True),
        ({"links": "None", "next": "/x?page=2"}, True),
        ({"links": "None"}, False),
        ({"links": None, "next": "None"}, False),
        ({"links": {"next": ""}}, False),
    ],
)
async def test_the_link_to_the_next_page_is_found_in_mixed_envelopes(
    envelope: dict[str, object], more: bool
) -> None:
    wire = Recorder({**envelope, "results": [SAMPLE], "meta": {"page": 1}})
    async with SecodaClient("token", transport=wire) as secoda:
        page = await secoda.categories.list()
    assert page.has_more is more
    assert page.extra == {"meta": {"page": 1}}


async def test_an_event_from_the_catalog_is_an_event(secoda: SecodaClient, server: SecodaPages) -> None:
    category = server.add("event_category", "Acme")
    with pytest.raises(NotFoundError, match="not an event but 'event_category'"):
        await secoda.events.get(category)
    assert (await secoda.resources.get(category)).title == "Acme"
    unknown = server.add("event", "signup", entity_type=None)
    assert (await secoda.events.get(unknown)).title == "signup"


async def test_a_category_needs_a_title_or_an_integration(secoda: SecodaClient) -> None:
    assert (await secoda.categories.create(title="Acme")).integration is None
    assert (await secoda.categories.create(integration=INTEGRATION_ID)).title is None
    with pytest.raises(ArgumentError, match="at least one of title, integration, teams"):
        await secoda.categories.create()


async def test_writes_stay_within_30_a_minute_while_reads_go_on(
    secoda: SecodaClient, server: SecodaPages
) -> None:
    for number in range(40):
        await secoda.categories.create(title=f"site {number}", integration=INTEGRATION_ID)
        await secoda.categories.list(title="site 0")
    assert secoda.limits["writes"].limit == 30
    assert server.max_in_window("writes") == 30
    assert [hit.status for hit in server.hits] == [201, 200] * 40
    assert 60 < asyncio.get_running_loop().time() < 65


async def test_a_refusal_pauses_the_lane_and_the_request_goes_again(server: SecodaPages) -> None:
    server.inject(Status(429, headers={"Retry-After": "0"}))
    async with SecodaClient("token", base_url=server.url) as secoda:
        made = await secoda.categories.create(title="Acme", integration=INTEGRATION_ID)
        assert secoda.stats.refused == 1
    assert [hit.status for hit in server.hits] == [429, 201]
    assert list(server.entries) == [made.id]


async def test_a_refusal_that_is_final_has_its_own_error(server: SecodaPages) -> None:
    server.inject(Status(429))
    async with SecodaClient("token", base_url=server.url, retry=RetryPolicy(refusals=0)) as secoda:
        with pytest.raises(RateLimitError):
            await secoda.categories.create(title="Acme", integration=INTEGRATION_ID)


async def test_a_creation_whose_answer_is_lost_is_not_sent_again(
    secoda: SecodaClient, server: SecodaPages
) -> None:
    server.inject(Disconnect(after_processing=True), method="POST")
    with pytest.raises(TransportError) as caught:
        await secoda.categories.create(title="Acme", integration=INTEGRATION_ID)
    assert caught.value.sent
    assert len(server.entries) == 1


async def test_a_deletion_whose_answer_is_lost_is_still_a_deletion(
    secoda: SecodaClient, server: SecodaPages
) -> None:
    name = server.add("event", "signup")
    server.inject(Disconnect(after_processing=True), method="DELETE")
    assert (await secoda.events.delete(name)).deleted
    assert [hit.status for hit in server.hits] == [None, 404]


async def test_errors_are_typed(secoda: SecodaClient, server: SecodaPages) -> None:
    with pytest.raises(NotFoundError):
        await secoda.events.create(title="signup", integration=INTEGRATION_ID, parent=EVENT_ID)
    server.inject(Status(400, {"error": "no such integration"}))
    with pytest.raises(ValidationError, match="no such integration"):
        await secoda.categories.create(title="Acme", integration=INTEGRATION_ID)
    server.inject(*[Body(b"<html>")] * 3)
    with pytest.raises(Exception, match="web page"):
        await secoda.categories.get(CATEGORY_ID)


async def test_a_wrong_token_is_told_without_showing_it() -> None:
    async with (
        SecodaPages(token="good") as server,
        SecodaClient("s3cret-token", base_url=server.url) as secoda,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await secoda.categories.list()
        assert "s3cret" not in f"{caught.value!r} {secoda!r} {vars(secoda)} {caught.value}"


async def test_what_would_be_refused_costs_no_request() -> None:
    wire = Recorder(SAMPLE)
    async with SecodaClient("token", transport=wire) as secoda:
        with pytest.raises(ArgumentError, match="nothing to send"):
            await secoda.events.update(EVENT_ID)
        with pytest.raises(ArgumentError, match="extra has 'title', which is an argument of its own"):
            await secoda.events.update(CATEGORY_ID, extra={"title": "Clicked"})
        with pytest.raises(ArgumentError, match="there is no 'titel'"):
            await secoda.events.update(EVENT_ID, titel="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        with pytest.raises(ArgumentError, match="tags must be a list of ids"):
            await secoda.events.update(EVENT_ID, tags="x")
        with pytest.raises(ArgumentError, match="title must not be empty"):
            await secoda.categories.create(title=" ", integration=INTEGRATION_ID)
        with pytest.raises(ArgumentError, match="cannot be an id"):
            await secoda.events.get("../catalog")
        with pytest.raises(ArgumentError, match="page must be a whole number"):
            await secoda.resources.list(page=0)
        for bad in ("x", [1]):
            with pytest.raises(ArgumentError, match="filter must be a mapping"):
                await secoda.resources.list(bad)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match="sort must be a mapping, not '-title'"):
            await secoda.resources.list(sort="-title")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        with pytest.raises(ArgumentError, match="filter must hold JSON values only"):
            await secoda.resources.list({"value": object()})
    assert wire.requests == []


def test_settings_are_checked() -> None:
    with pytest.raises(ArgumentError, match="the token must be") as caught:
        SecodaClient("two words")
    assert "two words" not in str(caught.value)
    with pytest.raises(ArgumentError, match="plain http"):
        SecodaClient("token", base_url="http://api.secoda.co")
    with pytest.raises(ArgumentError, match="is not a URL"):
        SecodaClient("token", base_url=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="concurrency must be a whole number of at least 1, not -1"):
        SecodaClient("token", plan=SecodaPlan(concurrency=-1))
    with pytest.raises(ArgumentError, match="limits must"):
        SecodaClient("token", plan=SecodaPlan(writes=None))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="reads must be one of"):
        SecodaClient("token", reads="both")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def test_a_view_shares_lanes_and_settings() -> None:
    wire = Recorder(LIST)
    plan = SecodaPlan(writes=RateLimit(5, per=60))
    async with SecodaClient("token", transport=wire, plan=plan, reads="events") as secoda:
        view = secoda.with_options(timeout=5.0)
        await view.events.list()
        await view.aclose()
        await secoda.events.list()
        assert (secoda.limits["writes"].limit, secoda.stats.sent) == (5, {"reads": 2})
        assert secoda.eta() == 0
        secoda.pause(10)
        assert 9 < secoda.eta() <= 10
        secoda.resume()
        with pytest.raises(ArgumentError, match="lane must be one of reads, writes"):
            secoda.eta(lane="crud")
    assert [request.path for request in wire.requests] == ["/event/events/"] * 2
