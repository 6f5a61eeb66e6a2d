"""The way in: measured rows to fitted profiles, and profiles to predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np

from profiler.fit.confidence import Confidence, confidence
from profiler.fit.families import FAMILIES, family_named
from profiler.fit.forecast import Forecast, forecast
from profiler.fit.observations import Excluded, Role, observe, role
from profiler.fit.parameters import CONDITIONS, Family
from profiler.fit.points import Points
from profiler.fit.problem import DELAYS, candidate_of, candidate_of_table
from profiler.fit.result import CurveFit, FitError, FitResult, Refusal
from profiler.fit.scoring import cross_validate, errors, summarize
from profiler.fit.shapes import load_levels, shapes
from profiler.fit.solve import Fitted, solve
from profiler.fit.tabulate import with_bands
from queueing.arrays import IntArray
from stoker.domain.curve import IterationTable
from stoker.domain.measurement import GROUP_FIELDS, Measurement

BEST = "best"
"""In place of a model: the one that predicts left-out rows best."""
MODELS = (*FAMILIES, BEST)


class CrossValidation(StrEnum):
    """What is left out of a fit to see whether it predicts it."""

    SHAPE = "shape"
    """All rows of one shape of requests."""
    LOAD = "load"
    """The rows of one level of load of every shape."""
    NONE = "none"


def fit_groups(
    rows: Sequence[Measurement],
    model: str = BEST,
    *,
    group_by: tuple[str, ...] = GROUP_FIELDS,
    cross_validation: CrossValidation = CrossValidation.SHAPE,
    assume_usual: bool = False,
) -> list[FitResult]:
    """Fit each deployment among the rows by itself, in the order of first appearance.

    Args:
        rows: measured operating points, open and closed loop together.
        model: one of `MODELS`.
        group_by: fields of `GROUP_FIELDS` that tell deployments apart.
        cross_validation: what is left out of the fits that are scored.
        assume_usual: as in `fit`.

    Raises:
        ValueError: unknown model or field.
    """
    groups: dict[tuple[str | int | None, ...], list[Measurement]] = {}
    for row in rows:
        groups.setdefault(tuple(row.group(group_by).values()), []).append(row)
    return [
        fit(
            members,
            model,
            group=members[0].group(group_by),
            cross_validation=cross_validation,
            assume_usual=assume_usual,
        )
        for members in groups.values()
    ]


def fit(
    rows: Sequence[Measurement],
    model: str = BEST,
    *,
    group: Mapping[str, str | int | None] | None = None,
    cross_validation: CrossValidation = CrossValidation.SHAPE,
    assume_usual: bool = False,
) -> FitResult:
    """Fit a model to the rows of one deployment.

    Args:
        rows: measured operating points, open and closed loop together.
        model: one of `MODELS`.
        group: fields that identify the deployment; those of the first row by default.
        cross_validation: what is left out of the fits that are scored.
        assume_usual: let usual values stand for parameters that the rows do not tell, where there
            are any, in place of a refusal.

    Returns:
        The fit, or a refusal that says which operating points would identify the model.

    Raises:
        ValueError: unknown model.
    """
    named = group if group is not None else (rows[0].group() if rows else {})
    if model != BEST:
        return _fit_family(family_named(model), rows, named, cross_validation, assume_usual)
    results = [
        _fit_family(family, rows, named, cross_validation, assume_usual)
        for family in FAMILIES.values()
    ]
    return min(results, key=_rank)


def predict(
    model: str,
    parameters: Mapping[str, float],
    rows: Sequence[Measurement],
    table: IterationTable | None = None,
) -> Forecast:
    """Predict operating points from their load, lengths and duration; latencies are not looked at.

    Args:
        model: name of a service-time model.
        parameters: by name, as fitted; delays and conditions that are absent have no effect.
        rows: operating points, measured or planned.
        table: the iteration times of a `curve`, which are not among its parameters.

    Raises:
        ValueError: unknown model, a parameter or table missing or unknown, a row without a usable
            load.
    """
    family = family_named(model)
    if bool(family.corrections) != (table is not None):
        raise ValueError(f"model is {model} (allowed: curve with a table, others without)")
    if table is not None:
        points = Points.of(rows)
        return forecast(points, candidate_of_table(table, parameters, len(points)))
    known = {p.name for p in family.parameters} | {p.name for p in CONDITIONS}
    needed = {p.name for p in family.parameters if not p.name.startswith("first_token")}
    if problem := (needed - set(parameters)) or (set(parameters) - known):
        raise ValueError(
            f"parameters of {model}: {', '.join(sorted(problem))} missing or unknown "
            f"(allowed: {', '.join(sorted(known))})"
        )
    points = Points.of(rows)
    columns = {name: np.full(len(points), value) for name, value in parameters.items()}
    return forecast(points, candidate_of(family, columns, len(points)))


def _fit_family(
    family: Family,
    rows: Sequence[Measurement],
    group: Mapping[str, str | int | None],
    cross_validation: CrossValidation,
    assume_usual: bool,
) -> FitResult:
    roles = [role(row) for row in rows]
    excluded = tuple(
        Excluded(row.name or f"row {index + 1}", reason)
        for index, (row, (_, reason)) in enumerate(zip(rows, roles, strict=True))
        if reason
    )
    used = [index for index, (what, _) in enumerate(roles) if what is not Role.NOTHING]
    kept = [rows[index] for index in used]
    figures = 2 * sum(roles[index][0] is Role.LATENCY for index in used)
    needed = [p for p in family.parameters if p.remedy]
    if figures < len(needed) + 1:
        return _refused(family, group, excluded, len(kept), _too_few(family, figures // 2))
    points, observed = Points.of(kept), observe(kept, [roles[index][0] for index in used])
    fitted = solve(family, points, observed)
    trust = confidence(fitted.problem, fitted.solution.logs)
    usual = {p.name for p in family.parameters if p.usual is not None}
    if set(trust.untold) - (usual if assume_usual else set()):
        return _refused(family, group, excluded, len(kept), _blurred(family, trust))
    parameters, intervals, curve = _told(fitted, trust)
    folds = _folds(cross_validation, points)
    validated, count = (
        cross_validate(family, points, observed, folds, fitted) if folds is not None else (None, 0)
    )
    return FitResult(
        group,
        family.name,
        parameters,
        intervals,
        trust.condition_number,
        len(kept),
        summarize(*errors(fitted, points, observed)),
        validated,
        count,
        excluded,
        curve=curve,
    )


def _folds(cross_validation: CrossValidation, points: Points) -> IntArray | None:
    """Return the fold of each point; None where there is nothing to leave out."""
    if cross_validation is CrossValidation.NONE:
        return None
    shape = cross_validation is CrossValidation.SHAPE
    folds = shapes(points) if shape else load_levels(points)
    return folds if len(np.unique(folds)) > 1 else None


def _told(
    fitted: Fitted, trust: Confidence
) -> tuple[dict[str, float], dict[str, tuple[float, float]], CurveFit | None]:
    """Return parameters, their intervals, and the table of a curve; that holds most of its own."""
    ends = zip(fitted.problem.names, trust.low, trust.high, strict=True)
    intervals = {name: (float(low), float(high)) for name, low, high in ends}
    table = fitted.table()
    if table is None:
        return fitted.values, intervals, None
    problem = fitted.problem
    curve = with_bands(table, problem, fitted.solution.logs, trust.covariance)
    own = {p.name for p in (*problem.family.parameters, *problem.family.corrections)}
    kept = {name for name in problem.names if name not in own or name in DELAYS}
    parameters = {name: value for name, value in fitted.values.items() if name in kept}
    bands = {name: band for name, band in intervals.items() if name in kept}
    both = {"shared_ms": table.shared_ms} | parameters, {"shared_ms": curve.shared_ms} | bands
    return *both, curve


def _refused(
    family: Family,
    group: Mapping[str, str | int | None],
    excluded: tuple[Excluded, ...],
    rows: int,
    refusal: Refusal,
) -> FitResult:
    nothing = FitError(None, None, 0)
    return FitResult(group, family.name, {}, {}, None, rows, nothing, None, 0, excluded, refusal)


def _too_few(family: Family, rows: int) -> Refusal:
    told = tuple(p for p in family.parameters if p.remedy)
    return Refusal(
        f"{rows} usable operating points cannot tell the {len(told)} parameters of {family.name}",
        tuple(p.name for p in told),
        tuple(dict.fromkeys(p.remedy for p in told)),
    )


def _blurred(family: Family, trust: Confidence) -> Refusal:
    remedies = {p.name: p.remedy for p in family.parameters}
    names = ", ".join(trust.untold)
    return Refusal(
        f"the operating points do not tell {names} of {family.name} from the other parameters",
        trust.untold,
        tuple(dict.fromkeys(remedies[name] for name in trust.untold if remedies.get(name))),
    )


def _rank(result: FitResult) -> tuple[bool, float]:
    """Order results: fits before refusals, then by the error on left-out rows."""
    judged = result.cross_validated if result.cross_validated is not None else result.error
    return result.refusal is not None, judged.score
