"""Filters are checked when they are written."""

import pytest

from fathom_async._reports.fields import CATEGORICAL_PROPERTIES, OPERATORS, TEXT_PROPERTIES
from fathom_async._reports.filters import Filter, filters_from_json, filters_to_json, regex_fault, where
from fathom_async.errors import QueryError


def make(property: str, operator: str, value: object) -> Filter:
    return Filter.from_dict({"property": property, "operator": operator, "value": value})


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("property", TEXT_PROPERTIES)
def test_text_properties_take_every_operator(property: str, operator: str) -> None:
    assert make(property, operator, "x").operator == operator


@pytest.mark.parametrize("property", CATEGORICAL_PROPERTIES)
def test_categorical_properties_take_two(property: str) -> None:
    assert make(property, "is", "x") != make(property, "is not", "x")
    with pytest.raises(QueryError, match="only 'is' and 'is not'"):
        make(property, "matching", "x")


@pytest.mark.parametrize(
    ("property", "operator", "value", "message"),
    [
        ("keyword", "is", "shoes", "keyword can be grouped by, but not filtered on"),
        ("pathnames", "is", "/", "did you mean 'pathname'"),
        ("when", "is", "2026-01-01", "there are: domain"),
        ("pathname", "is_not", "/", "did you mean 'is not'"),
        ("pathname", "=", "/", "did you mean 'is'"),
        ("pathname", "is", 5, "must be a str, not 5; write '5'"),
        ("pathname", "is", None, "group by it"),
        ("pathname", "is", "\ud800", "cannot be encoded"),
        ("pathname", "is like", "", "write what to look for"),
        ("pathname", "matching", "", "write what to look for"),
        ("pathname", "matching", "^/(a|b", "is not a regular expression: missing"),
        ("pathname", "matching", "*.html", r"for anything, write '\.\*'"),
    ],
)
def test_what_the_server_would_refuse(property: str, operator: str, value: object, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        make(property, operator, value)


def test_an_empty_value_can_be_compared_with() -> None:
    assert (where.referrer_hostname == "").value == ""


@pytest.mark.parametrize(
    "pattern", ["(", "a)", "[a-", "[z-a]", "a{3,2}", "a\\", "*a", "a|*b", "(+)", "^/blog/(?:a"]
)
def test_patterns_that_no_dialect_takes(pattern: str) -> None:
    assert regex_fault(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^/(about|contact|pricing)$",
        r"^/blog/\d{4}/\d{2}/",
        r"^/products/[^/]+/$",
        r"\p{L}+",
        r"(?<year>\d{4})",
        r"[[:alpha:]]",
        r"a(?i)b",
        r"[\w-a]",
        r"(?<=a+)b",
        r"(*UTF8)a",
        r"^*",
        r"\(*",
        r"a{99999999999999999999}",
    ],
)
def test_patterns_that_another_dialect_may_take_are_let_through(pattern: str) -> None:
    assert regex_fault(pattern) is None


def test_where_writes_filters_out() -> None:
    assert where.pathname.matching("^/blog") == Filter("pathname", "matching", "^/blog")
    assert where.pathname.not_matching("^/blog") == Filter("pathname", "not matching", "^/blog")
    assert where.pathname.is_like("blog*") == Filter("pathname", "is like", "blog*")
    assert where.pathname.is_not_like("blog*") == Filter("pathname", "is not like", "blog*")
    assert (where.browser == "Chrome") == where.browser.is_("Chrome") == Filter("browser", "is", "Chrome")
    assert (
        (where.browser != "Chrome") == where.browser.is_not("Chrome") == Filter("browser", "is not", "Chrome")
    )
    assert (where.pathname != "/") == Filter("pathname", "is not", "/")


def test_where_has_nothing_that_cannot_be_asked() -> None:
    with pytest.raises(AttributeError):
        _ = where.browser.matching  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    with pytest.raises(AttributeError, match="did you mean 'country_code'"):
        _ = where.country  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def test_filters_travel_as_one_json_string() -> None:
    filters = (Filter("pathname", "is", "/ä"), Filter("browser", "is not", "Chrome"))

    encoded = filters_to_json(filters)

    assert encoded == (
        '[{"property":"pathname","operator":"is","value":"/ä"},'
        '{"property":"browser","operator":"is not","value":"Chrome"}]'
    )
    assert filters_from_json(encoded) == filters


@pytest.mark.parametrize("encoded", ["", "{", "{}", "[3]", '[{"property": "pathname"}]', '["pathname"]'])
def test_other_strings_are_no_filters(encoded: str) -> None:
    with pytest.raises(QueryError):
        filters_from_json(encoded)
