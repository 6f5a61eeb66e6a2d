"""The answer to the question of one card type."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.placement import PlacedReplica, PlacementGoal

MILP = "milp"
GREEDY = "greedy"


@dataclass(frozen=True, slots=True)
class Answer:
    """Where replicas of one card type go.

    Attributes:
        placed: Placed replicas of each demand.
        goals: What was optimized, with values counted in `placed`.
        method: ``milp`` or ``greedy``.
        note: Why it is not proven; empty where it is.
    """

    placed: tuple[tuple[PlacedReplica, ...], ...]
    goals: tuple[PlacementGoal, ...]
    method: str
    note: str = ""
