"""Sites whose figures a test chooses, and somebody who is told the alerts."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from attrs import define, field

from fathom_async import FathomClient
from fathom_async.testing import Completion, Dataset, FathomServer, Pageview, Site
from fathom_async.watch import Alert, Rule

ZONE = "America/New_York"


def rule(**given: Any) -> Rule:
    """Return a rule about the days of the first site."""
    arguments: dict[str, Any] = {"name": "rule", "site_id": "CDBUGS", "metric": "pageviews", **given}
    return Rule(**arguments)


def pageviews(
    hours: Mapping[datetime, int], *, site: str = "CDBUGS", path: str = "/", zone: str = ZONE
) -> Iterable[Pageview]:
    """Return so many pageviews, each of another visitor, in hours of the site's clock."""
    for hour, count in hours.items():
        at = hour.replace(tzinfo=ZoneInfo(zone))
        for number in range(count):
            session = f"{site}{path}{hour}{number}"
            yield Pageview(site_id=site, at=at + timedelta(minutes=30), pathname=path, session=session)


def data(*viewed: Iterable[Pageview], completions: Iterable[Completion] = (), zone: str = ZONE) -> Dataset:
    sites = [Site(id=name, name=name, timezone=zone) for name in ("CDBUGS", "DAFFYD")]
    return Dataset(
        sites=sites, pageviews=[*(each for some in viewed for each in some)], completions=completions
    )


def days(*figures: int, until: datetime) -> Mapping[datetime, int]:
    """Return figures of days, at noon, of which the last one is that before a moment."""
    noon = until.replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
    return {noon - timedelta(days=ago): figure for ago, figure in enumerate(reversed(figures), start=1)}


@define
class Told:
    """Remembers the alerts; fails as often as it is said."""

    failures: list[Exception] = field(factory=list[Exception])
    alerts: list[Alert] = field(factory=list[Alert])

    async def __call__(self, alert: Alert) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.alerts.append(alert)

    @property
    def days(self) -> list[str]:
        """The last days of what was told."""
        return [f"{alert.end:%m-%d}" for alert in self.alerts]


@asynccontextmanager
async def serving(given: Dataset) -> AsyncGenerator[tuple[FathomServer, FathomClient]]:
    async with (
        FathomServer(data=given, reports_throttle=None) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        yield server, fathom
