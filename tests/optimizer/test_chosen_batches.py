"""Plans with batch limits that are chosen with each accelerator."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data.plan_format import plan_to_document
from data.stoker_format import document_to_fleet
from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from simulator import summarize
from stoker.cli.plan_words import batch_words, router_words
from stoker.domain.allocation import BatchChoice
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.routing import Router
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.routed_fleets import routed_document, routed_fleet, simulated

TARGETS: dict[str, object] = {"ttft_ms": {"p95": 2000}, "itl_ms": {"p95": 20}}


def auto(router: Router = Router.RANDOM, **changes: object) -> Fleet:
    return routed_fleet(router, **{"targets": TARGETS, "max_batch": "auto", **changes})


def carried(max_batch: int, fleet: Fleet) -> float:
    """Return what one replica carries with a limit."""
    server = dataclasses.replace(fleet.servers[0], max_batch=max_batch, choose_batch=False)
    table = build_candidates(dataclasses.replace(fleet, servers=(server,)), Analysis.FULL)
    return float(table.max_rate_rps[0])


def test_the_limit_chosen_carries_the_most() -> None:
    fleet = auto()
    table = build_candidates(fleet, Analysis.FULL)
    chosen = int(table.max_batch[0])
    most = max(carried(limit, fleet) for limit in (*range(1, 97), 128, 192, 256))
    assert table.max_rate_rps[0] >= 0.99 * most
    assert table.max_rate_rps[0] == pytest.approx(carried(chosen, fleet), rel=1e-6)
    assert table.max_rate_rps[0] > 1.03 * carried(256, fleet)
    assert table.max_queue[0] == 10 * chosen
    assert table.largest_batch is not None
    assert table.largest_batch[0] == 256


def test_a_plan_tells_what_was_preferred_to_what() -> None:
    plan = plan_fleet(auto())
    (found,) = plan.allocations
    choice = found.batch_choice
    assert choice is not None
    assert (choice.largest, choice.binding) == (256, "itl_ms.p95")
    assert choice.max_rate_rps == pytest.approx(carried(256, auto()), rel=1e-6)
    assert batch_words(plan) == (f"s: {found.max_batch} rather than 256: p95 ITL",)
    allocations = plan_to_document(plan)["allocations"]
    assert isinstance(allocations, dict)
    assert allocations["s"]["batch_choice"] == dataclasses.asdict(choice)
    assert plan_fleet(routed_fleet(targets=TARGETS)).allocations[0].batch_choice is None


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (BatchChoice(256, 9.0, None), "s: 64 rather than 256, which carries no more"),
        (BatchChoice(64, 9.0, None), "s: 64, the largest"),
        (BatchChoice(256, None, "ttft_ms.mean"), "s: 64 rather than 256: mean TTFT"),
        (BatchChoice(256, 9.0, "throughput"), "s: 64 rather than 256: throughput"),
    ],
)
def test_choices_in_words(choice: BatchChoice, words: str) -> None:
    plan = plan_fleet(auto())
    item = dataclasses.replace(plan.allocations[0], max_batch=64, batch_choice=choice)
    assert batch_words(dataclasses.replace(plan, allocations=(item,))) == (words,)
    many = (item,) * 11
    assert batch_words(dataclasses.replace(plan, allocations=many)) == (*(words,) * 8, "and 3 more")


def test_a_target_out_of_reach_with_any_limit_is_told() -> None:
    plan = plan_fleet(auto(targets={"ttft_ms": 1}))
    assert not plan.allocations
    (missed,) = plan.unplaced
    assert set(missed.rejections.values()) == {"ttft_unreachable"}


@pytest.mark.parametrize("router", Router)
def test_the_simulator_keeps_the_targets_with_the_limit_chosen(router: Router) -> None:
    (found,) = plan_fleet(auto(router)).allocations
    run = simulated(router, found.replicas, max_batch=found.max_batch, requests=40_000)
    seen = summarize(run, (95.0,))
    assert seen.ttft_ms.percentiles[95.0].value <= 1.1 * 2000
    assert seen.itl_ms.percentiles[95.0].value <= 1.02 * 20


def test_a_smaller_limit_keeps_itl_lower_in_simulation_too() -> None:
    (found,) = plan_fleet(auto()).allocations
    (largest,) = plan_fleet(auto(max_batch=256)).allocations
    assert found.replicas <= largest.replicas
    chosen, other = (
        summarize(
            simulated(Router.RANDOM, found.replicas, max_batch=limit, requests=40_000), (95.0,)
        ).itl_ms.percentiles[95.0]
        for limit in (found.max_batch, 256)
    )
    assert chosen.value < other.value


def test_a_good_router_and_a_chosen_limit_go_together() -> None:
    alone = plan_fleet(auto()).allocations[0]
    behind = plan_fleet(auto(Router.SHORTEST_QUEUE))
    (found,) = behind.allocations
    assert found.replicas < alone.replicas
    assert router_words(behind) == ("shortest-queue: s",)
    assert len(batch_words(behind)) == 1


def test_servers_are_chosen_for_alike_together_and_alone() -> None:
    fleet = auto()
    loads = [dataclasses.replace(fleet.servers[0].load, arrival_rate_rps=r) for r in (3.0, 60.0)]  # type: ignore[type-var]
    servers = tuple(
        dataclasses.replace(fleet.servers[0], name=f"s{index}", load=load)
        for index, load in enumerate(loads)
    )
    fixed = dataclasses.replace(servers[0], name="fixed", max_batch=8, choose_batch=False)
    both = dataclasses.replace(fleet, servers=(*servers, fixed))
    table = build_candidates(both, Analysis.FULL)
    alone = build_candidates(fleet, Analysis.FULL)
    assert table.largest_batch is not None
    assert table.largest_batch.tolist() == [256, 256, 0]
    np.testing.assert_array_equal(table.max_batch, [*alone.max_batch, *alone.max_batch, 8])


def test_without_load_nothing_is_chosen() -> None:
    idle = auto(min_replicas=1, load={"arrival_rate_rps": 0, "output_tokens": 0})
    (found,) = plan_fleet(idle).allocations
    assert (found.max_batch, found.batch_choice) == (256, None)


def test_mixes_tell_the_choice_of_each_part() -> None:
    plan: Plan = plan_fleet(auto(), OptimizerSettings(heterogeneous=True))
    for item in plan.allocations:
        for part in item.mix or (item,):
            assert part.batch_choice is not None


@pytest.mark.parametrize("value", ["best", 0, 1.5, True])
def test_other_words_are_refused(value: object) -> None:
    with pytest.raises(InvalidInputError) as error:
        document_to_fleet(routed_document(max_batch=value))
    assert "servers[0].max_batch" in str(error.value)
    assert "the word auto" in str(error.value)
