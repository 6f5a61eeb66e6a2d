"""What a plan is made from: a fleet with its candidates, and settings with nothing left open."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.candidates import build_candidates, table_from_estimates
from optimizer.kept import kept_allocations
from optimizer.pooled.surge import surged
from optimizer.predictors import refuse_mixing
from optimizer.sharing.refuse import refuse_sharing
from optimizer.table import CandidateTable, IntArray
from optimizer.transition import for_mixing
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis, OptimizerSettings, SolverKind

Clock = Callable[[], float]
Predict = Callable[[Fleet, Analysis], CandidateTable]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fleet that is ready to be placed: everything is predicted, nothing decided.

    Attributes:
        fleet: The fleet, its loads times its surge.
        settings: How to plan, nothing left open.
        table: Its candidates, as they are planned with.
        kept: What stays as it runs, of servers of unknown load.
        surge: Factor on every load.
        own_predictions: Whether the predictions are Stoker's own.
        prepared_ms: Milliseconds that the preparation took.
    """

    fleet: Fleet
    settings: OptimizerSettings
    table: CandidateTable
    kept: tuple[PlannedAllocation, ...]
    surge: float
    own_predictions: bool
    prepared_ms: float

    @property
    def analysis(self) -> Analysis:
        """The analysis behind the predictions."""
        return self.settings.analysis or DEFAULT_ANALYSIS


def prepare(
    fleet: Fleet,
    settings: OptimizerSettings | None = None,
    *,
    estimates: Sequence[CandidateEstimate] | None = None,
    predict: Predict = build_candidates,
    clock: Clock = time.perf_counter,
) -> Prepared:
    """Predict the candidates of a fleet, and decide what its settings leave open.

    Args:
        fleet: What to plan for.
        settings: How to plan; None for the fleet's own settings, which also name the analysis
            where these name none.
        estimates: Somebody else's predictions to plan from in place of Stoker's own.
        predict: Returns the candidates of a fleet, as `build_candidates` does, whose predictions
            may be there already; not asked where there are estimates.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: The estimates do not fit the fleet, or a target, a router or the like is
            beyond the analysis or the way of planning.
    """
    start = clock()
    chosen = effective_settings(settings or fleet.settings, fleet.settings.analysis)
    surge = fleet.limits.headroom.surge
    if estimates is not None and surge != 1.0:
        raise InvalidInputError([_surged_estimates(surge)])
    fleet = surged(fleet)
    if estimates is None:
        refuse_mixing(fleet, chosen)
    refuse_sharing(fleet, chosen, own_predictions=estimates is None)
    # Candidates are those of each server alone, whoever may share.
    alone = replace(fleet, sharing=())
    table = candidate_table(alone, chosen, estimates=estimates, predict=predict)
    return Prepared(
        fleet=fleet,
        settings=chosen,
        table=table,
        kept=kept_allocations(fleet),
        surge=surge,
        own_predictions=estimates is None,
        prepared_ms=(clock() - start) * 1e3,
    )


def candidate_table(
    fleet: Fleet,
    settings: OptimizerSettings,
    *,
    estimates: Sequence[CandidateEstimate] | None = None,
    predict: Predict = build_candidates,
) -> CandidateTable:
    """Return the candidates of a fleet as they are planned with.

    Args:
        fleet: The fleet; its loads are taken as they are, whatever its surge.
        settings: How to plan, nothing left open (`effective_settings`).
        estimates: Somebody else's predictions in place of Stoker's own.
        predict: As for `prepare`.

    Raises:
        InvalidInputError: As `prepare`.
    """
    table = (
        predict(fleet, settings.analysis or DEFAULT_ANALYSIS)
        if estimates is None
        else table_from_estimates(fleet, estimates)
    )
    return for_mixing(table, _current_replicas(fleet)) if may_mix(settings) else table


def may_mix(settings: OptimizerSettings) -> bool:
    """Whether settings, nothing left open, let a server mix accelerators."""
    milp = settings.solver is SolverKind.MILP
    return settings.heterogeneous and not settings.unlimited and milp


def effective_settings(
    settings: OptimizerSettings, analysis: Analysis | None = None
) -> OptimizerSettings:
    """Return settings with what is left open decided: MILP, and the analysis.

    Args:
        settings: The settings.
        analysis: Analysis where they name none; None for `DEFAULT_ANALYSIS`.
    """
    return replace(
        settings,
        solver=settings.solver or SolverKind.MILP,
        analysis=settings.analysis or analysis or DEFAULT_ANALYSIS,
    )


def _current_replicas(fleet: Fleet) -> IntArray:
    """Return the replicas of each server that run now, 0 where none do."""
    return np.array(
        [server.current.replicas if server.current else 0 for server in fleet.servers],
        dtype=np.int64,
    )


def _surged_estimates(surge: float) -> Problem:
    return Problem(
        "limits.headroom.surge",
        f"{surge:g}, with predictions that were made for the load as it is",
        "1, or Stoker's own predictions",
    )
