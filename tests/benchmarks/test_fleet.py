"""The simulation of a fleet, at a small size."""

from attrs import evolve

from benchmarks.fleet_world import Plan, World
from fathom_async.testing import run_virtual

PLAN = Plan(
    accounts=20,
    workers=4,
    tasks_at_once=10,
    requests=21,
    at_once=4,
    slow=0,
    shards=2,
    killed=1,
    killed_at=64.0,
    step=80e-6,
    store=90e-6,
)


def test_a_fleet_keeps_to_every_limit_and_comes_close_to_the_optimum() -> None:
    result = run_virtual(World(PLAN).run())
    assert (result.refused, result.lost) == (0, 0)
    assert result.requests == 20 * 21 + result.again
    assert result.again <= 10
    assert result.optimum == 120
    assert result.makespan <= 1.15 * result.optimum


def test_slow_accounts_do_not_hold_up_the_others() -> None:
    uneven = evolve(PLAN, slow=5, killed=0)
    result = run_virtual(World(uneven).run())
    assert (result.refused, result.lost) == (0, 0)
    assert result.makespan <= 1.1 * result.optimum
    unbounded = run_virtual(World(evolve(uneven, at_once=0)).run())
    assert unbounded.makespan > 3 * result.optimum


def test_too_slow_a_redis_shows() -> None:
    slow = run_virtual(World(evolve(PLAN, step=0.02)).run())
    assert slow.queued > 0.5
    assert slow.busy > 0.1


def test_an_outage_of_redis_loses_nothing_and_refuses_nothing() -> None:
    plan = evolve(PLAN, shards=1, killed=0, away_at=30.0, away_for=60.0)
    result = run_virtual(World(plan).run())
    assert (result.refused, result.lost) == (0, 0)
    assert result.put_back > 0
    assert result.makespan <= result.optimum + 2 * plan.away_for


def test_time_zones_are_looked_up_once_for_each_account_and_worker_at_most() -> None:
    result = run_virtual(World(evolve(PLAN, zones=True, killed=0)).run())
    assert 20 <= result.looked_up <= 20 * 4
    assert result.makespan <= 1.15 * result.optimum
