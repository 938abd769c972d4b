"""What happens to a request between call and answer, over real sockets."""

import asyncio
import json
import logging
import random
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import date

import pytest

from fathom_async import (
    APIError,
    AuthenticationError,
    ClosedError,
    ConnectError,
    DecodeError,
    Deleted,
    Event,
    EventQuery,
    FathomClient,
    FathomError,
    GoneError,
    Milestone,
    NotFoundError,
    PageviewQuery,
    PermissionDeniedError,
    RateLimitError,
    Report,
    RetryPolicy,
    ServerError,
    TimeoutError,  # noqa: A004 - ours is one
    ValidationError,
    WaitTooLongError,
)
from fathom_async.service import Request, Response
from fathom_async.testing import (
    Body,
    Delay,
    Disconnect,
    FathomServer,
    Fault,
    Html,
    LaravelWindow,
    Redirect,
    Status,
    Truncate,
)
from tests.conftest import EAGER, until

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"
TOKEN = "very-secret-token"


def statuses(server: FathomServer) -> list[tuple[str, int | None]]:
    return [(hit.method, hit.status) for hit in server.hits]


@pytest.mark.parametrize(
    "fault",
    [
        Status(500),
        Status(502),
        Status(503),
        Status(504),
        Disconnect(),
        Disconnect(after_processing=True),
        Truncate(),
    ],
    ids=repr,
)
async def test_a_passing_failure_of_a_get_is_tried_again(
    server: FathomServer, fathom: FathomClient, fault: Fault
) -> None:
    server.inject(fault)
    assert (await fathom.sites.get(SITE)).id == SITE
    assert len(server.hits) == 2


async def test_a_get_gives_up_after_so_many_attempts(server: FathomServer) -> None:
    server.inject(*[Status(503)] * 5)
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=3, base=0.001)) as fathom:
        with pytest.raises(ServerError) as caught:
            await fathom.sites.get(SITE)
    assert caught.value.status == 503
    assert len(server.hits) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Status(500), ServerError),
        (Status(503), ServerError),
        (Disconnect(after_processing=True), ConnectError),
        (Disconnect(), ConnectError),
        (Truncate(), ConnectError),
    ],
    ids=repr,
)
async def test_a_create_is_never_sent_twice(
    server: FathomServer, fathom: FathomClient, fault: Fault, error: type[FathomError]
) -> None:
    server.inject(fault, method="POST")
    with pytest.raises(error):
        await fathom.sites.create(name="Acme")
    assert len(server.hits) == 1


async def test_a_create_that_was_refused_is_tried_again(server: FathomServer) -> None:
    server.inject(Status(429, headers={"Retry-After": "0"}), method="POST")
    async with FathomClient("any", base_url=server.url) as client:
        created = await client.with_options(max_wait=5).sites.create(name="Acme")
    assert created.name == "Acme"
    assert statuses(server) == [("POST", 429), ("POST", 200)]


async def test_a_create_whose_connection_was_never_made_is_tried_again() -> None:
    async with FathomServer() as server:
        url = server.url
    async with FathomClient("any", base_url=url, retry=RetryPolicy(attempts=3, base=0.001)) as fathom:
        with pytest.raises(ConnectError) as caught:
            await fathom.sites.create(name="Acme")
    assert not caught.value.sent
    assert isinstance(caught.value, ConnectionError)


async def test_a_repeated_delete_that_finds_nothing_has_succeeded(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Disconnect(after_processing=True), method="DELETE")
    assert await fathom.sites.delete(SITE) == Deleted(SITE, object="site")
    assert statuses(server)[-1] == ("DELETE", 404)


async def test_a_delete_of_nothing_is_an_error(fathom: FathomClient) -> None:
    with pytest.raises(NotFoundError):
        await fathom.sites.delete("NOSUCH")


async def test_a_connection_that_broke_while_idle_is_not_resent_behind_our_back(
    server: FathomServer, fathom: FathomClient
) -> None:
    """aiohttp may resend by itself; no lane would have admitted that request."""
    await fathom.sites.get(SITE)
    server.inject(Disconnect(after_processing=True))
    await fathom.sites.get(SITE)
    assert len(server.hits) == 3
    assert fathom.limits["crud"].used == 3


async def test_a_slow_answer_is_a_timeout(server: FathomServer) -> None:
    server.inject(*[Delay(300)] * 2)
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=2, base=0)) as fathom:
        with pytest.raises(TimeoutError) as caught:
            await fathom.with_options(timeout=0.05).sites.get(SITE)
    assert caught.value.sent
    assert "0.05 s" in str(caught.value)


async def test_waiting_for_admission_is_bounded_by_max_wait_and_not_by_timeout(server: FathomServer) -> None:
    """A lane that knows nothing sends one request at a time, so that a server that never answers is slow to meet."""
    server.inject(*[Delay(3000)] * 60)
    now = asyncio.get_running_loop().time
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=1), timeout=2) as fathom:
        for max_wait, bound in ((None, 60), (5, 7.1)):
            start, view = now(), fathom.with_options(max_wait=max_wait)
            outcomes = await asyncio.gather(
                *(view.sites.get(SITE) for _ in range(20)), return_exceptions=True
            )
            assert {type(outcome) for outcome in outcomes} <= {TimeoutError, WaitTooLongError}
            assert now() - start < bound


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ValidationError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (410, GoneError),
        (418, APIError),
        (422, ValidationError),
    ],
)
async def test_a_lasting_failure_is_raised_at_once(
    server: FathomServer, fathom: FathomClient, status: int, error: type[APIError]
) -> None:
    server.inject(Status(status))
    with pytest.raises(error) as caught:
        await fathom.sites.get(SITE)
    assert caught.value.status == status
    assert caught.value.method == "GET"
    assert caught.value.url == f"{server.url}/sites/{SITE}"
    assert len(server.hits) == 1


async def test_the_400_of_a_token_without_permission_is_a_permission_error() -> None:
    async with (
        FathomServer(tokens={"reader": ["read:CDBUGS"]}) as server,
        FathomClient("reader", base_url=server.url) as fathom,
    ):
        assert (await fathom.sites.get(SITE)).id == SITE
        with pytest.raises(PermissionDeniedError, match="doesn't have permission"):
            await fathom.account.get()


async def test_a_validation_error_names_the_fields(server: FathomServer, fathom: FathomClient) -> None:
    server.inject(Status(422, body={"errors": {"name": ["The name field is required."]}}))
    with pytest.raises(ValidationError, match="name: The name field is required") as caught:
        await fathom.sites.get(SITE)
    assert caught.value.errors == {"name": ("The name field is required.",)}


@pytest.mark.parametrize("call", ["get", "update", "delete", "wipe"])
async def test_an_event_endpoint_that_is_gone_says_what_to_use_instead(call: str) -> None:
    async with (
        FathomServer(event_shape="names") as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        arguments = {"name": "x"} if call == "update" else {}
        with pytest.raises(GoneError, match=r"events\.(list|set_currency|delete_by_name)"):
            await getattr(fathom.events, call)(SITE, "ABCDEFGH", **arguments)
        with pytest.raises(GoneError, match=r"sites\.delete"):
            await fathom.sites.wipe(SITE)
        with pytest.raises(GoneError, match="removes the event and its currency, and keeps its history"):
            await fathom.events.wipe(SITE, "ABCDEFGH")


async def test_what_a_site_needs_is_needed_only_with_what_needs_it(fathom: FathomClient) -> None:
    made = await fathom.sites.update(SITE, sharing="private", share_password="carrot")
    assert made.sharing == "private"
    await fathom.sites.update(SITE, multi_domain=True, multi_domain_option="combined")
    await fathom.sites.update(SITE, multi_domain=False, share_password=None, sharing="none")


async def test_an_event_deleted_by_name_keeps_its_history_and_can_have_a_currency_again(
    fathom: FathomClient,
) -> None:
    sales = EventQuery(SITE, "purchase", aggregates=["conversions", "value"])
    before = await fathom.reports.aggregate(sales)
    assert before.total("conversions") > 0
    assert (await fathom.events.delete_by_name(SITE, "purchase")).deleted
    assert "purchase" not in [event.name async for event in fathom.events.list(SITE)]
    assert await fathom.reports.aggregate(sales) == before
    event = await fathom.events.set_currency(SITE, "not tracked yet", "yen")
    assert (event.name, event.currency) == ("not tracked yet", "yen")


async def test_a_web_page_instead_of_json_is_a_typed_error_after_three_attempts(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(*[Html()] * 4)
    with pytest.raises(
        DecodeError, match="web page instead of JSON: are the credentials and the base URL right"
    ):
        await fathom.sites.get(SITE)
    assert len(server.hits) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Html(),
        Body(b""),
        Body(b'{"id": "CDBUGS", "na'),
        Body(b"\xff\xfe"),
        Truncate(),
        Status(408),
        Status(524),
    ],
    ids=repr,
)
async def test_every_read_is_served_though_a_fifth_of_the_answers_are_broken(fault: Fault) -> None:
    chance = random.Random(9)  # no read meets three in a row, as one in a hundred would
    async with (
        FathomServer() as server,
        FathomClient("any", base_url=server.url, retry=EAGER) as fathom,
    ):
        for _ in range(100):
            while chance.random() < 0.2:
                server.inject(fault)
            assert (await fathom.sites.get(SITE)).id == SITE


@pytest.mark.parametrize("fault", [Html(), Body(b'{"id": "CDB'), Body(b"[]")], ids=repr)
async def test_a_write_whose_answer_is_broken_is_not_sent_twice(
    server: FathomServer, fathom: FathomClient, fault: Fault
) -> None:
    server.inject(*[fault] * 3)
    for write in (
        fathom.sites.create(name="x"),
        fathom.sites.update(SITE, name="x"),
        fathom.sites.delete(SITE),
    ):
        with pytest.raises(DecodeError):
            await write
    assert [hit.method for hit in server.hits] == ["POST", "POST", "DELETE"]


async def test_another_shape_than_expected_is_a_typed_error_at_once(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Body(b'{"id": "CDBUGS", "name": null}'), Body(b"[1]"))
    for words in ("name", "not a Site"):
        with pytest.raises(DecodeError, match=words):
            await fathom.sites.get(SITE)


async def test_a_redirect_is_not_followed(server: FathomServer, fathom: FathomClient) -> None:
    async with FathomServer() as elsewhere:
        server.inject(Redirect(f"{elsewhere.url}/account"))
        with pytest.raises(APIError, match="the server redirects") as caught:
            await fathom.sites.get(SITE)
        assert caught.value.status == 302
        assert elsewhere.hits == ()


async def test_an_answer_from_a_cache_is_no_redirect(server: FathomServer, fathom: FathomClient) -> None:
    server.inject(Status(304))
    with pytest.raises(APIError, match=r"304 Not Modified .* is there a cache on the way\?"):
        await fathom.sites.get(SITE)


async def test_a_part_of_an_answer_is_not_believed_even_if_it_is_json(
    server: FathomServer, fathom: FathomClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(Status(206, body={"id": "CDBUGS", "name": "Bugs"}))
    assert (await fathom.sites.get(SITE)).timezone, "a read is tried again"
    assert [hit.status for hit in server.hits] == [206, 200]
    assert "only a part of the answer (206), which was not asked for" in caplog.text

    server.inject(Status(206, body={"id": "NEW", "name": "New"}))
    with pytest.raises(DecodeError, match=r"\(206\).* it was probably carried out, so look before"):
        await fathom.sites.create(name="New")
    assert len(server.hits) == 3


async def test_an_answer_beyond_the_bound_is_refused(server: FathomServer) -> None:
    async with FathomClient("any", base_url=server.url, max_body=50) as fathom:
        with pytest.raises(DecodeError, match="larger than max_body=50"):
            await fathom.sites.get(SITE)


async def test_a_refusal_pauses_the_lane_and_the_request_is_tried_again(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.inject(
        Status(429, headers={"Retry-After": "0", "X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0"})
    )
    async with FathomClient("any", base_url=server.url) as fathom:
        first = asyncio.create_task(fathom.reports.current_visitors(SITE))
        await until(lambda: fathom.limits["reports"].paused_for > 0)
        assert 0 < fathom.limits["reports"].paused_for <= 1
        with pytest.raises(WaitTooLongError):
            await fathom.with_options(max_wait=0.1).reports.current_visitors(SITE)
        await first
    assert [status for _, status in statuses(server)] == [429, 200]
    assert "reports lane: paused for 1.0 s after a refusal by the server" in caplog.text


async def test_a_refusal_longer_than_max_wait_is_an_error_at_once(server: FathomServer) -> None:
    server.inject(Status(429, headers={"Retry-After": "3600"}))
    async with FathomClient("any", base_url=server.url) as fathom:
        with pytest.raises(WaitTooLongError) as caught:
            await fathom.with_options(max_wait=30).sites.get(SITE)
    assert 3590 < caught.value.eta <= 3601


@pytest.mark.parametrize("retry_after", ["3600", "86400", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 30])
async def test_a_refusal_is_believed_for_a_window_or_as_long_as_the_policy_says(
    server: FathomServer, retry_after: str
) -> None:
    server.inject(*[Status(429, headers={"Retry-After": retry_after})] * 2)
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(longest_pause=100)) as fathom:
        with pytest.raises(WaitTooLongError) as caught:
            await fathom.with_options(max_wait=30).reports.current_visitors(SITE)
        assert 95 < caught.value.eta <= 101
        with pytest.raises(WaitTooLongError) as caught:
            await fathom.with_options(max_wait=30).sites.get(SITE)
        assert 3590 < caught.value.eta <= 3601


async def test_limits_on_a_page_that_is_no_answer_are_ignored() -> None:
    async with (
        FathomServer(crud_throttle=LaravelWindow(1000, per=3600)) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        server.inject(*[Html()] * 3, *[Status(503)] * 2)
        with pytest.raises(DecodeError):
            await fathom.account.get()
        await fathom.account.get()
        assert fathom.limits["crud"].limit == 2000
        await fathom.account.get()
        assert fathom.limits["crud"].limit == 1000


async def test_refusals_without_end_are_raised(server: FathomServer) -> None:
    server.inject(*[Status(429, headers={"Retry-After": "0"})] * 5)
    policy = RetryPolicy(refusals=0)
    async with FathomClient("any", base_url=server.url, retry=policy) as fathom:
        with pytest.raises(RateLimitError) as caught:
            await fathom.sites.get(SITE)
    assert caught.value.retry_after == 0


@pytest.fixture
async def busy(server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client with one request in flight and twenty in the queue."""
    server.inject(Delay(3000))
    client = FathomClient("any", base_url=server.url, retry=EAGER)
    yield client
    await client.aclose()


async def test_closing_ends_every_waiting_request_with_an_error(busy: FathomClient) -> None:
    calls = [asyncio.create_task(busy.reports.current_visitors(f"SITE{n}")) for n in range(21)]
    await asyncio.sleep(0.05)
    assert busy.limits["reports"].queued == 20
    await busy.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 21
    assert busy.limits["reports"].in_flight == 0
    with pytest.raises(ClosedError):
        await busy.sites.get(SITE)


@pytest.fixture
async def slow(server: FathomServer) -> AsyncIterator[tuple[FathomClient, list["asyncio.Task[object]"]]]:
    """A client with nine reports in flight, which take 3 s, and five in the queue."""
    client = FathomClient("any", base_url=server.url, retry=EAGER)
    await client.reports.current_visitors(SITE)  # opens the lane
    server.inject(*[Delay(3.0)] * 14)
    calls: list[asyncio.Task[object]] = [
        asyncio.create_task(client.reports.aggregate(PageviewQuery(SITE, aggregates=["visits"], limit=n)))
        for n in range(1, 15)
    ]
    await until(lambda: client.limits["reports"].in_flight == 9)
    yield client, calls
    await client.aclose()


async def test_draining_waits_for_what_was_sent_and_sends_nothing_more(
    server: FathomServer, slow: tuple[FathomClient, list["asyncio.Task[object]"]]
) -> None:
    client, calls = slow
    draining = asyncio.create_task(client.drain())
    late = asyncio.create_task(client.sites.get(SITE))
    await draining
    assert sum(call.done() for call in calls) == 9
    assert client.limits["reports"].in_flight == 0
    await asyncio.sleep(120)
    await client.aclose()
    outcomes = await asyncio.gather(*calls, late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Report] * 9 + [ClosedError] * 6
    assert len(server.hits) == 1 + 9


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_draining_ends_when_its_time_is_over_and_when_it_is_cancelled(
    is_cancelled: bool, slow: tuple[FathomClient, list["asyncio.Task[object]"]]
) -> None:
    client, calls = slow
    draining = asyncio.create_task(client.drain(100 if is_cancelled else 1))
    await asyncio.sleep(0.1)
    if is_cancelled:
        draining.cancel()
    await asyncio.wait([draining])
    assert (client.limits["reports"].in_flight, draining.cancelled()) == (9, is_cancelled)
    await client.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 14


async def test_draining_a_view_does_nothing(server: FathomServer, fathom: FathomClient) -> None:
    await fathom.with_options(max_wait=5).drain()
    assert (await fathom.sites.get(SITE)).id == SITE
    assert len(server.hits) == 1


async def test_what_fails_while_the_client_drains_is_not_tried_again() -> None:
    async with FathomServer(latency=(1.0, 1.0)) as server:
        server.inject(Status(503))
        client = FathomClient("any", base_url=server.url, retry=EAGER)
        call = asyncio.create_task(client.sites.get(SITE))
        await until(lambda: client.limits["crud"].in_flight == 1)
        await client.drain()
        await client.aclose()
        with pytest.raises(ClosedError):
            await call
        assert [hit.status for hit in server.hits] == [503]


async def test_closing_wakes_a_request_that_waits_to_be_tried_again(server: FathomServer) -> None:
    server.inject(Status(503))
    fathom = FathomClient("any", base_url=server.url, retry=RetryPolicy(base=1000, cap=1000))
    call = asyncio.create_task(fathom.sites.get(SITE))
    await until(lambda: bool(server.hits))
    await asyncio.sleep(0.05)
    await fathom.aclose()
    with pytest.raises(ClosedError):
        await call


async def test_a_cancelled_request_leaves_the_queue(busy: FathomClient) -> None:
    calls = [asyncio.create_task(busy.reports.current_visitors(f"SITE{n}")) for n in range(5)]
    await asyncio.sleep(0.05)
    for call in calls[2:]:
        call.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert busy.limits["reports"].queued == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert busy.limits["reports"].queued == 0
    assert busy.limits["reports"].in_flight == 0
    assert busy.limits["reports"].used == 1  # the one that was sent may have been counted


async def test_many_tasks_share_one_client(server: FathomServer, fathom: FathomClient) -> None:
    async with asyncio.TaskGroup() as group:
        sites = [group.create_task(fathom.sites.get(SITE)) for _ in range(200)]
    assert {task.result().id for task in sites} == {SITE}
    assert server.refused == 0


def test_a_client_belongs_to_one_event_loop() -> None:
    fathom = FathomClient("any", base_url="http://127.0.0.1:1/v1", retry=RetryPolicy(attempts=1))
    with pytest.raises(ConnectError):
        asyncio.run(fathom.account.get())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(fathom.account.get())
    asyncio.run(fathom.aclose())


FAULTS: list[Fault] = [
    Status(401),
    Status(500),
    Disconnect(),
    Truncate(),
    Html(),
    Body(b"nonsense"),
    Body(f'{{"id": "CDBUGS", "name": ["{TOKEN}"]}}'.encode("utf-16")),
    Redirect("http://127.0.0.1:9/login"),
    Delay(300),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
async def test_the_token_never_shows(
    server: FathomServer, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    caplog.set_level(logging.DEBUG)
    server.inject(*[fault] * 2)
    policy = RetryPolicy(attempts=2, base=0)
    async with FathomClient(TOKEN, base_url=server.url, retry=policy, timeout=0.1) as fathom:
        with pytest.raises(FathomError) as caught:
            await fathom.sites.get(SITE)
        shown = [repr(fathom), repr(vars(fathom)), repr(fathom.sites), caplog.text, repr(caught.value)]
    shown.append("".join(traceback.format_exception(caught.value)))
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(f"{error!r} {error.args}")
        error = error.__cause__
    assert all(TOKEN not in text for text in shown)


async def test_a_report_and_current_visitors_share_the_scarce_lane(fathom: FathomClient) -> None:
    await fathom.reports.aggregate(PageviewQuery(SITE, aggregates=["pageviews"]))
    await fathom.reports.current_visitors(SITE)
    await fathom.sites.get(SITE)
    assert fathom.limits["reports"].used == 2
    assert fathom.limits["crud"].used == 1


async def test_no_error_holds_the_headers_in_its_context() -> None:
    """aiohttp's own errors know the request's headers; a logger that walks the contexts must not find them."""

    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"NOT HTTP AT ALL\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as broken:
        port = broken.sockets[0].getsockname()[1]
        policy = RetryPolicy(attempts=1)
        async with FathomClient(TOKEN, base_url=f"http://127.0.0.1:{port}/v1", retry=policy) as client:
            with pytest.raises(ConnectError) as caught:
                await client.sites.get(SITE)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_a_request_admitted_while_closing_is_not_sent(
    server: FathomServer, fathom: FathomClient
) -> None:
    await fathom.sites.get(SITE)
    fathom.pause(3600, lane="crud")
    call = asyncio.create_task(fathom.sites.create(name="Acme"))
    await asyncio.sleep(0.01)
    fathom.resume(lane="crud")
    await fathom.aclose()
    with pytest.raises(ClosedError):
        await call
    assert statuses(server) == [("GET", 200)]


async def test_a_server_that_says_come_back_later_than_max_wait_is_not_waited_for(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Status(503, headers={"Retry-After": "100"}))
    with pytest.raises(ServerError):
        await fathom.with_options(max_wait=5).sites.get(SITE)


async def test_an_error_names_the_pause_that_is_too_long_to_be_waited_for(server: FathomServer) -> None:
    server.inject(Status(503, headers={"Retry-After": "3600"}))
    policy = RetryPolicy(outage=120)
    async with FathomClient("any", base_url=server.url, retry=policy) as fathom:
        with pytest.raises(ServerError, match=r"Retry-After: 3600 s"):
            await fathom.sites.get(SITE)
    assert len(server.hits) == 1


async def test_a_retry_after_beyond_reason_is_not_believed(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Status(503, headers={"Retry-After": "9" * 400}))
    assert (await fathom.sites.get(SITE)).id == SITE


async def test_a_refused_delete_that_then_finds_nothing_is_an_error(server: FathomServer) -> None:
    server.inject(Status(429, headers={"Retry-After": "0"}))
    async with FathomClient("any", base_url=server.url) as client:
        with pytest.raises(NotFoundError):
            await client.sites.delete("NOSUCH")


async def test_deleting_believes_only_an_answer_that_says_so(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Body(b'{"error": "nope"}'), Html())
    with pytest.raises(DecodeError, match="does not confirm the deletion"):
        await fathom.sites.delete(SITE)
    with pytest.raises(DecodeError, match="web page"):
        await fathom.sites.wipe(SITE)


@pytest.mark.parametrize(
    "answer", [Status(204), Body(b""), Body(b" \n"), Body(b"null"), Body(b" {} ")], ids=repr
)
async def test_a_write_without_an_answer_is_a_success_where_it_can_be_told_what_it_did(
    server: FathomServer, fathom: FathomClient, answer: Fault
) -> None:
    server.inject(*[answer] * 9)
    assert await fathom.sites.delete(SITE) == Deleted(SITE, object="site")
    assert await fathom.events.delete_by_name(SITE, "x") == Deleted("x", object="event")
    assert await fathom.events.create(SITE, name="x") == Event("x")
    assert await fathom.events.update(SITE, "ID", name="x", currency="yen") == Event("x", "ID", "yen")
    assert await fathom.events.set_currency(SITE, "x", "yen") == Event("x", currency="yen")
    moved = await fathom.milestones.update(SITE, "1", name="x", milestone_date="2026-01-31")
    assert moved == Milestone("1", "x", date(2026, 1, 31))
    for write in (fathom.sites.create(name="x"), fathom.sites.update(SITE, name="x")):
        with pytest.raises(DecodeError, match="probably carried out, so look before you send it again"):
            await write
    assert len(server.hits) == 8


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_json_in_another_encoding_is_read(
    server: FathomServer, fathom: FathomClient, encoding: str
) -> None:
    account = {"id": 1, "name": "Zo\u00eb", "email": "z@example.com"}
    server.inject(Body(json.dumps(account, ensure_ascii=False).encode(encoding)))
    assert (await fathom.account.get()).name == "Zo\u00eb"
    server.inject(Body(b"\xff\xfe\x00"), Body(b"\xff\xfe\x00"), Body(b"\xe9"))
    with pytest.raises(DecodeError, match="not JSON"):
        await fathom.account.get()


@pytest.mark.parametrize("depth", [300, 900, 3_000, 100_000])
async def test_json_nested_deeply_is_an_error_of_that_request(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    bodies = (
        deep,
        b'{"id": ' + deep + b"}",
        b'{"error": ' + deep + b"}",
        b'{"errors": {"x": ' + deep + b"}}",
    )
    asks = PageviewQuery(SITE, aggregates=["visits"]), PageviewQuery(SITE, aggregates=["uniques"])
    for status in (200, 400, 500):
        for body in bodies:
            transport = Scripted(Response(status, {}, body))
            async with FathomClient("any", transport=transport, retry=RetryPolicy(attempts=1)) as fathom:
                with pytest.raises((APIError, DecodeError)):
                    await fathom.account.get()
                outcomes = [outcome async for outcome in fathom.reports.run(asks, fuse=False)]
                assert all(isinstance(outcome.error, APIError | DecodeError) for outcome in outcomes)
                assert len(outcomes) == 2


class Scripted:
    """A transport that answers everything in the same way."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del request, within
        sent()
        return self._answer

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


def test_what_a_request_sends_is_not_shown() -> None:
    request = Request("POST", "/sites", bytes, body={"share_password": "open sesame"})
    assert "sesame" not in repr(request)


@pytest.mark.parametrize(
    ("path", "params", "subject"),
    [
        ("/sites/A", {}, "/sites/A "),
        ("/sites/A/events/b", {"limit": "10"}, "/sites/A "),
        ("/aggregations", {"entity_id": "A", "aggregates": "visits"}, "/aggregations A"),
        ("/current_visitors", {"site_id": "A"}, "/current_visitors A"),
    ],
)
def test_requests_about_one_site_have_one_subject(path: str, params: dict[str, str], subject: str) -> None:
    assert Request("GET", path, bytes, params).subject == subject
