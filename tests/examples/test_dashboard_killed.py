"""Workers of the dashboard that are killed, and what is left of their answers and their budget."""

from typing import get_args

import pytest

from benchmarks.dashboard import Kind, Load, faults, measure


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", get_args(Kind))
async def test_killed_workers_lose_no_answers_and_no_budget(kind: Kind) -> None:
    findings = await measure(kind, Load(pages=40, rounds=2, kills=2, workers=3, speed=30))
    assert not faults(findings)
    assert len(findings.alone) + len(findings.peace) + len(findings.war) == 200
    assert findings.asked_twice <= findings.killed
