"""Figures at other rates than those of the full allocation, and mixes that miss a target."""

import dataclasses

import numpy as np
import pytest

from optimizer.candidates import build_candidates
from optimizer.entries import predict_entries
from optimizer.evaluate import evaluate
from optimizer.mixes import with_kept_targets
from optimizer.placement import Outcome, Placement
from stoker.domain.plan import PlanStatus
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.small_fleets import PROFILES, make_fleet, make_server


def test_the_full_share_gives_the_table_s_figures() -> None:
    fleet = make_fleet()
    table = build_candidates(fleet)
    rows = np.arange(3)
    figures = evaluate(fleet, table, rows, 4.0 / table.replicas)
    assert np.array_equal(figures.ttft_ms, table.ttft_ms)
    assert np.array_equal(figures.itl_ms, table.itl_ms)
    assert np.array_equal(figures.blocking, table.blocking)
    assert np.array_equal(figures.utilization, table.utilization)


def test_overload_is_answered_and_blocks() -> None:
    fleet = make_fleet()
    table = build_candidates(fleet)
    rows = np.array([1, 1, 1])
    largest = table.max_rate_rps[1]
    figures = evaluate(fleet, table, rows, largest * np.array([1.0, 3.0, 30.0]))
    assert np.all(np.diff(figures.ttft_ms) > 0)
    assert np.all(np.diff(figures.blocking) > 0)
    # Of thirty times what it carries, a replica turns away all but about a thirtieth.
    assert figures.blocking[2] == pytest.approx(1 - 1 / 30, abs=0.01)


def test_replicas_without_requests_have_the_figures_of_their_row() -> None:
    idle = make_server(load=Load(0.0, 128, 256), min_replicas=3)
    fleet = make_fleet(idle)
    table = build_candidates(fleet)
    figures = evaluate(fleet, table, np.array([0]), np.array([0.0]))
    assert figures.itl_ms[0] == table.itl_ms[0]
    assert figures.utilization[0] == 0.0


def place(rows: list[int], replicas: list[int]) -> Placement:
    return Placement(np.array(rows), np.array(replicas), np.ones(1, dtype=np.bool_))


def test_load_is_split_in_proportion_to_the_largest_rates() -> None:
    fleet = make_fleet()
    table = build_candidates(fleet)
    entries = predict_entries(fleet, table, place([0, 1, 2], [1, 3, 2]))
    assert float(entries.rate_rps @ entries.replicas) == pytest.approx(4.0)
    assert entries.rate_rps / table.max_rate_rps == pytest.approx(
        np.full(3, 4.0 / float(table.max_rate_rps @ entries.replicas))
    )


MIXED_UP = make_fleet(
    make_server(load=Load(24.182663619901728, 16000, 8), max_batch=8),
    classes=(ServiceClass("gold", 1, (SloTarget("m", itl_ms=146.03195291910947),)),),
    profiles=PROFILES[:1],
)
"""Ten replicas carry the load, but only eleven keep the ITL target (see test_candidates)."""


def outcome(placement: Placement) -> Outcome:
    return Outcome(placement, PlanStatus.OPTIMAL, 1.0, 1.0, 0.0, (), "milp-exact")


@pytest.mark.parametrize(
    ("cards", "replicas", "served"), [(22, [11], True), (21, [10], False), (99, [11], True)]
)
def test_a_mix_that_misses_a_target_is_put_right_or_not_promised(
    cards: int, replicas: list[int], served: bool
) -> None:
    table = build_candidates(MIXED_UP)
    before = outcome(place([0], [10]))
    after = with_kept_targets(MIXED_UP, table, before, np.array([cards, 0]))
    assert after.placement.replicas.tolist() == replicas
    assert after.placement.served.tolist() == [served]
    assert (after.status, after.bound, after.gap) == (PlanStatus.FEASIBLE, None, None)
    assert [(s.served, s.servers) for s in after.services] == [(int(served), 1)]
    assert "would have missed a target" in after.notes[0]


def test_a_mix_that_keeps_its_targets_is_left_alone() -> None:
    table = build_candidates(MIXED_UP)
    before = outcome(place([0], [11]))
    assert with_kept_targets(MIXED_UP, table, before, np.array([22, 0])) is before
    idle = dataclasses.replace(
        MIXED_UP, servers=(make_server(load=Load(0.0, 1, 1), min_replicas=2),)
    )
    table = build_candidates(idle)
    before = outcome(place([0], [1]))
    assert with_kept_targets(idle, table, before, np.array([22, 0])) is before
