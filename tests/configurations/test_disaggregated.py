"""Prefill and decode apart: the fewest cards, their best split, and a plan of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from data.plan_csv import plan_to_csv
from data.plan_format import plan_to_document
from data.planned_replicas import parse_planned_replicas
from optimizer.candidates import build_candidates
from optimizer.configurations.pools import PoolFleet
from optimizer.evaluate import evaluate, evaluate_details, pools_of
from optimizer.explaining.margins import explained_alone
from optimizer.fleet_arrays import fleet_arrays
from optimizer.planner import plan_fleet
from optimizer.table import CandidateTable
from queueing.engine.split import best_split
from stoker.domain.errors import InvalidInputError
from stoker.domain.explanation import CountLimit
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.plan import Plan
from stoker.domain.reasons import Rejection
from stoker.domain.serving import Serving
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.configured_fleets import (
    DP2,
    FP8,
    LOAD,
    TP1,
    TP2,
    Document,
    configured_fleet,
    profile,
)
from tests.support.configured_fleets import server as server_document

HOW: Document = {"transfer_ms": 5, "transfer_ms_per_token": 0.002}
APART = {"serving": ["disaggregated"]}
TIGHT: Document = {"ttft_ms": {"p95": 250}, "itl_ms": {"p95": 13}}
BUSY = {**LOAD, "arrival_rate_rps": 30}


def apart(
    decode: Document = TP1,
    prefill: Document | None = None,
    targets: Document = TIGHT,
    **changes: Any,
) -> Fleet:
    """Return a fleet with one server whose pools are of the configurations told."""
    how = HOW if prefill is None else HOW | {"prefill_configuration": prefill["configuration"]}
    profiles = [profile({**decode, "disaggregated": how})]
    profiles += [profile(prefill)] if prefill is not None else []
    own = server_document(**{"load": BUSY, **APART, **changes})
    return configured_fleet(profiles, own, targets=targets)


@cache
def planned() -> dict[str, Plan]:
    """Return the plan of each way of serving on its own."""
    ways = ("aggregated", "disaggregated")
    return {serving: plan_fleet(apart(serving=[serving])) for serving in ways}


@cache
def counted() -> tuple[Fleet, CandidateTable]:
    """Return a fleet with its candidates."""
    fleet = apart()
    return fleet, build_candidates(fleet, Analysis.FULL)


def split_row(table: CandidateTable) -> int:
    (row,) = np.flatnonzero(table.disaggregated)
    return int(row)


def counts(table: CandidateTable, row: int) -> tuple[int, int]:
    assert table.prefill_replicas is not None
    assert table.decode_replicas is not None
    return int(table.prefill_replicas[row]), int(table.decode_replicas[row])


@pytest.mark.parametrize(
    ("decode", "prefill"), [(TP1, None), (FP8, TP1), (TP1, TP2), (TP2, TP1), (DP2, None)]
)
def test_it_is_the_best_split_of_the_fewest_cards(
    decode: Document, prefill: Document | None
) -> None:
    fleet = apart(decode, prefill)
    table = build_candidates(fleet, Analysis.FULL)
    row = split_row(table)
    first, second = counts(table, row)
    arrays = fleet_arrays(fleet)
    pools = PoolFleet(arrays, fleet.rules.max_blocking)
    rows = pools_of(arrays, table, np.array([row]))
    own, other = (int(item[0]) for item in pools.units(rows.profile))
    assert table.cards[row] == first * own + second * other
    # Data-parallel engines are the replicas of the queueing model.
    engines = fleet.profiles[0].engines
    ((_, system),) = pools.systems(rows)
    targets = pools.engines.targets(rows.server)

    def carried(cards: int) -> tuple[int, int, float]:
        found = best_split(
            system.prefill,
            system.decode,
            cards,
            own // engines,
            other // engines,
            targets,
            transfer=system.transfer,
        )
        if found.best is None:
            return 0, 0, 0.0
        best = found.best
        return (
            int(found.prefill_replicas[best]),
            int(found.decode_replicas[best]),
            float(found.rate_rps[best]),
        )

    best = carried(int(table.cards[row]))
    assert best[2] >= 30
    if engines == 1:
        assert best[:2] == (first, second)
        assert table.max_rate_rps[row] == pytest.approx(best[2], rel=1e-2)
    assert carried(int(table.cards[row]) - max(1, engines))[2] < 30 * 1.001


def test_figures_are_those_of_both_pools() -> None:
    fleet, table = counted()
    row = np.array([split_row(table)])
    rate = np.array([30.0])
    figures = evaluate(fleet, table, row, rate)
    details = evaluate_details(fleet, table, row, rate)
    assert figures.ttft_ms[0] == pytest.approx(table.ttft_ms[row[0]], rel=1e-6)
    assert figures.itl_ms[0] == pytest.approx(table.itl_ms[row[0]], rel=1e-6)
    assert details.mean_ms[Latency.TTFT][0] == pytest.approx(table.ttft_ms[row[0]], rel=1e-6)
    at = details.percentiles.index(95)
    assert details.at_ms[Latency.TTFT][at, 0] <= 250 * 1.001
    assert details.at_ms[Latency.ITL][at, 0] <= 13 * 1.001
    assert details.binding[0] >= 0
    heavier = evaluate(fleet, table, row, 1.1 * rate)
    assert heavier.ttft_ms[0] > figures.ttft_ms[0]


def test_a_plan_tells_both_pools() -> None:
    fleet = apart(TP2, TP1)
    plan = plan_fleet(fleet)
    (found,) = plan.allocations
    assert found.fully_served
    assert found.serving is Serving.DISAGGREGATED
    assert found.configuration == "tp2"
    prefill, decode = found.pools
    assert (prefill.role, prefill.configuration) == ("prefill", "tp1")
    assert (decode.role, decode.configuration) == ("decode", "tp2")
    assert found.replicas == prefill.replicas + decode.replicas
    assert found.cards == prefill.replicas + 2 * decode.replicas == prefill.cards + decode.cards
    assert found.cost_per_hour == pytest.approx(2.5 * found.cards)
    assert found.max_rate_rps * found.replicas >= 30
    document: Any = plan_to_document(plan)["allocations"]
    told = document["s"]
    assert told["serving"] == "disaggregated"
    assert told["parallel"] == {"tensor": 2, "pipeline": 1, "expert": 1, "data": 1}
    assert [pool["replicas"] for pool in told["pools"]] == [prefill.replicas, decode.replicas]
    demands = parse_planned_replicas(plan_to_document(plan))
    assert [(item.replicas, item.cards) for item in demands] == [
        (prefill.replicas, 1),
        (decode.replicas, 2),
    ]
    assert f"disaggregated,{prefill.replicas}," in plan_to_csv(plan)


def test_the_cheaper_way_of_serving_is_chosen() -> None:
    """Prefill is much of the work here, and the ITL target leaves little of it beside decodes."""
    both = apart(serving=["aggregated", "disaggregated"])
    plans = planned()
    cheapest = min(plan.objective for plan in plans.values() if plan.allocations)
    assert plan_fleet(both).objective == pytest.approx(cheapest)
    assert plans["disaggregated"].objective < plans["aggregated"].objective


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ({"ttft_ms": {"p95": 1}}, Rejection.TTFT_UNREACHABLE),
        ({"itl_ms": {"p95": 1}}, Rejection.ITL_UNREACHABLE),
    ],
)
def test_targets_out_of_reach_are_told(targets: Document, reason: Rejection) -> None:
    plan = plan_fleet(apart(targets=targets))
    (unplaced,) = plan.unplaced
    assert unplaced.rejections["H100"] is reason


def test_bounds_on_replicas_count_both_pools() -> None:
    _, free = counted()
    total = sum(counts(free, split_row(free)))
    less = build_candidates(apart(max_replicas=total - 1), Analysis.FULL)
    assert not less.disaggregated.any()
    assert not less.accepted.any()
    more = build_candidates(apart(min_replicas=total + 3), Analysis.FULL)
    assert sum(counts(more, split_row(more))) == total + 3
    assert plan_fleet(apart(min_replicas=total + 3)).allocations[0].replicas == total + 3


def test_pools_without_load_keep_the_minimum() -> None:
    idle = {**LOAD, "arrival_rate_rps": 0}
    plan = plan_fleet(apart(load=idle, min_replicas=3))
    (found,) = plan.allocations
    assert [pool.replicas for pool in found.pools] == [1, 2]


def test_what_runs_unchanged_is_worth_nothing() -> None:
    free = planned()["disaggregated"].allocations[0]
    now = {
        "accelerator": "H100",
        "configuration": "tp1",
        "replicas": free.replicas,
        "prefill_replicas": free.pools[0].replicas,
    }
    same = plan_fleet(apart(current=now)).allocations[0]
    assert same.value == 0
    assert same.pools == free.pools
    other = plan_fleet(apart(current={**now, "prefill_replicas": 0})).allocations[0]
    assert other.value == pytest.approx(0.1 * 2 * free.cost_per_hour)


def test_unknown_load_keeps_both_pools() -> None:
    now = {
        "accelerator": "H100",
        "configuration": "tp2",
        "replicas": 5,
        "prefill_replicas": 2,
    }
    (kept,) = plan_fleet(apart(TP2, TP1, load="unknown", current=now)).allocations
    assert [pool.cards for pool in kept.pools] == [2, 6]
    assert kept.cards == 8
    assert kept.cost_per_hour == 20


def test_the_reference_and_mixes_refuse_it() -> None:
    with pytest.raises(InvalidInputError, match=r"servers\.s\.serving: disaggregated is beyond"):
        build_candidates(apart(), Analysis.REFERENCE)
    with pytest.raises(InvalidInputError, match=r"servers\.s\.serving: disaggregated is beyond"):
        plan_fleet(apart(), OptimizerSettings(heterogeneous=True))


def test_an_explanation_does_not_count_pools_as_alike() -> None:
    (told,) = explained_alone(planned()["disaggregated"])
    assert told.count_limit is CountLimit.LOAD
