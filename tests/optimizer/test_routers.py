"""Plans of servers behind routers, against simulations of them."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

from data.configuration_fields import RouterName
from data.stoker_format import document_to_fleet
from optimizer.candidates import build_candidates
from optimizer.evaluate import evaluate
from optimizer.planner import plan_fleet
from optimizer.table import REJECTIONS
from queueing.engine import EngineCases, TokenWorkTimes, analyze_engine
from queueing.engine.one_of_many import OneOfMany
from queueing.engine.routing import INDEPENDENT
from simulator import summarize
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.latency import Latency
from stoker.domain.plan import PlanStatus
from stoker.domain.reasons import Rejection
from stoker.domain.routing import Router
from stoker.domain.settings import Analysis, OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.routed_fleets import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    routed_document,
    routed_fleet,
    simulated,
)

TARGET_MS = 100.0


def planned(fleet: Fleet, settings: OptimizerSettings | None = None) -> PlannedAllocation:
    plan = plan_fleet(fleet, settings)
    assert plan.status is PlanStatus.OPTIMAL, plan.unplaced
    (found,) = plan.allocations
    return found


def test_documents_name_every_router() -> None:
    assert list(get_args(RouterName)) == [router.label for router in Router]


@pytest.mark.parametrize(
    ("router", "arrival_cv"),
    [
        *((router, 1.0) for router in Router),
        (Router.RANDOM, 0.0),
        (Router.ROUND_ROBIN, 2.0),
        (Router.SHORTEST_QUEUE, 0.5),
    ],
)
def test_as_many_replicas_as_the_simulator_says(router: Router, arrival_cv: float) -> None:
    found = planned(routed_fleet(router, load={"arrival_cv": arrival_cv}))
    assert found.router is router
    # Rates of single replicas carry a margin, so that up to two may be spare.
    fewer = 3 if router in INDEPENDENT else 2
    seen = [
        summarize(simulated(router, count, max_batch=8, arrival_cv=arrival_cv), (95.0,))
        for count in (found.replicas, found.replicas - fewer)
    ]
    assert seen[0].ttft_ms.percentiles[95.0].value <= TARGET_MS
    assert seen[1].ttft_ms.percentiles[95.0].value > TARGET_MS
    assert found.itl_ms == pytest.approx(seen[0].itl_ms.mean.value, rel=0.05)
    # Near saturation a few requests that wait long make much of the mean.
    near = 0.15 if router in INDEPENDENT else 0.35
    assert found.ttft_ms == pytest.approx(seen[0].ttft_ms.mean.value, rel=near)


def test_good_routers_save_replicas() -> None:
    count = {router: planned(routed_fleet(router)).replicas for router in Router}
    assert count[Router.SHORTEST_QUEUE] < count[Router.ROUND_ROBIN] < count[Router.RANDOM]
    assert count[Router.LEAST_KV] < count[Router.ROUND_ROBIN]


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize("targets", [{"ttft_ms": {"p99": 150}}, {"ttft_ms": 30, "itl_ms": 10}])
def test_one_replica_less_is_not_enough(router: Router, targets: dict[str, object]) -> None:
    found = planned(routed_fleet(router, targets=targets, load={"arrival_cv": 1.5}))
    fewer = routed_fleet(
        router, targets=targets, load={"arrival_cv": 1.5}, max_replicas=found.replicas - 1
    )
    (missed,) = plan_fleet(fewer).unplaced
    assert set(missed.rejections.values()) == {Rejection.REPLICA_BOUND}
    assert found.max_rate_rps * found.replicas >= 60.0 * (1 - 1e-9)


@pytest.mark.parametrize("router", Router)
def test_figures_are_those_behind_the_router(router: Router) -> None:
    found = planned(routed_fleet(router, load={"arrival_cv": 1.5}))
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    replica = EngineCases.of(
        times, INPUT_TOKENS, OUTPUT_TOKENS, 8, 80, output_cv=1.0, arrival_cv=1.5
    )
    many = OneOfMany.of(replica, found.replicas, router)
    point = many.analyze(np.array([60.0 / found.replicas]), (95.0,))
    assert found.ttft_ms == pytest.approx(point.ttft.mean_ms[0])
    assert found.latencies[Latency.TTFT].at(95.0) == pytest.approx(point.ttft.at_ms[0, 0])
    assert found.latencies[Latency.E2E].mean_ms == pytest.approx(point.e2e.mean_ms[0])
    assert found.utilization == pytest.approx(point.utilization[0])


def test_a_random_split_of_bursts_is_less_bursty() -> None:
    found = planned(routed_fleet(load={"arrival_cv": 3.0}))
    own = np.sqrt(1.0 + 8.0 / found.replicas)
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    replica = EngineCases.of(
        times, INPUT_TOKENS, OUTPUT_TOKENS, 8, 80, output_cv=1.0, arrival_cv=own
    )
    point = analyze_engine(replica, 60.0 / found.replicas)
    assert found.ttft_ms == pytest.approx(point.ttft.mean_ms[0])
    steady = planned(routed_fleet())
    assert steady.replicas <= found.replicas
    assert (steady.ttft_ms or 0.0) < (found.ttft_ms or 0.0)


def test_best_effort_is_predicted_at_the_replicas_there_are() -> None:
    fleet = routed_fleet(Router.SHORTEST_QUEUE)
    short = dataclasses.replace(fleet, capacity=(Capacity("A", 11),))
    settings = OptimizerSettings(
        solver=SolverKind.GREEDY,
        saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE,
        analysis=Analysis.FULL,
    )
    (found,) = plan_fleet(short, settings).allocations
    assert (found.replicas, found.fully_served) == (11, False)
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    replica = EngineCases.of(times, INPUT_TOKENS, OUTPUT_TOKENS, 8, 80, output_cv=1.0)
    many = OneOfMany.of(replica, 11, Router.SHORTEST_QUEUE)
    point = many.analyze(np.array([60.0 / 11]), ())
    assert found.ttft_ms == pytest.approx(point.ttft.mean_ms[0])


def test_any_rate_is_one_of_so_many_replicas() -> None:
    fleet = routed_fleet(Router.SHORTEST_QUEUE)
    table = build_candidates(fleet, Analysis.FULL)
    rows = np.zeros(3, dtype=np.int64)
    found = evaluate(fleet, table, rows, 60.0 / np.array([14.0, 20.0, 0.5]))
    assert found.ttft_ms[0] > found.ttft_ms[1]
    assert np.isfinite(found.ttft_ms).all()


@pytest.mark.parametrize("router", [Router.ROUND_ROBIN, Router.SHORTEST_QUEUE])
def test_what_no_number_of_replicas_keeps_is_told(router: Router) -> None:
    fleet = routed_fleet(router, targets={"ttft_ms": {"p95": 1}})
    (missed,) = plan_fleet(fleet).unplaced
    assert set(missed.rejections.values()) == {Rejection.TTFT_UNREACHABLE}
    assert "p95 TTFT at best" in missed.remedy
    both = build_candidates(
        routed_fleet(router, targets={"ttft_ms": 1, "itl_ms": 500}), Analysis.FULL
    )
    assert REJECTIONS[int(both.rejection[0]) - 1] is Rejection.TTFT_UNREACHABLE


def test_minimum_and_maximum_hold() -> None:
    fleet = routed_fleet(Router.SHORTEST_QUEUE, min_replicas=30)
    assert planned(fleet).replicas == 30
    idle = routed_fleet(
        Router.SHORTEST_QUEUE, min_replicas=2, load={"arrival_rate_rps": 0, "output_tokens": 0}
    )
    assert planned(idle).replicas == 2


def test_a_batch_of_one_behind_a_router() -> None:
    fleet = routed_fleet(
        Router.SHORTEST_QUEUE, max_batch=1, load={"arrival_rate_rps": 2}, targets={"ttft_ms": 5000}
    )
    found = planned(fleet)
    alone = planned(
        routed_fleet(max_batch=1, load={"arrival_rate_rps": 2}, targets={"ttft_ms": 5000})
    )
    assert found.replicas <= alone.replicas


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"router": "least-kv"}, "servers.s.router: least-kv is beyond the analysis reference"),
        ({"max_batch": "auto"}, "servers.s.max_batch: auto is beyond the analysis reference"),
    ],
)
def test_the_reference_knows_neither(server: dict[str, object], words: str) -> None:
    router = {router.label: router for router in Router}[str(server.pop("router", "random"))]
    fleet = routed_fleet(router, targets={"ttft_ms": 100}, **server)
    with pytest.raises(InvalidInputError, match=r"--analysis full") as error:
        plan_fleet(fleet, OptimizerSettings(analysis=Analysis.REFERENCE))
    assert words in str(error.value)


def test_mixes_are_refused_behind_a_router() -> None:
    mixing = OptimizerSettings(heterogeneous=True)
    with pytest.raises(InvalidInputError, match=r"servers\.s\.router") as error:
        plan_fleet(routed_fleet(Router.ROUND_ROBIN), mixing)
    assert "allowed: random" in str(error.value)
    assert planned(routed_fleet(load={"arrival_cv": 2.0}), mixing).replicas
    alone = dataclasses.replace(mixing, unlimited=True)
    assert planned(routed_fleet(Router.ROUND_ROBIN), alone).replicas


def test_routers_of_several_servers_are_counted_together() -> None:
    document = {
        router: planned(routed_fleet(router, load={"arrival_cv": 1.5})).replicas
        for router in Router
    }
    fleets = [routed_fleet(router, load={"arrival_cv": 1.5}) for router in Router]
    servers = tuple(
        dataclasses.replace(fleet.servers[0], name=router.label)
        for fleet, router in zip(fleets, Router, strict=True)
    )
    plan = plan_fleet(dataclasses.replace(fleets[0], servers=servers))
    assert {item.router: item.replicas for item in plan.allocations} == document


def test_a_wrong_router_is_told() -> None:
    with pytest.raises(InvalidInputError) as error:
        document_to_fleet(routed_document("fastest"))
    message = str(error.value)
    assert "servers[0].router" in message
    assert '"fastest"' in message
    assert "shortest-queue" in message
