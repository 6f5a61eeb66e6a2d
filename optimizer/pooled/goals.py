"""What is minimized after the served vector, one stage after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.model import PooledModel
from optimizer.table import FloatArray
from stoker.domain.limits import Combination, ObjectiveName

SPILL = "spill"
WEIGHTED = "weighted"
TIE = "tie"


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing to minimize.

    Attributes:
        name: Name of the objective, `SPILL`, `WEIGHTED`, or `TIE` for what settles ties.
        values: Coefficients, shape (columns,).
        constant: What is added to them.
        tolerance: Share of the best value that later stages may give away.
    """

    name: str
    values: FloatArray
    constant: float
    tolerance: float = 0.0

    def of(self, x: FloatArray) -> float:
        """Return what a solution has of it."""
        return float(self.values @ x) + self.constant


def fairness_of(worst: int) -> str:
    """Return the name of the stage that minimizes the largest shortfalls, so many together."""
    name = ObjectiveName.FAIRNESS.value
    return name if worst == 1 else f"{name}_{worst}"


def stages_of(model: PooledModel) -> tuple[Stage, ...]:
    """Return the stages of a model, in order.

    What is not preferred comes first, then the objectives as they are combined, and cost where it
    is not among them, which settles ties. Fairness is a stage for the largest shortfall of a class,
    one for the two largest together, and so on.
    """
    objectives = model.question.objectives
    stages = []
    if np.any(model.spill):
        stages.append(Stage(SPILL, model.spill, 0.0))
    if objectives.combine is Combination.WEIGHTED:
        total = np.zeros(model.count)
        constant = 0.0
        for term in objectives.terms:
            values, own = model.goals[term.name]
            total += term.weight * values
            constant += term.weight * own
        only = objectives.terms[0]
        alone = len(objectives.terms) == 1 and only.weight == 1.0
        stages.append(Stage(only.name.value if alone else WEIGHTED, total, constant))
    else:
        for term in objectives.terms:
            stages.append(Stage(term.name.value, *model.goals[term.name], term.tolerance))
            if term.name is ObjectiveName.FAIRNESS:
                sums = model.shortfalls.sums(model.count)[1:]
                stages += [
                    Stage(fairness_of(k), values, 0.0, term.tolerance)
                    for k, values in enumerate(sums, start=2)
                ]
    if not objectives.includes(ObjectiveName.COST):
        stages.append(Stage(TIE, *model.goals[ObjectiveName.COST]))
    return tuple(stages)
