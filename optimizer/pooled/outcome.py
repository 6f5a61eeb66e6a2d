"""What a decision over pools comes to: a placement, where it stands, and what is proven."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from optimizer.gap import bound_and_gap
from optimizer.outcome import anything_for_the_loaded
from optimizer.placement import Outcome, Placement
from optimizer.pooled.answer import PooledAnswer, PooledEntry
from optimizer.pooled.causes import Causes
from optimizer.pooled.decide import Decision
from optimizer.pooled.goals import TIE
from optimizer.pooled.question import Question
from optimizer.pooled.run import Run
from optimizer.pooled.taken import Taken, read_solution
from optimizer.pooled.used import limit_uses, unit_of, used_by
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.place import choice_of
from optimizer.table import REJECTIONS
from stoker.domain.fleet import Fleet
from stoker.domain.limits import ObjectiveName
from stoker.domain.plan import ClassService, ObjectiveValue, PlanStatus

EXACT_METHOD = "milp-exact"
WEIGHTED_METHOD = "milp-weighted"


def outcome_of(fleet: Fleet, whole: Question, run: Run, decision: Decision) -> Outcome:
    """Return the outcome of a decision.

    Args:
        fleet: The fleet.
        whole: The question before options were pruned, which causes are told from.
        run: What was solved.
        decision: The decision.
    """
    model = run.model
    question, table = model.question, model.question.table
    groups = run.groups()
    services = tuple(
        ClassService(group.priority, group.size, count, bound)
        for group, count, bound in zip(groups, decision.counts, decision.bounds, strict=True)
    )
    method = WEIGHTED_METHOD if decision.weighted else EXACT_METHOD
    rejections = {row: REJECTIONS[code - 1] for row, code in question.rejected.items()}
    if decision.x is None:
        nothing = np.zeros(0, dtype=np.int64)
        return Outcome(
            placement=Placement(nothing, nothing, np.zeros(len(table.servers), dtype=np.bool_)),
            status=PlanStatus.TIME_LIMIT,
            objective=0.0,
            bound=None,
            gap=None,
            services=services,
            method=method,
            notes=("the time limit passed before the solver found a plan",),
            pooled=PooledAnswer(question.pools.pools, {}, rejections=rejections),
        )
    taken = read_solution(model, decision.x)
    used = used_by(question, taken)
    options = question.options.take(taken.option)
    serves = options.serves
    known = ~options.shared
    known[known] = table.accepted[options.row[known]]
    served = np.zeros(len(table.servers), dtype=np.bool_)
    served[options.server[serves]] = True
    placement = Placement(
        row=options.row[known],
        replicas=taken.pool_replicas.sum(axis=1)[known],
        served=served,
    )
    entries = _entries(question, taken)
    shared = _shared(fleet, question, taken, entries)
    objective = math.fsum(taken.value[serves].tolist())
    bound, gap = _bound_of_cost(decision, taken, objective, serves)
    proven = all(stage.proven for stage in decision.stages) and all(
        count == limit for count, limit in zip(decision.counts, decision.bounds, strict=True)
    )
    status = PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE
    if not shared and not anything_for_the_loaded(table, placement):
        status, bound, gap = PlanStatus.INFEASIBLE, None, None
    causes = Causes(whole, _in_whole(whole, question, taken), used, fleet.currency)
    found = {int(server): causes.of(int(server)) for server in np.flatnonzero(~served)}
    return Outcome(
        placement=placement,
        status=status,
        objective=objective,
        bound=bound,
        gap=gap,
        services=services,
        method=method,
        notes=(*_notes(fleet, decision), *decision.notes),
        pooled=PooledAnswer(
            pools=question.pools.pools,
            entries=entries,
            stays=frozenset(options.server[~known & ~options.shared].tolist()),
            rejections=rejections,
            causes={server: cause for server, cause in found.items() if cause is not None},
            limits=limit_uses(question, fleet.limits, used),
            objectives=_objectives(fleet, decision),
        ),
        shared=shared,
    )


def _bound_of_cost(
    decision: Decision, taken: Taken, objective: float, serves: np.ndarray
) -> tuple[float | None, float | None]:
    """Return bound and gap of the total value, where cost was minimized by itself."""
    names = (ObjectiveName.COST.value, TIE)
    stage = next((s for s in decision.stages if s.name in names), None)
    if stage is None:
        return None, None
    scale = float(np.abs(taken.value).sum())
    others = math.fsum(taken.value[~serves].tolist())
    bound = None if stage.bound is None else stage.bound - others
    return bound_and_gap(objective, bound, scale)


def _in_whole(whole: Question, question: Question, taken: Taken) -> Taken:
    """Return a solution with its options as the question had them before they were pruned."""
    keys = {
        (int(row), int(group), int(server), bool(serves), bool(changed)): index
        for index, (row, group, server, serves, changed) in enumerate(
            zip(
                whole.options.row.tolist(),
                whole.options.group.tolist(),
                whole.options.server.tolist(),
                whole.options.serves.tolist(),
                whole.options.changed.tolist(),
                strict=True,
            )
        )
    }
    chosen = question.options.take(taken.option)
    option = [
        keys[row, group, server, serves, changed]
        for row, group, server, serves, changed in zip(
            chosen.row.tolist(),
            chosen.group.tolist(),
            chosen.server.tolist(),
            chosen.serves.tolist(),
            chosen.changed.tolist(),
            strict=True,
        )
    ]
    return replace(taken, option=np.array(option, dtype=np.int64))


def _entries(question: Question, taken: Taken) -> dict[int, PooledEntry]:
    options, pairs = question.options, question.pairs
    start = np.searchsorted(pairs.option, np.arange(options.count + 1))
    entries = {}
    for index, option in enumerate(taken.option.tolist()):
        by_pool = taken.pool_replicas[index]
        used = np.flatnonzero(by_pool).tolist()
        span = slice(int(start[option]), int(start[option + 1]))
        prices = dict(zip(pairs.pool[span].tolist(), pairs.price[span].tolist(), strict=True))
        total = int(by_pool.sum())
        need = _need(question, option, total)
        counts_as = int(options.counts_as[option])
        power, idle = float(options.power_w[option]), float(options.idle_power_w[option])
        entries[int(options.server[option])] = PooledEntry(
            replicas={pool: int(by_pool[pool]) for pool in used},
            counts_as=counts_as,
            cards_per_replica=int(options.cards_per_replica[option]),
            kind=question.kinds[kind] if (kind := int(options.kind[option])) >= 0 else None,
            price={pool: float(prices[pool]) for pool in used},
            cost_per_hour=float(taken.price[index]),
            value=float(taken.value[index]),
            spare=max(0, total - need) * counts_as + _within(question, option, total),
            power_w=power * total if math.isfinite(power) else None,
            idle_power_w=idle * total if math.isfinite(idle) else None,
        )
    return entries


def _need(question: Question, option: int, total: int) -> int:
    """Return how many of so many replicas carry the load."""
    options = question.options
    if options.shared[option]:
        return question.sets[int(options.group[option])].candidate.replicas
    row = int(options.row[option])
    return int(question.table.replicas[row]) if question.table.accepted[row] else total


def _within(question: Question, option: int, total: int) -> int:
    """Return how many replicas of deployments of two pools are spare within each of them."""
    row = int(question.options.row[option])
    return total * int(question.table.spare[row]) if row >= 0 else 0


def _shared(
    fleet: Fleet, question: Question, taken: Taken, entries: Mapping[int, PooledEntry]
) -> tuple[SharedChoice, ...]:
    """Return the sets of servers on common replicas, with all the replicas that they have."""
    options = question.options
    found = []
    for option in taken.option[options.shared[taken.option]].tolist():
        if not options.cards_per_replica[option]:
            continue  # counted with the first of them
        item = question.sets[int(options.group[option])]
        entry = entries[item.members[0]]
        found.append(
            replace(
                choice_of(fleet, item.candidate),
                replicas=entry.total,
                cards=entry.total * entry.cards_per_replica,
                cost_per_hour=entry.cost_per_hour,
                value=entry.value,
            )
        )
    return tuple(found)


def _objectives(fleet: Fleet, decision: Decision) -> tuple[ObjectiveValue, ...]:
    return tuple(
        ObjectiveValue(
            stage.name,
            stage.value,
            stage.bound,
            unit_of(stage.name, fleet.currency),
        )
        for stage in decision.stages
        if stage.name != TIE
    )


def _notes(fleet: Fleet, decision: Decision) -> tuple[str, ...]:
    if decision.least_changes is None:
        return ()
    return (
        f"what runs cannot stay with at most {fleet.limits.max_changes} changes: the fewest are "
        f"{decision.least_changes}, and that many were allowed",
    )
