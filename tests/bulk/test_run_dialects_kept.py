"""What kept answers imply is what single queries are answered, however a server compares texts and reads moments."""

import asyncio
import random
from collections import Counter

import pytest

from fathom_async import CachePolicy, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import ServerDialect
from tests.bulk.test_run_dialects import DIALECTS, ZONES, dataset, queries, told
from tests.support.direct import DirectTransport, direct_client
from tests.support.soak import tries

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")


def wider(query: AnyQuery, chance: random.Random) -> AnyQuery:
    """Return a query whose answer may contain that of another, and which a person might ask first."""
    chosen = [each.property for each in query.filters if chance.random() < 0.7]
    groups = list(dict.fromkeys([*query.field_grouping, *chosen]))
    return query.replace(
        aggregates=list(dict.fromkeys([*query.aggregates, "pageviews"])),
        field_grouping=groups,
        filters=[each for each in query.filters if each.property not in chosen],
        date_grouping=chance.choice([query.date_grouping, "day"]),
        date_from=chance.choice([query.date_from, "2026-04-01"]),
        date_to=chance.choice([query.date_to, "2026-11-10"]),
        sort_by=chance.choice([None, f"{groups[0]}:asc" if groups else None]),
        limit=None,
    )


async def differences(dialect: ServerDialect, seed: int, sets: int) -> Counter[str]:
    chance = random.Random(seed)
    found = Counter[str]()
    keeping = CachePolicy(max_age=1e9)
    for _ in range(sets):
        zone = chance.choice(ZONES) if dialect.repeated_hour != "both" or chance.random() < 0.3 else "UTC"
        data, asked = dataset(chance, zone), queries(chance)
        asked = [*(wider(query, chance) for query in asked[:3]), *asked]
        async with direct_client(DirectTransport(data, dialect)) as fathom:
            right = [await fathom.reports.aggregate(query) for query in asked]
        async with direct_client(transport := DirectTransport(data, dialect)) as fathom:
            for query, expected in zip(asked, right, strict=True):
                before = len(transport.asked)
                [answer] = await fathom.reports.gather([query], store="memory://", keeping=keeping)
                found["asked"] += 1
                found["implied"] += len(transport.asked) == before
                found["wrong"] += is_different(answer, expected)
    return found


def is_different(one: Report[Row], two: Report[Row]) -> bool:
    """Whether two reports differ, except in an order that the query leaves to the server."""
    column = (one.query.sort_by or "").partition(":")[0]
    has_order = column in one.columns and len(set(two.column(column))) == len(two)
    if one.query.field_grouping and not has_order and not one.truncated:
        return Counter(one.rows) != Counter(two.rows)
    return told(one) != told(two)


@pytest.mark.parametrize("name", DIALECTS)
def test_implied_answers_are_those_of_single_queries_on_every_server(name: str) -> None:
    sets = tries(6, soak=12)
    found = asyncio.run(differences(DIALECTS[name], seed=len(name), sets=sets))
    assert found["wrong"] == 0
    assert found["implied"] > sets / 2 - 1
