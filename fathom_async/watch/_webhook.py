"""Tell alerts to a URL. It may be a secret: no message shows more of it than its host."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import msgspec

from fathom_async._core.retry import TRANSIENT
from fathom_async._util.checks import base_url, url_parts
from fathom_async.errors import APIError, ConfigurationError, FathomError, TransportError
from fathom_async.watch._judge import Alert

_AGAIN: Final = TRANSIENT | {HTTPStatus.TOO_MANY_REQUESTS}
_PAUSES: Final[tuple[float, ...]] = (1.0, 4.0, 15.0)
_TIMEOUT: Final = 15.0


@asynccontextmanager
async def webhook(url: str) -> AsyncGenerator[Callable[[Alert], Awaitable[None]]]:
    """Return a function that sends alerts to a URL, each as a JSON object by POST.

    It tries four times, half a minute long. A receiver that gets an alert twice knows it by its ``id``, which is in
    the header ``Idempotency-Key``, too. Redirects are not followed.

    Args:
        url: ``https``, or ``http`` to this machine. No message shows more of it than the host.

    Raises:
        ConfigurationError: It is no such URL.
        TransportError: The function got no answer.
        APIError: The function got an error.
    """
    from aiohttp import ClientError, ClientSession, ClientTimeout  # noqa: PLC0415 - it loads slowly

    parts = url_parts(url)
    if parts is None or not parts.hostname or parts.username is not None:
        raise ConfigurationError("the webhook is no URL; write one such as https://host/path")
    base_url(f"{parts.scheme}://{parts.netloc}")
    host, pauses = parts.hostname, _PAUSES

    async def attempt(alert: Alert) -> FathomError | None:
        body = msgspec.json.encode(alert.to_dict())
        headers = {"Content-Type": "application/json", "Idempotency-Key": alert.id}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return None
                return APIError(answer.status, "the webhook did not take the alert", None, "POST", host)
        except (ClientError, TimeoutError) as error:
            return TransportError(f"no answer from the webhook at {host}: {type(error).__name__}")

    async def tell(alert: Alert) -> None:
        nonlocal pauses
        error = await attempt(alert)
        for pause in pauses:
            if error is None or (isinstance(error, APIError) and error.status not in _AGAIN):
                break
            await asyncio.sleep(pause)
            error = await attempt(alert)
        pauses = () if error else _PAUSES  # the next alerts do not wait for one that is away
        if error is not None:
            raise error

    async with ClientSession(timeout=ClientTimeout(total=_TIMEOUT), trust_env=True) as session:
        yield tell
