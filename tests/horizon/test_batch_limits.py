"""Hours whose batch limits differ: a replica that runs on keeps one that all of them allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.fleets import parse_fleet
from optimizer.candidates import build_candidates
from optimizer.horizon.needs import Way, replica_needs
from optimizer.horizon.plan import plan_horizon
from optimizer.horizon.question import IMPOSSIBLE
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import HorizonTerms, HourlyDemand
from stoker.domain.plan import PlanStatus
from stoker.domain.routing import Router
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load

BOTH = [Analysis.REFERENCE, Analysis.FULL]


def fleet(**server: object) -> Fleet:
    """One server on two accelerators, whose profiles do not tell the KV memory."""
    cards = {"H100": (2.5, 128, 6.5, 0.02), "L40S": (0.9, 48, 14.0, 0.06)}
    return parse_fleet(
        {
            "version": 1,
            "currency": "USD",
            "accelerators": [
                {"name": name, "cost_per_hour": price} for name, (price, *_) in cards.items()
            ],
            "capacity": dict.fromkeys(cards, 500),
            "profiles": [
                {
                    "model": "m",
                    "accelerator": name,
                    "max_batch": batch,
                    "at_tokens": 512,
                    "parameters": {
                        "kind": "token-work",
                        "alpha_ms": alpha,
                        "beta_ms": beta,
                        "gamma_ms": 0.00005,
                    },
                }
                for name, (_, batch, alpha, beta) in cards.items()
            ],
            "service_classes": [
                {
                    "name": "interactive",
                    "priority": 1,
                    "targets": [{"model": "m", "ttft_ms": 800, "itl_ms": 60}],
                }
            ],
            "servers": [
                {
                    "name": "chat",
                    "service_class": "interactive",
                    "model": "m",
                    "load": {"arrival_rate_rps": 5, "input_tokens": 400, "output_tokens": 250},
                    **server,
                }
            ],
        }
    )


def load(rate_rps: float, output_tokens: float = 250.0) -> Load:
    return Load(rate_rps, 400.0, output_tokens)


def demand(*loads: Load) -> HourlyDemand:
    return HourlyDemand(("chat",), (loads,))


def whole(ways: tuple[Way, ...]) -> dict[str, set[int]]:
    """Batch limits of the ways that serve in every hour, by accelerator."""
    found: dict[str, set[int]] = {}
    for way in ways:
        if IMPOSSIBLE not in way.need:
            found.setdefault(way.accelerator, set()).add(way.max_batch)
    return found


def needed(server: Server, own: Fleet, hour: Load, way: Way, analysis: Analysis) -> int:
    """Replicas that a plan of the hour alone takes with the limit of a way."""
    fixed = replace(server, load=hour, max_batch=way.max_batch, choose_batch=False, batch_limits=())
    table = build_candidates(replace(own, servers=(fixed,)), analysis)
    (row,) = (
        row
        for row in range(len(table.server))
        if table.accelerators[int(table.accelerator[row])] == way.accelerator
    )
    return int(table.replicas[row])


@pytest.mark.parametrize("analysis", BOTH)
def test_lengths_that_differ_by_the_hour_leave_the_smallest_limit(analysis: Analysis) -> None:
    own = fleet()
    hours = (load(20), load(60, 300.0), load(40, 180.0))
    ways = replica_needs(own, demand(*hours), analysis).ways
    assert whole(ways) == {"H100": {128 * 512 // 300}, "L40S": {48 * 512 // 300}}
    for way in ways:
        asked = [needed(own.servers[0], own, hour, way, analysis) for hour in hours]
        assert list(way.need) == asked


@pytest.mark.parametrize(
    ("analysis", "more"),
    [
        *((analysis, {}) for analysis in BOTH),
        *((analysis, {"max_batch": [16, 32]}) for analysis in BOTH),
        (Analysis.FULL, {"max_batch": "auto"}),
    ],
)
def test_an_hour_without_load_keeps_the_minimum_at_any_limit(
    analysis: Analysis, more: dict[str, object]
) -> None:
    own = fleet(min_replicas=2, **more)
    ways = replica_needs(own, demand(load(30), load(0), load(60)), analysis).ways
    assert whole(ways).keys() == {"H100", "L40S"}
    for way in ways:
        assert way.need[1] == 2
        for hour in (0, 2):
            rate = (30.0, 0.0, 60.0)[hour]
            asked = needed(own.servers[0], own, load(rate), way, analysis)
            assert way.need[hour] == asked


@pytest.mark.parametrize("router", list(Router))
def test_chosen_limits_of_all_hours_are_offered_in_each(router: Router) -> None:
    own = fleet(max_batch="auto")
    own = replace(own, servers=(replace(own.servers[0], router=router),))
    hours = (load(3), load(40, 300.0), load(90, 180.0))
    ways = replica_needs(own, demand(*hours), Analysis.FULL).ways
    assert whole(ways).keys() == {"H100", "L40S"}
    for way in ways:
        asked = [needed(own.servers[0], own, hour, way, Analysis.FULL) for hour in hours]
        assert list(way.need) == asked


@pytest.mark.parametrize("analysis", BOTH)
def test_no_way_is_kept_that_another_is_as_good_as(analysis: Analysis) -> None:
    own = fleet(max_batch=[8, 16, 32, 64])
    ways = replica_needs(own, demand(load(3), load(60), load(9)), analysis).ways
    for one in ways:
        for other in ways:
            if one is not other and one.accelerator == other.accelerator:
                assert any(a < b for a, b in zip(one.need, other.need, strict=True))


def test_a_week_with_a_quiet_hour_and_lengths_of_its_own_is_planned() -> None:
    own = fleet(min_replicas=1)
    hours = tuple(load(20.0 * (hour % 5), 200.0 + 7 * hour) for hour in range(24))
    plan = plan_horizon(own, demand(*hours), HorizonTerms())
    assert plan.status is PlanStatus.OPTIMAL
    assert not plan.unscheduled
