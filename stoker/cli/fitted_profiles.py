"""Fits as profiles: what planning and `stoker predict` read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from statistics import median
from typing import TYPE_CHECKING

from stoker.domain.measurement import LoadKind, Measurement
from stoker.domain.profile import (
    DEFAULT_TOKEN_BUDGET,
    EstimateKind,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    ServiceParameters,
    TokenWorkParameters,
)

if TYPE_CHECKING:
    from data.profile_document import ProfileFit
    from profiler.fit import FitError, FitResult

_RUNS = ("wave_share", "turnover_share", "kv_tokens", "miss_share")
"""Parameters of the runs or of the memory, and not of the time of iterations."""

_MOST_FILES = 3


def fitted_profile(
    result: FitResult, rows: Sequence[Measurement], files: Sequence[str], made_on: date
) -> ModelProfile:
    """Return the profile of a fit.

    The batch limit is the one recorded with the rows; where none was, the most requests that were
    seen in the system, beyond which nothing was measured.

    Args:
        result: A fit that was not refused.
        rows: The rows of its deployment.
        files: Names of the files they came from.
        made_on: Day of the fit, for the provenance.
    """
    first = rows[0]
    memory = result.parameters.get("kv_tokens")
    budgets = [row.max_num_batched_tokens for row in rows if row.max_num_batched_tokens]
    return ModelProfile(
        model=first.model,
        accelerator=first.gpu,
        accelerators_per_replica=first.n_gpus,
        max_batch=_batch_limit(rows),
        at_tokens=max(1, round(median(row.out_tokens for row in rows))),
        parameters=_parameters(result),
        provenance=Provenance(EstimateKind.FITTED, _source(result, first, files, made_on)),
        kv_tokens=None if memory is None else round(memory),
        token_budget=max(set(budgets), key=budgets.count) if budgets else DEFAULT_TOKEN_BUDGET,
    )


_FORMS: Mapping[str, Callable[..., ServiceParameters]] = {
    "linear": LinearParameters,
    "token-work": TokenWorkParameters,
    "overlap": OverlapParameters,
}


def _parameters(result: FitResult) -> ServiceParameters:
    if result.table is not None:
        return result.table
    return _FORMS[result.model](
        **{name: _rounded(value) for name, value in result.parameters.items() if name not in _RUNS}
    )


def _batch_limit(rows: Sequence[Measurement]) -> int:
    recorded = [row.max_batch for row in rows if row.max_batch is not None]
    if recorded:
        return max(recorded)
    seen = [row.concurrency_mean or 0.0 for row in rows]
    clients = [row.load for row in rows if row.load_kind is LoadKind.CONCURRENCY]
    return max(1, math.ceil(max([*seen, *clients])))


def _source(result: FitResult, row: Measurement, files: Sequence[str], made_on: date) -> str:
    """Return the origin of a profile in words, with its errors."""
    named = ", ".join(files[:_MOST_FILES])
    rest = f" and {len(files) - _MOST_FILES} more files" if len(files) > _MOST_FILES else ""
    server = ", ".join(part for part in (row.engine, row.precision) if part)
    errors = f"mean error TTFT {_share(result.error.ttft)}, ITL {_share(result.error.itl)}"
    if result.cross_validated is not None:
        left_out = result.cross_validated
        errors += f"; on rows left out {_share(left_out.ttft)}, {_share(left_out.itl)}"
    where = f" ({server})" if server else ""
    return f"{result.n} rows of {named}{rest}{where}; {errors}; {made_on.isoformat()}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def fit_record(result: FitResult, profile: int | None) -> ProfileFit:
    """Return a fit as profile documents keep it.

    Args:
        result: A fit, or the refusal of one.
        profile: Index of its profile in the document; None where it has none.
    """
    from data.profile_document import FitIntervals, ProfileFit

    refusal, curve, left_out = result.refusal, result.curve, result.cross_validated
    return ProfileFit(
        model=result.model,
        profile=profile,
        parameters={name: _rounded(value) for name, value in result.parameters.items()},
        confidence={
            name: (_rounded(low), _rounded(high)) for name, (low, high) in result.confidence.items()
        },
        condition_number=(
            None if result.condition_number is None else _rounded(result.condition_number)
        ),
        points=result.n,
        errors=_errors(result.error),
        left_out_errors={} if left_out is None else _errors(left_out),
        deployment={name: value for name, value in result.group.items() if value is not None},
        table=None if curve is None else curve.table,
        intervals=None if curve is None else FitIntervals(curve.decode_ms, curve.prefill_ms),
        refusal="" if refusal is None else refusal.reason,
        untold=() if refusal is None else refusal.parameters,
        measure=() if refusal is None else refusal.remedies,
    )


def _errors(error: FitError) -> dict[str, float]:
    figures = {"ttft": error.ttft, "itl": error.itl}
    return {name: _rounded(value) for name, value in figures.items() if value is not None}


def _rounded(value: float) -> float:
    """Return a number to six digits: more are noise in anything fitted."""
    return float(f"{value:.6g}")


def fitted_document(
    results: Sequence[FitResult],
    groups: Sequence[Sequence[Measurement]],
    files: Sequence[str],
    made_on: date,
) -> dict[str, object]:
    """Return the document of fits: a profile of each that was not refused, and what all found.

    Args:
        results: The fits.
        groups: The rows of each deployment.
        files: Names of the files they came from.
        made_on: Day of the fit, for the provenance.
    """
    from data.profile_document import profile_document

    profiles: list[ModelProfile] = []
    fits: list[ProfileFit] = []
    for result, rows in zip(results, groups, strict=True):
        if result.refusal is None:
            fits.append(fit_record(result, len(profiles)))
            profiles.append(fitted_profile(result, rows, files, made_on))
        else:
            fits.append(fit_record(result, None))
    return profile_document(profiles, fits=fits)
