import aiohttp
import pytest

from benchmarks import request
from benchmarks.harness import Comparison
from benchmarks.request import BENCHMARK
from benchmarks.server import LIMIT, SITE, serving


async def test_the_server_answers_from_its_own_process_and_never_limits() -> None:
    async with serving() as base_url, aiohttp.ClientSession(base_url + "/") as session:
        async with session.get(f"sites/{SITE}") as response:
            assert (await response.json())["id"] == SITE
            assert int(response.headers["X-RateLimit-Limit"]) == LIMIT
            assert 0 < int(response.headers["X-RateLimit-Remaining"]) < LIMIT
        async with session.get("sites/OTHER") as response:
            assert response.status == 404


async def test_the_request_benchmark_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "REQUESTS", {1: 5, 50: 60})
    comparisons = await BENCHMARK.run(1)
    assert len(comparisons) == 2
    for comparison in comparisons:
        assert isinstance(comparison, Comparison)
        names = [standing.name for standing in comparison.standings]
        assert names[:2] == ["aiohttp", "fathom_async"]
