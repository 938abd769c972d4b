"""Conditions as they are typed."""

import pytest

from fathom_async import Filter, QueryError
from fathom_async._cli.filter_syntax import condition


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pathname matching ^/blog", Filter("pathname", "matching", "^/blog")),
        ("pathname not matching ^/a b$", Filter("pathname", "not matching", "^/a b$")),
        ("pathname is like *sale*", Filter("pathname", "is like", "*sale*")),
        ("pathname is not like *sale*", Filter("pathname", "is not like", "*sale*")),
        ("country_code is US", Filter("country_code", "is", "US")),
        ("country_code is not US", Filter("country_code", "is not", "US")),
        ("  Country_Code  IS  NOT  US ", Filter("country_code", "is not", "US")),
        ("city is New York", Filter("city", "is", "New York")),
        ("city is 'New York '", Filter("city", "is", "New York ")),
        ('utm_source is ""', Filter("utm_source", "is", "")),
        ("ref is 'not'", Filter("ref", "is", "not")),
        ("pathname is /a and b", Filter("pathname", "is", "/a and b")),
        ("browser = Chrome", Filter("browser", "is", "Chrome")),
        ("browser!=Chrome", Filter("browser", "is not", "Chrome")),
        ("pathname ~ ^/a=b", Filter("pathname", "matching", "^/a=b")),
        ("pathname!~^/a", Filter("pathname", "not matching", "^/a")),
    ],
)
def test_a_condition_is_a_filter(written: str, meant: Filter) -> None:
    assert condition(written) == meant


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("", "write e.g. 'pathname matching"),
        ("pathname", "is not a condition"),
        ("pathname matches ^/blog", "has no operator; there are: is, is not, is like"),
        ("pathnam is /", "did you mean 'pathname'?"),
        ("pathname is", "has no value"),
        ("pathname is  not", "has no value"),
        ("pathname is not like", "has no value"),
        ("pathname matching", "has no value"),
        ("pathname matching (", "not a regular expression"),
        ("country_code is like U*", "'is' and 'is not'"),
        ("keyword is shoes", "filter on utm_term"),
        ("pathname is / and browser is Chrome", "each as a --where of its own"),
        ("pathname is / or pathname is /a", "the API knows no 'or'"),
    ],
)
def test_what_is_no_condition_says_what_to_write(written: str, advice: str) -> None:
    with pytest.raises(QueryError, match=advice.replace("?", r"\?").replace("(", r"\(")):
        condition(written)
