"""Which analysis predicts, and what each cannot promise."""

from __future__ import annotations

from optimizer.engine_replicas import EnginePredictor
from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import Predictor
from optimizer.replicas import ReferencePredictor
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT
from stoker.domain.settings import Analysis, PlanningRules

_MEANS = (MEAN_TTFT, MEAN_ITL)


def predictor_of(analysis: Analysis, arrays: FleetArrays, rules: PlanningRules) -> Predictor:
    """Return the analysis of the replicas of a fleet."""
    if analysis is Analysis.REFERENCE:
        return ReferencePredictor(arrays, rules.max_blocking)
    return EnginePredictor(arrays, rules.max_blocking)


def refuse_beyond(fleet: Fleet, analysis: Analysis) -> None:
    """Refuse targets that an analysis knows nothing of.

    Raises:
        InvalidInputError: Naming every target of a percentile or of E2E, where the analysis is the
            reference's, which works on means of TTFT and ITL.
    """
    if analysis is not Analysis.REFERENCE:
        return
    problems = [
        Problem(
            f"service_classes.{item.name}.{target.model}",
            f"a target of the {statistic} is beyond the analysis {analysis.value}, which knows the "
            "means of TTFT and ITL alone",
            f"such targets with the analysis {Analysis.FULL.value} (--analysis full)",
        )
        for item in fleet.service_classes
        for target in item.targets
        if not target.on_means_alone
        for statistic, _ in target.limits()
        if statistic not in _MEANS
    ]
    if problems:
        raise InvalidInputError(problems)
