"""Plans over pools, from a fleet and its candidates to an outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from optimizer.fitting.plan import unproven
from optimizer.gap import bound_and_gap
from optimizer.kept import kept_allocations
from optimizer.outcome import anything_for_the_loaded
from optimizer.placement import Outcome, Placement
from optimizer.pooled.answer import PooledAnswer, PooledEntry
from optimizer.pooled.ask import ask
from optimizer.pooled.causes import Causes
from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import ByWeights, Decision, decide
from optimizer.pooled.generating import can_generate, relax
from optimizer.pooled.goals import TIE
from optimizer.pooled.large import relaxed_model, whole_columns
from optimizer.pooled.model import build_model
from optimizer.pooled.prune import needed_options
from optimizer.pooled.question import Question
from optimizer.pooled.refuse import refuse_combinations, unheeded
from optimizer.pooled.run import Run, Solver
from optimizer.pooled.taken import Taken, read_solution
from optimizer.pooled.used import limit_uses, unit_of, used_by
from optimizer.pooled.weights import served_by_weights, weights_of
from optimizer.solver import default_backend
from optimizer.table import REJECTIONS, CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.limits import ObjectiveName
from stoker.domain.plan import ClassService, ObjectiveValue, PlanStatus
from stoker.domain.settings import OptimizerSettings

EXACT_METHOD = "milp-exact"
WEIGHTED_METHOD = "milp-weighted"
EXACT_GAP = 1e-6
WEIGHTED_GAP = 5e-3
DEFAULT_TIME_LIMIT_S = 120.0


def place_pooled(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    taken: Mapping[str, int],
    clock: Callable[[], float],
) -> Outcome:
    """Return the best placement over pools, within all limits.

    Args:
        fleet: The fleet, its surge already in its loads.
        table: Its candidates.
        settings: Solver, gap and time limit.
        taken: Cards that are nobody's to give, by type.
        clock: Seconds, for timings and time limits.

    Raises:
        InvalidInputError: Settings or names that do not go together.
        SolverUnavailableError: The solver asked for cannot be used.
    """
    refuse_combinations(fleet, settings)
    start = clock()
    backend, note = default_backend(settings.backend)
    kept = kept_allocations(fleet)
    question = ask(fleet, table, taken, kept, on_nodes=settings.placement)
    whole = question
    question = question.with_options(needed_options(question))
    exact = len(table.servers) <= settings.exact_servers
    default_gap = EXACT_GAP if exact else WEIGHTED_GAP
    limit = DEFAULT_TIME_LIMIT_S if settings.time_limit_s is None else settings.time_limit_s
    solver = Solver(
        backend=backend,
        gap=default_gap if settings.relative_gap is None else settings.relative_gap,
        deadline=start + limit,
        clock=clock,
    )
    run, by_weights = _run(question, solver, exact, settings.class_weight_ratio)
    built = clock()
    decision = decide(run, by_weights=by_weights)
    solved = clock()
    outcome = outcome_of(fleet, whole, run, decision)
    if question.places is not None and not question.places.exact:
        outcome = unproven(outcome)
    return replace(
        outcome,
        backend=backend,
        notes=(*((note,) if note else ()), *unheeded(settings), *outcome.notes),
        timings_ms={"formulate": (built - start) * 1e3, "solve": (solved - built) * 1e3},
    )


def _run(
    question: Question, solver: Solver, exact: bool, ratio: float
) -> tuple[Run, ByWeights | None]:
    """Return the run of a question, and what settles the served vector of a large fleet."""
    if exact:
        return solver.run(build_model(question, split_columns(question))), None
    if can_generate(question, solver.backend):
        run, relaxed = relax(question, solver, ratio)
        return run, relaxed.served
    bounding = solver.run(relaxed_model(question))
    served = partial(served_by_weights, bounding=bounding, weights=weights_of(question, ratio))
    # On nodes a pool may hold fewer replicas than it has cards for: none are taken whole.
    on_nodes = question.places is not None
    columns = split_columns(question) if on_nodes else whole_columns(question)
    return solver.run(build_model(question, columns)), served


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
    known = table.accepted[options.row]
    served = np.zeros(len(table.servers), dtype=np.bool_)
    served[options.server[serves]] = True
    placement = Placement(
        row=options.row[known],
        replicas=taken.pool_replicas.sum(axis=1)[known],
        served=served,
    )
    objective = math.fsum(taken.value[serves].tolist())
    bound, gap = _bound_of_cost(decision, taken, objective, serves)
    proven = all(stage.proven for stage in decision.stages) and all(
        count == limit for count, limit in zip(decision.counts, decision.bounds, strict=True)
    )
    status = PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE
    if not anything_for_the_loaded(table, placement):
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
            entries=_entries(question, taken),
            stays=frozenset(options.server[~known].tolist()),
            rejections=rejections,
            causes={server: cause for server, cause in found.items() if cause is not None},
            limits=limit_uses(question, fleet.limits, used),
            objectives=_objectives(fleet, decision),
        ),
    )


def _bound_of_cost(
    decision: Decision, taken: Taken, objective: float, serves: np.ndarray
) -> tuple[float | None, float | None]:
    """Return bound and gap of the total value, where cost was minimized by itself."""
    stage = next((s for s in decision.stages if s.name == ObjectiveName.COST.value), None)
    if stage is None:
        return None, None
    scale = float(np.abs(taken.value).sum())
    others = math.fsum(taken.value[~serves].tolist())
    bound = None if stage.bound is None else stage.bound - others
    return bound_and_gap(objective, bound, scale)


def _in_whole(whole: Question, question: Question, taken: Taken) -> Taken:
    """Return a solution with its options as the question had them before they were pruned."""
    keys = {
        (int(row), bool(serves), bool(changed)): index
        for index, (row, serves, changed) in enumerate(
            zip(
                whole.options.row.tolist(),
                whole.options.serves.tolist(),
                whole.options.changed.tolist(),
                strict=True,
            )
        )
    }
    chosen = question.options.take(taken.option)
    option = [
        keys[row, serves, changed]
        for row, serves, changed in zip(
            chosen.row.tolist(), chosen.serves.tolist(), chosen.changed.tolist(), strict=True
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
        row = int(options.row[option])
        need = int(question.table.replicas[row]) if question.table.accepted[row] else total
        power, idle = float(options.power_w[option]), float(options.idle_power_w[option])
        entries[int(options.server[option])] = PooledEntry(
            replicas={pool: int(by_pool[pool]) for pool in used},
            cards_per_replica=int(options.cards_per_replica[option]),
            kind=question.kinds[kind] if (kind := int(options.kind[option])) >= 0 else None,
            price={pool: float(prices[pool]) for pool in used},
            cost_per_hour=float(taken.price[index]),
            value=float(taken.value[index]),
            spare=max(0, total - need),
            power_w=power * total if math.isfinite(power) else None,
            idle_power_w=idle * total if math.isfinite(idle) else None,
        )
    return entries


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
