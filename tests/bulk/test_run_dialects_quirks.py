"""Fused answers are those of single queries on servers that decode forms, anchor at lines, or cap every answer."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from fathom_async import Filter, PageviewQuery
from fathom_async._core.request import Request, Response
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Dataset, Pageview, ServerDialect, Site
from tests.bulk.test_run_dialects import told
from tests.support.direct import DirectTransport, direct_client
from tests.support.soak import tries

if TYPE_CHECKING:
    from fathom_async import Report
    from fathom_async._core.codec.rows import Row

SITE = "CDBUGS"
TEXTS = (
    "/a+b",
    "/a b",
    "/a++b",
    "/c++",
    "/news+",
    "/news",
    "/class",
    "/s",
    "/ss",
    "/new",
    "/a\nb",
    "/a\n\nb",
    "/ab",
)
TEXTS_OF_LINES = ("a", "b\n", "\nc", "a\r\nb", "a\u2028b", "a\tb", "\xa0a")
MONTH = PageviewQuery(SITE, aggregates=["visits"], date_from="2026-10-01", date_to="2026-10-31")

Reading = Callable[[dict[str, str]], str]


def as_form(condition: dict[str, str]) -> str:
    return condition["value"].replace("+", " ")


def by_the_line(condition: dict[str, str]) -> str:
    return f"(?m){condition['value']}" if condition["operator"] == "matching" else condition["value"]


def one_whole_line(condition: dict[str, str]) -> str:
    """A dialect in which a pattern must be found within a line, and ``^`` and ``$`` are the ends of lines."""
    if condition["operator"] != "matching":
        return condition["value"]
    return f"(?m)^(?:{condition['value'].replace('[^', '[^' + chr(10))})$"


def as_written(condition: dict[str, str]) -> str:
    return condition["value"]


class Quirky(DirectTransport):
    """Reads the values of filters in its own way, and answers with so many rows at most."""

    def __init__(
        self,
        data: Dataset,
        reading: Reading = as_written,
        dialect: ServerDialect | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(data, dialect)
        self._reading = reading
        self._most = most

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        params = dict(request.params)
        if "filters" in params:
            conditions: list[dict[str, str]] = json.loads(str(params["filters"]))
            params["filters"] = json.dumps([each | {"value": self._reading(each)} for each in conditions])
        response = await super().send(evolve(request, params=params), within, sent)
        rows: list[dict[str, str]] = json.loads(response.body)
        if "date_grouping" in params and "sort_by" not in params:
            rows.sort(key=lambda row: row["date"])
        return Response(200, {}, json.dumps(rows[: self._most]).encode())


async def compare(make: Callable[[], Quirky], asked: Sequence[AnyQuery]) -> int:
    """Expect the same answers, of a run, and out of a store; return how many requests the run took."""
    async with direct_client(make()) as fathom:
        right = [await fathom.reports.aggregate(query) for query in asked]
    async with direct_client(transport := make()) as fathom:
        first: list[Report[Row]] = await fathom.reports.gather(asked)
        sent = len(transport.asked)
        await fathom.reports.gather(asked[-1:], store="memory://")
        implied: list[Report[Row]] = await fathom.reports.gather(asked, store="memory://")
    for answers in (first, implied):
        assert [told(report) for report in answers] == [told(report) for report in right]
    return sent


def site(texts: Sequence[str]) -> Dataset:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    views = [
        Pageview(site_id=SITE, at=at + timedelta(hours=number), session=f"{place} {number}", pathname=text)
        for place, text in enumerate(texts)
        for number in range(place + 1)
    ]
    return Dataset(sites=[Site(id=SITE, name="Bugs")], pageviews=views)


READINGS = {
    "as written": (as_written, ServerDialect()),
    "decodes forms": (as_form, ServerDialect()),
    "anchors at lines": (by_the_line, ServerDialect()),
    "anchored": (as_written, ServerDialect(is_anchored=True)),
    "finds whole lines": (one_whole_line, ServerDialect()),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_plus_and_line_ends_are_read_as_in_single_queries(name: str) -> None:
    reading, dialect = READINGS[name]
    chance = random.Random(name)
    for turn in range(tries(20, soak=60)):
        data = site(chance.sample(TEXTS + TEXTS_OF_LINES, 8))
        values = chance.sample(TEXTS + TEXTS_OF_LINES, 6)
        asked: list[AnyQuery] = [MONTH.replace(filters=[Filter("pathname", "is", value)]) for value in values]
        if turn % 2:
            every = {
                "aggregates": ["pageviews", "visits"],
                "field_grouping": ["pathname"],
                "sort_by": "pathname:asc",
            }
            asked.append(MONTH.replace(**every))
        asyncio.run(compare(partial(Quirky, data, reading, dialect), asked))


def test_texts_with_an_s_are_fused_like_others() -> None:
    asked = [
        MONTH.replace(filters=[Filter("pathname", "is", f"/{text}")])
        for text in ("news", "docs", "blog", "s")
    ]
    assert asyncio.run(compare(lambda: Quirky(site(["/news", "/docs"])), asked)) == 1


def test_more_dates_than_a_server_may_answer_are_not_added_up() -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    views = [
        Pageview(site_id=SITE, at=begin + timedelta(days=number), session=str(number), pathname="/")
        for number in range(1_500)
    ]
    data = Dataset(sites=[Site(id=SITE, name="Bugs")], pageviews=views)
    chance = random.Random(1)
    years = PageviewQuery(SITE, aggregates=["pageviews"], date_from="2020-01-01", date_to="2024-01-31")
    some = [
        years.replace(date_grouping=unit, sort_by=order, aggregates=metrics, date_from=first)
        for unit in ("day", "month", None)
        for order in (None, "timestamp:desc", "timestamp:asc")
        if unit or order is None
        for metrics in (["pageviews"], ["visits"], ["pageviews", "visits"])
        for first in ("2020-01-01", "2023-01-01")
    ]
    for _ in range(tries(8, soak=25)):
        asyncio.run(compare(lambda: Quirky(data, most=1_000), chance.sample(some, 5)))
    daily = [years.replace(date_grouping="day", aggregates=[metric]) for metric in ("pageviews", "visits")]
    assert asyncio.run(compare(lambda: Quirky(data, most=1_000), daily)) == 1
