"""Stored answers, their keys, and how long they stay fresh.

Nothing can be added any more to a range that is wholly over, so that its answer is good for good. What changes the
past is known to nobody here: data that was imported, an event or site that was wiped. Delete the answers then.

An answer is kept under its *subject* too, so that a store finds those that contain another
(`fathom_async._reports.implication`): the account and site, and a hash of the entity, the event, the ``timezone`` and
those filters that a query must have to be answered by it. Each ``is`` filter of a query is either a filter of such an
answer, or chosen from its groups: so a query is looked up under a few subjects, `MOST_SUBJECTS` at the most.
"""

import json
import logging
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from hashlib import blake2b
from itertools import combinations
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec

from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.filters import Filter
from fathom_async._reports.patterns import is_plain
from fathom_async._reports.query import AnyQuery, EventQuery, Query, query_from_params
from fathom_async._reports.report import Report
from fathom_async._util.checks import known_zone, seconds
from fathom_async.errors import ArgumentError, QueryError

_log = logging.getLogger("fathom_async")

MOST_SUBJECTS: Final = 16

GRACE: Final = 3600.0
"""Seconds after which no hit arrives late any more."""

SKEW: Final = 60.0
"""Seconds by which the clocks of machines that share a store may differ."""

EntryT = TypeVar("EntryT", bound="CacheEntry")

_LEAST_COMPRESSED: Final = 512
_LEVEL: Final = 2


@attrs.frozen
class CacheEntry:
    """An answer, as a store holds it.

    Args:
        body: The rows as JSON, from `Report.to_json`.
        asked_at: Unix time when the request was sent, not when the answer arrived or was stored: hits in between
            may be missing.
        truncated: Whether the answer may lack rows; see `Report.truncated`.
        timezone: TZ database name of the site's time zone at that time, if known.
        drop_after: Unix time after which it is not served any more; None stores it for good.
        subject: What it is about, so that answers to other queries can be derived from it; see
            `subject_of`. None if it is no answer to a query.
        query: The parameters of its query, as JSON.
    """

    body: bytes = attrs.field(repr=lambda body: f"<{len(body):,} bytes>")
    asked_at: float
    truncated: bool = attrs.field(default=False, kw_only=True)
    timezone: str | None = attrs.field(default=None, kw_only=True)
    drop_after: float | None = attrs.field(default=None, kw_only=True)
    subject: str | None = attrs.field(default=None, kw_only=True)
    query: str | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def of(
        cls,
        report: Report[Row],
        asked_at: float,
        *,
        timezone: str | None = None,
        drop_after: float | None = None,
        subject: str | None = None,
    ) -> "CacheEntry":
        """Return the entry for a report; the arguments are those of the class."""
        return cls(
            report.to_json(),
            asked_at,
            truncated=report.truncated,
            timezone=timezone,
            drop_after=drop_after,
            subject=subject,
            query=None if subject is None else json.dumps(report.query.params(), ensure_ascii=False),
        )

    @property
    def site(self) -> str | None:
        """The part of the subject that all answers about a site have in common; see `site_of`."""
        return None if self.subject is None else self.subject.partition(":")[0]

    def reaches(self, moment: datetime, zone: ZoneInfo | None) -> bool:
        """Whether its range is open, or ends at a moment of the site's clock or later.

        Args:
            moment: The moment; without a time zone, it is on the site's clock.
            zone: The site's time zone now; None for that at the time of the answer. If neither is known, and the
                query has a time zone of its own, the range may reach the moment on some clock on Earth.
        """
        query = None if self.query is None else query_of(self.query)
        if query is None or query.date_to is None:
            return True
        former = known_zone(self.timezone)
        counted: tzinfo = ZoneInfo(query.timezone) if query.timezone else former or zone or UTC
        clock = moment.tzinfo or zone or former or (_FIRST_ON_EARTH if query.timezone else UTC)
        return max(_unix(query.date_to, counted)) >= min(_unix(moment, clock))

    def report(self, query: Query[RowT]) -> Report[RowT]:
        """Return the answer to a query that equals the one asked, with the columns in this query's order.

        Raises:
            DecodeError: The body is not that of such a query: the store was tampered with.
        """
        return attrs.evolve(query.read(self.body), truncated=self.truncated)


_FIELDS: Final = tuple(each.name for each in attrs.fields(CacheEntry)[1:])


@attrs.frozen
class _Packed(CacheEntry):
    """An entry as stores outside of this process hold it: without its body, and how that is compressed."""

    packing: Literal["", "zlib"] = attrs.field(default="", kw_only=True)


def packed(kept: CacheEntry) -> tuple[bytes, bytes]:
    """Return an entry without its body, and the body, as stores outside of this process hold them.

    A body is compressed from 512 bytes on. Measured on answers of the embedded server: 97 kB, which are 1,000 rows,
    become 10 kB in 0.15 ms, and again 97 kB in 0.08 ms; higher levels save up to a third of that, for twice to
    eighteen times the CPU. Versions that know no compression cannot read these rows, and request them again.
    """
    if len(kept.body) < _LEAST_COMPRESSED:
        return msgspec.msgpack.encode(attrs.evolve(kept, body=b"")), kept.body
    entry = attrs.evolve(_copy(_Packed, kept, b""), packing="zlib")
    return msgspec.msgpack.encode(entry), zlib.compress(kept.body, _LEVEL)


def unpacked(where: object, written: object, body: object) -> CacheEntry | None:
    """Return the entry that was packed, with its body.

    None if it is damaged, or of the wrong type: another program wrote to the store. This is logged once.

    Args:
        where: The store.
        written: The entry without its body.
        body: The body, as it was packed; empty if only the entry is wanted.
    """
    try:
        if isinstance(written, bytes) and isinstance(body, bytes):
            read = msgspec.msgpack.decode(written, type=_Packed)
            is_compressed = read.packing and body
            return _copy(CacheEntry, read, zlib.decompress(body) if is_compressed else body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zlib.error):
        pass
    tell_once("%s has entries that cannot be read; they count as absent", str(where))
    return None


def _copy(kind: type[EntryT], entry: CacheEntry, body: bytes) -> EntryT:
    further: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
    return kind(body, **further)


@lru_cache(256)
def tell_once(message: str, what: str) -> None:
    """Log a warning, unless it is one of the latest."""
    _log.warning(message, what)


def replaces(new_asked_at: float, old_asked_at: float, now: float) -> bool:
    """Whether an answer may replace another, by the Unix times of their requests.

    The newer one stays, except that nothing is asked in the future: such an answer bears the stamp of a clock that
    was wrong, and gives way.
    """
    return new_asked_at >= old_asked_at or old_asked_at > now + SKEW


def namespace(base_url: str, account: str) -> str:
    """Return a prefix that separates the answers of one account from others in the same store.

    Args:
        base_url: Where the API is.
        account: The account's id or token, of which only a hash is kept.
    """
    return digest(base_url.rstrip("/"), account)


def answer_key(space: str, query: Query[Row]) -> str:
    """Return the key of the answer to a query: a hash of 32 characters.

    Equal queries have equal keys.

    Args:
        space: A `namespace`.
        query: The query.
    """
    return digest(space, query.key())


def digest(*parts: str) -> str:
    """Return a hash of 32 characters."""
    return blake2b("\n".join(parts).encode(), digest_size=16, person=b"fathom answers").hexdigest()


def site_of(space: str, site_id: str) -> str:
    """Return the part of the subject that all answers about a site have in common."""
    return digest(space, site_id)


def subject_of(space: str, query: Query[Row]) -> str:
    """Return the subject of an answer to a query."""
    demanded = (
        each
        for each in query.filters
        if not (
            each.operator == "matching" and each.property in query.field_grouping and is_plain(each.value)
        )
    )
    return _subject(space, query, demanded)


def subjects_of(space: str, query: Query[Row]) -> Sequence[str]:
    """Return the subjects of all answers that may contain the answer to a query."""
    return [_subject(space, query, demanded) for demanded in _demands(query)][:MOST_SUBJECTS]


@lru_cache(4096)
def query_of(written: str) -> AnyQuery | None:
    """Return the query of an entry, or None if this version of the package does not know it."""
    try:
        return query_from_params(msgspec.json.decode(written, type=dict[str, str]))
    except (QueryError, msgspec.DecodeError, RecursionError):
        return None


def _demands(query: Query[Row]) -> Iterator[Iterable[Filter]]:
    chosen = [each for each in query.filters if each.property in FIELD_GROUPINGS and _is_optional(each)]
    for count in range(len(chosen) + 1):
        for some in combinations(chosen, count):
            yield [each for each in query.filters if each not in some]


def _is_optional(each: Filter) -> bool:
    return each.operator == "is" or (each.operator == "matching" and is_plain(each.value))


def _subject(space: str, query: Query[Row], demanded: Iterable[Filter]) -> str:
    event = query.entity_name if isinstance(query, EventQuery) else ""
    filters = (f"{each.property} {each.operator} {each.value}" for each in sorted(demanded))
    what = digest(query.entity, event, query.timezone or "", *filters)
    return f"{site_of(space, query.site_id)}:{what}"


Freshness = Literal["fresh", "stale", "expired"]
"""``stale`` may be served while it is refreshed; ``expired`` may not be served."""

_FIRST_ON_EARTH: Final = timezone(timedelta(hours=14))
_LAST_ON_EARTH: Final = timezone(timedelta(hours=-12))
_LINGER: Final = 3600.0
"""Seconds that an answer is stored beyond its use, so that waiting callers find it even if it came late."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _check_seconds(_: object, field: "attrs.Attribute[float]", value: float) -> None:
    seconds(field.name, value, least=0)


def _check_seconds_or_ever(_: object, field: "attrs.Attribute[float]", value: float) -> None:
    try:
        seconds(field.name, 0.0 if value == math.inf else value, least=0)
    except ArgumentError:
        raise ArgumentError(
            f"{field.name} must be a number of seconds of at least 0, or math.inf for ever, not {value!r}"
        ) from None


@attrs.frozen
class CachePolicy:
    """How long stored answers are served.

    Args:
        max_age: Seconds that the answer to an open range stays fresh, ``math.inf`` for ever. Answers to ranges that
            are over always are.
        grace: Seconds after its end until a range counts as over, since hits may arrive late and clocks may be wrong.
        stale_while_revalidate: Seconds beyond `max_age` for which an answer may be served while it is refreshed; 0
            serves none, ``math.inf`` any.
        keep_for: Seconds after which an answer to a range that is over is deleted, ``math.inf`` for never. By default
            800 days: two years and a while, so that years can be compared.

    Raises:
        ArgumentError: One of them is not a number of seconds.
    """

    max_age: float = attrs.field(default=300.0, validator=_check_seconds_or_ever)
    grace: float = attrs.field(default=GRACE, validator=_check_seconds)
    stale_while_revalidate: float = attrs.field(default=0.0, validator=_check_seconds_or_ever)
    keep_for: float = attrs.field(default=800 * 86_400.0, validator=_check_seconds_or_ever)

    def drop_after(self, query: Query[Row], asked_at: float, zone: ZoneInfo | None) -> float | None:
        """Return the Unix time at which an answer can be dropped, or None to store it for ever.

        Args:
            query: What was asked.
            asked_at: Unix seconds when it was sent.
            zone: The site's time zone, if known.
        """
        if is_over(query, asked_at, zone, self.grace):
            end = asked_at + max(self.keep_for, self.max_age)
        else:
            end = asked_at + self.max_age + self.stale_while_revalidate + _LINGER
        return end if math.isfinite(end) else None


def is_over(query: Query[Row], asked_at: float, zone: ZoneInfo | None, grace: float) -> bool:
    """Whether a query's range was complete when it was requested.

    ``date_to`` is the last second of the range; a range without one ends now, and is never over. Without
    ``date_from`` it starts with the first record of the site, which no later one precedes. Where clocks show a second
    twice, the later one counts.

    `asked_at` is in Unix seconds, and `grace` is seconds to add to the range's end. The query's own ``timezone`` goes
    before the site's; if neither is known, the range must be over everywhere on Earth.
    """
    clock = zone if query.timezone is None else ZoneInfo(query.timezone)
    return _ends_before(query, asked_at - grace, clock or _LAST_ON_EARTH)


def needs_zone(query: Query[Row], now: float, grace: float) -> bool:
    """Whether it depends on the site's time zone if the query's range is over.

    It does for a day or so: until the range is over everywhere on Earth.
    """
    if query.timezone is not None:
        return False
    is_over_first, is_over_last = (
        _ends_before(query, now - grace, clock) for clock in (_FIRST_ON_EARTH, _LAST_ON_EARTH)
    )
    return is_over_first and not is_over_last


def _ends_before(query: Query[Row], unix: float, clock: tzinfo) -> bool:
    return query.date_to is not None and max(_unix(query.date_to, clock)) + 1 <= unix


def freshness(
    kept: CacheEntry, query: Query[Row], keeping: CachePolicy, *, now: float, zone: ZoneInfo | None
) -> Freshness:
    """Return whether a stored answer is fresh, stale or expired.

    Expired is also what was asked in the future, by a clock that was wrong, and what was asked on a clock that the
    site has changed since.

    Args:
        kept: The answer.
        query: What it answers.
        keeping: The rules.
        now: Unix seconds.
        zone: The site's time zone, if known.
    """
    age = now - kept.asked_at
    if age < -SKEW or _changed_zone(kept, query, zone):
        return "expired"
    if is_over(query, kept.asked_at, zone, keeping.grace):
        return "fresh" if age <= max(keeping.keep_for, keeping.max_age) else "expired"
    if age <= keeping.max_age:
        return "fresh"
    return "stale" if age <= keeping.max_age + keeping.stale_while_revalidate else "expired"


def _changed_zone(kept: CacheEntry, query: Query[Row], zone: ZoneInfo | None) -> bool:
    if zone is None or kept.timezone is None or query.timezone is not None:
        return False
    return zone.key != kept.timezone


def _unix(moment: datetime, clock: tzinfo) -> Sequence[float]:
    """Return the Unix seconds at which a clock shows the moment for the first and for the last time."""
    return [(moment.replace(tzinfo=clock, fold=fold) - _EPOCH).total_seconds() for fold in (0, 1)]
