"""A run of the harness and the fits to it, as a profile document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from stoker.domain.profile import EstimateKind, ModelProfile, Provenance
from stoker.domain.serving import Parallelism
from stoker.domain.timing import CaseStatus, IterationKind

if TYPE_CHECKING:
    from data.profile_document import ProfileFit
    from profiler.harness.run import HarnessRun
    from profiler.iterations import IterationFit

_GB = 1e9
_KEPT_SHARE = 0.1
"""Share of a GPU's memory that stays free, as engines leave it by default."""


def profile_of(
    harness: HarnessRun, fit: IterationFit, accelerator: str, output_tokens: int
) -> ModelProfile:
    """Return the profile that a fit gives to plan with, labelled as measured.

    Args:
        harness: The run.
        fit: A fit that was not refused.
        accelerator: Name of the accelerator in the profile.
        output_tokens: Output tokens of a request at which the batch limit holds.
    """
    assert fit.parameters is not None
    run = harness.run
    cards = run.model.tensor_parallel
    return ModelProfile(
        model=run.model.name,
        accelerator=accelerator,
        accelerators_per_replica=cards,
        max_batch=largest_batch(harness),
        at_tokens=output_tokens,
        parameters=fit.parameters,
        provenance=Provenance(EstimateKind.MEASURED, source_of(harness, fit)),
        required_memory_gb=_required_gb(harness),
        kv_tokens=harness.kv_tokens,
        parallel=Parallelism(tensor=cards) if cards > 1 else None,
    )


def largest_batch(harness: HarnessRun) -> int:
    """Return the largest decode batch that ran at any context; 1 where none did."""
    ran = [
        timing.case.decode_batch
        for timing in harness.run.timings
        if timing.status is CaseStatus.OK and timing.case.kind is IterationKind.DECODE
    ]
    return max(ran, default=1)


def _required_gb(harness: HarnessRun) -> float:
    run = harness.run
    cards = run.model.tensor_parallel
    outside = _KEPT_SHARE * (run.device.memory_bytes or 0)
    return math.ceil(cards * (run.memory.weight_bytes + outside) / _GB * 1e3) / 1e3


def source_of(harness: HarnessRun, fit: IterationFit) -> str:
    """Return the origin of a profile in words."""
    model, device = harness.run.model, harness.run.device
    on = device.name if device.count == 1 else f"{device.count} × {device.name}"
    weights = "" if model.weight_precision == model.precision else f" ({model.weight_precision})"
    parts = [
        f"Iterations timed by stoker profile run on {on}: {model.name} with random weights, "
        f"{model.precision}{weights}, {model.execution}, attention {model.attention}, "
        f"{model.cache} cache"
    ]
    if not model.whole:
        timed = " and ".join(str(count) for count in model.layers_timed)
        parts.append(f"scaled up to {model.layers} layers from {timed}")
    parts.append(f"{fit.points} iterations, mean error {_percent(fit.error)}")
    if fit.left_out_error is not None:
        parts[-1] += f", {_percent(fit.left_out_error)} on those left out"
    parts.append("without the overheads of an engine")
    software = ", ".join(each for each in (device.driver and f"driver {device.driver}",
                                           device.runtime) if each)  # fmt: skip
    parts += [software, f"code {harness.run.code}", harness.run.started_at[:10]]
    return "; ".join(parts)


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def notes_of(harness: HarnessRun) -> list[str]:
    """Return what a reader of the document should know."""
    notes = [f"{note}." if not note.endswith(".") else note for note in harness.notes]
    notes = [note[0].upper() + note[1:] for note in notes]
    model = harness.run.model
    if not model.whole:
        bent = (
            "nothing tells how straight"
            if harness.scaling_error is None
            else f"typically {harness.scaling_error:.2%} off a straight line"
        )
        counts = ", ".join(str(count) for count in model.layers_timed)
        notes.append(
            f"Times are scaled up to {model.layers} layers from {counts} by a straight line "
            f"({bent})."
        )
    if harness.doubt:
        notes.append(
            f"The time that is known least has a standard deviation of {harness.doubt:.1%}, "
            "by its weight."
        )
    return notes


def document_fits(
    fits: Sequence[IterationFit], best: IterationFit | None, accelerator: str, harness: HarnessRun
) -> list[ProfileFit]:
    """Return the fits as a document has them; the best one is that of the profile."""
    from data.profile_document import FitIntervals, ProfileFit
    from stoker.domain.curve import IterationTable

    model = harness.run.model
    deployment: dict[str, str | int] = {
        "model": model.name,
        "gpu": accelerator,
        "n_gpus": model.tensor_parallel,
        "precision": model.weight_precision,
        "engine": "stoker profile run",
    }
    told = []
    for fit in fits:
        table = fit.parameters if isinstance(fit.parameters, IterationTable) else None
        entry = ProfileFit(
            model=fit.model,
            profile=0 if fit is best else None,
            parameters=dict(fit.values),
            confidence=dict(fit.confidence),
            condition_number=fit.condition_number,
            points=fit.points,
            errors=dict(fit.errors),
            left_out_errors=dict(fit.left_out_errors),
            deployment=deployment,
            table=table,
            refusal=fit.refusal,
            untold=fit.untold,
            measure=fit.measure,
        )
        if fit.intervals is not None:
            grids = FitIntervals(fit.intervals.decode_ms, fit.intervals.prefill_ms)
            entry = replace(entry, intervals=grids)
        told.append(entry)
    return told
