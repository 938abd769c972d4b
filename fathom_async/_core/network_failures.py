"""From aiohttp's errors to ours, which say what to set where a setting is wrong.

1. What no further attempt changes is a `NetworkSettingsError`: a certificate that is not trusted or is missing,
   another alert of TLS, a proxy that refuses or is none.
2. So are a name that does not exist, and a server that does not speak HTTP, before anything has answered. Later on,
   they are faults that pass. Of names, only Linux tells the former from a network that is down.
3. An answer that cannot be read is a `DecodeError`, as the next one would be the same.
4. Anything else is a broken connection, or none.
"""

import asyncio
import errno
import os
import socket
import ssl as tls
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError
from attrs import frozen
from yarl import URL

from fathom_async import errors

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for name look-up, TCP and TLS."""

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_LASTING = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})
_NO_CERTIFICATE = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
_NO_TLS = "broke off TLS: it may want another version, or a certificate of yours (ssl=)"


class SecondSendingError(Exception):
    """aiohttp is about to send the same request again by itself."""


class StaleError(Exception):
    """The connection was closed before anything was sent on it."""


class TooLargeError(Exception):
    """The answer is larger than `max_body`."""


OWN_ERRORS: Final = (SecondSendingError, StaleError, TooLargeError)


@frozen
class Route:
    """How a transport reaches its server."""

    proxy: URL | None
    ssl: tls.SSLContext | None
    max_body: int
    max_header: int | None

    @property
    def _proxy_name(self) -> str:
        return "the proxy" if self.proxy is None else f"the proxy {self.proxy.host}:{self.proxy.port}"

    def failure(
        self, error: BaseException, where: tuple[str, str], within: float, *, is_sent: bool, is_known: bool
    ) -> errors.FathomError:
        """Return our error for one of aiohttp's, for the end of the timeout, or for one of the above.

        `where` are the request's method and URL; something `is_known` that has answered before (rule 2).
        """
        if isinstance(error, asyncio.CancelledError | TimeoutError):
            words, limit = "answer" if is_sent else "connection", within
            if isinstance(error, TimeoutError):
                limit = min(limit, CONNECT_TIMEOUT)
            return errors.TimeoutError(f"no {words} within {limit:g} s", *where, is_sent)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self.refusal(error.status, *where)
        cause: object = getattr(error, "certificate_error", None) or getattr(
            error, "os_error", error.__cause__
        )
        if wrong := self._about_tls(error, cause, _place(error, where[1])):
            return errors.NetworkSettingsError(wrong, *where, False)
        words = self._words(error, is_sent)
        if wrong := self._nowhere(words, cause, _place(error, where[1]), is_sent=is_sent, is_known=is_known):
            return errors.NetworkSettingsError(wrong, *where, is_sent)
        if unreadable := self._unreadable(error, words):
            return errors.DecodeError(unreadable, *where)
        what = "the connection broke" if is_sent else "no connection"
        return errors.ConnectError(f"{what}: {words}", *where, is_sent)

    def refusal(self, status: int, method: str, url: str) -> errors.ConnectError:
        """Return the error for a proxy's answer that is no tunnel."""
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            words = (
                "wants a user and a password (407): write them into its URL, http://user:password@host:port"
            )
        else:
            words = f"answered {status} instead of connecting"
        may_pass = status in _PASSING or (
            status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LASTING
        )
        kind = errors.ConnectError if may_pass else errors.NetworkSettingsError
        return kind(f"{self._proxy_name} {words}", method, url, False)

    def _about_tls(self, error: BaseException, cause: object, place: str) -> str:
        """Say why there is no TLS, nor will be for another attempt; nothing for other errors."""
        # TLS 1.3 says so when the client has begun to speak, or is about to.
        if isinstance(error, aiohttp.ClientOSError | StaleError) and _NO_CERTIFICATE in str(error):
            return f"{place} wants a certificate of yours: pass ssl= with one (context.load_cert_chain)"
        is_first = isinstance(error, aiohttp.ClientSSLError)
        if not is_first or not isinstance(cause, tls.SSLError) or isinstance(cause, tls.SSLEOFError):
            return ""
        if isinstance(cause, tls.SSLCertVerificationError):
            file = os.environ.get("SSL_CERT_FILE", "") if self.ssl is None else ""
            advice = "if your network has its own CA, pass ssl=ssl.create_default_context(cafile=…)"
            if file and not Path(file).is_file():
                advice = f"SSL_CERT_FILE is {file!r}, which is not a file"
            elif self.ssl is None:
                advice += " or set SSL_CERT_FILE"
            return f"the certificate of {place.rpartition(':')[0]} is not trusted ({cause.verify_message}): {advice}"
        return f"no TLS with {place} ({cause.reason}): check that it speaks https, or pass ssl="

    def _nowhere(self, words: str, cause: object, place: str, *, is_sent: bool, is_known: bool) -> str:
        """Say that there is no such host, or that it is another kind of server; nothing if that is not certain."""
        if words == "Bad status line" and not is_sent:
            return f"{self._proxy_name} does not speak HTTP: check its host and port"
        if words == "Bad status line" and not is_known:
            return f"{place} does not speak HTTP: check the base URL"
        is_unknown = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
        if is_unknown and not is_known and sys.platform == "linux":
            return f"there is no host {place}: check the base URL or the proxy, and your name servers"
        return ""

    def _words(self, error: BaseException, is_sent: bool) -> str:
        """Return what happened, without what the server said."""
        if isinstance(error, SecondSendingError | StaleError | aiohttp.ServerDisconnectedError):
            who = self._proxy_name if self.proxy is not None and not is_sent else "the server"
            return f"{who} closed it before it answered"
        if isinstance(error, aiohttp.ClientResponseError):  # the answer is not valid HTTP
            return error.message.partition(":\n")[0].partition(": b'")[0]
        if isinstance(error.__cause__, ContentEncodingError):
            return error.__cause__.message
        if isinstance(error, aiohttp.ClientConnectorError):
            place, cause = f"{error.host}:{error.port}", error.os_error
            if isinstance(cause, ConnectionError | tls.SSLEOFError) and not cause.strerror:
                return f"{place} {_NO_TLS}{f', or {self._proxy_name} is none' if self.proxy else ''}"
            words = str(cause.strerror or cause)
            wrong = "proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else "base URL"
            if cause.errno == errno.ECONNREFUSED:
                words = f"nothing listens there; is the {wrong} right, and the server running?"
            elif isinstance(cause, socket.gaierror):
                words += f"; is the {wrong} right?"
            return f"{place}: {words}"
        return f"{type(error).__name__} {error}".rstrip()

    def _unreadable(self, error: BaseException, words: str) -> str:
        """Say why the whole answer cannot be read (rule 3); nothing if that is not certain."""
        if isinstance(error, TooLargeError):
            return (
                f"the answer is larger than max_body={self.max_body} bytes; request less, or raise the limit"
            )
        if words.startswith("Got more than"):
            size = self.max_header or "aiohttp's 8,190"
            return f"the answer's header has a line over {size} bytes; set max_header"
        if words.startswith("Too many headers"):
            return "the answer has more headers than aiohttp reads"
        if words.startswith("Can not decode"):
            return f"the answer's body is not what its header says: {words}"
        return ""


def _place(error: BaseException, url: str) -> str:
    """Return the host and port that an error is about."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        return f"{error.host}:{error.port}"
    return f"{URL(url).host}:{URL(url).port}"
