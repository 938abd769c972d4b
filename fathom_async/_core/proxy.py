"""What the environment says of the network: which proxy leads to the API, unless one is given, and the limits."""

from collections.abc import Mapping
from typing import TypedDict
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from fathom_async._util import checks
from fathom_async.errors import ConfigurationError

_FORM = "write http://user:password@host:port"


class NetworkOptions(TypedDict, total=False):
    """Those of `fathom_async.service.ServiceOptions` that the environment may set."""

    trust_env: bool
    max_header: int
    max_connections: int


def network_options(environ: Mapping[str, str]) -> NetworkOptions:
    """Return what every client that is set up by the environment takes: its proxy, and the limits that it names.

    ``FATHOM_MAX_HEADER`` and ``FATHOM_MAX_CONNECTIONS`` are numbers; others raise `ConfigurationError`.
    """
    options: NetworkOptions = {"trust_env": True}
    for name in ("max_header", "max_connections"):
        if given := environ.get(written := f"FATHOM_{name.upper()}"):
            if not given.isdecimal() or not int(given):
                raise ConfigurationError(f"{written} must be a whole number of at least 1, not {given!r}")
            options[name] = int(given)
    return options


def proxy_for(base_url: str, proxy: str | None, *, trust_env: bool) -> str | None:
    """Return the URL of the proxy, which may be given without its scheme; None for none.

    With `trust_env`, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` count, or the settings of macOS and Windows, but
    not for plain `http`, which is for this machine only. A `ConfigurationError` shows no URL, which may hold a
    password; it comes for what is no URL of an HTTP proxy, or would show the credentials to the network.
    """
    base = urlsplit(base_url)
    if proxy is None and trust_env and base.scheme == "https" and not proxy_bypass(base.hostname or ""):
        found = getproxies()
        proxy = found.get("https") or found.get("all")
    if proxy is None:
        return None
    url = proxy if "://" in proxy else f"http://{proxy}"
    parts = checks.url_parts(url)
    if parts is None or not parts.hostname or not url.isprintable() or " " in url:
        raise ConfigurationError(f"the proxy is not a URL: {_FORM}")
    if parts.scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"a {parts.scheme} proxy needs a connector of its own: pass session=aiohttp.ClientSession(connector=…)"
        )
    if base.scheme == "http":
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        checks.base_url(f"http://{host}")
    return url
