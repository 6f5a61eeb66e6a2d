"""Which analysis predicts, and what each cannot promise."""

from __future__ import annotations

import numpy as np

from optimizer.configurations.engine_groups import EngineGroups
from optimizer.engine_replicas import EnginePredictor
from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import Predictor
from optimizer.remedies import count_of, some_names
from optimizer.replicas import ReferencePredictor
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT
from stoker.domain.profile import OverlapParameters
from stoker.domain.routing import Router
from stoker.domain.serving import Serving
from stoker.domain.settings import Analysis, OptimizerSettings, PlanningRules, SolverKind
from stoker.domain.workload import Load

_MEANS = (MEAN_TTFT, MEAN_ITL)

_BEYOND: dict[type, str] = {
    IterationTable: "a measured curve is",
    OverlapParameters: "overlap parameters are",
}
"""Parameters that the reference has no formula for, in words."""


def predictor_of(analysis: Analysis, arrays: FleetArrays, rules: PlanningRules) -> Predictor:
    """Return the analysis of the replicas of a fleet."""
    engine: Predictor = (
        ReferencePredictor(arrays, rules.max_blocking)
        if analysis is Analysis.REFERENCE
        else EnginePredictor.of(arrays, rules.max_blocking)
    )
    engines = arrays.profiles.engines
    return EngineGroups(engine, engines) if np.any(engines > 1) else engine


def refuse_beyond(fleet: Fleet, analysis: Analysis) -> None:
    """Refuse what an analysis knows nothing of.

    Raises:
        InvalidInputError: Naming every target of a percentile or of E2E, every profile whose
            parameters the reference has no formula for, and every router, every choice of a batch
            limit and all disaggregated serving, where the analysis is the reference's.
    """
    if analysis is not Analysis.REFERENCE:
        return
    problems = [
        Problem(
            f"service_classes.{item.name}.{target.model}.{statistic.path}",
            f"a target of {statistic} is beyond the analysis {analysis.value}, which knows the "
            "means of TTFT and ITL alone",
            f"such targets with the analysis {Analysis.FULL.value} (--analysis full)",
        )
        for item in fleet.service_classes
        for target in item.targets
        if not target.on_means_alone
        for statistic, _ in target.limits()
        if statistic not in _MEANS
    ]
    problems += [
        Problem(
            f"profiles.{item.model}.{item.accelerator}",
            f"{_BEYOND[type(item.parameters)]} beyond the analysis {analysis.value}",
            f"linear or token-work parameters; or the analysis {Analysis.FULL.value} "
            "(--analysis full)",
        )
        for item in fleet.profiles
        if type(item.parameters) in _BEYOND
    ]
    problems += [
        Problem(
            f"servers.{item.name}.{field}",
            f"{value} is beyond the analysis {analysis.value}",
            f"{allowed}; or the analysis {Analysis.FULL.value} (--analysis full)",
        )
        for item in fleet.servers
        for field, value, allowed, given in (
            ("router", item.router.label, Router.RANDOM.label, item.router is not Router.RANDOM),
            ("max_batch", "auto", "a number, numbers, or nothing", item.choose_batch),
            (
                "serving",
                Serving.DISAGGREGATED.value,
                Serving.AGGREGATED.value,
                Serving.DISAGGREGATED in item.serving,
            ),
        )
        if given
    ]
    if problems:
        raise InvalidInputError(problems)


def refuse_mixing(fleet: Fleet, settings: OptimizerSettings) -> None:
    """Refuse routers, disaggregated serving and slices in plans that may mix accelerators.

    Which replica a router prefers then depends on the accelerators behind it, and what two pools
    carry is not a sum over their replicas, nor are the cards that slices take.

    Raises:
        InvalidInputError: Naming every server with another router than a random split, or with
            disaggregated serving, and every slice, where a server may mix accelerators.
    """
    mixing = settings.heterogeneous and not settings.unlimited
    if mixing and settings.solver is not SolverKind.GREEDY:
        problems = [
            Problem(
                f"servers.{item.name}.{field}",
                f"{value} is beyond plans that mix accelerators",
                f"{allowed}; or a plan that does not (--no-heterogeneous)",
            )
            for item in fleet.servers
            for field, value, allowed, given in (
                (
                    "router",
                    item.router.label,
                    Router.RANDOM.label,
                    item.router is not Router.RANDOM,
                ),
                (
                    "serving",
                    Serving.DISAGGREGATED.value,
                    Serving.AGGREGATED.value,
                    Serving.DISAGGREGATED in item.serving,
                ),
            )
            if given
        ]
        problems += _sliced(fleet, "plans that mix accelerators")
        if problems:
            raise InvalidInputError(problems)


def _sliced(fleet: Fleet, plans: str) -> list[Problem]:
    """Return that slices are beyond some plans, one problem each."""
    return [
        Problem(
            f"accelerators.{item.name}.slice",
            f"slices of cards are beyond {plans}",
            "whole cards; or a plan without",
        )
        for item in fleet.accelerators
        if item.slice is not None
    ]


def unheeded_notes(fleet: Fleet, analysis: Analysis) -> tuple[str, ...]:
    """Return what a reader should know of figures of a fleet that an analysis does not heed."""
    if analysis is not Analysis.REFERENCE:
        return ()
    varying = [item.name for item in fleet.servers if item.load and _varies(item.load)]
    bounded = [f"{item.model} on {item.accelerator}" for item in fleet.profiles if item.kv_tokens]
    return tuple(
        f"the analysis {analysis.value} does not heed {words} of "
        f"{count_of(len(names), noun)} ({some_names(names)})"
        for words, noun, names in (
            ("variability and prefix hits", "load", varying),
            ("the KV memory", "profile", bounded),
        )
        if names
    )


def _varies(load: Load) -> bool:
    return bool(
        load.arrival_cv != 1
        or load.input_tokens_cv
        or load.output_tokens_cv
        or load.prefix_hit_rate
    )
