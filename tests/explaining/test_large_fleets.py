"""Explanations of large fleets: planned again where the edit reaches, within bounds that hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks.fleets import scaled_large
from optimizer.explaining.decision import Decision, decision_of
from optimizer.explaining.explain import ExplainOptions, explain_prepared
from optimizer.explaining.large import LargeFleet
from optimizer.explaining.matching import matched_decision
from optimizer.explaining.problem import PlanningProblem, problem_of
from optimizer.planner import plan_prepared
from optimizer.preparation import Prepared, prepare
from stoker.domain.plan import Plan
from stoker.domain.plan_change import Evidence
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, OptimizerSettings

SETTINGS = OptimizerSettings(analysis=Analysis.REFERENCE, relative_gap=5e-3, exact_servers=10)
"""Fleets of more than ten servers count as large, small enough for all to be planned again, too."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scarce fleet, its plan, and what it is made from under edits."""

    prepared: Prepared
    plan: Plan
    problem: PlanningProblem
    large: LargeFleet

    def objective(self, decision: Decision) -> float:
        """Return what is minimized: value, and the price of who is not served."""
        unserved = self.large.plan.unserved
        return decision.value - sum(
            float(unserved[server]) for server, own in enumerate(decision.own) if own.served
        )

    def checked(self, edited: PlanningProblem, about: int | None) -> Decision:
        """Return the plan under an edit, which keeps its cards; its bound holds for any other."""
        found = self.large.after(edited, about)
        assert found is not None
        assert found.slack is not None
        counts = {item.card_type: item.count for item in edited.fleet.capacity}
        for name, used in zip(edited.table.card_types, found.cards.tolist(), strict=True):
            assert used <= counts.get(name, 0)
        exactly = replace(edited, settings=replace(edited.settings, relative_gap=1e-4))
        whole = decision_of(edited.table, exactly.placed())
        assert self.objective(found) - found.slack <= self.objective(whole) + 1e-6
        return found


@pytest.fixture(scope="module")
def case() -> Case:
    fleet = scale_capacity(scaled_large(30, 0, seed=3), 0.4)
    prepared = prepare(fleet, SETTINGS)
    plan = plan_prepared(prepared)
    assert plan.unplaced
    problem = problem_of(prepared, lambda: 0.0)
    base = matched_decision(problem.fleet, problem.table, plan)
    large = LargeFleet.of(problem, base)
    assert large is not None
    return Case(prepared, plan, problem, large)


def test_without_an_edit_the_plan_is_at_least_as_good(case: Case) -> None:
    base = matched_decision(case.problem.fleet, case.problem.table, case.plan)
    assert case.objective(case.large.before) <= case.objective(base) + 1e-9


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_server_without_its_accelerator(case: Case, share: float) -> None:
    held = [
        (server, entries[0][0])
        for server, entries in enumerate(case.large.before.entries)
        if case.large.before.own[server].served and entries
    ]
    server, row = held[int(share * len(held))]
    accelerator = int(case.problem.table.accelerator[row])
    found = case.checked(case.problem.without(server, accelerator), server)
    name = case.problem.table.accelerators[accelerator]
    assert all(part.accelerator != name for part in found.own[server].parts)
    lost = case.objective(found) - case.objective(case.large.before)
    assert found.slack is not None
    assert lost >= -found.slack
    moved = sum(a != b for a, b in zip(found.own, case.large.before.own, strict=True))
    assert moved >= 1


@pytest.mark.parametrize("card_type", ["H100", "MI300X", "G2"])
def test_one_more_card(case: Case, card_type: str) -> None:
    found = case.checked(case.problem.with_cards(card_type, 1), None)
    assert case.objective(found) <= case.objective(case.large.before) + 1e-9


def test_who_can_be_served_is_served(case: Case) -> None:
    served = np.array([own.served for own in case.large.before.own])
    for server in np.flatnonzero(~served).tolist():
        wanted = served.copy()
        wanted[server] = True
        among = case.problem.among(wanted)
        for card_type in {item.card_type for item in case.problem.fleet.capacity}:
            richer = among.with_cards(card_type, 10_000)
            if case.large.serves(richer, server, wanted):
                assert richer.serves(wanted)
        if case.large.serves(among, server, wanted):
            assert among.serves(wanted)


def test_evidence_says_how_it_was_planned(case: Case) -> None:
    names = {case.plan.allocations[0].server}
    explanation = explain_prepared(case.prepared, case.plan, ExplainOptions(servers=names))
    changes = [price.change for price in explanation.shadow_prices]
    changes += [each.change for item in explanation.allocations for each in item.forbidden]
    assert changes
    assert {change.evidence for change in changes} == {Evidence.REPAIRED}
    assert all(change.below is not None and change.above is not None for change in changes)
