"""Rate plans, and the texts that name them."""

from pathlib import Path

import pytest

from fathom_async import ArgumentError, ConfigurationError, FathomClient, RateLimit, RatePlan


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("classic", RatePlan.classic()),
        ("hourly:600:5", RatePlan.hourly(600, concurrency=5)),
        (" hourly:16000:25\n", RatePlan.hourly(16_000, concurrency=25)),
    ],
)
def test_a_text_names_a_plan(text: str, plan: RatePlan) -> None:
    assert RatePlan.parse(text) == plan
    assert repr(FathomClient("t", plan=text)) == repr(FathomClient("t", plan=plan))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Classic",
        "hourly",
        "hourly:600",
        "hourly:600:0",
        "hourly:0:5",
        "hourly:-1:5",
        "hourly:6e2:5",
        "600:5",
    ],
)
def test_an_error_says_what_to_write(text: str) -> None:
    with pytest.raises(
        ArgumentError, match="write classic or hourly:REQUESTS:CONCURRENCY, such as hourly:600:5"
    ):
        FathomClient("t", plan=text)


def test_a_plan_is_a_plan_or_a_text() -> None:
    with pytest.raises(
        ArgumentError, match="plan must be a RatePlan or a text such as hourly:600:5, not 600"
    ):
        FathomClient("t", plan=600)  # type: ignore[arg-type]


async def test_a_budget_has_no_room_for_a_plan_that_no_account_has(tmp_path: Path) -> None:
    budget = f"file://{tmp_path}/budget"
    for plan in ("hourly:999999999:5", RatePlan(reports=RateLimit(1_000_001, per=60))):
        with pytest.raises(ConfigurationError, match="1,000,000 requests in a window at the most, not of"):
            FathomClient("t", plan=plan, budget=budget)
    assert FathomClient("t", plan="hourly:999999999:5").limits["reports"].limit == 999_999_999
    async with FathomClient("t", plan="hourly:100000:5", budget=budget) as fathom:
        assert fathom.limits["reports"].limit == 100_000


async def test_the_environment_names_a_plan() -> None:
    environ = {"FATHOM_API_TOKEN": "t", "FATHOM_PLAN": "hourly:600:5"}
    assert FathomClient.from_env(environ).limits["reports"].limit == 600
    assert FathomClient.from_env(environ, plan="classic").limits["reports"].limit == 10
    assert FathomClient.from_env({**environ, "FATHOM_PLAN": ""}).limits["reports"].limit == 10
    with pytest.raises(ArgumentError, match="'hourly' is no rate plan"):
        FathomClient.from_env({**environ, "FATHOM_PLAN": "hourly"})
