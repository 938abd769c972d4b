"""Models and reports as types of FastAPI's routes and of pydantic's models."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import attrs
import pydantic_core
import pytest
from fastapi import Body, Depends, FastAPI
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import fathom_async
from fathom_async import (
    Change,
    Comparison,
    CurrentVisitors,
    EventQuery,
    EventRow,
    FathomClient,
    Milestone,
    Page,
    PageviewQuery,
    PageviewRow,
    Report,
    Site,
    where,
)
from fathom_async._util.pydantic_schema import HasSchema
from fathom_async.connectors.emma import EventType, MemberEvent, NewMemberEvent
from fathom_async.connectors.secoda import CatalogPage, Resource
from fathom_async.integrations.fastapi import Fathom, fathom_lifespan, install_error_handlers
from fathom_async.models import PageVisitors
from fathom_async.reports import Row
from fathom_async.service import LinkedPage
from fathom_async.testing import FathomServer
from tests.support.serving import serving

ROOT = Path(fathom_async.__file__).parents[1]
SITE = Site("CDBUGS", "Acme", "none", datetime(2026, 1, 1, tzinfo=UTC), "Europe/Berlin", {"new": [1]})
DAYS = PageviewQuery(
    "CDBUGS",
    aggregates=["visits", "bounce_rate"],
    field_grouping=["pathname"],
    date_grouping="day",
    date_from="2026-01-01",
    date_to="2026-01-31",
)
REPORT = DAYS.read(
    b'[{"date":"2026-01-01","pathname":"/","visits":"3","bounce_rate":"0.5","unasked":"x"},'
    b' {"date":"2026-01-02","pathname":null,"visits":null,"bounce_rate":null,"unasked":"y"}]'
)
HOURS = EventQuery(
    "CDBUGS",
    "purchase",
    aggregates=["value"],
    date_grouping="hour",
    filters=[where.browser == "Chrome"],
    extra={"field_grouping": ["nova"], "new": "1"},
).read(b'[{"date":"2026-01-01 00:00:00","nova":"a","value":"%d"}]' % 2**63)
TABLE: list[dict[str, object]] = [
    {"date": "2026-01-01", "pathname": "/", "visits": 3, "bounce_rate": 0.5, "unasked": "x"},
    {"date": "2026-01-02", "pathname": None, "visits": None, "bounce_rate": None, "unasked": "y"},
]
EVERYTHING: list[tuple[Any, Any]] = [
    (Site, SITE),
    (list[Site], [SITE]),
    (Page[Site], Page((SITE,), has_more=True)),
    (Milestone, Milestone("1", "Launch", date(2026, 3, 1))),
    (CurrentVisitors, CurrentVisitors(3, (PageVisitors("acme.test", "/", 3),))),
    (Report[PageviewRow], REPORT),
    (Report, REPORT),
    (Report[EventRow], HOURS),
    (Change, Change(3, 2)),
    (Comparison[PageviewRow], Comparison(REPORT, REPORT, limit=1)),
    (Comparison, Comparison(HOURS, HOURS)),
    (EventType, EventType(1, "bought")),
    (NewMemberEvent, NewMemberEvent(member_id=1, event_type="bought", attributes={"size": 3})),
    (list[MemberEvent], [MemberEvent(1, 2, event_monetary_value=1.5)]),
    (CatalogPage[Resource], CatalogPage((Resource("1", "Bought"),), has_more=False)),
]


def classes(base: type[HasSchema] = HasSchema) -> Iterator[type[HasSchema]]:
    for each in base.__subclasses__():
        if getattr(sys.modules[each.__module__], each.__name__) is each:  # attrs leaves another one behind
            yield each
        yield from classes(each)


@pytest.mark.parametrize(("kind", "value"), EVERYTHING)
def test_what_is_written_is_read_back(kind: Any, value: Any) -> None:
    adapter = TypeAdapter(kind)
    written = adapter.dump_json(value)
    assert adapter.validate_json(written) == value
    assert adapter.validate_python(json.loads(written)) == value, "as FastAPI reads a body"
    assert adapter.validate_python(value) is value or isinstance(value, list)
    assert json.loads(written) == adapter.dump_python(value, mode="json")


@pytest.mark.parametrize(("kind", "value"), EVERYTHING)
def test_it_is_written_where_no_type_is_known(kind: Any, value: Any) -> None:
    assert pydantic_core.to_json({"it": value}) == b'{"it":%s}' % TypeAdapter(kind).dump_json(value)


@pytest.mark.parametrize("cls", dict.fromkeys(classes()), ids=lambda cls: cls.__name__)
def test_every_class_has_a_schema_that_describes_its_fields(cls: Any) -> None:
    schema = TypeAdapter(cls).json_schema(mode="serialization")
    assert schema["description"] == cls.__doc__.partition("\n\n")[0]
    assert {field.name for field in attrs.fields(cls)} <= {*schema["properties"]} == {*schema["required"]}
    documented = [line.strip().partition(": ") for line in cls.__doc__.splitlines() if line[:8] == " " * 8]
    told = {name: about for name, _, about in documented if name in schema["properties"]}
    assert all(schema["properties"][name]["description"].startswith(about) for name, about in told.items())


def test_the_schema_of_a_model_has_its_types() -> None:
    schema = TypeAdapter(Milestone).json_schema()
    kinds = {name: {**field, "title": ""} for name, field in schema["properties"].items()}
    assert schema["required"] == ["id", "name", "milestone_date"]
    assert kinds["milestone_date"] == {
        "type": "string",
        "format": "date",
        "title": "",
        "description": "The day it marks, in the site's time zone.",
    }
    assert kinds["created_at"]["anyOf"] == [{"type": "string", "format": "date-time"}, {"type": "null"}]


def test_the_schema_of_a_report_has_the_columns_that_a_row_may_have_with_their_units() -> None:
    schema = TypeAdapter(Report[PageviewRow]).json_schema(mode="serialization")
    row = schema["$defs"]["PageviewRow"]
    assert schema["properties"]["rows"]["items"] == {"$ref": "#/$defs/PageviewRow"}
    assert {"date", "pathname", "visits", "avg_duration"} <= row["properties"].keys()
    assert "value" not in row["properties"]
    assert "required" not in row
    assert row["additionalProperties"] is True
    assert row["properties"]["visits"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert row["properties"]["avg_duration"]["description"] == "In seconds."
    [generic] = TypeAdapter(Report[Row]).json_schema()["$defs"].values()
    assert generic["additionalProperties"] is True
    assert generic["properties"] == {}


def test_a_row_alone_is_read_and_written() -> None:
    adapter = TypeAdapter(list[PageviewRow])
    assert adapter.dump_python([*REPORT], mode="json") == TABLE
    first, _ = adapter.validate_python([*TABLE, {"date": "2026-01-01T15:00:00", "not a name": 1}])[:2]
    assert (first.date, first.pathname, first.visits) == (date(2026, 1, 1), "/", 3)
    hour = adapter.validate_python([{"date": "2026-01-01T00:00:00"}])[0]
    assert hour.date == datetime(2026, 1, 1)  # noqa: DTZ001 - the clock of a site


def test_models_of_users_have_them_as_fields() -> None:
    class Board(BaseModel):
        site: Site
        report: Report[PageviewRow]
        sites: Annotated[list[Site], Field(max_length=1)] = []
        pages: Page[Annotated[Site, Field(description="One of ours.")]] | None = None

    board = Board(site=SITE, report=REPORT)
    assert board.site is SITE
    assert board.model_dump(mode="json")["report"]["rows"] == TABLE
    assert board.model_dump(include={"site": {"id"}}) == {"site": {"id": "CDBUGS"}}
    assert "extra" not in board.model_dump(exclude={"site": {"extra"}})["site"]
    assert Board.model_validate_json(board.model_dump_json()) == board
    assert Board.model_json_schema()["properties"]["site"] == {"$ref": "#/$defs/Site"}
    with pytest.raises(ValidationError) as caught:
        Board.model_validate({"site": {"id": 3, "name": "A", "sharing": "none"}, "report": REPORT})
    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [
        (("site", "id"), "string_type"),
        (("site", "created_at"), "missing"),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"query": {"entity": "visit"}}, "entity has no 'visit'"),
        ({"rows": [{"visits": 1}]}, "column 'date' is missing in row 0"),
        ({"rows": [TABLE[0] | {"visits": "many"}]}, "valid integer"),
        ({"truncated": None}, "valid boolean"),
        ({"query": None}, "valid dictionary"),
    ],
)
def test_a_report_that_cannot_be_is_a_validation_error(changed: dict[str, object], told: str) -> None:
    adapter = TypeAdapter(Report[PageviewRow])
    written: dict[str, object] = adapter.dump_python(REPORT, mode="json")
    with pytest.raises(ValidationError, match=told):
        adapter.validate_python(written | changed)


def test_a_page_of_another_kind_is_written_as_a_page() -> None:
    page = LinkedPage((SITE,), has_more=True, url="/sites", next="/sites?page=2")
    assert TypeAdapter(Page[Site]).dump_python(page).keys() == {"data", "has_more", "url", "extra"}


def application(server: FathomServer) -> FastAPI:
    app = FastAPI(lifespan=fathom_lifespan(lambda: FathomClient("any", base_url=server.url)))
    install_error_handlers(app)

    async def daily(fathom: Fathom) -> Report[PageviewRow]:
        query = PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="day", date_from="2026-01-01")
        return await fathom.reports.aggregate(query)

    @app.get("/sites/{site_id}")
    async def site(site_id: str, fathom: Fathom) -> Site:
        return await fathom.sites.get(site_id)

    @app.get("/page")
    async def page(fathom: Fathom) -> Page[Site]:
        return await fathom.sites.list(limit=1)

    @app.get("/sites", response_model_exclude={"__all__": {"extra"}})
    async def sites(fathom: Fathom) -> list[Site]:
        return [site async for site in fathom.sites.list()]

    @app.get("/report")
    async def report(daily: Annotated[Report[PageviewRow], Depends(daily)]) -> Report[PageviewRow]:
        return daily

    @app.get("/plain")
    async def plain(daily: Annotated[Report[PageviewRow], Depends(daily)]):  # type: ignore[no-untyped-def] # noqa: ANN202
        return {"report": daily, "first": daily.first, "site": SITE, "page": Page((SITE,), has_more=False)}

    @app.get("/comparison")
    async def comparison(fathom: Fathom) -> Comparison[PageviewRow]:
        query = PageviewQuery("CDBUGS", aggregates=["pageviews"])
        return await fathom.reports.compare(query, over="previous 7 days")

    @app.post("/total")
    async def total(report: Report[PageviewRow]) -> int | None:
        return None if report.first is None else report.first.visits

    @app.post("/name")
    async def name(site: Annotated[Site, Body()]) -> str:
        return site.name

    return app


@pytest.fixture
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    async with FathomServer() as server, serving(application(server)) as visitor:
        yield visitor


async def got(visitor: aiohttp.ClientSession, path: str) -> Any:
    async with visitor.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_routes_return_models_and_pages(visitor: aiohttp.ClientSession) -> None:
    site = await got(visitor, "/sites/CDBUGS")
    assert TypeAdapter(Site).validate_python(site).id == "CDBUGS"
    assert all(each.keys() == site.keys() - {"extra"} for each in await got(visitor, "/sites"))
    page = await got(visitor, "/page")
    assert (len(page["data"]), page["has_more"]) == (1, True)


async def test_routes_return_reports_with_and_without_an_annotation(visitor: aiohttp.ClientSession) -> None:
    report = await got(visitor, "/report")
    assert report["truncated"] is False
    assert {(*row,) for row in report["rows"]} == {("date", "visits")}
    plain = await got(visitor, "/plain")
    assert plain["report"] == report
    assert plain["first"] == report["rows"][0]
    assert plain["site"] == plain["page"]["data"][0] == TypeAdapter(Site).dump_python(SITE, mode="json")


async def test_a_route_returns_a_comparison(visitor: aiohttp.ClientSession) -> None:
    [row] = (await got(visitor, "/comparison"))["rows"]
    figures = row["changes"]["pageviews"]
    assert figures["absolute"] == figures["current"] - figures["previous"]


async def test_routes_take_what_others_returned(visitor: aiohttp.ClientSession) -> None:
    report, site = await got(visitor, "/report"), await got(visitor, "/sites/CDBUGS")
    async with visitor.post("/total", json=report) as answer:
        assert await answer.json() == report["rows"][0]["visits"]
    async with visitor.post("/name", json=site) as answer:
        assert await answer.json() == site["name"]
    async with visitor.post("/name", json={**site, "created_at": "yesterday"}) as answer:
        assert answer.status == 422
        assert (await answer.json())["detail"][0]["loc"] == ["body", "created_at"]
    async with visitor.post("/total", json={**report, "rows": [{}]}) as answer:
        assert answer.status == 422
        assert "column 'date' is missing in row 0" in await answer.text()


async def test_the_documentation_of_an_application_has_each_class_once(
    visitor: aiohttp.ClientSession,
) -> None:
    api = await got(visitor, "/openapi.json")
    schemas = api["components"]["schemas"]
    ours = {name for name in schemas if not name.startswith(("HTTP", "Validation", "Health"))}
    assert {name.removesuffix("-Output") for name in ours if not name.endswith("-Input")} == {
        "Site",
        "Page_Site_",
        "PageviewRow",
        "Report_PageviewRow_",
        "Comparison_PageviewRow_",
        "ComparedRow",
        "Change",
    }
    answer = api["paths"]["/page"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Page_Site_"}


def test_pydantic_is_not_imported_until_it_asks() -> None:
    code = (
        "import sys, fathom_async.models, fathom_async.reports, fathom_async.client\n"
        "from fathom_async import Comparison, Report\n"
        "print('pydantic' in sys.modules, 'pydantic_core' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ended.stdout == "False False\n"
