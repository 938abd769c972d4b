"""A run sends no more requests than it may, whatever it finds out on the way: what needs more fails and says so."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import ArgumentError, CachePolicy, Outcome, PageviewQuery
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Dataset, ServerDialect, Site
from tests.bulk.paths import ALIKE, BY_DAY, CUT_OFF, DATA, GUESTS, SOME
from tests.bulk.test_failures import PATHS, Faulty
from tests.bulk.test_failures import run as run_against
from tests.bulk.test_run_dialects import DIALECTS, dataset, queries, told
from tests.support.direct import DirectTransport, direct_client
from tests.support.soak import tries

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")


async def attempt(
    data: Dataset, dialect: ServerDialect, asked: Sequence[AnyQuery], most: int | None, store: str | None
) -> tuple[Sequence[Outcome[Row]], int]:
    """Return the outcomes of a run that may send so many requests more than planned, and how many more it sent."""
    async with direct_client(transport := DirectTransport(data, dialect)) as fathom:
        plan = fathom.reports.plan(asked)
        allowed = None if most is None else plan.requests + most
        run = fathom.reports.run(asked, store=store, max_requests=allowed)
        ended = sorted([outcome async for outcome in run], key=lambda outcome: outcome.position)
        assert allowed is None or len(transport.asked) <= allowed
        return ended, len(transport.asked) - plan.requests


@settings(deadline=None, max_examples=tries(30, soak=80))
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(list(DIALECTS)),
    more=st.integers(0, 6),
    store=st.sampled_from([None, "memory://"]),
)
def test_a_run_keeps_to_its_requests_on_every_server(
    seed: int, name: str, more: int, store: str | None
) -> None:
    chance = random.Random(seed)
    data, asked = dataset(chance, "UTC"), queries(chance)
    right, needed = asyncio.run(attempt(data, DIALECTS[name], asked, None, store))
    ended, _ = asyncio.run(attempt(data, DIALECTS[name], asked, more, store))
    for one, two in zip(ended, right, strict=True):
        if one.error is None:
            assert told(one.result()) == told(two.result())
        else:
            assert isinstance(one.error, ArgumentError)
            assert "max_requests=" in str(one.error)
            assert needed > more or store is not None, "a store may turn out to have what was to be requested"


@pytest.mark.parametrize("asked", [CUT_OFF, ALIKE, GUESTS, [*SOME, *CUT_OFF, *ALIKE, *BY_DAY]])
@pytest.mark.parametrize("more", range(5))
async def test_what_is_cut_off_or_alike_is_asked_within_the_bound(
    asked: list[PageviewQuery], more: int
) -> None:
    right, needed = await attempt(DATA, ServerDialect(), asked, None, None)
    ended, sent = await attempt(DATA, ServerDialect(), asked, more, None)
    assert sent <= more
    assert all(isinstance(each.error, ArgumentError | None) for each in ended)
    assert [each.report for each in ended if each.error is None] == [
        two.report for one, two in zip(ended, right, strict=True) if one.error is None
    ]
    assert (needed <= more) == all(each.error is None for each in ended)


@settings(deadline=None, max_examples=tries(20, soak=40))
@given(
    bad=st.sets(st.sampled_from(PATHS), min_size=1, max_size=5),
    fault=st.sampled_from([500, 400, 422]),
    most=st.integers(1, 60),
)
def test_the_search_for_what_fails_keeps_to_it_and_says_what_failed(
    bad: set[str], fault: int, most: int
) -> None:
    server = Faulty(bad, fault)
    answers = asyncio.run(run_against(server, max_requests=most))
    assert server.sent <= most
    for path, answer in zip(PATHS, answers, strict=True):
        assert answer == 1 if isinstance(answer, int) else path in bad or "max_requests" in str(answer)
    unbounded = Faulty(bad, fault)
    asyncio.run(run_against(unbounded))
    assert unbounded.sent > most or not any("max_requests" in str(answer) for answer in answers)


@pytest.mark.parametrize("most", [2, 3, 4])
async def test_what_is_refreshed_in_the_background_counts_behind_the_plan(most: int) -> None:
    keeping = CachePolicy(max_age=0, stale_while_revalidate=1e9)
    stale = [SOME[0].replace(date_to=None), CUT_OFF[0].replace(date_to=None)]
    other = BY_DAY[1].replace(site_id="OTHERS")
    days = [other.replace(date_from=day, date_to=day) for day in ("2025-10-31", "2025-11-02")]
    data = Dataset(sites=[*DATA.sites, Site(id="OTHERS", name="Others")], pageviews=DATA.pageviews)
    async with direct_client(transport := DirectTransport(data)) as fathom:
        await fathom.reports.gather(stale, store="memory://", keeping=keeping)
        before = len(transport.asked)
        queries = [*stale, *days]
        reports = await fathom.reports.gather(queries, store="memory://", keeping=keeping, max_requests=most)
        await asyncio.sleep(0.05)
        assert len(reports) == len(queries)
        assert len(transport.asked) - before == most
