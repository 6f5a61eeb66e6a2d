"""Plans over configurations and batch limits: proven by trying everything, and told in full."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from data.plan_csv import plan_to_csv
from data.plan_format import plan_to_document
from data.stoker_format import document_to_fleet
from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from optimizer.table import CandidateTable
from stoker.cli.allocation_rows import allocation_rows
from stoker.domain.reasons import Rejection
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.configured_fleets import (
    DP2,
    FP8,
    LOAD,
    TP1,
    TP2,
    configured_document,
    configured_fleet,
    profile,
)
from tests.support.configured_fleets import server as server_document

ALL = [profile(TP1), profile(TP2), profile(FP8), profile(TP1, "A100"), profile(TP2, "A100")]
NOW = {"accelerator": "H100", "configuration": "tp1", "replicas": 3}


def best(table: CandidateTable, capacity: dict[str, int]) -> tuple[int, int, float]:
    """Return how many of each of two priorities are served, and the least value, by trying all."""
    choices = [
        [None, *(r for r in range(table.row_start[k], table.row_start[k + 1]) if table.accepted[r])]
        for k in range(len(table.servers))
    ]
    found: list[tuple[int, int, float]] = []
    for combination in itertools.product(*choices):
        rows = [row for row in combination if row is not None]
        used = dict.fromkeys(capacity, 0)
        for row in rows:
            used[table.card_types[table.card_type[row]]] += int(table.cards[row])
        if all(used[name] <= count for name, count in capacity.items()):
            served = [int(table.priority[table.server[row]]) for row in rows]
            value = round(float(sum(table.value[row] for row in rows)), 9)
            found.append((-served.count(1), -served.count(2), value))
    return min(found)


@pytest.mark.parametrize("cards", [(2, 3), (4, 2), (5, 9), (100, 100)])
def test_the_plan_is_the_best_of_all_choices(
    cards: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    capacity = {"H100": cards[0], "A100": cards[1]}
    fleet = configured_fleet(
        ALL,
        server_document("a", max_batch=[8, 32], current=NOW),
        server_document("b", load={**LOAD, "arrival_rate_rps": 9}, service_class="d"),
        server_document("c", load={**LOAD, "arrival_rate_rps": 4}, max_batch=[4, 16, 64]),
        capacity=capacity,
    )
    plan = plan_fleet(fleet)
    monkeypatch.setattr("optimizer.candidates.pruned", lambda table, visible: table)
    everything = build_candidates(fleet, Analysis.FULL)
    assert len(everything.server) > 20
    served = {item.priority: -item.served for item in plan.services}
    assert (served[1], served[2], round(plan.objective, 9)) == best(everything, capacity)


def test_staying_needs_accelerator_configuration_and_replicas() -> None:
    load = {**LOAD, "arrival_rate_rps": 20}
    free = plan_fleet(configured_fleet([profile(TP1)], server_document(load=load))).allocations[0]
    cost = free.cost_per_hour

    def value(configuration: str, replicas: int) -> float:
        now = {"accelerator": "H100", "configuration": configuration, "replicas": replicas}
        own = server_document(load=load, current=now)
        other = profile({**TP2, "max_batch": 1, "kv_tokens": 1300})  # there, and of no use
        (found,) = plan_fleet(configured_fleet([profile(TP1), other], own)).allocations
        assert found.configuration == "tp1"
        return found.value

    n = free.replicas
    assert value("tp1", n) == 0
    assert value("tp1", n + 1) == pytest.approx(-2.5)
    # Another configuration is set up and the current one, two cards a replica, torn down.
    assert value("tp2", 1) == pytest.approx(cost - 5 + 0.1 * (cost + 5))
    # Another batch limit is none.
    (large,) = plan_fleet(
        configured_fleet([profile(TP1)], server_document(max_batch=[64]))
    ).allocations
    now = {"accelerator": "H100", "configuration": "tp1", "replicas": large.replicas}
    own = server_document(max_batch=[64], current={**now, "max_batch": 16})
    assert plan_fleet(configured_fleet([profile(TP1)], own)).allocations[0].value == 0


def test_a_server_that_keeps_its_accelerator_may_change_its_configuration() -> None:
    slow = {**TP1, "parameters": {**TP1["parameters"], "alpha_ms": 24.5}}
    fleet = configured_fleet(
        [profile(slow), profile(TP2), profile(FP8, "A100")],
        server_document(current=NOW, keep_accelerator=True),
    )
    (found,) = plan_fleet(fleet).allocations
    assert (found.accelerator, found.configuration) == ("H100", "tp2")


def test_a_plan_names_configuration_degrees_and_limit() -> None:
    fleet = configured_fleet([profile(TP2)], server_document(max_batch=[32]))
    plan = plan_fleet(fleet)
    (found,) = plan.allocations
    assert found.parallel is not None
    assert (found.configuration, found.parallel.tensor, found.max_batch) == ("tp2", 2, 32)
    document: Any = plan_to_document(plan)["allocations"]
    assert document["s"]["configuration"] == "tp2"
    assert document["s"]["serving"] == "aggregated"
    assert "pools" not in document["s"]
    assert f"H100,tp2,tp2,aggregated,,{found.replicas},random,32," in plan_to_csv(plan)
    (row,) = allocation_rows(fleet, plan)
    assert row.hardware == f"{found.replicas} × H100 tp2"


def test_an_accelerator_has_the_reason_of_what_came_furthest() -> None:
    hopeless = {**TP1, "configuration": "slow"}
    hopeless = hopeless | {"parameters": {**TP1["parameters"], "alpha_ms": 60}}
    bounded = server_document(max_replicas=1)
    fleet = configured_fleet([profile(hopeless), profile(TP1)], bounded)
    (unplaced,) = plan_fleet(fleet).unplaced
    assert unplaced.rejections == {"H100": Rejection.REPLICA_BOUND, "A100": Rejection.NO_PROFILE}
    assert "H100 (tp1)" in unplaced.remedy
    # Where one configuration can serve, the accelerator is no reason.
    fleet = configured_fleet([profile(hopeless), profile(TP1)], capacity={"H100": 1, "A100": 0})
    (unplaced,) = plan_fleet(fleet).unplaced
    assert "H100" not in unplaced.rejections
    assert "on H100 (tp1)" in unplaced.detail


def test_mixes_take_the_best_batch_limit_of_each_configuration() -> None:
    fleet = configured_fleet(
        ALL, server_document(max_batch=[8, 32, 64], current=NOW), capacity={"H100": 2, "A100": 9}
    )
    settings = OptimizerSettings(heterogeneous=True)
    plan = plan_fleet(fleet, settings)
    (found,) = plan.allocations
    assert found.fully_served
    # A mix counts what replicas carry at their largest rates, and misses no target there.
    assert plan.objective < plan_fleet(fleet).objective
    per_server = [
        plan_fleet(
            configured_fleet(
                ALL,
                server_document(max_batch=limit, current=NOW),
                capacity={"H100": 2, "A100": 9},
            ),
            settings,
        ).objective
        for limit in (8, 32, 64)
    ]
    assert plan.objective <= min(per_server) + 1e-9


def test_unknown_load_keeps_its_configuration() -> None:
    now = {"accelerator": "H100", "configuration": "dp2", "replicas": 3}
    fleet = configured_fleet(
        [profile(TP1), profile(DP2)], server_document(load="unknown", current=now)
    )
    (kept,) = plan_fleet(fleet).allocations
    assert (kept.configuration, kept.cards, kept.cost_per_hour) == ("dp2", 6, 15)


def test_a_change_of_configuration_counts_as_a_change() -> None:
    """With as many replicas of another configuration a server does not run what it ran."""
    twin = {**TP1, "configuration": "twin"}
    now = {"accelerator": "H100", "configuration": "twin", "replicas": 3}
    document = configured_document([profile(TP1), profile(twin)], server_document(current=now))
    for limit, changed in ((0, 0), (1, 0)):
        plan = plan_fleet(document_to_fleet({**document, "limits": {"max_changes": limit}}))
        (found,) = plan.allocations
        assert found.configuration == "twin"
        assert found.value == changed
    gone = configured_document([profile(TP1), profile(TP2)], server_document(current=NOW))
    gone["servers"][0]["current"] = {**NOW, "configuration": "tp2", "replicas": 3}
    plan = plan_fleet(document_to_fleet({**gone, "limits": {"max_changes": 0}}))
    assert plan.allocations[0].configuration == "tp2"
    assert plan.allocations[0].replicas == 3


def test_pools_stay_as_they_run_where_nothing_may_change() -> None:
    how = {"transfer_ms": 5}
    own = [profile({**TP1, "disaggregated": how}), profile(FP8)]
    loose = server_document(serving=["disaggregated"], load=LOAD)
    free = plan_fleet(configured_fleet(own, loose)).allocations[0]
    now = {
        "accelerator": "H100",
        "configuration": "tp1",
        "replicas": free.replicas,
        "prefill_replicas": free.pools[0].replicas,
    }
    either = server_document(serving=["aggregated", "disaggregated"], current=now)
    document = configured_document(own, either)
    plan = plan_fleet(document_to_fleet({**document, "limits": {"max_changes": 0}}))
    assert plan.allocations[0].pools == free.pools
    assert plan.allocations[0].value == 0
