"""Candidates of a server over pools, each by itself: what it costs where it may stand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.explaining.problem import PlanningProblem, rows_of
from optimizer.pooled.ask import ask
from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import decide
from optimizer.pooled.model import build_model
from optimizer.pooled.place import DEFAULT_TIME_LIMIT_S, EXACT_GAP
from optimizer.pooled.question import Question
from optimizer.pooled.run import Solver
from optimizer.pooled.taken import read_solution
from optimizer.solver import default_backend
from optimizer.table import IntArray
from stoker.domain.limits import COST_ALONE
from stoker.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Alone:
    """A candidate in the pools that cost a server least, were it alone in the fleet.

    Attributes:
        row: Its row of the table.
        count: How many of the row, with all that rules of zones and survival ask for.
        cost_per_hour: What they cost there.
        value: The same as the objective counts it.
        fits: Whether the cards that all others leave in the pools hold it, too.
    """

    row: int
    count: int
    cost_per_hour: float
    value: float
    fits: bool


class AloneOverPools:
    """Answers what the candidates of servers cost over the pools of a plan, each by itself.

    What servers ask of pools holds, and so does headroom; limits of the whole plan do not, nor does
    any objective but cost.
    """

    def __init__(self, problem: PlanningProblem, plan: Plan) -> None:
        """Take the plan, which is over pools."""
        limits = replace(
            problem.fleet.limits,
            budget_per_hour=None,
            power_w=None,
            idle_power_w=None,
            max_replicas=None,
            max_changes=None,
            max_spot_share=None,
        )
        fleet = replace(problem.fleet, limits=limits, objectives=COST_ALONE, sharing=())
        placed = problem.settings.placement
        self._question = ask(fleet, problem.table, problem.taken, on_nodes=placed)
        self._problem = problem
        self._plan = plan
        self._backend = default_backend(problem.settings.backend)[0]

    def of(self, server: int) -> tuple[Alone, ...]:
        """Return the candidates of a server that pools have room for, by value, then cards."""
        table = self._problem.table
        rows = rows_of(table, server)
        left = self._left(table.servers[server])
        found = []
        for row in (np.flatnonzero(table.accepted[rows]) + rows.start).tolist():
            alone = self._best(self._question, row)
            if alone is not None:
                count, cost, value = alone
                fits = self._best(left, row) is not None
                found.append(Alone(row, count, cost, value, fits))
        cards = table.cards_per_replica
        return tuple(sorted(found, key=lambda each: (each.value, each.count * cards[each.row])))

    def _best(self, question: Question, row: int) -> tuple[int, float, float] | None:
        """Return how many of a row serve in full at least value, cost and value; None for none."""
        options = question.options
        chosen = np.flatnonzero((options.row == row) & options.serves)
        own = question.with_options(chosen)
        somewhere = np.bincount(own.pairs.option, minlength=chosen.size) > 0
        own = question.with_options(chosen[somewhere | (own.options.cards_per_replica == 0)])
        if not own.options.count:
            return None
        settings, clock = self._problem.settings, self._problem.clock
        limit_s = DEFAULT_TIME_LIMIT_S if settings.time_limit_s is None else settings.time_limit_s
        solver = Solver(self._backend, EXACT_GAP, clock() + limit_s, clock)
        run = solver.run(build_model(own, split_columns(own)))
        decision = decide(run)
        if decision.x is None or not any(decision.counts):
            return None
        taken = read_solution(run.model, decision.x)
        return int(taken.pool_replicas.sum()), float(taken.price.sum()), float(taken.value.sum())

    def _left(self, server: str) -> Question:
        """Return the question with the cards that all servers but one leave."""
        pools = self._question.pools
        used = np.zeros(pools.count, dtype=np.int64)
        index = pools.index()
        for item in self._plan.allocations:
            for part in item.placements if item.server != server else ():
                if part.pool in index:
                    used[index[part.pool]] += part.cards
        quotas, types = len(pools.quota_cards), len(pools.type_left)
        grouped = pools.quota >= 0
        left = replace(
            pools,
            cards=np.maximum(pools.cards - used, 0),
            quota_cards=_less(pools.quota_cards, pools.quota[grouped], used[grouped], quotas),
            type_left=_less(pools.type_left, pools.card_type, used, types),
        )
        return replace(self._question, pools=left)


def _less(cards: IntArray, of: IntArray, used: IntArray, size: int) -> IntArray:
    """Return cards less those used, by what they are of."""
    gone = np.bincount(of, weights=used, minlength=size).astype(np.int64)
    left: IntArray = np.maximum(cards - gone, 0)
    return left
