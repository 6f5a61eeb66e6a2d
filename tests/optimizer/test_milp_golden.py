"""The MILP on the reference's systems: served vectors, values and mixed optima, all proven."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from data.candidates_file import read_candidates
from data.fleets import read_fleet
from optimizer.planner import plan_fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.conftest import GOLDEN_DIR

GENERATION = {"light": "tokenwork", "old": "linear"}
_ROW = re.compile(r"\| (\w+) \| \(([\d, ]+)\) \| ([\d.]+) \| ([\d.]+) \|")
_MIXES = re.compile(r"(light|old) (small|large|largenotie) ([\d,.]*\d)")


@dataclass(frozen=True)
class Served:
    """A row of the table of served vectors: money in cents per hour."""

    system: str
    served: tuple[int, ...]
    cost: float
    value: float


def served_rows() -> list[Served]:
    readme = GOLDEN_DIR / "README.md"
    text = readme.read_text() if readme.is_file() else ""
    return [
        Served(m[1], tuple(int(n) for n in m[2].split(",")), float(m[3]), float(m[4]))
        for m in _ROW.finditer(text)
    ]


def mixed_optima() -> list[tuple[str, str, float]]:
    readme = GOLDEN_DIR / "README.md"
    text = readme.read_text() if readme.is_file() else ""
    _, _, after = text.partition("With a heterogeneous mix allowed")
    sentence, _, _ = after.partition("\n")
    return [(m[1], m[2], float(m[3].replace(",", ""))) for m in _MIXES.finditer(sentence)]


def solve(system: str, settings: OptimizerSettings, *, theirs: bool) -> Plan:
    fleet = read_fleet(GOLDEN_DIR / "systems" / f"{system}.json")
    family, size, _ = system.split("_")
    table = GOLDEN_DIR / f"candidates_{GENERATION[family]}_{size}.json"
    return plan_fleet(fleet, settings, estimates=read_candidates(table) if theirs else None)


def assert_proven(plan: Plan) -> None:
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.gap is not None
    assert plan.gap <= 1e-6
    assert [s.bound for s in plan.services] == [s.served for s in plan.services]


MILP = OptimizerSettings(solver=SolverKind.MILP)


@pytest.mark.parametrize("row", served_rows(), ids=lambda row: row.system)
def test_served_vector_and_value(row: Served) -> None:
    plan = solve(row.system, MILP, theirs=True)
    assert_proven(plan)
    served = tuple(s.served for s in plan.services)
    # The table leaves out groups without servers.
    assert served == row.served
    assert plan.objective * 100 == pytest.approx(row.value, abs=0.051)
    fully = [a for a in plan.allocations if a.fully_served]
    assert sum(a.value for a in fully) == pytest.approx(plan.objective, rel=1e-12)
    if "mixed" not in row.system:
        # Nothing runs yet, so value is 1.1 times cost and settles it.
        assert plan.cost_per_hour * 100 == pytest.approx(row.cost, abs=0.051)


@pytest.mark.parametrize("row", served_rows(), ids=lambda row: row.system)
def test_end_to_end_from_the_system(row: Served) -> None:
    plan = solve(row.system, MILP, theirs=False)
    assert_proven(plan)
    served = tuple(s.served for s in plan.services)
    if "mixed1" in row.system:
        # Right candidates where the reference errs at batch 1: some servers join, some leave.
        assert served[:2] == row.served[:2]
        assert served[2] >= row.served[2]
        return
    assert served == row.served
    assert plan.objective * 100 == pytest.approx(row.value, rel=1e-4)


@pytest.mark.parametrize(("family", "size", "cost"), mixed_optima())
def test_mixed_optima(family: str, size: str, cost: float) -> None:
    mixed = replace(MILP, heterogeneous=True)
    plan = solve(f"{family}_{size}_cap100", mixed, theirs=True)
    assert_proven(plan)
    assert plan.cost_per_hour * 100 == pytest.approx(cost, abs=0.0051)
    assert not plan.unplaced


def test_the_tables_of_the_reference_were_found(golden_dir: Path) -> None:
    assert golden_dir.is_dir()
    assert len(served_rows()) == 29
    assert len(mixed_optima()) == 5


@pytest.mark.parametrize("policy", list(SaturationPolicy))
def test_best_effort_leaves_the_served_alone(policy: SaturationPolicy, golden_dir: Path) -> None:
    assert golden_dir.is_dir()
    bare = solve("light_small_cap20", MILP, theirs=True)
    plan = solve("light_small_cap20", replace(MILP, saturation_policy=policy), theirs=True)
    assert plan.objective == bare.objective
    assert {a.server for a in plan.allocations if a.fully_served} == {
        a.server for a in bare.allocations if a.fully_served
    }
    assert {u.server for u in plan.unplaced} == {u.server for u in bare.unplaced}
    received = [a for a in plan.allocations if not a.fully_served]
    assert bool(received) == (policy is not SaturationPolicy.NONE)
