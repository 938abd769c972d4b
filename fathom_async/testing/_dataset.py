"""The records behind the server: what was seen on which site, as plain values.

The report engine loads them into SQL; a test may just as well loop over them and compare.

* A **pageview** is one page seen by one session. `duration` is the seconds spent on it, `None` where nobody
  knows (the last page of a visit). `entry_page`, `exit_page` and `bounced` describe its whole session.
* A **completion** is one occurrence of an event by one visitor, with a value in cents or none.
* An empty string means "not known" in every column that a report may group by.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import field, frozen
from attrs.validators import instance_of

if TYPE_CHECKING:
    from fathom_async.testing._warehouse import Warehouse


def _in_utc(value: datetime) -> datetime:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


@frozen(kw_only=True)
class Record:
    """The columns that pageviews and completions share; each is also a grouping of the same name.

    Attributes:
        site_id: The site.
        at: When it happened, in UTC (a naive datetime is taken as UTC).
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


@frozen(kw_only=True)
class Pageview(Record):
    """One page seen.

    Attributes:
        session: The visit it belongs to.
        duration: Seconds on the page, if known.
        bounced: Whether the visit consisted of this page only.
    """

    session: str
    duration: int | None = None
    bounced: bool = False


@frozen(kw_only=True)
class Completion(Record):
    """One occurrence of an event.

    Attributes:
        event: The event's name.
        visitor: Who caused it.
        value: Cents (or plain units, as the event's currency says), if any.
    """

    event: str
    visitor: str
    value: int | None = None


@frozen(kw_only=True)
class Site:
    """A site as the dataset begins with it."""

    id: str
    name: str
    sharing: str = "none"
    timezone: str = "UTC"
    created_at: datetime = field(default=datetime(2020, 7, 27, 12, 1, 1, tzinfo=UTC), converter=_in_utc)


@frozen(kw_only=True)
class Event:
    """An event as the dataset begins with it; completions refer to it by site and name."""

    site_id: str
    id: str
    name: str
    currency: str = "dollar"
    created_at: datetime = field(default=datetime(2020, 8, 21, 15, 24, tzinfo=UTC), converter=_in_utc)


@frozen(kw_only=True)
class Milestone:
    """A milestone as the dataset begins with it."""

    site_id: str
    id: str
    name: str
    milestone_date: date = field(validator=instance_of(date))
    created_at: datetime = field(default=datetime(2020, 9, 1, 12, tzinfo=UTC), converter=_in_utc)


_R = TypeVar("_R", bound=Record)


def _nobody(site_id: str, now: datetime) -> Sequence[Pageview]:
    del site_id, now
    return ()


class Dataset:
    """Everything that one account has recorded.

    A dataset never changes; a server copies what its endpoints may change.

    Args:
        sites: The sites.
        events: Their events.
        milestones: Their milestones.
        pageviews: The pageviews, or a function that makes them when a report first needs them.
        completions: The completions, or such a function.
        skipped: Records of the source that could not be read.
        live: Pageviews that are going on at a moment, known to current visitors only and not to reports.
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
        live: Callable[[str, datetime], Sequence[Pageview]] = _nobody,
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
        """Believable data made from a seed; see `fathom_async.testing._synthetic`.

        Args:
            sites: Number of sites, each in a time zone of its own.
            days: Days of history.
            visits_per_day: Average visits per site and day, about 2.3 pageviews each.
            paths: Distinct paths per site.
            seed: Whatever is made for a calendar day depends on this and the day alone.
            until: The last day; today unless told.
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
        """The traffic of a web server's log; see `fathom_async.testing._access_log`.

        Args:
            path: A log in combined format, plain or gzipped.
            site_id: The id of the one site.
            hostname: The site's own host, which such a log does not tell.
            timezone: The site's time zone.
            keep_bots: Whether agents that call themselves crawlers count as visitors.
            keep_assets: Whether images, scripts and the like count as pages.
        """
        from fathom_async.testing._access_log import read_access_log  # noqa: PLC0415 - it imports this module

        return read_access_log(
            Path(path),
            site_id=site_id,
            hostname=hostname,
            timezone=timezone,
            keep_bots=keep_bots,
            keep_assets=keep_assets,
        )

    @cached_property
    def pageviews(self) -> Sequence[Pageview]:
        """Every pageview, by time within its site."""
        return _in_order(self._pageviews)

    @cached_property
    def completions(self) -> Sequence[Completion]:
        """Every completion, by time within its site."""
        return _in_order(self._completions)

    @cached_property
    def warehouse(self) -> "Warehouse":
        """The same records in SQL, built when first needed and shared by every server of this dataset."""
        from fathom_async.testing._warehouse import Warehouse  # noqa: PLC0415 - it imports this module

        return Warehouse(self.pageviews, self.completions)


def _in_order(records: Iterable[_R] | Callable[[], Iterable[_R]]) -> Sequence[_R]:
    made = records() if callable(records) else records
    return tuple(sorted(made, key=lambda record: (record.site_id, record.at)))
