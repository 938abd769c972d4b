"""Networks as they are: proxies, certificates of one's own, borrowed sessions, old servers, broken connections."""

import asyncio
import builtins
import gc
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from fathom_async import (
    ClosedError,
    ConfigurationError,
    ConnectError,
    DecodeError,
    FathomClient,
    NetworkSettingsError,
    RateLimit,
    RetryPolicy,
    TimeoutError,  # noqa: A004 - ours is one
)
from fathom_async._core.transport import HttpTransport
from fathom_async.service import Request, Service, ServiceClient
from fathom_async.testing import FathomServer
from tests.conftest import EAGER
from tests.support.networks import Alerting, Forgetful, Proxy, certificate, encrypted, join, listening

SITE = b'{"id":"CDBUGS","object":"site","name":"Acme","sharing":"none","created_at":"2020-07-27 12:01:01"}'


@pytest.fixture
async def secure(server: FathomServer, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of `server` over TLS, with ``ca.pem`` in `tmp_path`."""
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    async with encrypted(port, certificate(tmp_path, "DNS:localhost", "IP:127.0.0.1")) as own:
        yield f"https://localhost:{own}/v1"


@pytest.fixture
def trusting(secure: str, tmp_path: Path) -> ssl.SSLContext:
    """What a client of `secure` needs."""
    assert secure
    return ssl.create_default_context(cafile=tmp_path / "ca.pem")


async def test_a_ca_of_ones_own_is_trusted_by_a_context(secure: str, trusting: ssl.SSLContext) -> None:
    async with FathomClient("any", base_url=secure, ssl=trusting) as fathom:
        assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"


async def test_a_certificate_that_nobody_signed_says_what_to_do_and_is_not_tried_again(
    secure: str, server: FathomServer
) -> None:
    async with FathomClient("any", base_url=secure) as fathom:
        words = r"certificate of localhost is not trusted \(self.signed.*ssl=.*SSL_CERT_FILE.*GET https://localhost"
        with pytest.raises(NetworkSettingsError, match=words) as caught:
            await fathom.sites.get("CDBUGS")
        assert isinstance(caught.value, ConnectError)
        assert isinstance(caught.value, ConfigurationError)
        assert not caught.value.sent
        assert fathom.stats.retried == 0
        status = fathom.limits["crud"]
        assert (status.used, status.in_flight, status.away_for) == (0, 0, None)
    assert server.hits == ()


async def test_a_file_of_certificates_that_is_not_there_is_named(
    secure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    for ssl_given, words in (
        (None, r"SSL_CERT_FILE is '.*no\.pem', which is not a file"),
        (True, "pass ssl="),
    ):
        context = ssl.create_default_context() if ssl_given else None
        async with FathomClient("any", base_url=secure, ssl=context) as fathom:
            with pytest.raises(NetworkSettingsError, match=words):
                await fathom.sites.get("CDBUGS")


def _wanting(wants: str, tls: ssl.SSLContext, ours: ssl.SSLContext, ca: Path) -> None:
    """Let a server and a client disagree."""
    if wants == "TLS 1.3":
        tls.minimum_version, ours.maximum_version = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
    elif wants == "TLS 1.2":
        tls.maximum_version, ours.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    elif wants.startswith("a certificate"):
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(ca)
        if wants.endswith("1.2"):
            tls.maximum_version = ssl.TLSVersion.TLSv1_2


WANTED = ["TLS 1.3", "TLS 1.2", "a certificate by TLS 1.2", "a certificate by TLS 1.3"]


@pytest.mark.parametrize("wants", WANTED)
@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_an_alert_of_tls_says_what_the_server_wants_and_is_not_tried_again(
    wants: str, is_borrowed: bool, tmp_path: Path
) -> None:
    tls = certificate(tmp_path, "DNS:localhost")
    ours = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    _wanting(wants, tls, ours, tmp_path / "ca.pem")
    with Alerting(tls) as server:
        url = f"https://localhost:{server.port}/v1"
        async with aiohttp.ClientSession() as session:
            lent = session if is_borrowed else None
            async with FathomClient("any", base_url=url, ssl=ours, session=lent) as fathom:
                # TLS 1.3 tells it so late that a body may already meet a closed connection.
                posts = [] if wants.endswith("certificate by TLS 1.3") else [fathom.sites.create(name="Acme")]
                for ask in (fathom.sites.get("CDBUGS"), *posts):
                    words = rf"localhost:{server.port} (wants a certificate of yours|\(.*ALERT)"
                    with pytest.raises(NetworkSettingsError, match=words) as caught:
                        await ask
                    assert not caught.value.sent
                assert fathom.stats.retried == 0


@pytest.mark.parametrize("wants", ["TLS 1.3", "TLS 1.2", "a certificate by TLS 1.2", "the tunnel breaks"])
async def test_who_breaks_off_the_start_of_tls_without_an_alert_is_named_with_what_it_may_want(
    wants: str, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    tls = certificate(tmp_path, "DNS:localhost")
    trusting.load_verify_locations(tmp_path / "ca.pem")
    _wanting(wants, tls, trusting, tmp_path / "ca.pem")
    is_tunnel, words = wants == "the tunnel breaks", ""

    async def shut(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with (
        listening(shut, tls=None if is_tunnel else tls) as port,
        Proxy(target=port).running() as proxy,
    ):
        given = {"proxy": proxy.url} if is_tunnel else {}
        url, once = f"https://localhost:{port}/v1", RetryPolicy(attempts=1)
        async with FathomClient("any", base_url=url, ssl=trusting, retry=once, **given) as fathom:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            words = r", or the proxy 127.0.0.1:\d+ is none" if is_tunnel else ""
            with pytest.raises(ConnectError, match=rf"localhost:{port}(:| broke off TLS.*{words})") as caught:
                await fathom.sites.get("CDBUGS")
    assert "object at" not in str(caught.value)
    assert not caught.value.sent


NO_HTTP = [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/3.0 200 OK\r\n\r\n"]


@pytest.mark.parametrize("said", NO_HTTP)
async def test_a_proxy_that_is_another_kind_of_server_is_told_at_once(said: bytes) -> None:
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(said)

    async with listening(answer) as port:
        url, proxy = "https://localhost:9/v1", f"http://127.0.0.1:{port}"
        async with FathomClient("any", base_url=url, proxy=proxy, retry=EAGER) as fathom:
            with pytest.raises(NetworkSettingsError, match=f"the proxy 127.0.0.1:{port} does not speak HTTP"):
                await fathom.sites.get("CDBUGS")
    assert asked == 1


@pytest.mark.parametrize("said", NO_HTTP)
@pytest.mark.parametrize("is_known", [False, True])
async def test_a_server_that_does_not_speak_http_is_told_at_once_unless_it_has_answered(
    said: bytes, is_known: bool
) -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SITE) + SITE] * 2
    answers.insert(is_known, said)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))

    async with listening(answer) as port:
        url = f"http://127.0.0.1:{port}/v1"
        async with FathomClient("any", base_url=url, retry=EAGER) as fathom:
            if is_known:
                await fathom.sites.get("CDBUGS")
                await fathom.sites.get("CDBUGS")
            else:
                with pytest.raises(NetworkSettingsError, match=f"127.0.0.1:{port} does not speak HTTP"):
                    await fathom.sites.get("CDBUGS")
            assert fathom.stats.retried == is_known


@pytest.mark.parametrize("code", ["EAI_NONAME", "EAI_AGAIN"])
@pytest.mark.parametrize("is_known", [False, True])
async def test_a_name_that_does_not_exist_is_told_at_once_unless_it_did_before(
    server: FathomServer, code: str, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, failing = asyncio.get_running_loop(), False
    look_up = loop.getaddrinfo

    async def fail_once(*given: object, **more: object) -> object:
        nonlocal failing
        if failing:
            failing = False
            raise socket.gaierror(getattr(socket, code), "no name")
        return await look_up(*given, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(loop, "getaddrinfo", fail_once)
    url = server.url.replace("127.0.0.1", "localhost")
    connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
    is_told = (
        code == "EAI_NONAME" and not is_known and sys.platform == "linux"
    )  # elsewhere any outage says so
    async with (
        aiohttp.ClientSession(connector=connector) as lent,
        FathomClient("any", base_url=url, session=lent, retry=EAGER) as fathom,
    ):
        if is_known:
            await fathom.sites.get("CDBUGS")
        failing = True
        if is_told:
            with pytest.raises(NetworkSettingsError, match=r"there is no host localhost:\d+: check"):
                await fathom.sites.get("CDBUGS")
        assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"
        assert fathom.stats.retried == (not is_told)


async def test_a_server_that_speaks_no_tls_is_told_at_once(server: FathomServer) -> None:
    async with FathomClient("any", base_url=server.url.replace("http:", "https:")) as fathom:
        with pytest.raises(NetworkSettingsError, match=r"no TLS with 127\.0\.0\.1:\d+ \(.*check that"):
            await fathom.sites.get("CDBUGS")
        assert fathom.stats.retried == 0


@pytest.mark.parametrize("password", [None, "homer:doh-doh-doh"])
@pytest.mark.parametrize("way", ["argument", "environment", "borrowed", "borrowed, and an argument"])
async def test_a_proxy_is_used_and_sees_nothing_that_is_for_the_server(
    secure: str, trusting: ssl.SSLContext, way: str, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = secure.rpartition(":")[2].partition("/")[0]
    async with Proxy(password=password).running() as proxy, aiohttp.ClientSession(trust_env=True) as session:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        given: dict[str, object] = {"ssl": trusting, "base_url": secure}
        given |= {"trust_env": True} if way == "environment" else {}
        given |= {"session": session} if "borrowed" in way else {}
        given |= {"proxy": proxy.url} if "argument" in way else {}
        for token in ("any", lambda: "any"):
            async with FathomClient(token, **given) as fathom:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                assert (await fathom.sites.create(name="Acme")).name == "Acme"
                await asyncio.gather(*(fathom.events.list("CDBUGS", limit=each) for each in range(1, 9)))
                assert "doh-doh-doh" not in repr(fathom)
        for key in ("a-key", lambda: "a-key"):
            service = Service(
                authorization=key,
                auth_header="X-Api-Key",
                headers={"Authorization": "Bearer any", "X-Tenant": "t1"},
                limits={"all": RateLimit(600, per=3600)},
                **given,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            )
            async with ServiceClient(service) as client:
                await client.request("GET", "/account")
    assert len(proxy.asked) >= 4 or "borrowed" in way
    assert set(proxy.asked) == {proxy.tunnel_to(f"localhost:{port}")}


async def test_a_proxy_that_wants_no_password_is_given_no_token_as_one() -> None:
    heads = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SITE) + SITE)

    async with listening(answer) as port:
        proxy = f"http://127.0.0.1:{port}"
        async with FathomClient("any", base_url="http://127.0.0.1:9/v1", proxy=proxy) as fathom:
            assert (await fathom.sites.get("CDBUGS")).name == "Acme"
    assert [head.partition(b" HTTP")[0] for head in heads] == [b"GET http://127.0.0.1:9/v1/sites/CDBUGS"]
    assert b"proxy-authorization" not in heads[0].lower()


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_header_is_replaced_in_whatever_case_it_is_written(is_borrowed: bool) -> None:
    heads = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    async with listening(answer) as port, aiohttp.ClientSession() as session:
        headers = {"User-Agent": "ours", "user-agent": "theirs", "content-type": "text/plain"}
        lent = session if is_borrowed else None
        transport = HttpTransport(f"http://127.0.0.1:{port}", headers, max_body=9, session=lent)
        for name in ("Authorization", "authorization"):
            transport.set_header(name, name)
            await transport.send(Request("POST", "/", bytes, body={}), 5.0, lambda: None)
        await transport.close()
    for head, value in zip(heads, (b"Authorization", b"authorization"), strict=True):
        lines = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"auth")]
        assert lines == [value]
        assert head.lower().count(b"user-agent: ") == 1
        assert b": theirs" in head
        assert head.lower().count(b"content-type: ") == 1


async def test_a_proxy_that_wants_a_password_is_told_without_showing_one(
    secure: str, trusting: ssl.SSLContext
) -> None:
    async with Proxy(password="homer:secret-of-homer").running() as proxy:
        wrong = proxy.url.replace("secret-of-homer", "secret-of-marge")
        async with FathomClient("any", base_url=secure, ssl=trusting, proxy=wrong) as fathom:
            with pytest.raises(
                NetworkSettingsError, match=r"127.0.0.1:\d+ wants a user and a password"
            ) as caught:
                await fathom.sites.get("CDBUGS")
        assert "secret-of" not in str(caught.value)
        assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [(403, NetworkSettingsError, 1), (501, NetworkSettingsError, 1), (502, ConnectError, 4)],
)
async def test_what_a_proxy_refuses_is_tried_again_if_it_may_pass(
    secure: str, status: int, kind: type[ConnectError], asked: int
) -> None:
    async with (
        Proxy(status=status).running() as proxy,
        FathomClient("any", base_url=secure, proxy=proxy.url, retry=EAGER) as fathom,
    ):
        with pytest.raises(ConnectError, match=f"answered {status} instead of connecting") as caught:
            await fathom.sites.create(name="Acme")
        assert type(caught.value) is kind
        assert len(proxy.asked) == asked


async def test_a_proxy_that_is_not_there_is_an_error_without_its_password(secure: str) -> None:
    policy = RetryPolicy(attempts=1)
    nowhere = "http://homer:secret-of-homer@127.0.0.1:9"
    async with FathomClient("any", base_url=secure, proxy=nowhere, retry=policy) as fathom:
        with pytest.raises(ConnectError, match=r"no connection: .*127\.0\.0\.1:9") as caught:
            await fathom.sites.get("CDBUGS")
    assert "secret-of" not in f"{caught.value!r}{caught.value}"


async def test_a_borrowed_session_is_used_with_our_headers_and_stays_open(server: FathomServer) -> None:
    seen = list[str]()

    async def note(req: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        seen.append(req.headers["Authorization"])
        return await handler(req)

    async with aiohttp.ClientSession(
        headers={"Authorization": "Bearer of-another"},
        auth=None,
        middlewares=[note],
        raise_for_status=True,
        auto_decompress=False,
    ) as session:
        async with FathomClient("any", base_url=server.url, session=session) as fathom:
            assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"
            assert (await fathom.sites.create(name="Acme")).name == "Acme"
            assert fathom.stats.sent["crud"] == 2
        assert not session.closed
        assert len(seen) == 2
        assert [hit.method for hit in server.hits] == ["GET", "POST"]


async def test_a_borrowed_session_with_a_login_of_its_own_does_not_replace_the_token(
    server: FathomServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login homer password doh\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with (
        aiohttp.ClientSession(trust_env=True) as session,
        FathomClient("any", base_url=server.url, session=session) as fathom,
    ):
        assert (await fathom.account.get()).name == "Homer Simpson"


async def test_a_borrowed_session_that_its_owner_closed_is_a_closed_client(server: FathomServer) -> None:
    async with aiohttp.ClientSession() as session:
        fathom = FathomClient("any", base_url=server.url, session=session)
    async with fathom:
        with pytest.raises(ClosedError, match="session is closed"):
            await fathom.sites.get("CDBUGS")


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_create_on_a_connection_that_was_closed_while_the_loop_was_busy_goes_through(
    is_borrowed: bool,
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SITE) + SITE
    with Forgetful(answer) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with (
            aiohttp.ClientSession() as session,
            FathomClient("any", base_url=url, session=session if is_borrowed else None) as fathom,
        ):
            for at_once in (1, 5, 5):
                await asyncio.gather(*(fathom.sites.create(name="Acme") for _ in range(at_once)))
                server.forget()  # which the event loop cannot notice, because it does not turn
            assert (await fathom.sites.create(name="Acme")).name == "Acme"
            assert fathom.stats.retried == 0
        assert server.seen == [b"POST"] * 12


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_closing_the_client_ends_what_is_in_flight_but_not_a_borrowed_session(
    is_borrowed: bool,
) -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with listening(silent) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1"
        async with FathomClient("any", base_url=url, session=session if is_borrowed else None) as fathom:
            calls = [asyncio.create_task(call) for call in (fathom.sites.get("CDBUGS"), fathom.account.get())]
            await asked.wait()
        for call in calls:
            with pytest.raises(ClosedError):
                await call
            assert call.cancelling() == 0
        assert not session.closed


@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_connection_is_closed_when_what_hears_of_it_fails(
    server: FathomServer, is_borrowed: bool
) -> None:
    async with aiohttp.ClientSession() as session:
        transport = HttpTransport(server.url, {}, max_body=100, session=session if is_borrowed else None)

        def fail() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await transport.send(Request("GET", "/account", bytes), 5.0, fail)
        gc.collect()  # which would find an unclosed connection, and fail the test
        await transport.close()
    assert server.hits == ()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_server_that_closes_after_each_answer_serves_as_well(version: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/" + version + b" 200 OK\r\nConnection: close\r\n\r\n" + SITE)

    async with (
        listening(answer) as port,
        FathomClient("any", base_url=f"http://127.0.0.1:{port}/v1") as fathom,
    ):
        for _ in range(3):
            assert (await fathom.sites.get("CDBUGS")).name == "Acme"
        assert fathom.stats.retried == 0


async def test_ipv6_is_spoken(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SITE) + SITE)

    tls = certificate(tmp_path, "IP:::1")
    trusting = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    for own, scheme in ((None, "http"), (tls, "https")):
        async with (
            listening(answer, tls=own, host="::1") as port,
            FathomClient("any", base_url=f"{scheme}://[::1]:{port}/v1", ssl=trusting) as fathom,
        ):
            assert (await fathom.sites.get("CDBUGS")).name == "Acme"


UNREADABLE = {
    "many headers": (b"X: y\r\n" * 200 + b"Content-Length: 2\r\n\r\n{}", "more headers than aiohttp reads"),
    "headers without end": (b"X: y\r\n" * 5_000, "more headers than aiohttp reads"),
    "long header": (
        b"X-Long: " + b"a" * 9_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        r"header has a line over aiohttp's 8,190 bytes; set max_header",
    ),
    "no gzip": (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "not what its header says: .*gzip"),
    "no deflate": (
        b"Content-Encoding: deflate\r\nContent-Length: 2\r\n\r\n\xff\xff",
        "not what its header says",
    ),
    "chunks of no gzip": (
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "not what its header says",
    ),
    "an encoding we do not know": (
        b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        "not what its header says: .*brotli",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_an_answer_that_cannot_be_read_costs_one_request(name: str, is_borrowed: bool) -> None:
    rest, words = UNREADABLE[name]
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\n" + rest)

    async with listening(answer) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1"
        async with FathomClient("any", base_url=url, session=session if is_borrowed else None) as fathom:
            with pytest.raises(DecodeError, match=words) as caught:
                await fathom.sites.get("CDBUGS")
            assert "aaaa" not in str(caught.value)
    assert asked == 1


async def test_how_long_a_header_may_be_is_a_setting() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(SITE) + SITE
        )

    async with listening(answer) as port:
        url = f"http://127.0.0.1:{port}/v1"
        async with FathomClient("any", base_url=url, max_header=20_000) as fathom:
            assert (await fathom.sites.get("CDBUGS")).name == "Acme"
        async with FathomClient("any", base_url=url, max_header=100) as fathom:
            with pytest.raises(DecodeError, match="over 100 bytes; set max_header"):
                await fathom.sites.get("CDBUGS")


async def test_no_more_connections_are_open_than_allowed(server: FathomServer) -> None:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    opened = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await join(reader, writer, port)

    async with (
        listening(count) as own,
        FathomClient("any", base_url=f"http://127.0.0.1:{own}/v1", max_connections=2) as fathom,
    ):
        await asyncio.gather(*(fathom.events.list("CDBUGS", limit=each) for each in range(1, 20)))
    assert 1 <= opened <= 2


@pytest.mark.virtual_time
@pytest.mark.parametrize("is_borrowed", [False, True])
async def test_a_timeout_is_that_of_each_request_and_leaves_other_cancellations_alone(
    is_borrowed: bool,
) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    loop = asyncio.get_running_loop()
    async with listening(silent) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/v1"
        transport = HttpTransport(url, {}, max_body=100, session=session if is_borrowed else None)

        async def send(seconds: float) -> None:
            await transport.send(Request("GET", "/", bytes), seconds, lambda: None)

        async def end_of(seconds: float) -> float:
            with pytest.raises(TimeoutError, match=rf"no answer within {seconds:g} s"):
                await send(seconds)
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0
            return loop.time()

        began = loop.time()
        first = asyncio.create_task(end_of(5))
        await asyncio.sleep(1)
        ends = await asyncio.gather(first, end_of(5), end_of(3))
        assert [end - began for end in ends] == pytest.approx([5, 6, 4], abs=0.1)
        with pytest.raises(builtins.TimeoutError) as caught:
            async with asyncio.timeout(2):
                await send(5)
        assert not isinstance(caught.value, TimeoutError)
        cancelled = asyncio.create_task(send(5))
        await asyncio.sleep(1)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        both = asyncio.create_task(send(5))
        await asyncio.sleep(1)
        loop.call_at(loop.time() + 4, both.cancel)  # at the same time as the deadline
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            await both
        await transport.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ssl": False}, "ssl must be an ssl.SSLContext, not False"),
        ({"session": "mine"}, "session must be an aiohttp.ClientSession, not 'mine'"),
        ({"max_header": 0}, "max_header must be a whole number of at least 1"),
        ({"max_connections": "many"}, "max_connections must be a whole number of at least 1"),
        ({"proxy": "http://homer:doh@"}, "the proxy is not a URL: write http://user:password@host:port"),
        (
            {"proxy": "socks5://homer:doh@localhost"},
            r"socks5 proxy needs a connector of its own: pass session=",
        ),
        (
            {"proxy": "http://proxy.example:3128", "base_url": "http://127.0.0.1/v1"},
            "plain http to proxy.example",
        ),
    ],
)
async def test_a_setting_that_cannot_be_is_refused_at_once(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        FathomClient("any", **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert "doh" not in str(caught.value)


@pytest.mark.parametrize("options", [{"trust_env": True}, {"max_connections": 3}])
async def test_what_is_a_setting_of_the_borrowed_session_is_refused_beside_it(
    options: dict[str, int],
) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="are settings of the session that you pass"):
            FathomClient("any", session=session, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
