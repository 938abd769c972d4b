from asyncio import sleep

import pytest

from benchmarks import report
from benchmarks.harness import Comparison, Contender, compare, schedule
from benchmarks.load import fan_out


async def _nothing() -> None:
    pass


def test_who_goes_first_alternates() -> None:
    rivals = [Contender("a", _nothing), Contender("b", _nothing)]
    turns = [(rival.name, baseline_first) for rival, baseline_first in schedule(rivals, rounds=3)]
    assert turns == [("a", True), ("b", True), ("a", False), ("b", False), ("a", True), ("b", True)]


async def test_turns_are_taken_in_pairs_after_a_warm_up() -> None:
    log: list[str] = []

    def contender(name: str) -> Contender:
        async def turn() -> None:
            log.append(name)

        return Contender(name, turn)

    contenders = [contender("base"), contender("a"), contender("b")]
    comparison = await compare("test", contenders, unit="call", units=1, rounds=2)
    assert log == ["base", "a", "b", "base", "a", "base", "b", "a", "base", "b", "base"]
    assert [standing.name for standing in comparison.standings] == ["base", "a", "b"]
    assert {name: len(pairs) for name, pairs in comparison.duels.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize("at_once", [1, 4])
async def test_fan_out_makes_every_call_once_and_keeps_so_many_in_flight(at_once: int) -> None:
    calls = in_flight = most = 0

    async def call() -> None:
        nonlocal calls, in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await sleep(0)
        calls += 1
        in_flight -= 1

    await fan_out(call, 10, at_once)
    assert (calls, most) == (10, at_once)


async def _comparison(target: float | None = None) -> Comparison:
    contenders = [Contender("plain", _nothing), Contender("fancy", _nothing)]
    return await compare("1 at once", contenders, unit="call", units=10, rounds=3, target=target)


def test_a_table_aligns_its_columns() -> None:
    assert report.aligned([("name", "n"), ("a", "100"), ("long name", "2")]).splitlines() == [
        "name         n",
        "---------  ---",
        "a          100",
        "long name    2",
    ]


async def test_a_comparison_is_shown_with_its_rounds_and_target() -> None:
    first, *_, last = report.show(report.tabulate(await _comparison(target=1e-9))).splitlines()
    assert first == "1 at once: 3 rounds of 10 calls"
    assert last == "target for fancy: 1e-09 by wall, reached in this run"
    assert "target" not in report.show(report.tabulate(await _comparison()))
