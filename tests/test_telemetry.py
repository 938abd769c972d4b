"""Events and counts."""

import asyncio
import logging

import pytest

from fathom_async import FathomClient, RatePlan, ServerError
from fathom_async.telemetry import Adapted, Admitted, Answered, Event, Paused, Queued, Retried, Sent
from fathom_async.testing import Delay, FathomServer, LaravelWindow, Status
from tests.conftest import EAGER

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"


async def test_the_life_of_a_request_is_told_in_order(server: FathomServer) -> None:
    events: list[Event] = []
    server.inject(Status(503), Delay(0.25))
    async with FathomClient("any", base_url=server.url, retry=EAGER, on_event=events.append) as fathom:
        await fathom.sites.get(SITE)
    kinds = [type(event) for event in events]
    assert kinds == [Queued, Admitted, Sent, Answered, Retried, Queued, Admitted, Sent, Answered]
    queued, answered = events[0], events[-1]
    assert isinstance(queued, Queued)
    assert (queued.lane, queued.method, queued.path, queued.attempt) == ("crud", "GET", f"/sites/{SITE}", 1)
    assert isinstance(answered, Answered)
    assert answered.status == 200
    assert answered.seconds == pytest.approx(0.25)
    assert len({event.request for event in events if not isinstance(event, Paused)}) == 1  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    moments = [event.at for event in events]
    assert moments == sorted(moments)


async def test_a_hook_that_fails_does_not_disturb(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(event: Event) -> None:
        raise RuntimeError(f"observer trouble with {event}")

    async with FathomClient("any", base_url=server.url, on_event=hook) as fathom:
        assert (await fathom.sites.get(SITE)).id == SITE
    assert "observer trouble" in caplog.text


async def test_counts_of_a_client(server: FathomServer, fathom: FathomClient) -> None:
    server.inject(Status(503))
    await fathom.sites.get(SITE)
    await fathom.with_options(timeout=5).reports.current_visitors(SITE)
    stats = fathom.stats
    assert dict(stats.sent) == {"crud": 2, "reports": 1}
    assert (stats.refused, stats.retried, stats.shared) == (0, 1, 0)
    assert stats.pageviews == 3


async def test_waiting_is_counted(server: FathomServer) -> None:
    async with FathomClient("any", base_url=server.url, plan=RatePlan(concurrency=1)) as fathom:
        await fathom.sites.get(SITE)
        assert fathom.stats.waited == 0


async def test_a_retry_is_one_line_in_the_log(server: FathomServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fathom_async")
    server.inject(Status(503), Status(503))
    async with FathomClient("any", base_url=server.url, retry=EAGER) as fathom:
        await fathom.sites.get(SITE)
    messages = [record.message for record in caplog.records]
    assert [message[:16] for message in messages] == ["attempt 1 failed", "attempt 2 failed"]
    assert [(vars(record)["lane"], vars(record)["attempt"]) for record in caplog.records] == [
        ("crud", 1),
        ("crud", 2),
    ]


async def test_a_request_that_ends_with_an_error_is_counted_as_sent(server: FathomServer) -> None:
    server.inject(*[Status(500)] * 4)
    async with FathomClient("any", base_url=server.url, retry=EAGER) as fathom:
        with pytest.raises(ServerError):
            await fathom.sites.get(SITE)
        assert fathom.stats.sent == {"crud": 4}


async def test_pauses_and_adapted_limits_are_told() -> None:
    events: list[Event] = []
    stricter = LaravelWindow(1000, per=3600)
    async with (
        FathomServer(crud_throttle=stricter) as server,
        FathomClient("any", base_url=server.url, plan="classic", on_event=events.append) as fathom,
    ):
        for _ in range(2):
            await fathom.sites.get(SITE)
        headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "3", "Retry-After": "0"}
        server.inject(Delay(0.3), Status(429, headers=headers))
        await asyncio.gather(fathom.sites.get(SITE), fathom.sites.get(SITE))
    adapted = [(event.what, event.before, event.after) for event in events if isinstance(event, Adapted)]
    assert adapted == [("limit", 2000, 1000), ("concurrency", 100, 1)]
    assert [event.seconds for event in events if isinstance(event, Paused)] == [1.0]
    assert fathom.stats.refused == 1
