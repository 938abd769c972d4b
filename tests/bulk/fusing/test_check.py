"""The check of how a server compares texts."""

import asyncio
import json
from datetime import UTC, datetime
from typing import cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import Filter, PageviewQuery, Report
from fathom_async._bulk.fusing import check_of, is_exact
from fathom_async._bulk.fusing.check import variants
from fathom_async._bulk.fusing.fuse import Fused
from fathom_async._core.codec.rows import Row
from fathom_async._reports.collation import folded
from fathom_async._reports.fields import PageviewAggregate
from fathom_async.testing import Dataset, Pageview, ServerDialect, Site
from fathom_async.testing._dialect import Difference
from tests.bulk.fusing.world import TOTAL, on, one, report
from tests.support.direct import DirectTransport, direct_client

DIFFERENCES: list[Difference] = ["case", "accents", "blanks", "slashes", "percent"]


@given(st.from_regex(r"/[a-zA-Z0-9/ .-]*[aeiou]/?", fullmatch=True))
def test_variants_differ_and_look_like_the_text(text: str) -> None:
    found = list(variants(text))
    assert text not in found
    assert len(set(found)) == len(found)
    assert {folded(other) for other in found} == {folded(text)}


def check(dialect: ServerDialect, *texts: str) -> bool:
    """Return what the check says of a server that has a record of ``/about``, and of these texts."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    views = [Pageview(site_id="CDBUGS", at=at, session="a", pathname=text) for text in ("/about", *texts)]
    data = Dataset(sites=[Site(id="CDBUGS", name="Bugs")], pageviews=views)
    group = one([on("/about"), on("/b"), on("/ABOUT")])

    async def ask() -> bool:
        async with direct_client(DirectTransport(data, dialect)) as fathom:
            answer = await fathom.reports.aggregate(group.query)
            query = check_of(group, answer, "pathname")
            assert query is not None
            return is_exact(await fathom.reports.aggregate(query), answer, "pathname")

    return asyncio.run(ask())


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_server_that_ignores_a_difference_is_found_out_without_any_look_alikes(
    difference: Difference,
) -> None:
    assert not check(ServerDialect(filters_ignore=frozenset({difference})))


def test_a_server_that_reads_values_in_its_own_way_is_found_out() -> None:
    assert not check(ServerDialect(is_trimmed=True))
    assert not check(ServerDialect(is_decoded=True))


def test_an_exact_server_passes() -> None:
    assert check(ServerDialect())
    assert check(ServerDialect(has_nulls=True, is_anchored=True, has_zero_rows=True))


@pytest.mark.parametrize("texts", [["/ABOUT"], ["/ABOUT", "/b"], ["/ABOUT", "/ABOUT", "/c"]])
def test_a_server_that_ignores_case_in_its_groups_only_is_found_out_by_what_they_count(
    texts: list[str],
) -> None:
    dialect = ServerDialect(groups_ignore=frozenset({"case"}))
    assert not check(dialect, *texts)
    assert check(ServerDialect(), *texts)


def test_there_is_no_check_without_a_text_that_has_every_variant() -> None:
    group = one([on("/1"), on("/2")])
    assert check_of(group, report(group, ("/1", 1), ("/%61", 2), (None, 3)), "pathname") is None


def test_the_check_keeps_the_other_filters_and_the_range() -> None:
    base = TOTAL.replace(
        filters=[Filter("browser", "is not", "Opera")], date_from="2026-01-01", date_to="2026-01-31"
    )
    group = one([on("/about", base), on("/b", base)])
    query = check_of(group, report(group, ("/about", 1)), "pathname")
    assert query is not None
    assert isinstance(query, PageviewQuery)
    assert base.filters[0] in query.filters
    assert (query.date_from, query.date_to) == (base.date_from, base.date_to)
    assert not [each for each in query.filters if each.operator == "matching"]


def chosen(group: Fused[Row], *rows: tuple[str | None, int]) -> str | None:
    query = check_of(group, report(group, *rows), "pathname")
    filters = () if query is None else query.filters
    return next(
        (each.value for each in filters if (each.property, each.operator) == ("pathname", "is")), None
    )


def test_a_text_is_preferred_that_looks_like_an_asked_one_without_a_row() -> None:
    group = one([on("/cafe"), on("/b"), on("/ABOUT")])
    assert chosen(group, ("/cafe", 5), ("/b", 1), ("/about", 3)) == "/about"
    assert (
        chosen(group, ("/cafe", 5), ("/b", 1), ("/ABOUT", 1), ("/about", 3)) == "/cafe"
    )  # all asked ones have a row


def test_values_of_other_properties_are_not_asked_texts() -> None:
    base = TOTAL.replace(filters=[Filter("referrer_hostname", "is", "/ABOUT")])
    group = one([on("/cafe", base), on("/b", base)])
    assert chosen(group, ("/cafe", 5), ("/about", 3)) == "/cafe"


@pytest.mark.parametrize("text", ["/" + "a" * 199, "/a\nb", "/a\x7f"])
def test_a_text_that_is_long_or_unprintable_is_not_sent(text: str) -> None:
    group = one([on("/a"), on("/b")])
    assert chosen(group, (text, 5)) is None
    assert chosen(group, (text, 5), ("/" + "a" * 198, 1)) == "/" + "a" * 198


def test_the_check_asks_for_all_rows_in_any_order() -> None:
    group = one([on("/about"), on("/b")])
    first = evolve(group, query=group.query.replace(sort_by="pageviews:desc", limit=10))
    query = check_of(first, report(first, ("/about", 1)), "pathname")
    assert query is not None
    assert (query.sort_by, query.limit) == (None, None)


def test_variants_of_a_last_slash_and_of_a_last_character_of_two_bytes() -> None:
    assert [*variants("/about/")][4:] == ["/about", "/about%2F"]
    assert [*variants("/a//")][4:] == ["/a", "/a/%2F"]
    assert [*variants("/aX/")][4] == "/aX"
    assert [*variants("/aboú")][4:] == ["/aboú/", "/abo%C3%BA"]


@pytest.mark.parametrize(
    ("metric", "found", "checked", "exact"),
    [
        ("pageviews", [3], [3], True),
        ("pageviews", [3], [4], True),
        ("pageviews", [3], [2], False),
        ("pageviews", [3], [], False),
        ("pageviews", [None], [], False),  # a group has one record at least
        ("pageviews", [None], [None], False),
        ("pageviews", [2, 1], [3], True),
        ("avg_duration", [3.0], [9.0], True),  # rows count where no metric does
        ("avg_duration", [3.0, 1.0], [9.0], False),
        ("avg_duration", [3.0], [], False),
    ],
)
def test_a_server_is_exact_if_the_filter_finds_as_many_as_the_group_counted(
    metric: PageviewAggregate, found: list[float | None], checked: list[float | None], *, exact: bool
) -> None:
    query = TOTAL.replace(aggregates=[metric], field_grouping=["pathname"])
    check = query.replace(
        filters=[Filter("pathname", "is", "/about"), Filter("pathname", "is not", "/ABOUT")]
    )

    def answer(of: PageviewQuery, values: list[float | None]) -> Report[Row]:
        rows = [{"pathname": "/about", metric: value} for value in values]
        rows.append({"pathname": "/other", metric: 50})
        return cast("Report[Row]", of.read(json.dumps(rows).encode()))

    assert is_exact(answer(check, checked), answer(query, found), "pathname") == exact
