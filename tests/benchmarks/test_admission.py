"""The admission benchmark: its server, its clients on the virtual clock, and its report."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from benchmarks import admission, admission_clock, admission_plot, admission_report
from benchmarks.admission_contenders import CONTENDERS, OURS, peers
from benchmarks.admission_mixed import KINDS, perform, perform_in_a_process
from benchmarks.admission_mixed import Outcome as Waits
from benchmarks.admission_mixed_report import CHAPTERS as MIXED
from benchmarks.admission_mixed_report import Chapter as Mixed
from benchmarks.admission_scenarios import CHAPTERS, Chapter, Target, by_throttle
from benchmarks.admission_sockets import race
from benchmarks.admission_worker import play
from benchmarks.admission_world import THROTTLES, Attempt, Contender, Outcome, Scenario, World, perfect
from benchmarks.machine import installed
from benchmarks.queue_cost import measure
from fathom_async._core.request import Response

PLAIN = "Laravel, exact store"


def outcome(
    *, refused: int = 0, lost: int = 0, makespan: float = 545.0, foreign: int = 0, starved: int = 0
) -> Outcome:
    return Outcome(
        refused=refused,
        lost=lost,
        makespan=makespan,
        admitted=makespan,
        optimum=540.0,
        comparable=540.0,
        par=540.5,
        foreign=foreign,
        starved=starved,
        answers=[],
    )


async def once(attempt: Attempt) -> Response:
    return await attempt(lambda: None)


def run_world(scenario: Scenario, make: Callable[[], Contender] = lambda: once) -> Outcome:
    async def main() -> Outcome:
        return await World(scenario).play(make())

    return admission_clock.run(main())


@pytest.mark.parametrize("throttle", THROTTLES)
@pytest.mark.parametrize("n", [1, 10, 11, 35])
@pytest.mark.parametrize("start", [1_700_000_000.0, 1_700_000_033.7])
def test_the_perfect_client_found_by_trying_needs_what_the_throttle_says(
    throttle: str, n: int, start: float
) -> None:
    server = THROTTLES[throttle](10)
    assert perfect(server, n, start) == pytest.approx(server.optimum(n, start), abs=0.001)


def test_without_a_limiter_all_but_the_first_window_is_lost() -> None:
    outcome = run_world(Scenario(PLAIN, 1, requests=25))
    assert (outcome.refused, outcome.lost, len(outcome.answers)) == (15, 15, 10)


def test_what_was_spent_before_is_gone() -> None:
    assert run_world(Scenario(PLAIN, 1, requests=10, spent=7)).lost == 7


def test_a_cap_refuses_whoever_comes_while_it_is_reached() -> None:
    outcome = run_world(Scenario(PLAIN, 1, requests=8, cap=5, handler=(1.0, 2.0)))
    assert (outcome.refused, len(outcome.answers)) == (3, 5)


@pytest.mark.parametrize("insistent", [False, True])
def test_another_client_spends_of_the_same_window(insistent: bool) -> None:
    scenario = Scenario(PLAIN, 3, requests=10, handler=(30.0, 90.0), foreign=5, insistent=insistent)
    outcome = run_world(scenario)
    assert outcome.foreign >= 5
    assert outcome.starved > 0
    assert outcome.optimum == 60.0


def test_the_same_seed_gives_the_same_run_and_the_clock_goes_on() -> None:
    scenario = Scenario("clock-aligned", 5, requests=15)
    first, second = run_world(scenario), run_world(scenario)
    assert first.optimum == second.optimum
    assert first.answers == pytest.approx(second.answers, abs=0.001)
    assert run_world(Scenario("clock-aligned", 6, requests=15)).optimum != first.optimum


def test_comparable_and_par_are_what_the_report_says_they_are() -> None:
    outcome = run_world(Scenario(PLAIN, 1, requests=21, handler=(2.0, 4.0), jitter=0.5))
    assert outcome.optimum == 120.0
    assert outcome.comparable == 123.0
    assert outcome.par == 123.0 + 3 * 0.5


@pytest.mark.parametrize("name", CONTENDERS)
async def test_every_client_plays_in_a_process_of_its_own(name: str) -> None:
    if not installed(CONTENDERS[name].package):
        pytest.skip(f"{CONTENDERS[name].package} is not installed")
    outcomes = await play(name, [Scenario("token bucket", seed, requests=13) for seed in range(2)])
    assert outcomes is not None
    for outcome in outcomes:
        assert len(outcome.answers) + outcome.lost == 13
        assert len(outcome.answers) >= 10
        assert outcome.makespan >= (0 if outcome.lost else 0.99 * outcome.optimum)


@pytest.mark.parametrize("throttle", THROTTLES)
def test_ours_is_not_refused(throttle: str) -> None:
    outcome = run_world(Scenario(throttle, 2, requests=35), CONTENDERS[OURS].make)
    assert (outcome.refused, outcome.lost) == (0, 0)


def test_time_functions_are_patched_before_limiters_are_imported() -> None:
    code = (
        "from benchmarks import admission_clock; admission_clock.install(); import asyncio, time\n"
        "async def main():\n"
        "    began = time.monotonic(), time.time(), time.monotonic_ns()\n"
        "    await asyncio.sleep(3600)\n"
        "    return [time.monotonic() - began[0], time.time() - began[1], (time.monotonic_ns() - began[2]) / 1e9]\n"
        "import json; print(json.dumps([admission_clock.run(main()), admission_clock.run(main())]))"
    )
    root = Path(admission.__file__).parent.parent
    output = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True).stdout
    for passed in json.loads(output):
        assert passed == pytest.approx([3600.0] * 3, abs=0.01)


def test_a_target_is_judged_by_the_worst_run_or_the_median() -> None:
    outcomes = [outcome(), outcome(), outcome(refused=3)]
    assert Target(3).judge(PLAIN, outcomes) == []
    assert Target(1).judge(PLAIN, outcomes) == [f"{PLAIN}: 3 refused, 2 too many"]
    assert Target(1, is_worst=False).judge(PLAIN, outcomes) == []
    assert Target(0).judge(PLAIN, [outcome(lost=2)]) == [f"{PLAIN}: 2 lost"]


def test_aligned_windows_have_a_bound_of_their_own() -> None:
    target = Target(0, over_par=1.02, aligned=1.1)
    slow = [outcome(makespan=580.0)]
    assert target.judge("clock-aligned", slow) == []
    assert target.judge(PLAIN, slow) == [f"{PLAIN}: 1.073 of par, 0.053 over 1.02"]


def test_the_tables_show_medians_with_the_worst_and_mark_what_was_lost() -> None:
    scenarios = [Scenario(PLAIN, seed) for seed in range(3)]
    played = {
        OURS: by_throttle(scenarios, [outcome(), outcome(), outcome(refused=1)]),
        "bare": by_throttle(scenarios, [outcome(refused=9, lost=9)] * 3),
    }
    (table,) = admission_report.tabulate(CHAPTERS[0], played)
    assert [table.cell(name, PLAIN) for name in played] == ["0 (1) / 1.01", "9 lost"]
    assert "missed" in table.notes[0]


def test_a_table_shows_what_another_client_went_through() -> None:
    scenarios = [Scenario(PLAIN, seed) for seed in range(3)]
    played = {OURS: by_throttle(scenarios, [outcome(foreign=10, starved=5)] * 3)}
    _, theirs = admission_report.tabulate(CHAPTERS[0], played)
    assert theirs.cell(OURS, PLAIN) == "0.50"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_every_chapter_is_played_on_every_throttle_by_ours(chapter: Chapter) -> None:
    scenarios = chapter.scenarios(seeds=2)
    assert len(set(scenarios)) == 2 * len(THROTTLES)
    assert admission.contenders(chapter)[0] == OURS


@pytest.mark.skipif(not installed("matplotlib"), reason="matplotlib is not installed")
def test_the_picture_is_drawn(tmp_path: Path) -> None:
    scenarios = [Scenario(throttle, 0) for throttle in THROTTLES]
    played = {
        OURS: by_throttle(scenarios, [outcome()] * 5),
        "bare": by_throttle(scenarios, [outcome(lost=1)] * 5),
    }
    admission_plot.draw(played, tmp_path / "admission.png")
    assert (tmp_path / "admission.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not installed("matplotlib"), reason="matplotlib is not installed")
def test_the_picture_of_pages_is_drawn(tmp_path: Path) -> None:
    played = {
        OURS: {kind: [Waits(waits=[0.1, 3.0])] for kind in KINDS},
        "bare": {kind: [Waits(unserved=3, lost=1)] for kind in KINDS},
    }
    admission_plot.draw_pages(played, played, tmp_path / "pages.png")
    assert (tmp_path / "pages.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("client", [OURS, "AsyncLimiter(10, 60), retry"])
async def test_the_race_over_sockets_loses_nothing(client: str) -> None:
    _, lost, _ = await race(client, requests=5)
    assert lost == 0


@pytest.mark.parametrize("name", [OURS, *peers(1, 1.0)])
async def test_every_client_does_every_kind_of_work_in_a_process_of_its_own(name: str) -> None:
    if name != OURS and not installed(peers(1, 1.0)[name][0]):
        pytest.skip(f"{name} is not installed")
    full = [[*chapter.scenes.values()][-1] for chapter in MIXED]
    scenes = [
        evolve(each, bulk=12, short=each.short and 3, away=each.away and 2.0, best=None) for each in full
    ]
    outcomes = await perform_in_a_process(name, scenes)
    assert outcomes is not None
    for chapter, scene, outcome in zip(MIXED, scenes, outcomes, strict=True):
        assert outcome.lost == 0
        assert (outcome.short > 0) == bool(scene.short)
        assert (outcome.hits > 0) == bool(scene.away)
        assert outcome.makespan > 0
        assert len(chapter.cells([outcome, outcome])) == len(chapter.columns)


@pytest.mark.parametrize("chapter", MIXED, ids=lambda chapter: chapter.title)
def test_a_scene_is_the_same_with_the_same_seed(chapter: Mixed) -> None:
    scene = evolve(next(iter(chapter.scenes.values())), bulk=12)
    first, second = (admission_clock.run(perform(OURS, scene)) for _ in range(2))
    assert first.lost == 0
    assert first.makespan == pytest.approx(second.makespan, abs=0.1)


async def test_questions_to_a_lane_are_measured() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.queue_cost", OURS, "50", "limits"),
        cwd=Path(admission.__file__).parent.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert 0 < float(output) < 1


async def test_the_cost_of_a_queue_is_measured_for_everyone() -> None:
    costs = await measure(waiters=50, rounds=1)
    assert {"bare futures", OURS} <= costs.keys()
    for cost in costs.values():
        assert all(seconds > 0 for seconds in cost.seconds)
        assert cost.size > cost.extra
