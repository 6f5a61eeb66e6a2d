"""Mixes and what runs now: values add up, also where the stated cost is from other prices."""

from __future__ import annotations

import pytest

from optimizer.planner import plan_fleet
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.profile import ModelProfile, TokenWorkParameters
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import OptimizerSettings, SolverKind
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load

FAST = TokenWorkParameters(8.0, 0.03, 0.0003)


def fleet(replicas: int, stated_cost: float, price_b: float = 2.0) -> Fleet:
    """One server on accelerator A, which could move to B."""
    return Fleet(
        currency="USD",
        accelerators=(Accelerator("A", "A", 1, 1.0), Accelerator("B", "B", 1, price_b)),
        capacity=(Capacity("A", 20), Capacity("B", 20)),
        profiles=tuple(ModelProfile("m", name, 1, 16, 512, FAST) for name in ("A", "B")),
        service_classes=(ServiceClass("c", 1, (SloTarget("m", ttft_ms=500.0, itl_ms=50.0),)),),
        servers=(
            Server(
                "s",
                "c",
                "m",
                load=Load(5.0, 256, 512),
                current=Allocation("A", replicas, 16, stated_cost),
            ),
        ),
    )


def plan(of: Fleet, *, mixed: bool) -> Plan:
    return plan_fleet(of, OptimizerSettings(solver=SolverKind.MILP, heterogeneous=mixed))


@pytest.mark.parametrize("stated", [0.0, 0.5, 3.0, 50.0])
@pytest.mark.parametrize("replicas", [1, 2, 3, 9])
def test_bound_and_gap_hold_whatever_cost_was_stated(stated: float, replicas: int) -> None:
    answer = plan(fleet(replicas, stated), mixed=True)
    assert answer.status is PlanStatus.OPTIMAL
    assert answer.bound is not None
    assert answer.gap is not None
    assert 0.0 <= answer.gap <= 1e-6
    truly = plan(fleet(replicas, float(replicas)), mixed=True)
    assert answer.objective == pytest.approx(truly.objective, rel=1e-9, abs=1e-12)
    assert answer.allocations[0].accelerator == truly.allocations[0].accelerator


@pytest.mark.parametrize("replicas", [1, 2, 3, 9])
def test_a_mix_values_what_runs_as_one_accelerator_does(replicas: int) -> None:
    one = plan(fleet(replicas, float(replicas)), mixed=False)
    mix = plan(fleet(replicas, float(replicas)), mixed=True)
    assert mix.objective <= one.objective + 1e-9


def test_staying_as_it_is_has_value_zero() -> None:
    needed = plan(fleet(1, 1.0), mixed=False).allocations[0].replicas
    for mixed in (False, True):
        answer = plan(fleet(needed, float(needed)), mixed=mixed)
        assert answer.allocations[0].accelerator == "A"
        assert answer.objective == 0.0
