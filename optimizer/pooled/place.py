"""Plans over pools, from a fleet and its candidates to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from optimizer.fitting.plan import unproven
from optimizer.kept import kept_allocations
from optimizer.placement import Outcome
from optimizer.pooled.ask import ask
from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import ByWeights, decide
from optimizer.pooled.fallback import SEARCH_SHARE, ended_early, with_decision_at_hand
from optimizer.pooled.generating import can_generate, relax
from optimizer.pooled.large import relaxed_model, whole_columns
from optimizer.pooled.model import build_model
from optimizer.pooled.outcome import outcome_of
from optimizer.pooled.prune import needed_options
from optimizer.pooled.question import Question
from optimizer.pooled.refuse import left_out, refuse_combinations, unheeded
from optimizer.pooled.run import Run, Solver
from optimizer.pooled.stage_bounds import StageBound, by_pricing, by_relaxation
from optimizer.pooled.weights import served_by_weights, weights_of
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.sharing.candidates import SharedFleet
from optimizer.sharing.figured import shared_sets
from optimizer.solver import default_backend
from optimizer.table import CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.settings import OptimizerSettings

EXACT_GAP = 1e-6
WEIGHTED_GAP = 5e-3
DEFAULT_TIME_LIMIT_S = 120.0


def place_pooled(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    taken: Mapping[str, int],
    clock: Callable[[], float],
    barred: Barred = NOTHING_BARRED,
) -> Outcome:
    """Return the best placement over pools, within all limits.

    Args:
        fleet: The fleet, its surge already in its loads.
        table: Its candidates.
        settings: Solver, gap and time limit.
        taken: Cards that are nobody's to give, by type.
        clock: Seconds, for timings and time limits.
        barred: Ways to share replicas that are not tried.

    Raises:
        InvalidInputError: Settings or names that do not go together.
        SolverUnavailableError: The solver asked for cannot be used.
    """
    refuse_combinations(fleet, settings)
    start = clock()
    backend, note = default_backend(settings.backend)
    kept = kept_allocations(fleet)
    sets = shared_sets(SharedFleet(fleet), table, barred) if fleet.sharing else ()
    predicted = clock()
    question = ask(fleet, table, taken, kept, on_nodes=settings.placement, sets=sets)
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
    run, by_weights, stage_bound = _run(question, solver, exact, settings.class_weight_ratio)
    built = clock()
    decision = decide(
        run.within(SEARCH_SHARE) if exact else run, by_weights=by_weights, stage_bound=stage_bound
    )
    if ended_early(decision, exact=exact):
        run, decision = with_decision_at_hand(run, decision, exact=exact)
    solved = clock()
    outcome = outcome_of(fleet, whole, run, decision)
    if question.places is not None and not question.places.exact:
        outcome = unproven(outcome)
    return replace(
        outcome,
        backend=backend,
        notes=(
            *((note,) if note else ()),
            *unheeded(settings),
            *left_out(fleet, table),
            *outcome.notes,
        ),
        timings_ms={
            **({"share": (predicted - start) * 1e3} if fleet.sharing else {}),
            "formulate": (built - predicted) * 1e3,
            "solve": (solved - built) * 1e3,
        },
    )


def _run(
    question: Question, solver: Solver, exact: bool, ratio: float
) -> tuple[Run, ByWeights | None, StageBound | None]:
    """Return the run of a question; of a large fleet what settles its served vector, and bounds."""
    if exact:
        return solver.run(build_model(question, split_columns(question))), None, None
    if can_generate(question, solver.backend):
        run, relaxed = relax(question, solver, ratio)
        return run, relaxed.served, by_pricing(question)
    bounding = solver.run(relaxed_model(question))
    served = partial(served_by_weights, bounding=bounding, weights=weights_of(question, ratio))
    # On nodes a pool may hold fewer replicas than it has cards for: none are taken whole.
    on_nodes = question.places is not None
    columns = split_columns(question) if on_nodes else whole_columns(question)
    run = solver.run(build_model(question, columns))
    return run, served, by_relaxation(question, solver)
