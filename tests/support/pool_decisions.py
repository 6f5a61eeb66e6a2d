"""Decisions of the exact model over pools, for tests."""

from __future__ import annotations

import time

from hypothesis import HealthCheck

from optimizer.pooled.columns import split_columns
from optimizer.pooled.decide import Decision, decide
from optimizer.pooled.model import build_model
from optimizer.pooled.prune import needed_options
from optimizer.pooled.question import Question
from optimizer.pooled.run import Run

RELAXED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def decision_of(question: Question) -> Decision:
    model = build_model(question, split_columns(question))
    run = Run(model, "HiGHS", 1e-9, time.perf_counter() + 60.0, time.perf_counter)
    return decide(run)


def pruned(question: Question) -> Question:
    return question.with_options(needed_options(question))
