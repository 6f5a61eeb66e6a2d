"""Placing the replicas of a plan on nodes: the one entry of this room."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from optimizer.nodes.aims import ACROSS, GROUPS, NODES, PAIRS, ZONE, placed_name
from optimizer.nodes.answer import Answer
from optimizer.nodes.fillings import TooManyFillingsError
from optimizer.nodes.goals import Run, solve_exactly
from optimizer.nodes.greedy import place_greedily
from optimizer.nodes.misfits import explain
from optimizer.nodes.question import Question, questions
from optimizer.solver import default_backend
from stoker.domain.nodes import Node
from stoker.domain.placement import (
    NodePlacement,
    PlacedReplica,
    PlacementGoal,
    PlacementStrategy,
    ReplicaDemand,
    UnfitReplicas,
)
from stoker.domain.plan import PlanStatus

_MOST_REMEDY_S = 20.0
"""Longest that a remedy is searched, in seconds."""


def place_replicas(
    demands: Sequence[ReplicaDemand],
    nodes: Sequence[Node],
    strategy: PlacementStrategy = PlacementStrategy.PACK,
    most_per_node: int | None = None,
    *,
    time_limit_s: float = 60.0,
    backend: str = "highs",
    clock: Callable[[], float] = time.perf_counter,
) -> NodePlacement:
    """Return where the replicas go, and why some do not fit.

    The goals are met one after the other: most replicas of the first priority, then of the next,
    fewest replicas across link groups, then what the strategy prefers. Each comes with a proven
    bound, unless time runs out. The order of the nodes makes no difference.

    Args:
        demands: Replicas to place; servers and accelerators may repeat, and then count apart.
        nodes: Nodes, names unique.
        strategy: What to prefer among placements of equally many replicas.
        most_per_node: Most replicas of one demand on a node; None for no limit.
        time_limit_s: Seconds after which the best found is returned; without any, a heuristic's.
        backend: Solver: ``highs``, ``cbc`` or any name that PuLP lists.
        clock: Seconds.

    Raises:
        SolverUnavailableError: The solver is not installed, or failed to run at all.
    """
    start = clock()
    name, note = default_backend(backend)
    run = Run(name, start + time_limit_s, clock)
    asked = questions(demands, nodes, strategy, most_per_node)
    answers = [_answer(question, run) for question in asked]
    solved = clock()
    remedies = Run(name, solved + min(time_limit_s, _MOST_REMEDY_S), clock)
    unfit = [
        explain(question, answer, remedies) for question, answer in zip(asked, answers, strict=True)
    ]
    notes = dict.fromkeys([note, *(answer.note for answer in answers)])
    goals = _goals(answers)
    proven = all(goal.proven for goal in goals)
    return NodePlacement(
        status=PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE,
        strategy=strategy,
        most_per_node=most_per_node,
        placed=_placed(demands, asked, answers),
        unfit=_unfit(demands, unfit),
        goals=goals,
        method=", ".join(dict.fromkeys(answer.method for answer in answers)),
        notes=tuple(text for text in notes if text),
        timings_ms={"place": 1e3 * (solved - start), "explain": 1e3 * (clock() - solved)},
    )


def _answer(question: Question, run: Run) -> Answer:
    kind = question.demands[0].card_type
    try:
        exact = solve_exactly(question, run)
    except TooManyFillingsError:
        return place_greedily(
            question,
            f"{kind}: there are too many ways to fill a node for the integer program; placed by "
            "best fit",
        )
    if exact is None:
        return place_greedily(
            question, f"{kind}: the time limit passed before any placement; placed by best fit"
        )
    return exact


def _goals(answers: Sequence[Answer]) -> tuple[PlacementGoal, ...]:
    """Return the goals over all card types: each type's stand apart, so values and bounds add."""
    found: dict[str, list[PlacementGoal]] = {}
    for answer in answers:
        for goal in answer.goals:
            found.setdefault(goal.name, []).append(goal)
    after = (ACROSS, NODES, GROUPS, ZONE, PAIRS)
    before = sorted(
        (name for name in found if name not in after),
        key=lambda name: int(name.removeprefix(placed_name(0)[:-1])),
    )
    merged = []
    for name in (*before, *(name for name in after if name in found)):
        parts = found[name]
        bounds = [part.bound for part in parts if part.bound is not None]
        merged.append(
            PlacementGoal(
                name,
                sum(part.value for part in parts),
                sum(bounds) if len(bounds) == len(parts) else None,
                parts[0].maximized,
            )
        )
    return tuple(merged)


def _placed(
    demands: Sequence[ReplicaDemand], asked: Sequence[Question], answers: Sequence[Answer]
) -> tuple[PlacedReplica, ...]:
    """Return the placed replicas in the order of the demands."""
    own = {
        question.demands[0].card_type: iter(answer.placed)
        for question, answer in zip(asked, answers, strict=True)
    }
    # A question keeps the order of the demands that have replicas.
    return tuple(
        replica for demand in demands if demand.replicas for replica in next(own[demand.card_type])
    )


def _unfit(
    demands: Sequence[ReplicaDemand], unfit: Sequence[Sequence[UnfitReplicas]]
) -> tuple[UnfitReplicas, ...]:
    order = {
        (demand.server, demand.accelerator, demand.cards): at for at, demand in enumerate(demands)
    }
    everything = [one for own in unfit for one in own]
    return tuple(sorted(everything, key=lambda one: order[one.server, one.accelerator, one.cards]))
