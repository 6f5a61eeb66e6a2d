"""Plans of large fleets under an edit: planned again where the edit reaches, within a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.complete import completed, with_best_effort
from optimizer.explaining.decision import Decision, decision_of
from optimizer.explaining.problem import PlanningProblem
from optimizer.milp_again import OPEN, LargePlan
from optimizer.planner import capacity_left
from optimizer.table import EMPTY, BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class LargeFleet:
    """A plan of a large fleet, ready to be made again under edits.

    Differences are against the plan that the same way of planning finds without an edit, so that
    what it betters by itself is not taken for the effect of an edit.

    Attributes:
        plan: The plan, with prices.
        before: What is found without an edit: the plan, or a better one.
    """

    plan: LargePlan
    before: Decision

    @classmethod
    def of(cls, problem: PlanningProblem, base: Decision) -> LargeFleet | None:
        """Return a plan ready to be made again; None where all of it is to be planned again.

        That is so for fleets that are planned exactly, and wherever more than cards by type bounds
        a plan, or a server has more than one accelerator.
        """
        settings = problem.settings
        bounded = problem.proves and not problem.mixes and problem.counts_cards
        exact = len(problem.table.servers) <= settings.exact_servers
        if exact or not bounded or problem.fleet.sharing:
            return None
        chosen = np.full(len(problem.table.servers), -1, dtype=np.int64)
        for server, entries in enumerate(base.entries):
            for row, _ in entries:
                if base.own[server].served and problem.table.card_type[row] != EMPTY:
                    chosen[server] = row
        capacity = capacity_left(problem.fleet, problem.table, problem.taken)
        plan = LargePlan.of(problem.table, capacity, settings, chosen, problem.clock)
        if plan is None:
            return None
        plan = plan.polished(problem.table, capacity)
        before = _decision(plan, problem, np.zeros(0, dtype=np.int64))
        return None if before is None else cls(plan, before)

    def after(self, problem: PlanningProblem, about: int | None) -> Decision | None:
        """Return the plan under an edit; None where it is to be planned again as a whole.

        Args:
            problem: The problem under the edit, of the same rows.
            about: The server that the edit is about, if there is one.
        """
        servers = [] if about is None else [about]
        return _decision(self.plan, problem, np.array(servers, dtype=np.int64))

    def serves(self, problem: PlanningProblem, server: int, wanted: BoolArray) -> bool:
        """Whether moving few servers is enough to serve these; False where it is not found to be.

        Args:
            problem: The problem, of the same rows for all servers but one.
            server: That one.
            wanted: The servers that must be served, (servers,).
        """
        capacity = capacity_left(problem.fleet, problem.table, problem.taken)
        found = self.plan.again(problem.table, capacity, np.array([server]), OPEN[:1])
        return found is not None and bool(np.all(found.placement.served[wanted]))


def _decision(plan: LargePlan, problem: PlanningProblem, about: IntArray) -> Decision | None:
    capacity = capacity_left(problem.fleet, problem.table, problem.taken)
    outcome = plan.again(problem.table, capacity, about)
    if outcome is None:
        return None
    policy = problem.settings.saturation_policy
    outcome = with_best_effort(problem.table, outcome, capacity, policy)
    return decision_of(problem.table, completed(problem.table, outcome))
