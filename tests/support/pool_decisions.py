"""Decisions of the exact model over pools, for tests."""

from __future__ import annotations

import time
from functools import partial

from hypothesis import HealthCheck

from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import Decision, decide
from optimizer.pooled.generating import can_generate, relax
from optimizer.pooled.large import relaxed_model, whole_columns
from optimizer.pooled.model import build_model
from optimizer.pooled.prune import needed_options
from optimizer.pooled.question import Question
from optimizer.pooled.run import Run, Solver
from optimizer.pooled.stage_bounds import by_pricing, by_relaxation
from optimizer.pooled.weights import served_by_weights, weights_of

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def decision_of(question: Question) -> Decision:
    model = build_model(question, split_columns(question))
    run = Run(model, "HiGHS", 1e-9, time.perf_counter() + 60.0, time.perf_counter)
    return decide(run)


def pruned(question: Question) -> Question:
    return question.with_options(needed_options(question))


def large_decision(question: Question, ratio: float = 10.0) -> Decision:
    """Decide a question as one of a large fleet, whose served vector is settled by weights."""
    solver = Solver("HiGHS", 1e-9, time.perf_counter() + 60.0, time.perf_counter)
    if can_generate(question, solver.backend):
        run, relaxed = relax(question, solver, ratio)
        return decide(run, by_weights=relaxed.served, stage_bound=by_pricing(question))
    served = partial(
        served_by_weights,
        bounding=solver.run(relaxed_model(question)),
        weights=weights_of(question, ratio),
    )
    on_nodes = question.places is not None
    columns = split_columns(question) if on_nodes else whole_columns(question)
    run = solver.run(build_model(question, columns))
    return decide(run, by_weights=served, stage_bound=by_relaxation(question, solver))
