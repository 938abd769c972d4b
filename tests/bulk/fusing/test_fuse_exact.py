"""What is split off a fused answer is what the query alone gets, over many small tables."""

import random
from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from fathom_async._bulk.fusing import ServerKnowledge, fuse
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.query import AnyQuery
from fathom_async._reports.report import Report
from tests.bulk.fusing.table import Table
from tests.bulk.fusing.workloads import a_table, a_workload
from tests.bulk.fusing.world import HAVANA

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

SITE_ZONE: Final = ZoneInfo(HAVANA)


def checked(
    queries: Sequence[AnyQuery], knowledge: ServerKnowledge, servers: Sequence[Table]
) -> Iterator[Report[Row] | None]:
    """Yield the parts of all fused answers, after comparing each with what the server answers to it alone.

    The servers are the same but for the order of rows that a query leaves open.
    """
    plan = fuse(queries, knowledge)
    answered = sorted(position for each in plan for asked in each.asked for position in asked.positions)
    assert answered == [*range(len(queries))], "every position once"
    for group in plan:
        answer = servers[0].answer(group.query)
        parts = group.split(answer, knowledge)
        for asked, part in zip(group.asked, parts, strict=True):
            assert all(queries[position] == asked.query for position in asked.positions)
            if part is not None and asked.query == group.query:
                assert part.query is asked.query
                assert part.to_dicts() == answer.to_dicts()
            elif part is not None:
                for server in servers:
                    alone = server.answer(asked.query)
                    assert (part, part.columns) == (alone, alone.columns), (group, asked.query)
        yield from parts


KNOWN: Final = {"CDBUGS": SITE_ZONE}


@pytest.mark.parametrize(
    ("is_known", "is_forgiving", "zones"),
    [
        pytest.param(True, False, KNOWN, id="a server that is known to compare exactly"),
        pytest.param(False, False, KNOWN, id="one that does so"),
        pytest.param(False, True, KNOWN, id="one that does not"),
        pytest.param(False, True, {}, id="one of no known time zone"),
    ],
)
def test_a_part_is_what_the_query_alone_gets(
    is_known: bool, is_forgiving: bool, zones: dict[str, ZoneInfo]
) -> None:
    asked = requests = told = 0
    for seed in range(100):
        chance = random.Random(seed)
        records, queries = a_table(chance), a_workload(chance)
        servers = [Table(records, SITE_ZONE, is_forgiving, fold=seed % 2, seed=order) for order in (1, 2)]
        knowledge = ServerKnowledge(exact=dict.fromkeys(FIELD_GROUPINGS, is_known), zones=zones)
        parts = [*checked(queries, knowledge, servers)]
        asked += len(parts)
        requests += len(fuse(queries, knowledge))
        told += len(parts) - parts.count(None)
    assert requests < asked * 0.7
    assert told > asked * 0.95
