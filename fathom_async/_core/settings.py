"""Settings of a service, and how one client uses it; they are checked when they are made."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar, cast

from attrs import field, frozen

from fathom_async._core.request import Response, Transport, is_too_many
from fathom_async._core.retry import RetryPolicy
from fathom_async._core.token import Credentials
from fathom_async._ratelimit.admission import LimitHeaders
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util import checks
from fathom_async._util.clock import Clock
from fathom_async.errors import ConfigurationError
from fathom_async.telemetry import Hook

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import ClientSession

T = TypeVar("T")

MAX_BODY = 64 * 1024 * 1024
"""Default size limit of an answer, in bytes."""


class ServiceOptions(TypedDict, total=False):
    """Keyword arguments that the clients of all services take; each may be left out.

    Attributes:
        timeout: Seconds from an attempt's admission to its whole answer; 30 by default. Waiting for admission does
            not count, not even behind requests that get no answer: `max_wait` bounds it.
        retry: How often to try again after a failure.
        max_body: The largest answer to read, in bytes after decompression; 64 MiB by default.
        budget: Where rate limits are kept that other processes spend too: ``file:///path`` for the processes of one
            machine, ``redis://host:port/db`` for those of many. None: this client is the only one.
        budget_key: Name of the account there, and in stores; clients with the same key share both. By default each
            set of credentials has its own, except that `FathomClient` asks the server for the account.
        on_budget_lost: What to do when the budget is out of reach for some seconds: ``"fail"`` with `BudgetError`,
            or carry on with a share of the limits, such as 0.25 when four processes share them. Either ends by
            itself.
        on_event: Called with every event of `fathom_async.telemetry`, in the event loop; it must be quick.
        clock: Source of time for the lanes; for tests and demonstrations.
        transport: Sends requests instead of aiohttp, which the options below are for; for tests. It is closed with
            the client.
        proxy: URL of an HTTP proxy, such as ``http://user:password@proxy.example:3128``.
        trust_env: Whether to use the proxy that ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name; not by default.
        ssl: What to trust, as ``ssl.create_default_context(cafile="company.pem")`` makes it; by default the system's
            certificates, or those of ``SSL_CERT_FILE``.
        session: An ``aiohttp.ClientSession`` to send requests through, which stays open: with its connector, proxy,
            cookies, middlewares and traces. Not with ``trust_env`` and ``max_connections``, which are settings of it.
        max_header: The longest line in the header of an answer, in bytes; 8,190 by default.
        max_connections: Open connections at once; by default as many as there are requests in flight.
    """

    timeout: float
    retry: RetryPolicy | None
    max_body: int
    budget: str | None
    budget_key: str | None
    on_budget_lost: Literal["fail"] | float
    on_event: Hook | None
    clock: Clock | None
    transport: Transport | None
    proxy: str | None
    trust_env: bool
    ssl: "SSLContext | None"
    session: "ClientSession | None"
    max_header: int | None
    max_connections: int | None


@frozen(kw_only=True)
class Service:
    """A service, and how one client uses it; what `ServiceOptions` describes has the same meaning here.

    A setting that cannot be is a `ConfigurationError`, which names it.

    Attributes:
        base_url: Root of the API; `https`, or `http` to this machine.
        authorization: What the header of that name, or of `auth_header`, says, a secret; or a function, which may be
            a coroutine function, that returns it. The function is called before the first request, and again after a
            401; unless it returns the same, the request is then tried once more. It may take `timeout` seconds;
            `max_wait` does not bound it. It needs a `budget_key` for a budget.
        limits: The rate limit of each lane.
        auth_header: The header with the credentials, such as ``X-Api-Key``.
        auth_query: The query parameter with the credentials, such as ``api_key``, instead of a header.
        headers: Further headers of each request; no secrets.
        limit_headers: The names of the headers that tell the limits.
        concurrency: Requests in flight at once, per lane; None for a hundred.
        is_refusal: Whether an answer refuses a request for going over a rate limit.
        reserves: Requests of every window of a lane left to the account's other clients.
        adaptive: Whether to adopt a larger limit when the server names one; a smaller one always is.
        is_learned: Whether `limits` are those of the classic plan until the answers show another one.
        aliases: Lanes by further names.
        account: Tells the answers of this account from those of others; it holds no secret.
        not_found_hint: Ends the message of a 404.
    """

    base_url: str
    authorization: str | Credentials = field(repr=False)
    limits: Mapping[str, RateLimit]
    auth_header: str = "Authorization"
    auth_query: str = ""
    headers: Mapping[str, str] = field(factory=dict[str, str])
    limit_headers: LimitHeaders = field(factory=LimitHeaders)
    concurrency: int | None = None
    is_refusal: Callable[[Response], bool] = is_too_many
    reserves: Mapping[str, int] = field(factory=dict[str, int])
    adaptive: bool = False
    is_learned: bool = False
    aliases: Mapping[str, str] = field(factory=dict[str, str])
    account: str = ""
    not_found_hint: str = ""
    timeout: float = 30.0
    retry: RetryPolicy | None = None
    max_body: int = MAX_BODY
    budget: str | None = field(default=None, repr=False)
    budget_key: str | None = field(default=None, repr=False)
    on_budget_lost: Literal["fail"] | float = "fail"
    on_event: Hook | None = None
    clock: Clock | None = None
    transport: Transport | None = None
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = False
    ssl: "SSLContext | None" = None
    session: "ClientSession | None" = None
    max_header: int | None = None
    max_connections: int | None = None

    def __attrs_post_init__(self) -> None:
        _check(self)


def _check(settings: Service) -> None:
    """Check what would fail later, or elsewhere; an `ArgumentError` names the setting."""
    for name, check_one in _CHECKS.items():
        check_one(name, getattr(settings, name))
    limits = settings.limits
    for name, reserve in _entries("reserves", settings.reserves, int):
        checks.choice(limits)("a lane in reserves", name)
        if checks.count(f"reserves[{name!r}]", reserve, least=0) >= limits[name].requests:
            raise ConfigurationError(f"reserves[{name!r}] leaves nothing of {limits[name].requests} requests")
    for name, lane in _entries("aliases", settings.aliases, str):
        checks.choice(limits)(f"aliases[{name!r}]", lane)


def _entries(name: str, given: object, kind: type[T]) -> Sequence[tuple[str, T]]:
    """Return the items of a mapping from names to values of a kind."""
    items = [*cast("Mapping[object, object]", given).items()] if isinstance(given, Mapping) else [(0, 0)]
    for key, value in items:
        if not isinstance(key, str) or not isinstance(value, kind):
            raise ConfigurationError(f"{name} must be a mapping of strings to {kind.__name__}, not {given!r}")
    return cast("Sequence[tuple[str, T]]", items)


def _of(kind: type | UnionType) -> checks.Check:
    named = kind.__name__ if isinstance(kind, type) else " or ".join(each.__name__ for each in kind.__args__)

    def check_kind(name: str, value: object) -> object:
        if not isinstance(value, kind):
            raise ConfigurationError(f"{name} must be {named}, not {type(value).__name__}")
        return value

    return check_kind


def _function(name: str, value: object) -> object:
    if not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {value!r}")
    return value


def _headers(name: str, value: object) -> None:
    for header, text in _entries(name, value, str):
        checks.header_name("a name in headers", header)
        checks.header_text(f"headers[{header!r}]", text)


def _limits(name: str, value: object) -> None:
    if not _entries(name, value, RateLimit):
        raise ConfigurationError("limits must name at least one lane")


def _key(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.strip()):
        raise ConfigurationError(f"{name} must be a name, such as that of the account, not {value!r}")


_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "base_url": lambda _, value: checks.base_url(cast("str", value)),
    "authorization": lambda _, value: callable(value) or checks.authorization(value),
    "auth_header": checks.header_name,
    "headers": _headers,
    "limits": _limits,
    "timeout": partial(checks.seconds, least=0.001),
    "budget": checks.nullable(lambda _, value: checks.budget_url(cast("str", value))),
    "budget_key": _key,
    "on_budget_lost": checks.fail_or_share,
    "limit_headers": _of(LimitHeaders),
    "retry": _of(RetryPolicy | None),
    "proxy": _of(str | None),
    "is_refusal": _function,
    "on_event": checks.nullable(_function),
    "max_body": checks.count,
    **dict.fromkeys(("concurrency", "max_header", "max_connections"), checks.nullable(checks.count)),
    **dict.fromkeys(("account", "auth_query", "not_found_hint"), _of(str)),
    **dict.fromkeys(("adaptive", "is_learned", "trust_env"), _of(bool)),
}
"""Checks of a service's settings by name; those of other settings need the session."""
