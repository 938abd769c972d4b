"""Time zones that this machine does not know."""

from zoneinfo import ZoneInfo

import pytest

from fathom_async import ConfigurationError, FathomClient, PageviewQuery, QueryError
from fathom_async._util.checks import known_zone, site_zone
from fathom_async.backfill import SqliteTable
from fathom_async.testing import Body, FathomServer


@pytest.mark.parametrize("name", ["Mars/Base", "America", "../../etc/passwd", "a\0b", "", "x" * 300, "Ärger"])
def test_a_name_that_means_nothing_is_no_zone(name: str) -> None:
    assert known_zone(name) is None
    with pytest.raises(
        ConfigurationError, match=r"the time zone of the site 'CDBUGS': pip install --upgrade tzdata"
    ):
        site_zone("CDBUGS", name)


@pytest.mark.parametrize("name", ["US/Eastern", "Europe/Berlin", "UTC"])
def test_former_names_are_known(name: str) -> None:
    assert site_zone("CDBUGS", name) == ZoneInfo(name)


@pytest.mark.virtual_time
async def test_a_backfill_names_the_zone_that_is_not_known(server: FathomServer, tmp_path: object) -> None:
    site = b'{"id": "CDBUGS", "name": "a", "sharing": "none", "created_at": "2026-01-01", "timezone": "Mars/Base"}'
    server.inject(Body(site))
    query = PageviewQuery("CDBUGS", aggregates=["visits"])
    async with FathomClient("any", base_url=server.url) as fathom:
        with pytest.raises(ConfigurationError, match="does not know 'Mars/Base'"):
            await fathom.reports.backfill(
                query, target=SqliteTable(f"{tmp_path}/a.db", "a"), since="2026-01-01"
            )


def test_a_machine_without_zones_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fathom_async._util.checks.available_timezones", set[str])
    with pytest.raises(
        QueryError, match=r"timezone has no 'Mars/Base', as this machine has no time zones; pip"
    ):
        PageviewQuery("CDBUGS", aggregates=["visits"], timezone="Mars/Base")
