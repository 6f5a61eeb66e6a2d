"""How many replicas the rules of a fleet make of those that its load needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from optimizer.explaining.decision import replicas_each
from optimizer.explaining.problem import PlanningProblem
from optimizer.pooled.ask import ask
from optimizer.pooled.fewest import fewest_replicas
from optimizer.pooled.options import Options
from optimizer.pooled.question import Question, pair_up
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.candidates import SharedFleet
from optimizer.sharing.figured import shared_sets
from optimizer.table import CandidateTable


@dataclass(frozen=True, slots=True)
class RuleTotals:
    """What survival, zones and shares of them ask for beside what the load needs.

    Attributes:
        question: What was asked of the plan; None where cards by type are all that bounds it, and
            no rule asks for anything.
    """

    question: Question | None

    @classmethod
    def of(cls, problem: PlanningProblem, *, shared: bool) -> Self:
        """Return the rules of a problem.

        Args:
            problem: What was planned.
            shared: Whether its plan lets servers share replicas.
        """
        fleet = problem.fleet
        if fleet.is_plain:
            return cls(None)
        sets = shared_sets(SharedFleet(fleet), problem.table) if shared else ()
        return cls(ask(fleet, problem.table, problem.taken, sets=sets))

    def of_row(self, server: int, row: int, other: CandidateTable, like: int) -> int | None:
        """Return the replicas of a server with the numbers of a row of another table.

        Args:
            server: The server.
            row: Row that it has in the plan, of the problem's table.
            other: The other table.
            like: Row of it that is most like that.

        Returns:
            All replicas, spare ones included: the fewest that may be spread as asked, were the
            server alone in the fleet. None where no number allowed may.
        """
        each = replicas_each(other, like)
        need = int(other.replicas[like])
        question = self.question
        if question is None:
            return need * each
        options = question.options
        own = np.flatnonzero((options.server == server) & (options.row == row) & options.serves)
        if not own.size:
            return need * each
        bound = int(other.max_replicas[like])
        if question.limits.max_replicas_per_server is not None:
            bound = min(bound, question.limits.max_replicas_per_server)
        option = replace(
            options.take(own[:1]),
            cards_per_replica=other.cards_per_replica[[like]],
            counts_as=np.array([each], dtype=np.int64),
        )
        # A deployment with spare replicas is what survives already.
        spare = bool(other.spare[like] > 0)
        total = self._least(question, option, need, bound // each, spare=spare)
        return None if total is None else total * each

    def of_choice(self, choice: SharedChoice, need: int) -> int | None:
        """Return the common replicas of servers whose loads need so many, as `of_row`."""
        question = self.question
        if question is None:
            return need
        options = question.options
        for option in np.flatnonzero(options.shared & (options.cards_per_replica > 0)).tolist():
            way = question.sets[int(options.group[option])].candidate.way
            if (way.members, way.profile, way.max_batch) == (
                choice.members,
                choice.profile,
                choice.max_batch,
            ):
                bound = way.most
                if question.limits.max_replicas_per_server is not None:
                    bound = min(bound, question.limits.max_replicas_per_server)
                return self._least(question, options.take(np.array([option])), need, bound)
        return need

    def _least(
        self, question: Question, option: Options, need: int, bound: int, *, spare: bool = False
    ) -> int | None:
        """Return the fewest of an option of which so many carry the load; None for none."""
        survive = None if spare else question.limits.headroom.survive
        zones = int(question.wishes.zones[option.wisher[0]])
        least = max(need + (survive is not None), zones)
        alone = replace(
            option,
            least=np.array([least], dtype=np.int64),
            most=np.array([bound], dtype=np.int64),
            remain=np.array([need if survive is not None else 0], dtype=np.int64),
            ruled=np.ones(1, dtype=np.bool_),
            in_place=np.zeros(1, dtype=np.bool_),
        )
        pools, wishes = question.pools, question.wishes
        pairs = pair_up(alone, pools, wishes, question.limits, question.standing)
        total, possible = fewest_replicas(alone, pairs, pools, wishes, survive)
        return int(total[0]) if possible[0] else None
