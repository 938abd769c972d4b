"""Filters that a server must not be held up by."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import FathomClient, Filter, PageviewQuery, ValidationError
from fathom_async.testing import FathomServer
from fathom_async.testing._dialect import EXACT
from fathom_async.testing._filters import Condition, read_filters
from fathom_async.testing._http_errors import HttpError
from fathom_async.testing._validation import Form

pytestmark = pytest.mark.virtual_time

SLOW = [
    "(a|a)*$!",
    "(a+)+$",
    "(.*)*x",
    "(a?){50}a{50}",
    "^(([a-z])+.)+$",
    ".*.*.*.*!",
    "(?:(?:a|ab)(?:c|bcd))+?d",
]
FAST = [
    r"^ *(/[aA]|/cla[sS]+e[sS]+)?[/ ]*$|.*[^ -$&-~].*",
    "[sS]+a[sS]+a[sS]+a[sS]+a[sS]+a[sS]+",
    "^/blog/",
    "^/blog/.*$",
    "(?:/a|/b)$",
    "(/.*)?$",
    "[^/]+/[^/]+",
    r"\d{4}-\d{20}",
    "^(?:a|b|c)$",
    "(?i)x",
    "(ab)+",
]


@pytest.mark.parametrize("pattern", SLOW)
async def test_a_pattern_that_takes_hours_is_refused(
    pattern: str, server: FathomServer, fathom: FathomClient
) -> None:
    query = PageviewQuery("CDBUGS", aggregates=["visits"], filters=[Filter("pathname", "matching", pattern)])
    with pytest.raises(ValidationError, match="too complex a regular expression"):
        await fathom.reports.aggregate(query)
    assert len(server.hits) == 1


@pytest.mark.parametrize("pattern", FAST)
async def test_a_usual_pattern_is_answered(pattern: str, fathom: FathomClient) -> None:
    query = PageviewQuery("CDBUGS", aggregates=["visits"], filters=[Filter("pathname", "matching", pattern)])
    assert not (await fathom.reports.aggregate(query)).truncated


@pytest.mark.parametrize("text", ["[" * 2000, "[" * 2000 + "]" * 2000, "[" * 200_000, "{", "null", "\\ud800"])
def test_filters_that_are_no_list_are_refused(text: str) -> None:
    form = Form({})
    assert read_filters(form, text) == ()
    with pytest.raises(HttpError):
        form.check()


async def test_a_pattern_nested_too_deep_is_refused(fathom: FathomClient) -> None:
    nested = "(" * 900 + ")" * 900
    query = PageviewQuery("CDBUGS", aggregates=["visits"], filters=[Filter("pathname", "matching", nested)])
    with pytest.raises(ValidationError):
        await fathom.reports.aggregate(query)


texts = st.text("ab/é*\n", max_size=12)


@given(texts, texts)
def test_like_means_contains_with_stars_for_anything(pattern: str, text: str) -> None:
    like = Condition("pathname", "is like", pattern).predicate(EXACT)
    plain = re.search(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
    assert like(text) is (plain is not None)


def test_like_with_many_stars_takes_no_hours() -> None:
    like = Condition("pathname", "is like", "a*" * 40 + "!").predicate(EXACT)
    assert not like("a" * 300)
