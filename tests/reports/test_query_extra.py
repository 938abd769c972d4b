"""Parameters and columns of a query that this version does not know."""

import io
import json
import pickle
from typing import cast

import pytest

from fathom_async import ArgumentError, DecodeError, EventQuery, FathomClient, PageviewQuery, QueryError
from fathom_async._bulk.fusing import fuse
from fathom_async._core.request import Request, Response
from fathom_async._reports.implication import implies

EXTRA = {"field_grouping": ["new_field"], "aggregates": ["new_figure"], "new_parameter": "x"}
QUERY = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"], extra=EXTRA)
PLAIN = QUERY.replace(extra={})
BODY = b'[{"pathname": "/", "new_field": "a", "pageviews": "3", "new_figure": "1.5", "more": 1}]'


def test_what_is_new_is_sent_beside_what_is_known() -> None:
    assert QUERY.params() == PLAIN.params() | {
        "aggregates": "pageviews,new_figure",
        "field_grouping": "pathname,new_field",
        "new_parameter": "x",
    }


def test_new_columns_are_kept_in_every_form() -> None:
    report = QUERY.read(BODY)
    row = {"pathname": "/", "new_field": "a", "pageviews": 3, "new_figure": 1.5}
    assert report.columns == tuple(row)
    assert report.to_dicts() == [row | {"more": 1}]
    assert cast("object", getattr(report.rows[0], "new_field")) == "a"  # noqa: B009 - no type declares it
    assert report.column("new_figure") == [1.5]
    assert report.to_polars().to_dicts() == [row]
    table = io.StringIO()
    report.to_csv(table)
    assert table.getvalue().splitlines() == ["pathname,new_field,pageviews,new_figure", "/,a,3,1.5"]
    assert QUERY.read(report.to_json()) == report


UNASKED = (
    b'[{"pathname": "/", "colour": "3", "pageviews": "3", "is_new": true, "uniques": "2"}, '
    b'{"pathname": "/b", "pageviews": "", "share": 0.5}]'
)


def test_columns_that_nobody_asked_for_are_kept_beside_the_others() -> None:
    report = PLAIN.read(UNASKED)
    first, second = report.to_dicts()
    assert first == {
        "pathname": "/",
        "pageviews": 3,
        "colour": "3",
        "is_new": True,
        "uniques": 2,
        "share": None,
    }
    assert second == dict.fromkeys(first) | {"pathname": "/b", "share": 0.5}
    assert cast("object", getattr(report.rows[0], "colour")) == "3"  # noqa: B009 - no type declares it
    assert [json.loads(line) for line in report.to_jsonl().splitlines()] == [first, second]
    for copy in (PLAIN.read(report.to_json()), pickle.loads(pickle.dumps(report))):  # noqa: S301 - our own
        assert copy == report


def test_tables_have_the_columns_of_the_query_only() -> None:
    report = PLAIN.read(UNASKED)
    asked = [{"pathname": "/", "pageviews": 3}, {"pathname": "/b", "pageviews": None}]
    assert report.columns == ("pathname", "pageviews")
    assert report.to_polars().to_dicts() == asked
    assert list(report.to_pandas().columns) == ["pathname", "pageviews"]
    table = io.StringIO()
    report.to_csv(table)
    assert table.getvalue().splitlines() == ["pathname,pageviews", "/,3", "/b,"]
    assert str(report).splitlines()[-1].split() == ["/b", "-"]


@pytest.mark.parametrize(
    "column",
    [
        *(
            '"new": [1]',
            '"new": {"a": 1}',
            '"a-b": 1',
            '"__class__": "x"',
            '"columns_": 1',
            '"": 1',
            '"a`b": 1',
        ),
        *('"timestamp": "2026-01-31"', '"date": 5', '"uniques": "many"', '"encode": null, "n\\u0000": 2'),
        ", ".join(f'"new_{count}": 1' for count in range(100)),
    ],
)
def test_a_column_that_cannot_be_an_attribute_does_not_spoil_the_others(column: str) -> None:
    (row,) = PLAIN.read(f'[{{"pathname": "/", {column}, "pageviews": "3"}}]'.encode())
    assert (row.pathname, row.pageviews, PLAIN.read(b"[]").columns) == ("/", 3, PLAIN.columns)


def test_a_wrong_column_is_named_beside_one_that_nobody_asked_for() -> None:
    with pytest.raises(DecodeError, match="column 'pageviews' of row 1 cannot be read"):
        PLAIN.read(
            b'[{"pathname": "/", "pageviews": 1, "new": 1}, {"pathname": "/", "pageviews": "x", "new": 1}]'
        )


def test_a_query_is_itself_only_with_its_extra() -> None:
    assert QUERY != PLAIN
    assert (
        len({QUERY, PLAIN, QUERY.replace(extra=dict(EXTRA)), QUERY.replace(extra={"new_parameter": "y"})})
        == 3
    )
    assert pickle.loads(pickle.dumps(QUERY)) == QUERY  # noqa: S301 - our own
    assert "extra={'field_grouping': ('new_field',)" in repr(QUERY)
    assert "extra" not in repr(PLAIN)


def test_a_query_is_read_again_from_its_parameters_and_its_extra() -> None:
    plain = PageviewQuery("CDBUGS", aggregates=["visits"])
    only = plain.replace(extra={"field_grouping": ["a", "b"]}, sort_by="a:asc")
    for query in (QUERY, PLAIN, only, EventQuery("CDBUGS", "sale", aggregates=["value"], extra=EXTRA)):
        found = type(query).from_params(query.params(), extra=query.extra)
        assert (found.replace(limit=query.limit), found.params()) == (query, query.params())
    with pytest.raises(QueryError, match="has no parameter 'new_parameter'"):
        PageviewQuery.from_params(QUERY.params(), extra={"aggregates": ["new_figure"]})
    with pytest.raises(QueryError, match="which is an argument of its own"):
        PageviewQuery.from_params(QUERY.params(), extra=EXTRA | {"limit": "1000"})


def test_a_report_with_new_groupings_has_the_limit_of_a_grouped_one() -> None:
    query = PageviewQuery("CDBUGS", aggregates=["visits"], extra={"field_grouping": ["new_field"]})
    assert query.params()["limit"] == "1000"
    assert (
        query.replace(limit=1, sort_by="new_field:asc").read(b'[{"new_field": "a", "visits": 1}]').truncated
    )


def test_it_is_neither_fused_nor_implied() -> None:
    others = [PLAIN.replace(filters={}), PLAIN.replace(aggregates=["visits"])]
    groups = fuse([QUERY, *others, QUERY.replace(aggregates=["visits"])])
    assert [group.query for group in groups if group.query.extra] == [
        QUERY,
        QUERY.replace(aggregates=["visits"]),
    ]
    assert not implies(QUERY, PLAIN)
    assert not implies(PLAIN, QUERY)


@pytest.mark.parametrize("name", ["limit", "entity", "entity_id", "date_from", "filters", "sort_by"])
def test_what_is_an_argument_is_written_as_one(name: str) -> None:
    with pytest.raises(QueryError, match=f"extra has '{name}', which is an argument of its own"):
        QUERY.replace(extra={name: "1"})


@pytest.mark.parametrize("extra", [{"a": 1}, {"a": [1]}, {1: "a"}, {"a": "\ud800"}, [1], "a", None])
def test_what_cannot_be_sent_is_an_error(extra: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        QUERY.replace(extra=extra)


class _Service:
    """A service that knows more than this version."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, request: Request[object], within: float, sent: object) -> Response:
        del within, sent
        self.asked.append(str(request.params.get("new_parameter", "")))
        is_new = "new_field" in request.params.get("field_grouping", "")
        row = {"pathname": "/", "pageviews": 3} | ({"new_field": "a", "new_figure": 1.5} if is_new else {})
        return Response(200, {}, json.dumps([row]).encode())

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


@pytest.mark.virtual_time
async def test_a_run_asks_and_keeps_it_as_it_is() -> None:
    service = _Service()
    async with FathomClient("any", transport=service) as fathom:
        asked = [each.replace(date_from="2020-01-01", date_to="2020-01-31") for each in (QUERY, PLAIN)]
        for _ in range(2):  # the second time, the store answers
            reports = await fathom.reports.gather(asked, store="memory://")
            assert [report.columns for report in reports] == [QUERY.columns, PLAIN.columns]
        with pytest.raises(ArgumentError, match="those of new_field in extra may overlap"):
            await fathom.reports.complete(QUERY)
    assert sorted(service.asked) == ["", "x"]
