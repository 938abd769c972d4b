"""Traffic of the demonstration and of `fathom serve`: made up, or from a web server's log."""

import zlib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from attrs import frozen

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._util.text import counted, printable
from fathom_async.testing import Dataset

_DAYS_REPORTED = 30


@frozen
class Extent:
    """How much traffic to make up for each site."""

    days: int
    visits_per_day: float


FOR_JOB = Extent(days=40, visits_per_day=60)
FOR_SERVER = Extent(days=730, visits_per_day=12)
"""Enough for two years side by side, and for the dates in the documentation."""


@frozen
class Source:
    """Traffic, and the days that reports cover; `now` is the server's time at its start, None for the present."""

    data: Dataset
    first: date
    last: date
    now: datetime | None
    description: str

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, time())

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last, time(23, 59, 59))


def source_of(access_log: Path | None, seed: int, made: Extent) -> Source:
    """Return a log's traffic, or made-up traffic without one."""
    source = _synthetic(seed, made) if access_log is None else _from_log(access_log)
    _ = source.data.query_engine  # built now, and not while the clock runs
    return source


def _synthetic(seed: int, made: Extent) -> Source:
    """Return made-up traffic of three sites, reported on over the last thirty complete days."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    data = Dataset.synthetic(sites=3, days=made.days, visits_per_day=made.visits_per_day, seed=seed)
    return Source(
        data,
        yesterday - timedelta(days=_DAYS_REPORTED - 1),
        yesterday,
        now=None,
        description=f"{counted(len(data.pageviews), 'pageview')} of {counted(len(data.sites), 'site')}, "
        f"made up for the last {made.days} days from seed {seed}",
    )


def _from_log(path: Path) -> Source:
    """Return the traffic of a log in combined format, without crawlers, images and the like.

    The server's clock starts with the log's last request, so that there are visitors at present.
    """
    shown = printable(str(path))
    try:
        data = Dataset.from_access_log(path, keep_bots=False, keep_assets=False)
        views = data.pageviews
    except OSError as error:
        raise CommandError(f"cannot read {shown}: {error.strerror or error}", ExitCode.USAGE) from None
    except (EOFError, zlib.error) as error:
        raise CommandError(f"cannot read {shown}: {error}", ExitCode.USAGE) from None
    if not views:
        skipped = f", {counted(data.skipped, 'line')} not understood" if data.skipped else ""
        raise CommandError(
            f"{shown} shows no pageviews: a log in combined format is needed, with pages that were answered "
            f"and not only fetched by crawlers{skipped}",
            ExitCode.USAGE,
        )
    return Source(
        data,
        views[0].at.date(),
        views[-1].at.date(),
        now=views[-1].at,
        description=f"{counted(len(views), 'pageview')} of {printable(path.name)}, "
        "without crawlers, images and scripts",
    )
