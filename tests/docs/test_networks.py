"""The examples of ``docs/networks.md`` work as shown, but for the proxy's address."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from fathom_async import FathomClient
from fathom_async.testing import FathomServer
from tests.support.documentation import DOCS, blocks, run
from tests.support.networks import Proxy, certificate, encrypted

PROXY = "http://user:password@proxy.example:3128"


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    """The company's proxy, which inspects what is sent to api.usefathom.com."""
    tls = certificate(tmp_path, "DNS:api.usefathom.com")
    (tmp_path / "ca.pem").rename(tmp_path / "company.pem")
    async with FathomServer(hosts=["api.usefathom.com"]) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        async with (
            encrypted(port, tls) as own,
            Proxy(password="user:password", target=own).running() as running,
        ):
            yield running


class Vault:
    async def read(self, name: str) -> str:
        return name


async def test_the_token_may_come_from_a_vault(
    server: FathomServer, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = [block for block in blocks("networks.md") if "vault" in block]
    await run(block, {"vault": Vault(), "FathomClient": partial(FathomClient, base_url=server.url)})
    assert capsys.readouterr().out == "Homer Simpson\n"


async def test_the_examples_reach_the_api_through_the_proxy(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    names: dict[str, object] = {"token": "any"}
    shown = [block for block in blocks("networks.md") if "vault" not in block]
    for block in shown:
        await run(block.replace(PROXY, proxy.url), names)
    assert len(shown) == 2
    assert capsys.readouterr().out == "Homer Simpson\n" * len(shown)
    assert proxy.asked == [proxy.tunnel_to("api.usefathom.com:443")] * len(shown)


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_the_command_reads_the_environment(proxy: Proxy, tmp_path: Path, is_trusted: bool) -> None:
    text = (
        (DOCS / "networks.md")
        .read_text("utf8")
        .partition("```sh")[2]
        .partition("```")[0]
        .replace(PROXY, proxy.url)
    )
    given = dict(re.findall(r"\b([A-Z_]+)=(\S+)", text))
    assert given.keys() == {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"}
    given["SSL_CERT_FILE"] = str(tmp_path / ("company.pem" if is_trusted else "no.pem"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fathom_async", "whoami"),
        env={**os.environ, **given, "FATHOM_API_TOKEN": "any"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, told = (each.decode() for each in await process.communicate())
    assert proxy.asked == [proxy.tunnel_to("api.usefathom.com:443")]
    assert (process.returncode == 0) is is_trusted
    if is_trusted:
        assert "Homer Simpson" in output, told
    else:
        assert "the certificate of api.usefathom.com is not trusted" in told
        assert "SSL_CERT_FILE" in told
