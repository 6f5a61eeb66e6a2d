"""Counts of a horizon are those of a plan: shares that miss a target get another replica."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.fleets import read_fleet
from optimizer.candidates import build_candidates
from optimizer.horizon.needs import replica_needs
from optimizer.horizon.plan import plan_horizon
from optimizer.horizon.question import IMPOSSIBLE
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.horizon import HorizonTerms, HourlyDemand
from stoker.domain.plan import PlanStatus
from stoker.domain.server import Server
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.workload import Load

CARDS = 100_000


def at(server: Server, rate_rps: float) -> Load:
    assert server.load is not None
    return replace(server.load, arrival_rate_rps=rate_rps, throughput_rps=None)


def counted(fleet: Fleet, analysis: Analysis) -> dict[tuple[int, str, int], int]:
    """Return the replicas of every candidate, by server, accelerator and batch limit."""
    table = build_candidates(fleet, analysis)
    return {
        (
            int(table.server[row]),
            table.accelerators[int(table.accelerator[row])],
            int(table.max_batch[row]),
        ): int(table.replicas[row])
        for row in np.flatnonzero(table.accepted & (table.accelerator >= 0))
    }


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize(("analysis", "hours"), [(Analysis.REFERENCE, 40), (Analysis.FULL, 12)])
@pytest.mark.parametrize("seed", range(2))
def test_every_hour_takes_the_replicas_of_a_plan(
    name: str, analysis: Analysis, hours: int, seed: int
) -> None:
    known = read_fleet(name)
    draw = np.random.default_rng(seed)
    chosen = [known.servers[at] for at in draw.permutation(len(known.servers))[:2]]
    for server in chosen:
        own = server.load.arrival_rate_rps if server.load else 1.0
        loads = tuple(at(server, float(own * draw.uniform(0.05, 8.0))) for _ in range(hours))
        needs = replica_needs(
            replace(known, servers=(server,)), HourlyDemand((server.name,), (loads,)), analysis
        )
        alone = tuple(
            replace(server, name=f"hour {hour}", load=load) for hour, load in enumerate(loads)
        )
        told = counted(replace(known, servers=alone), analysis)
        assert needs.ways
        for way in needs.ways:
            key = (way.accelerator, way.max_batch)
            assert list(way.need) == [told.get((hour, *key), IMPOSSIBLE) for hour in range(hours)]


@pytest.mark.parametrize(("rate", "replicas"), [(2.2, 10), (2.19, 9)])
def test_a_share_just_within_the_sized_rate_may_miss_a_target(rate: float, replicas: int) -> None:
    known = read_fleet("small")
    server = next(item for item in known.servers if item.name == "Bronze-granite_34b")
    lone = replace(
        known,
        servers=(replace(server, load=at(server, rate)),),
        capacity=(Capacity("A100", CARDS),),
    )
    # Among other hours too, of which it is neither the smallest, nor the largest, nor between.
    for others in ((), (0.5, 0.7, 0.9, 1.1, 6.0)):
        loads = tuple(at(server, each) for each in (rate, *others))
        needs = replica_needs(lone, HourlyDemand((server.name,), (loads,)), Analysis.FULL)
        way = next(item for item in needs.ways if item.accelerator == "4xA100")
        assert way.need[0] == replicas
    demand = HourlyDemand((server.name,), ((at(server, rate),),))
    plan = plan_horizon(lone, demand, HorizonTerms(), analysis=Analysis.FULL, gap=0.0)
    best = plan_fleet(lone, OptimizerSettings(analysis=Analysis.FULL))
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.cost == pytest.approx(best.cost_per_hour)


@pytest.mark.parametrize("analysis", list(Analysis))
def test_an_hour_costs_what_a_plan_costs(analysis: Analysis) -> None:
    known = read_fleet("small")
    plain = tuple(replace(item, current=None, desired=None) for item in known.servers[:6])
    types = sorted({item.card_type for item in known.accelerators})
    draw = np.random.default_rng(5)
    servers = tuple(replace(item, load=at(item, float(draw.uniform(0.2, 12.0)))) for item in plain)
    fleet = replace(known, servers=servers, capacity=tuple(Capacity(name, CARDS) for name in types))
    loads = tuple((item.load,) for item in servers if item.load is not None)
    demand = HourlyDemand(tuple(item.name for item in servers), loads)
    plan = plan_horizon(fleet, demand, HorizonTerms(), analysis=analysis, gap=0.0)
    best = plan_fleet(fleet, OptimizerSettings(analysis=analysis))
    assert not best.unplaced
    assert not plan.unscheduled
    assert plan.cost == pytest.approx(best.cost_per_hour)
