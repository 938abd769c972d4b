"""The dlt source, loaded into DuckDB from the embedded server."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import dlt
import duckdb
import pytest

from fathom_async import ArgumentError, EventQuery, FathomClient, PageviewQuery, where
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.query import AnyQuery
from fathom_async.integrations.dlt import GONE, fathom_source
from fathom_async.testing import Dataset, Event, FathomServer, Milestone, Site, Status
from tests.backfill.traffic import END, PATHS, SALES, VISITS, expected, in_order, of, traffic, until

BOTH = [SALES, SALES.replace(site_id="DAFFY")]
REPORTS = {"paths": PATHS, "sales": BOTH}
PAIR: dict[str, AnyQuery] = {"paths": PATHS, "sales": SALES}
MIDDLE = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable dlt's telemetry, and keep it away from files outside the test."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@attrs.frozen
class Pipeline:
    """A pipeline into a DuckDB file of its own."""

    directory: Path

    async def run(self, data: Dataset, now: datetime, **options: Any) -> list[str]:
        """Load everything from a server with these data; return the paths of its requests."""
        async with FathomServer(data=data, reports_throttle=None, now=END) as server:
            await self.load(server, now, **options)
            return [hit.path for hit in server.hits]

    async def load(
        self,
        server: FathomServer,
        now: datetime,
        *,
        only: Sequence[str] = (),
        refresh: Any = None,
        **options: Any,
    ) -> None:
        def work() -> None:
            settings: dict[str, Any] = {"token": "any", "since": "2026-02-21", "reports": REPORTS} | options
            source = fathom_source(base_url=server.url, now=lambda: now, **settings)
            source = source.with_resources(*(only or source.resources))
            self._pipeline().run(source, refresh=refresh)  # pyright: ignore[reportUnknownMemberType]

        await asyncio.to_thread(work)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows, without the time that dlt takes to set up a pipeline."""
        with duckdb.connect(self._file, read_only=True) as connection:
            found = connection.execute(f"SELECT * FROM fathom.{table}")  # noqa: S608 - our own name
            names = [str(column[0]) for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        assert {row.pop(GONE, None) for row in rows} <= {None}
        return in_order([{key: row[key] for key in row if not key.startswith("_dlt")} for row in rows])

    @property
    def _file(self) -> str:
        return str(self.directory / "load.duckdb")

    def _pipeline(self) -> dlt.Pipeline:
        return dlt.pipeline(
            "fathom_test",
            destination=dlt.destinations.duckdb(self._file),
            dataset_name="fathom",
            pipelines_dir=str(self.directory / "pipelines"),
        )


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def sales(data: Dataset, last: str) -> list[dict[str, Any]]:
    return in_order([row for query in BOTH for row in expected(data, query, "day", "2026-02-21", last)])


async def test_everything_is_loaded(pipeline: Pipeline) -> None:
    data = traffic()
    paths = await pipeline.run(data, MIDDLE)
    assert [row["id"] for row in pipeline.rows("sites")] == ["CDBUGS", "DAFFY"]
    assert [(row["site_id"], row["name"]) for row in pipeline.rows("events")] == [
        ("CDBUGS", "buy"),
        ("DAFFY", "buy"),
    ]
    assert pipeline.rows("paths") == expected(data, PATHS, "day", "2026-02-21", "2026-03-14")
    assert pipeline.rows("sales") == sales(data, "2026-03-14")
    assert paths.count("/v1/sites") == 1


async def test_the_second_load_asks_for_what_is_new_and_merges_what_came_late(pipeline: Pipeline) -> None:
    late = traffic()
    first, then = until(late, MIDDLE - timedelta(days=2)), MIDDLE + timedelta(days=3)
    await pipeline.run(first, MIDDLE, look_back=3)
    assert pipeline.rows("paths") != expected(late, PATHS, "day", "2026-02-21", "2026-03-14")
    paths = await pipeline.run(late, then, look_back=3)
    assert paths.count("/v1/aggregations") == 3
    assert pipeline.rows("paths") == expected(late, PATHS, "day", "2026-02-21", "2026-03-17")
    assert pipeline.rows("sales") == sales(late, "2026-03-17")


@pytest.mark.parametrize(
    ("grouping", "first", "last"),
    [
        ("hour", "2026-03-09", "2026-03-15 07:59:59"),
        ("day", "2026-02-21", "2026-03-14"),
        ("month", "2026-02-01", "2026-02-28"),
    ],
)
async def test_what_is_gone_from_a_report_is_gone_from_the_table(
    grouping: DateGrouping, first: str, last: str, pipeline: Pipeline
) -> None:
    options: dict[str, Any] = {
        "reports": {name: query.replace(date_grouping=grouping) for name, query in PAIR.items()},
        "since": first,
        "look_back": 1000,
    }
    await pipeline.run(traffic(), MIDDLE, **options)
    assert pipeline.rows("paths")
    assert pipeline.rows("sales")
    left = of([view for view in traffic().pageviews if view.at >= MIDDLE - timedelta(days=4)], [])
    await pipeline.run(left, MIDDLE, **options)
    assert pipeline.rows("paths") == expected(left, PATHS, grouping, first, last)
    assert pipeline.rows("sales") == []


async def test_events_and_milestones_that_are_gone_from_a_site_are_gone_from_the_tables(
    pipeline: Pipeline,
) -> None:
    site = Site(id="CDBUGS", name="CDBUGS", timezone="UTC")
    milestone = Milestone(site_id=site.id, id="1", name="launch", milestone_date=MIDDLE.date())
    event = Event(site_id=site.id, id="E1", name="buy")
    await pipeline.run(Dataset(sites=[site], events=[event], milestones=[milestone]), MIDDLE, reports=None)
    assert [len(pipeline.rows(table)) for table in ("events", "milestones")] == [1, 1]
    await pipeline.run(Dataset(sites=[site]), MIDDLE, reports=None)
    assert [len(pipeline.rows(table)) for table in ("events", "milestones")] == [0, 0]


async def test_a_table_is_of_one_clock_after_the_site_got_another_time_zone(pipeline: Pipeline) -> None:
    data, reports = traffic(), {"paths": PATHS}
    before = of(data.pageviews, data.completions, "UTC")
    await pipeline.run(before, MIDDLE, reports=reports)
    await pipeline.run(data, MIDDLE + timedelta(days=3), reports=reports)
    assert pipeline.rows("paths") == expected(data, PATHS, "day", "2026-02-21", "2026-03-17")
    paths = await pipeline.run(data, MIDDLE + timedelta(days=3), reports=reports)
    assert "/v1/aggregations" not in paths


async def test_nothing_is_asked_for_twice_without_looking_back(pipeline: Pipeline) -> None:
    await pipeline.run(traffic(), MIDDLE)
    assert "/v1/aggregations" not in await pipeline.run(traffic(), MIDDLE)


async def test_hours_keep_the_clock_of_the_site(pipeline: Pipeline) -> None:
    hours = {"hours": VISITS.replace(date_grouping="hour")}
    await pipeline.run(traffic(), MIDDLE, reports=hours, since="2026-03-06")
    assert pipeline.rows("hours") == expected(traffic(), VISITS, "hour", "2026-03-06", "2026-03-15 07:59:59")
    assert {row["date"].tzinfo for row in pipeline.rows("hours")} == {None}


async def test_a_failed_load_leaves_the_state_as_it_was(pipeline: Pipeline) -> None:
    data = traffic()
    async with FathomServer(data=data, reports_throttle=None, now=END) as server:
        await pipeline.load(server, MIDDLE)
        server.inject(Status(400), path="/aggregations")
        with pytest.raises(Exception, match="400"):
            await pipeline.load(server, END)
        await pipeline.load(server, END)
    assert pipeline.rows("paths") == expected(data, PATHS, "day", "2026-02-21", "2026-03-30")


async def test_some_sites_only(pipeline: Pipeline) -> None:
    paths = await pipeline.run(traffic(), MIDDLE, site_ids=["DAFFY"], reports=None, since=None)
    assert paths == ["/v1/sites/DAFFY", "/v1/sites/DAFFY/events", "/v1/sites/DAFFY/milestones"]
    assert [row["id"] for row in pipeline.rows("sites")] == ["DAFFY"]


async def test_the_token_comes_from_the_secrets_and_one_client_is_used_and_closed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[FathomClient] = []

    class Counted(FathomClient):
        async def aclose(self) -> None:
            clients.append(self)
            await super().aclose()

    monkeypatch.setattr("fathom_async.integrations.dlt.FathomClient", Counted)
    monkeypatch.setenv("SOURCES__FATHOM__TOKEN", "secret")
    async with FathomServer(data=traffic(), reports_throttle=None, tokens={"secret": ["*"]}) as server:
        await pipeline.load(server, MIDDLE, token=dlt.secrets.value)
    assert len(pipeline.rows("sales")) > 0
    assert len(clients) == 1


async def test_another_query_under_the_same_name_is_refused(pipeline: Pipeline) -> None:
    await pipeline.run(traffic(), MIDDLE)
    other = {"paths": PATHS.replace(filters=[where.browser == "Chrome"])}
    with pytest.raises(Exception, match="the resource 'paths' holds reports with filters") as caught:
        await pipeline.run(traffic(), MIDDLE, reports=other)
    assert "source.with_resources('paths'), refresh=\"drop_resources\")" in str(caught.value)
    assert "new target" not in str(caught.value)


async def test_another_query_is_loaded_anew_where_dlt_drops_its_resource(pipeline: Pipeline) -> None:
    data, other = traffic(), PATHS.replace(filters=[where.browser == "Chrome"])
    await pipeline.run(data, MIDDLE)
    reports = {"paths": other, "sales": BOTH}
    with pytest.raises(Exception, match="the resource 'paths' holds reports with filters"):
        await pipeline.run(data, MIDDLE, reports=reports)
    await pipeline.run(data, MIDDLE, reports=reports, only=["paths"], refresh="drop_resources")
    await pipeline.run(data, MIDDLE, reports=reports)
    assert pipeline.rows("paths") == expected(data, other, "day", "2026-02-21", "2026-03-14")
    assert pipeline.rows("sales") == sales(data, "2026-03-14")


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources"])
async def test_what_another_version_loaded_is_loaded_anew_where_dlt_drops_it(
    refresh: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = traffic()
    with monkeypatch.context() as before:
        before.setattr("fathom_async.backfill._layout._VERSION", 1)
        await pipeline.run(data, MIDDLE)
    message = (
        r"was made by another version of this package; .*pipeline\.run\(source, refresh=\"drop_sources\"\)"
    )
    with pytest.raises(Exception, match=message):
        await pipeline.run(data, MIDDLE)
    paths = await pipeline.run(data, MIDDLE, refresh=refresh)
    assert "/v1/aggregations" in paths
    assert "/v1/aggregations" not in await pipeline.run(data, MIDDLE)
    assert pipeline.rows("paths") == expected(data, PATHS, "day", "2026-02-21", "2026-03-14")
    assert pipeline.rows("sales") == sales(data, "2026-03-14")


@pytest.mark.parametrize(
    ("reports", "since", "message"),
    [
        ({"sites": VISITS}, "2026-01-01", "choose another name"),
        ({"visits": []}, "2026-01-01", "has no queries"),
        ({"visits": VISITS}, None, "pass since='2026-01-01'"),
        ({"visits": [VISITS, VISITS]}, "2026-01-01", "two queries for the same site"),
        (
            {"visits": [VISITS, PATHS]},
            "2026-01-01",
            "field_grouping none, .* put it under another name in reports",
        ),
        ({"visits": VISITS.replace(limit=3)}, "2026-01-01", "leave out limit=3"),
        ({"visits": PageviewQuery("A", aggregates=["visits"])}, date(2026, 1, 1), None),
        ({"buy": EventQuery("A", "buy", aggregates=["value"], timezone="UTC")}, date(2026, 1, 1), None),
    ],
)
def test_reports_that_do_not_suit_a_table_are_refused_at_once(
    reports: dict[str, Any], since: Any, message: str | None
) -> None:
    if message is None:
        assert set(fathom_source("any", reports=reports, since=since).resources) > set(reports)
        return
    with pytest.raises(ArgumentError, match=message):
        fathom_source("any", reports=reports, since=since)
