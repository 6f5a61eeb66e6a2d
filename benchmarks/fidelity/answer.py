"""An outcome in plain form."""

from __future__ import annotations

import math

from benchmarks.fidelity.campaign import Outcome
from benchmarks.fidelity.case import Json
from benchmarks.fidelity.comparison import JUDGED
from benchmarks.fidelity.sizing import SizingVerdict


def answer(outcome: Outcome) -> dict[str, Json]:
    """Return verdicts, sizing, and every point with its simulation and its errors."""
    sizing = SizingVerdict.of(outcome.sized)
    verdicts: list[Json] = [
        {
            "figure": verdict.judged.name,
            "median": _number(verdict.errors.median),
            "p90": _number(verdict.errors.high),
            "formulas": {"median": _number(alone.errors.median), "p90": _number(alone.errors.high)},
            "holds": verdict.holds,
        }
        for verdict, alone in zip(outcome.full.verdicts(), outcome.formulas.verdicts(), strict=True)
    ]
    errors = {judged.name: outcome.full.signed(judged.figure) for judged in JUDGED}
    points: list[Json] = [
        {
            "replica": item.point.replica.to_json(),
            "load": item.point.load,
            "seed": item.point.seed,
            "saturation_rps": item.saturation_rps,
            "simulated": item.truth.to_json(),
            "errors": {name: _number(float(values[index])) for name, values in errors.items()},
        }
        for index, item in enumerate(outcome.full.measured)
    ]
    return {
        "points": outcome.settings.points,
        "seed": outcome.settings.seed,
        "verdicts": verdicts,
        "sizing": {
            "replicas": sizing.replicas,
            "found": sizing.found,
            "kept": sizing.kept,
            "broken": sizing.broken,
            "worst": _number(sizing.worst),
        },
        "operating_points": points,
        "sized_replicas": [
            {
                "replica": item.promise.replica.to_json(),
                "saturation_rps": item.promise.saturation_rps,
                "p95_ttft_ms": item.promise.ttft_ms,
                "p95_itl_ms": _number(item.promise.itl_ms),
                "rate_rps": item.rate_rps,
                "over_target": _number(item.at_rate),
                "over_target_beyond": _number(item.beyond),
            }
            for item in outcome.sized
        ],
    }


def _number(value: float) -> Json:
    """Return a number, or null for what is unknown or beyond all numbers."""
    return value if math.isfinite(value) else None
