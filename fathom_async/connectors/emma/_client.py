"""Client of Emma."""

from base64 import b64encode
from http import HTTPStatus
from typing import ClassVar, Unpack
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async._util import checks
from fathom_async.connectors.emma._resources import LANE, EventTypesResource, MemberEventsResource
from fathom_async.connectors.emma._wire import Dates
from fathom_async.errors import ArgumentError
from fathom_async.service import (
    Caller,
    RateLimit,
    Response,
    Service,
    ServiceClient,
    ServiceOptions,
    credential,
    is_too_many,
)

BASE_URL = "https://api.e2ma.net"

_OVER = b"rate limit exceeded"
_LIMIT = RateLimit(180, per=60)


@frozen
class EmmaPlan:
    """The limits of an account.

    Attributes:
        requests: Limit of all requests.
        concurrency: Requests in flight at once.
    """

    requests: RateLimit = _LIMIT
    concurrency: int = 10


class EmmaClient(ServiceClient):
    """A client of Emma's Events API, used as ``async with EmmaClient(100, …) as emma``.

    Args:
        account_id: The account's number.
        public_key: Public API key.
        private_key: Private API key.
        base_url: The API's address.
        plan: The account's rate limits.
        timezone: TZ database name of the time zone of Emma's dates, which have none.
        **options: The common settings; see `fathom_async.service.ServiceOptions`.

    Attributes:
        event_types: Event types.
        member_events: Members' events.
        timezone: The time zone of Emma's dates.

    Raises:
        ArgumentError: The account, a key or a limit is malformed, or the base URL would expose the keys.
    """

    event_types: EventTypesResource
    member_events: MemberEventsResource

    _scarcest: ClassVar[str] = LANE

    def __init__(
        self,
        account_id: int | str,
        *,
        public_key: str,
        private_key: str,
        base_url: str = BASE_URL,
        plan: EmmaPlan | None = None,
        timezone: str = "UTC",
        **options: Unpack[ServiceOptions],
    ) -> None:
        plan = plan or EmmaPlan()
        settings = Service(
            base_url=f"{checks.base_url(base_url)}/{_account(account_id)}",
            authorization=_basic(public_key, private_key),
            limits={LANE: plan.requests},
            concurrency=plan.concurrency,
            is_refusal=is_refusal,
            **self._known(options),
        )
        self.timezone: ZoneInfo = ZoneInfo(str(checks.timezone("timezone", timezone)))
        self._start(settings)

    def _bind(self, send: Caller) -> None:
        self.event_types = EventTypesResource(send, Dates(self.timezone))
        self.member_events = MemberEventsResource(send, Dates(self.timezone))


def is_refusal(response: Response) -> bool:
    """Tell whether an answer is a rate-limit refusal; any other 403 is about permissions."""
    if response.status == HTTPStatus.FORBIDDEN:
        return _OVER in response.body.lower() or _OVER in response.reason.lower().encode()
    return is_too_many(response)


def _account(account_id: int | str) -> str:
    text = str(account_id)
    if isinstance(account_id, bool) or not (text.isascii() and text.isdecimal()):
        raise ArgumentError(f"account_id must be the account's number, not {account_id!r}")
    return text


def _basic(public_key: str, private_key: str) -> str:
    user, password = credential("public_key", public_key), credential("private_key", private_key)
    if ":" in user:
        raise ArgumentError("public_key must not have a colon")
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
