"""From values to a profile document, without the values that are defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from data.measurements.row_writing import row_document
from data.profile_document.curves import curves_of
from data.profile_document.schema import DOCUMENT_KIND, DOCUMENT_VERSION
from data.profile_document.values import (
    FitIntervals,
    ProfileDocument,
    ProfileFit,
    TimedCurve,
    TimedOn,
)
from data.stoker_writing import curve_document, number, profile_entry
from data.yaml_writer import to_yaml
from stoker.domain.measurement import Measurement
from stoker.domain.profile import ModelProfile
from stoker.domain.timing import CaseTiming, TimedDevice, TimedMemory, TimedModel, TimingRun


def profile_document(
    profiles: Sequence[ModelProfile],
    *,
    run: TimingRun | None = None,
    fits: Sequence[ProfileFit] = (),
    rows: Sequence[Measurement] = (),
    name: str = "",
    notes: Sequence[str] = (),
) -> dict[str, object]:
    """Return a document of profiles and what they rest on.

    Args:
        profiles: Profiles to plan with.
        run: The timed iterations behind them; its curves are derived.
        fits: Fits of all models that were tried, those that were refused included.
        rows: Measured operating points behind the fits.
        name: Name of the document.
        notes: What a reader should know.
    """
    timings = () if run is None else run.timings
    return entry_of_document(
        ProfileDocument(
            tuple(profiles),
            tuple(fits),
            None if run is None else TimedOn.of(run),
            tuple(timings),
            curves_of(timings),
            tuple(rows),
            name,
            tuple(notes),
        )
    )


def entry_of_document(document: ProfileDocument) -> dict[str, object]:
    """Return a document as mappings, lists, text and numbers, which read back as the same one."""
    on = document.measured_on
    sections: dict[str, object] = {
        "version": DOCUMENT_VERSION,
        "document": DOCUMENT_KIND,
        "name": document.name,
        "notes": list(document.notes),
        "profiles": [_profile(item) for item in document.profiles],
        "fits": [_fit(item) for item in document.fits],
        "measured_on": {} if on is None else _measured_on(on),
        "timings": [_timing(item) for item in document.timings],
        "curves": [_curve(item) for item in document.curves],
        "rows": [row_document(item) for item in document.rows],
    }
    return {key: value for key, value in sections.items() if value or key == "profiles"}


def document_text(document: Mapping[str, object], *, as_json: bool = False) -> str:
    """Return a document as YAML or JSON."""
    if as_json:
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return to_yaml(dict(document))


def _told(**values: object) -> dict[str, object]:
    """Return the values that say something: neither unknown nor empty."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def _profile(item: ModelProfile) -> dict[str, object]:
    entry = profile_entry(item)
    if item.parallel is not None:
        # Without a fleet nobody knows the cards of a unit.
        entry["accelerators_per_replica"] = item.accelerators_per_replica
    return entry


def _fit(item: ProfileFit) -> dict[str, object]:
    return _told(
        model=item.model,
        profile=item.profile,
        parameters=_numbers(item.parameters),
        confidence={
            name: [number(low), number(high)] for name, (low, high) in item.confidence.items()
        },
        condition_number=_finite(item.condition_number),
        points=item.points or None,
        errors=_numbers(item.errors),
        left_out_errors=_numbers(item.left_out_errors),
        deployment=dict(item.deployment),
        table=None if item.table is None else curve_document(item.table),
        intervals=None if item.intervals is None else _intervals(item.intervals),
        refusal=item.refusal,
        untold=list(item.untold),
        measure=list(item.measure),
    )


def _finite(value: float | None) -> float | int | None:
    """Return a number; None for infinity, which JSON cannot say and tells no more than unknown."""
    return None if value is None or not math.isfinite(value) else number(value)


def _numbers(values: Mapping[str, float]) -> dict[str, object]:
    return {name: number(value) for name, value in values.items()}


def _intervals(item: FitIntervals) -> dict[str, object]:
    return {
        name: [
            [[number(one), number(other)] for one, other in zip(*row, strict=True)]
            for row in zip(low, high, strict=True)
        ]
        for name, (low, high) in (("decode_ms", item.decode_ms), ("prefill_ms", item.prefill_ms))
    }


def _measured_on(item: TimedOn) -> dict[str, object]:
    return {
        "model": _model(item.model),
        "device": _device(item.device),
        "memory": _memory(item.memory),
        "code": item.code,
        "started_at": item.started_at,
        "seed": item.seed,
    }


def _model(item: TimedModel) -> dict[str, object]:
    document: dict[str, object] = {
        "name": item.name,
        "layers": item.layers,
        "layers_timed": list(item.layers_timed),
        "precision": item.precision,
        "weight_precision": item.weight_precision,
        "attention": item.attention,
        "cache": item.cache,
        "execution": item.execution,
    }
    return document | (
        {"tensor_parallel": item.tensor_parallel} if item.tensor_parallel > 1 else {}
    )


def _device(item: TimedDevice) -> dict[str, object]:
    return _told(
        name=item.name,
        accelerator=item.accelerator,
        count=item.count,
        memory_bytes=item.memory_bytes,
        driver=item.driver,
        runtime=item.runtime,
        idle_power_w=number(item.idle_power_w),
    )


def _memory(item: TimedMemory) -> dict[str, object]:
    document: dict[str, object] = {
        "weight_bytes": item.weight_bytes,
        "kv_bytes_per_token": item.kv_bytes_per_token,
    }
    batches = [
        {"context_tokens": context, "batch": batch} for context, batch in item.largest_batches
    ]
    return document | ({"largest_batches": batches} if batches else {})


def _timing(item: CaseTiming) -> dict[str, object]:
    case = item.case
    document: dict[str, object] = {
        key: value
        for key, value in (
            ("prefill_tokens", case.prefill_tokens),
            ("prefix_tokens", case.prefix_tokens),
            ("decode_batch", case.decode_batch),
            ("context_tokens", case.context_tokens),
        )
        if value
    }
    return document | _told(
        status=item.status.value,
        median_ms=number(item.median_ms),
        spread_ms=number(item.spread_ms),
        reason=item.reason,
        clock_mhz=number(item.clock_mhz),
        temperature_c=number(item.temperature_c),
        power_w=number(item.power_w),
        memory_bytes=item.memory_bytes,
        samples_ms=[number(value) for value in item.samples_ms],
        outliers=list(item.outliers),
    )


def _curve(item: TimedCurve) -> dict[str, object]:
    return _told(
        kind=item.kind.value,
        over=item.over,
        context_tokens=item.context_tokens,
        prefix_tokens=item.prefix_tokens,
        at=list(item.at),
        median_ms=[number(value) for value in item.median_ms],
        spread_ms=[number(value) for value in item.spread_ms],
        tokens_per_s=[number(value) for value in item.tokens_per_s],
    )
