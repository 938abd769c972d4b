"""The records behind the server, as plain values: a test can loop over them and compare.

* A **pageview** is one page in one session. `duration` is the seconds on the page, `None` if unknown (the last page
  of a visit). `entry_page`, `exit_page` and `bounced` describe the whole session.
* A **completion** is one occurrence of an event by one visitor, with or without a value.
* An empty string means "unknown" in every column of `GROUPINGS`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import field, fields, frozen
from attrs.validators import instance_of

if TYPE_CHECKING:
    from fathom_async.testing._query_engine import QueryEngine


def _in_utc(value: datetime) -> datetime:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


@frozen(kw_only=True)
class Record:
    """The common columns of pageviews and completions; each is also a grouping of the same name.

    Attributes:
        site_id: The site.
        at: When it happened, in UTC; a naive datetime is UTC.
    """

    site_id: str
    at: datetime = field(converter=_in_utc)
    hostname: str = ""
    pathname: str = ""
    referrer_hostname: str = ""
    referrer_pathname: str = ""
    referrer_source: str = ""
    browser: str = ""
    country_code: str = ""
    city: str = ""
    state: str = ""
    region: str = ""
    device_type: str = ""
    operating_system: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_medium: str = ""
    utm_source: str = ""
    utm_term: str = ""
    keyword: str = ""
    ref: str = ""
    entry_page: str = ""
    exit_page: str = ""
    ai_source: str = ""


GROUPINGS = tuple(each.name for each in fields(Record) if each.name not in ("site_id", "at"))
"""The columns that a report can group by."""


@frozen(kw_only=True)
class Pageview(Record):
    """One view of a page.

    Attributes:
        session: The visit it belongs to.
        duration: Seconds on the page, if known.
        bounced: Whether it was the only page of the visit.
    """

    session: str
    duration: int | None = None
    bounced: bool = False


@frozen(kw_only=True)
class Completion(Record):
    """One occurrence of an event.

    Attributes:
        event: The event's name.
        visitor: The visitor.
        value: Cents, or plain units, depending on the event's currency; if any.
    """

    event: str
    visitor: str
    value: int | None = None


@frozen(kw_only=True)
class Site:
    """A site of the dataset."""

    id: str
    name: str
    sharing: str = "none"
    timezone: str = "UTC"
    created_at: datetime = field(default=datetime(2020, 7, 27, 12, 1, 1, tzinfo=UTC), converter=_in_utc)


@frozen(kw_only=True)
class Event:
    """An event of the dataset; completions refer to it by site and name."""

    site_id: str
    id: str
    name: str
    currency: str = "dollar"
    created_at: datetime = field(default=datetime(2020, 8, 21, 15, 24, tzinfo=UTC), converter=_in_utc)


@frozen(kw_only=True)
class Milestone:
    """A milestone of the dataset."""

    site_id: str
    id: str
    name: str
    milestone_date: date = field(validator=instance_of(date))
    created_at: datetime = field(default=datetime(2020, 9, 1, 12, tzinfo=UTC), converter=_in_utc)


_R = TypeVar("_R", bound=Record)


class Dataset:
    """The records of one account.

    A dataset never changes: a server copies what its endpoints change.

    Args:
        sites: The sites.
        events: Their events.
        milestones: Their milestones.
        pageviews: The pageviews, or a function that makes them for the first report.
        completions: The completions, or such a function.
        skipped: The number of unreadable records in the source.
        live: Returns the pageviews of a site around a moment, for current visitors only, not for reports.
    """

    def __init__(
        self,
        *,
        sites: Iterable[Site],
        events: Iterable[Event] = (),
        milestones: Iterable[Milestone] = (),
        pageviews: Iterable[Pageview] | Callable[[], Iterable[Pageview]] = (),
        completions: Iterable[Completion] | Callable[[], Iterable[Completion]] = (),
        skipped: int = 0,
        live: Callable[[str, datetime], Sequence[Pageview]] = lambda _site_id, _now: (),
    ) -> None:
        self.sites: Sequence[Site] = tuple(sites)
        self.events: Sequence[Event] = tuple(events)
        self.milestones: Sequence[Milestone] = tuple(milestones)
        self.skipped = skipped
        self.live = live
        self._pageviews = pageviews
        self._completions = completions

    @classmethod
    def synthetic(
        cls,
        *,
        sites: int = 3,
        days: int = 365,
        visits_per_day: float = 10,
        paths: int = 60,
        seed: int = 1,
        until: date | None = None,
    ) -> "Dataset":
        """Make plausible data from a seed; see `fathom_async.testing._synthetic`.

        Args:
            sites: Number of sites, each in a time zone of its own.
            days: Days of history.
            visits_per_day: Mean visits per site and day, of about 2.3 pageviews each.
            paths: Distinct paths per site.
            seed: The data of a calendar day depends on this and the day alone.
            until: The last day; today by default.
        """
        from fathom_async.testing._synthetic import synthesize  # noqa: PLC0415 - it imports this module

        today = until or datetime.now(UTC).date()
        return synthesize(
            sites=sites, days=days, visits_per_day=visits_per_day, paths=paths, seed=seed, until=today
        )

    @classmethod
    def from_access_log(
        cls,
        path: str | Path,
        *,
        site_id: str = "CDBUGS",
        hostname: str = "localhost",
        timezone: str = "UTC",
        keep_bots: bool = True,
        keep_assets: bool = True,
    ) -> "Dataset":
        """Read the traffic of a web server's log; see `fathom_async.testing._access_log`.

        Args:
            path: A log in combined format, plain or gzipped.
            site_id: The id of the one site.
            hostname: The site's own host, which such a log lacks.
            timezone: The site's time zone.
            keep_bots: Whether crawlers count as visitors.
            keep_assets: Whether images, scripts and the like count as pages.
        """
        from fathom_async.testing._access_log import open_log, parse_access_log  # noqa: PLC0415 - it imports this module

        with open_log(Path(path)) as lines:
            return parse_access_log(
                lines,
                site_id=site_id,
                hostname=hostname,
                timezone=timezone,
                keep_bots=keep_bots,
                keep_assets=keep_assets,
            )

    @cached_property
    def pageviews(self) -> Sequence[Pageview]:
        """Every pageview, by site and time."""
        return _in_order(self._pageviews)

    @cached_property
    def completions(self) -> Sequence[Completion]:
        """Every completion, by site and time."""
        return _in_order(self._completions)

    @cached_property
    def query_engine(self) -> "QueryEngine":
        """The same records in SQL, built on first use and shared by every server of this dataset."""
        from fathom_async.testing._query_engine import QueryEngine  # noqa: PLC0415 - it imports this module

        return QueryEngine(self.pageviews, self.completions)


def _in_order(records: Iterable[_R] | Callable[[], Iterable[_R]]) -> Sequence[_R]:
    made = records() if callable(records) else records
    return tuple(sorted(made, key=lambda record: (record.site_id, record.at)))
