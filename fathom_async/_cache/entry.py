"""A kept answer, and the key it is kept under."""

from hashlib import blake2b
from typing import Final

import attrs

from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report

SKEW: Final = 60.0
"""Seconds by which the clocks of machines that share a store may differ."""


@attrs.frozen
class Kept:
    """An answer, as a store keeps it.

    Args:
        body: The rows as JSON, from `Report.to_json`.
        asked_at: Unix seconds when the request was sent. Not when the answer came, let alone when it was stored:
            what the server counted in between may be missing.
        truncated: Whether the answer may lack rows; see `Report.truncated`.
        timezone: TZ database name of the site's time zone at that time, where it is known.
        drop_after: Unix seconds after which nobody will be served with it; None keeps it for good.
    """

    body: bytes = attrs.field(repr=lambda body: f"<{len(body):,} bytes>")
    asked_at: float
    truncated: bool = attrs.field(default=False, kw_only=True)
    timezone: str | None = attrs.field(default=None, kw_only=True)
    drop_after: float | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def of(
        cls,
        report: Report[Row],
        asked_at: float,
        *,
        timezone: str | None = None,
        drop_after: float | None = None,
    ) -> "Kept":
        """Return what to keep of a report; the arguments are those of the class."""
        return cls(
            report.to_json(),
            asked_at,
            truncated=report.truncated,
            timezone=timezone,
            drop_after=drop_after,
        )

    def report(self, query: Query[RowT]) -> Report[RowT]:
        """Return the answer to a query that equals the one asked, with the columns in this query's order.

        Raises:
            DecodeError: The body is not that of such a query: the store was tampered with.
        """
        return attrs.evolve(query.read(self.body), truncated=self.truncated)


def replaces(new_asked_at: float, old_asked_at: float, now: float) -> bool:
    """Whether an answer may take the place of another.

    The newer one stays, except that nothing is asked in the future: such an answer bears the stamp of a clock that
    was wrong, and gives way.

    Args:
        new_asked_at: Unix seconds when the one was asked for.
        old_asked_at: The same of the other.
        now: Unix seconds.
    """
    return new_asked_at >= old_asked_at or old_asked_at > now + SKEW


def namespace(base_url: str, account: str) -> str:
    """Return what keeps the answers of one account apart from those of others in the same store.

    Args:
        base_url: Where the API is.
        account: What tells the account from others: its id, or the token. Only a hash of it is kept.
    """
    return _digest(base_url.rstrip("/"), account)


def answer_key(space: str, query: Query[Row]) -> str:
    """Return the key under which the answer to a query is kept: 32 characters that tell nothing.

    Queries that are equal have the same.

    Args:
        space: A `namespace`.
        query: What is asked.
    """
    return _digest(space, query.key())


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=16, person=b"fathom answers").hexdigest()
