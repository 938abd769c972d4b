"""Whatever a server does with the credentials, nobody sees them."""

import asyncio
import json
import logging
import pickle
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fathom_async import FathomClient, FathomError, RetryPolicy, StoreError
from fathom_async._core.request import Request, Response
from fathom_async.connectors import EmmaClient
from fathom_async.errors import ConnectError
from fathom_async.integrations.opentelemetry import RequestSpans
from fathom_async.store import open_store
from fathom_async.telemetry import Event
from tests.support.networks import listening
from tests.support.scripted import http, scripted

TOKEN = "12|Zb+K7/very-secret_0123456789abcdef"
PUBLIC, PRIVATE = "0123456789", "private+key/0123456789"
BASIC = b64encode(f"{PUBLIC}:{PRIVATE}".encode()).decode()

PLACES: dict[str, Callable[[str], bytes]] = {
    "a message": lambda said: http(json.dumps({"message": said}).encode(), "401 Unauthorized"),
    "a list of messages": lambda said: http(json.dumps({"errors": [said]}).encode(), "400 Bad Request"),
    "a field's message": lambda said: http(json.dumps({"errors": {"name": [said]}}).encode(), "422 No"),
    "a field's name": lambda said: http(json.dumps({"errors": {said: ["no"]}}).encode(), "422 No"),
    "a permission": lambda said: http(json.dumps({"error": f"permission {said}"}).encode(), "403 No"),
    "a refusal": lambda said: http(json.dumps({"message": said}).encode(), "429 No"),
    "a failure": lambda said: http(json.dumps({"message": said}).encode(), "500 No"),
    "an error in plain text": lambda said: http(said.encode(), "503 No", Content_Type="text/plain"),
    "a reason": lambda said: http(b"{}", f"403 {said}"),
    "a header": lambda said: http(b"{}", "401 No", WWW_Authenticate=said, Retry_After=said),
    "a redirect": lambda said: http(b"", "302 Found", Location=f"https://elsewhere/{said}"),
    "a web page": lambda said: http(f"<html>{said}".encode(), Content_Type="text/html"),
    "the end of what is shown of a page": lambda said: http(b"<html>".ljust(180) + said.encode()),
    "JSON that is cut off": lambda said: http(json.dumps({"authorization": said}).encode()[:-1]),
    "a value of the wrong type": lambda said: http(json.dumps({"id": [said]}).encode()),
    "an unreadable date": lambda said: http(
        json.dumps({"id": "1", "name": "a", "created_at": said}).encode()
    ),
    "a status line": lambda said: f"HTTP/1.1 {said} OK\r\n\r\n".encode(),
    "a line that is no header": lambda said: f"HTTP/1.1 200 OK\r\n{said}\r\n\r\n".encode(),
    "a length": lambda said: http(b"", Content_Length=said),
    "a chunk's length": lambda said: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{said}\r\n".encode()
    ),
    "an encoding": lambda said: http(b"{}", Content_Encoding="gzip", X_Debug=said),
    "no HTTP": str.encode,
}


class Onlooker:
    """Keeps what is told of requests: events, spans, log lines and errors."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        self._log = caplog
        self._spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._hook = RequestSpans(provider.get_tracer("test"))
        self._told: list[str] = []

    def __call__(self, event: Event) -> None:
        self._told.append(repr(event))
        self._hook(event)

    def note(self, error: BaseException) -> None:
        self._told += [str(error), repr(error), repr(error.args), repr(vars(error))]
        self._told += [pickle.dumps(error).decode("latin-1"), *traceback.format_exception(error)]

    def all(self) -> str:
        records = (repr(vars(record)) + record.getMessage() for record in self._log.records)
        return "\n".join(
            [*self._told, *records, *(span.to_json() for span in self._spans.get_finished_spans())]
        )


def forms(secret: str) -> list[str]:
    quoted = quote(secret, safe="")
    base64, hexadecimal = b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()
    return [secret, quoted, secret.replace("/", "\\/"), base64, hexadecimal, secret.upper(), secret.lower()]


@pytest.mark.parametrize(
    "form", range(7), ids=["plain", "quoted", "escaped", "base64", "hexadecimal", "upper case", "lower case"]
)
@pytest.mark.parametrize("place", PLACES)
async def test_nobody_sees_a_token_that_the_server_repeats(
    place: str, form: int, caplog: pytest.LogCaptureFixture
) -> None:
    onlooker, said = Onlooker(caplog), f"Bearer {forms(TOKEN)[form]}"
    once = RetryPolicy(attempts=2, refusals=0, base=0)
    async with (
        scripted(PLACES[place](said)) as server,
        FathomClient(TOKEN, base_url=server.url, retry=once, on_event=onlooker) as fathom,
    ):
        with pytest.raises(FathomError) as caught:
            await fathom.sites.get("CDBUGS")
    assert TOKEN.encode() in server.requests[0]
    onlooker.note(caught.value)
    assert not [each for each in forms(TOKEN) if each in onlooker.all()]


@pytest.mark.parametrize("said", [PRIVATE, BASIC, quote(PRIVATE, safe=""), f"{PUBLIC}:{PRIVATE}"])
@pytest.mark.parametrize("place", PLACES)
async def test_nobody_sees_a_key_that_the_server_repeats(
    place: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    onlooker = Onlooker(caplog)
    once = RetryPolicy(attempts=1, refusals=0)
    async with (
        scripted(PLACES[place](said)) as server,
        EmmaClient(
            1, public_key=PUBLIC, private_key=PRIVATE, base_url=server.url, retry=once, on_event=onlooker
        ) as emma,
    ):
        with pytest.raises(FathomError) as caught:
            await emma.event_types.get(5)
    assert BASIC.encode() in server.requests[0]
    onlooker.note(caught.value)
    assert not [each for each in (PRIVATE, BASIC, quote(PRIVATE, safe="")) if each in onlooker.all()]


async def test_a_short_credential_that_is_a_word_changes_no_data() -> None:
    body = http(b'{"id": 1, "name": "password", "email": "a"}')
    async with scripted(body) as server, FathomClient("password", base_url=server.url) as fathom:
        assert (await fathom.account.get()).name == "password"


async def test_data_that_repeat_a_token_are_without_it() -> None:
    body = http(json.dumps({"id": 1, "name": f"a {TOKEN}", "email": "a", "key": TOKEN}).encode())
    async with scripted(body) as server, FathomClient(TOKEN, base_url=server.url) as fathom:
        account = await fathom.account.get()
    assert (account.name, account.extra) == ("a ***", {"key": "***"})


async def test_nobody_sees_a_token_that_the_server_escapes() -> None:
    said = "".join(f"\\u{ord(each):04x}" for each in TOKEN)
    for status in ("200 OK", "400 Bad Request"):
        async with (
            scripted(http(f'{{"id": 1, "name": "{said}", "error": "{said}"}}'.encode(), status)) as server,
            FathomClient(TOKEN, base_url=server.url) as fathom,
        ):
            try:
                shown = repr(await fathom.request("GET", "/account"))
            except FathomError as error:
                shown = repr(error)
        assert "***" in shown
        assert TOKEN not in shown


@pytest.mark.parametrize("way", ["environment", ".netrc", "URL", "header"])
@pytest.mark.parametrize("is_asked", [False, True])
async def test_nobody_sees_what_a_proxy_repeats_of_a_borrowed_session(
    way: str, is_asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str]()

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(head)
        found = [line.partition(": ")[2] for line in head.splitlines() if "uthorization" in line]
        plain = [b64decode(each.partition(" ")[2] + "==").decode("latin-1") for each in found]
        writer.write(http(json.dumps({"error": f"denied: {found} {plain}"}).encode(), "502 No"))

    for name in ("NO_PROXY", "HTTP_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    password, once = "p@ss/word-12345", RetryPolicy(attempts=1)
    login = f"Basic {b64encode(f'homer:{password}'.encode()).decode()}"
    async with listening(repeat) as port:
        proxy = f"http://127.0.0.1:{port}"
        full = f"http://homer:{quote(password, safe='')}@127.0.0.1:{port}"
        given: dict[str, object] = {"proxy": full} if way == "URL" else {"proxy": proxy}
        if way in {"environment", ".netrc"}:
            given = {"trust_env": True}
            monkeypatch.setenv("http_proxy", full if way == "environment" else proxy)
            (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login homer password {password}\n")
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc" if way == ".netrc" else tmp_path / "none"))
        given |= {"headers": {"Authorization": login}} if way == "header" else {}
        token = (lambda: TOKEN) if is_asked else TOKEN
        async with (
            aiohttp.ClientSession(**given) as session,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            FathomClient(token, base_url="http://127.0.0.1:9/v1", session=session, retry=once) as fathom,
        ):
            with pytest.raises(FathomError, match="denied") as caught:
                await fathom.sites.get("CDBUGS")
    assert login in seen[0]
    assert password not in str(caught.value)
    assert login not in str(caught.value)


async def test_nobody_sees_what_a_transport_quotes_or_follows_from() -> None:
    class Telling:
        async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
            sent()
            assert within
            raise ConnectError(f"no way for {TOKEN}", request.method, TOKEN) from RuntimeError(TOKEN)

        def url(self, request: Request[object]) -> str:
            return request.target

        async def close(self) -> None:
            pass

    once = RetryPolicy(attempts=1)
    async with FathomClient(TOKEN, transport=Telling(), retry=once) as fathom:
        with pytest.raises(ConnectError, match="no way for") as caught:
            await fathom.sites.get("CDBUGS")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["redis://:{}@{}/0", "redis://{}@{}/0", "redis://joe:{}@{}", "redis://{1}?password={0}"]
)
async def test_nobody_sees_a_password_that_a_redis_server_repeats(url: str) -> None:
    password = "p@ss/word-1234"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(1000):
            said = (
                f"unknown command 'AUTH', with args beginning with: '{password}'"
                if b"AUTH" in command
                else "no"
            )
            writer.write(f"-ERR {said}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    where = url.format(quote(password, safe=""), place)
    async with server, FathomClient("token", budget=where) as fathom, open_store(where) as store:
        with pytest.raises(FathomError) as of_budget:
            await fathom.look()
        with pytest.raises(StoreError) as of_store:
            await store.get_many(["key"])
    for error in (of_budget.value, of_store.value):
        shown = repr(error) + "".join(traceback.format_exception(error))
        assert place in shown
        assert "ss/word" not in shown
        assert "ss%2Fword" not in shown
