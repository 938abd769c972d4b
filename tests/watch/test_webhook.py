"""Alerts told to a URL, over a real socket: again when it is away, and without a word of what it is."""

import logging
import traceback
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC

import pytest
from aiohttp import web
from attrs import define, field

from fathom_async import APIError, ConfigurationError, TransportError
from fathom_async.watch import Alert, webhook
from fathom_async.watch._judge import judge

from .traffic import rule

SECRET = "T0/B0/s3cr3t-path?token=s3cr3t-query"
pytestmark = pytest.mark.virtual_time


@define
class Receiver:
    """Answers with statuses, and with 204 when there are no more."""

    statuses: list[int] = field(factory=list[int])
    url: str = ""
    seen: list[Mapping[str, object]] = field(factory=list[Mapping[str, object]])
    ids: list[str] = field(factory=list[str])

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        self.ids.append(request.headers["Idempotency-Key"])
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": f"{self.url}/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=headers, text=None if status == 204 else str(request.url))


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncGenerator[Receiver]:
    receiver, app = Receiver([*statuses]), web.Application()
    app.router.add_post("/{rest:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def alert(number: int = 700_000) -> Alert:
    found = judge(rule(below=5), {number: 0}, number, UTC)
    assert found is not None
    return found


async def test_an_alert_is_posted_as_json_with_its_id() -> None:
    async with receiving() as receiver, webhook(receiver.url) as tell:
        await tell(alert())
    assert receiver.seen == [alert().to_dict()]
    assert receiver.ids == [alert().id]


@pytest.mark.parametrize("statuses", [[503], [429, 500], [502, 504, 408]])
async def test_a_receiver_that_is_away_is_asked_again(statuses: list[int]) -> None:
    async with receiving(*statuses) as receiver, webhook(receiver.url) as tell:
        await tell(alert())
    assert receiver.ids == [alert().id] * (len(statuses) + 1)


async def test_one_that_stays_away_gets_further_alerts_once_each() -> None:
    async with receiving(*[503] * 6) as receiver, webhook(receiver.url) as tell:
        for number in range(3):
            with pytest.raises(APIError) as caught:
                await tell(alert(700_000 + number))
            assert caught.value.status == 503
        assert len(receiver.ids) == 4 + 1 + 1
        receiver.statuses = [204, 503, 204]
        for number in range(2):
            await tell(alert(700_000 + number))
        assert len(receiver.ids) == 6 + 1 + 2


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 422])
async def test_an_alert_that_is_refused_is_not_posted_again(status: int) -> None:
    async with receiving(status) as receiver, webhook(receiver.url) as tell:
        with pytest.raises(APIError) as caught:
            await tell(alert())
        assert (caught.value.status, len(receiver.ids)) == (status, 1)
        await tell(alert())


async def test_neither_an_error_nor_the_log_shows_the_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    errors = list[Exception]()
    async with receiving(500, 500, 500, 500, 400) as receiver, webhook(receiver.url) as tell:
        for _ in range(2):
            with pytest.raises(APIError) as refused:
                await tell(alert())
            errors.append(refused.value)
    async with webhook(receiver.url) as tell:
        with pytest.raises(TransportError, match=r"no answer from the webhook at 127\.0\.0\.1") as gone:
            await tell(alert())
        errors.append(gone.value)
    for broken in (
        f"ftp://host/{SECRET}",
        f"https:///{SECRET}",
        SECRET,
        f"https://me:{SECRET}@host",
        "https://h:x/s3cr3t",
    ):
        with pytest.raises(ConfigurationError) as wrong:
            async with webhook(broken):
                pass
        errors.append(wrong.value)
    told = "".join("".join(traceback.format_exception(error)) + repr(vars(error)) for error in errors)
    assert "s3cr3t" not in told + caplog.text


async def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(ConfigurationError, match=r"write https://"):
        async with webhook("http://alerts.example.com/a"):
            pass
