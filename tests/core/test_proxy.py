"""Which proxy a client uses."""

import pytest

from fathom_async import FathomClient
from fathom_async._core.proxy import proxy_for

API = "https://api.usefathom.com/v1"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:1"}, "http://proxy:1"),
        ({"https_proxy": "proxy:1"}, "http://proxy:1"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "https://proxy:1"}, "https://proxy:1"),
        ({"HTTP_PROXY": "http://proxy:1"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "usefathom.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "fathom.com"}, "http://proxy:1"),
    ],
)
def test_the_environment_names_the_proxy_for_https(
    environ: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(API, None, trust_env=True) == found
    assert proxy_for(API, None, trust_env=False) is None
    assert proxy_for(API, "mine:1", trust_env=True) == "http://mine:1"
    assert proxy_for("http://localhost:8000/v1", None, trust_env=True) is None


def test_a_client_from_the_environment_trusts_it_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://homer:doh@localhost")
    environ = {"FATHOM_API_TOKEN": "any"}
    with pytest.raises(ValueError, match="a socks5 proxy needs a connector of its own") as caught:
        FathomClient.from_env(environ)
    assert "doh" not in str(caught.value)
    FathomClient.from_env(environ, trust_env=False)
    FathomClient("any")
