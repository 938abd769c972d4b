"""Rules, in Python and in TOML, and what is said of those that cannot be."""

import io
import re
from pathlib import Path
from typing import Any

import pytest

from fathom_async import ArgumentError, EventQuery, Filter, PageviewQuery
from fathom_async.jobs import JobFileError
from fathom_async.watch import Rule, load_rules

from .traffic import rule

DOCS = Path(__file__).parents[2] / "docs" / "watch.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf8"), re.DOTALL)
VISITS: dict[str, Any] = {"name": "drop", "site_id": "CDBUGS", "metric": "visits", "below": 5}


def load(written: str) -> tuple[Rule, ...]:
    return load_rules(io.BytesIO(written.encode()))


def faults(written: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load(written)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_documentation_shows_can_be_loaded(block: str) -> None:
    assert load(block)


def test_a_file_has_the_rules_that_python_makes() -> None:
    rules = load(
        """
        [rule.drop]
        site_id = ["CDBUGS", "DAFFYD"]
        metric = "visits"
        below_median = 0.5

        [rule.sales]
        site_id = "CDBUGS"
        metric = "conversions"
        entity_name = "purchase"
        filters = [{ property = "country_code", operator = "is", value = "CA" }]
        timezone = "Europe/Berlin"
        period = "6 hours"
        below = 1
        """
    )
    sales = Rule(
        name="sales",
        site_id="CDBUGS",
        metric="conversions",
        entity_name="purchase",
        filters=[Filter("country_code", "is", "CA")],
        timezone="Europe/Berlin",
        period="6 hours",
        below=1,
    )
    drops = [
        Rule(name="drop", site_id=site, metric="visits", below_median=0.5) for site in ("CDBUGS", "DAFFYD")
    ]
    assert rules == (*drops, sales)
    assert [each.key for each in rules] == [each.key for each in (*drops, sales)]
    assert sales.query == EventQuery(
        "CDBUGS",
        "purchase",
        aggregates=["conversions"],
        date_grouping="hour",
        filters=[Filter("country_code", "is", "CA")],
        timezone="Europe/Berlin",
    )
    assert drops[0].query == PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="day")


def test_all_errors_of_a_file_are_told_each_with_its_key() -> None:
    told = faults(
        """
        webhook = "https://example.com"

        [rule.drop]
        site_id = "CD BUGS"
        metric = "visit"
        below_median = "half"
        perod = "day"

        [rule.sales]
        metric = "visits"
        entity_name = "purchase"
        period = "fortnight"
        filters = [{ property = "path", operator = "is", value = "/" }]

        [rule.week]
        site_id = []
        metric = "visits"
        period = "7 days"

        [rule.weekly]
        site_id = "CDBUGS"
        metric = "visits"
        period = "7 days"
        below = 1

        [rule.nothing]
        site_id = "CDBUGS"
        metric = "visits"
        """
    )
    begun = [fault.partition(": ")[0] for fault in told]
    assert begun == [
        "webhook",
        *("rule.drop.perod", "rule.drop.site_id", "rule.drop.metric", "rule.drop.below_median"),
        *("rule.sales.site_id", "rule.sales.metric", "rule.sales.filters", "rule.sales.period"),
        *("rule.week.site_id", "rule.weekly", "rule.nothing"),
    ]
    assert "did you mean 'period'" in told[1]
    assert "did you mean 'visits'" in told[3]
    assert 'write site_id = "CDBUGS"' in told[5]
    assert 'write period = "day", or a metric that adds up: conversions, pageviews, value' in told[-2]
    assert "there is no bound; write one of below, above, below_median" in told[-1]
    assert faults("rule = 5") == ["rule: each rule is a named table; write e.g. [rule.top-pages]"]
    assert faults("rule")[0].startswith("this is not TOML")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": " "}, "name is empty"),
        ({"below": 0}, "below must be a number above 0, not 0"),
        ({"above": -1}, "above must be a number above 0, not -1"),
        ({"above": float("nan")}, "above must be a number"),
        ({"deviations": True}, "deviations must be a number"),
        ({"period": "0 days"}, "period cannot be '0 days'"),
        ({"period": "2 hours"}, "visits of single hours do not add up"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"entity_name": "purchase"}, "metric has no 'visits'"),
        ({"entity_name": ""}, "metric has no 'visits'"),
        ({"filters": "x"}, "filters takes a list"),
    ],
)
def test_a_rule_that_cannot_be_says_what_to_write(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(told)):
        rule(**VISITS | changed)


def test_another_rule_has_another_key() -> None:
    rules = [
        rule(**VISITS | changed)
        for changed in (
            {},
            {"name": "fall"},
            {"site_id": "DAFFYD"},
            {"below": 6},
            {"above": 5},
            {"filters": [Filter("pathname", "is", "/")]},
            {"timezone": "UTC"},
            {"period": "hour"},
        )
    ]
    assert len({each.key for each in rules}) == len(rules)
    assert rule(**VISITS | {"above": 0}).above == 0


@pytest.mark.parametrize(
    ("period", "length", "nearest", "furthest"),
    [
        ("hour", 1, 168, 8 * 168),
        ("6 hours", 6, 168, 8 * 168),
        ("169 hours", 169, 336, 8 * 336),
        ("day", 1, 7, 56),
        ("3 days", 3, 7, 56),
        ("7 days", 7, 7, 56),
        ("14 days", 14, 14, 112),
    ],
)
def test_periods_are_compared_with_the_same_hours_of_the_same_weekday(
    period: str, length: int, nearest: int, furthest: int
) -> None:
    odd = rule(period=period, deviations=3)
    assert (odd.length, odd.earlier[0], odd.earlier[-1]) == (length, nearest, furthest)
    assert not rule(period=period, below=1).earlier
