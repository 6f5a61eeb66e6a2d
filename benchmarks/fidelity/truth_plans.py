"""How far plans with a shipped profile are from measurements on a real accelerator.

Usage: ``python -m benchmarks.fidelity.truth_plans [FOLDER]``, with the folder of the measurements
(``../shared/truth`` by default). Every steady open-loop row of Llama-3.1-8B on one H100 is a server
of one replica under the load that was carried; its plan tells mean TTFT and ITL.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.fidelity.truth import SHAPES
from benchmarks.fidelity.truth_rows import TRUTH, rows_of
from data.profiles import find_shipped
from optimizer.planner import plan_fleet
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.measurement import LoadKind, Measurement
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load

PROFILE = "llama-3.1-8b/h100/vllm-bf16"


@dataclass(frozen=True, slots=True)
class PlannedErrors:
    """Relative errors, |planned - measured| / measured, of mean TTFT and mean ITL."""

    ttft: tuple[float, ...]
    itl: tuple[float, ...]


def planned_errors(path: Path = TRUTH, name: str = PROFILE) -> PlannedErrors:
    """Return the errors of plans with a shipped profile."""
    rows = [
        row
        for row in rows_of(path / SHAPES)
        if row.load_kind is LoadKind.RATE and row.quality == "ok"
    ]
    plan = plan_fleet(_fleet(rows, find_shipped(name).profile))
    planned = {item.server: item for item in plan.allocations}
    ttft: list[float] = []
    itl: list[float] = []
    for index, row in enumerate(rows):
        item = planned[f"s{index}"]
        for told, measured, errors in (
            (item.ttft_ms, row.ttft.mean_ms, ttft),
            (item.itl_ms, row.itl.mean_ms, itl),
        ):
            if measured:
                errors.append(abs((told or 0.0) / measured - 1.0))
    return PlannedErrors(tuple(ttft), tuple(itl))


def _fleet(rows: Sequence[Measurement], profile: ModelProfile) -> Fleet:
    return Fleet(
        currency="USD",
        accelerators=(Accelerator("a", "a", 1, 1.0),),
        capacity=(Capacity("a", len(rows)),),
        profiles=(replace(profile, model="m", accelerator="a", configuration=""),),
        service_classes=(ServiceClass("c", 1, (SloTarget("m", 1e7, 1e6, None),)),),
        servers=tuple(_server(f"s{index}", row) for index, row in enumerate(rows)),
        settings=OptimizerSettings(unlimited=True, analysis=Analysis.FULL),
    )


def _server(name: str, row: Measurement) -> Server:
    load = Load(
        row.throughput_rps or row.load,
        row.in_tokens,
        row.out_tokens,
        arrival_cv=row.interarrival_cv,
        input_tokens_cv=(row.in_tokens_std or 0.0) / row.in_tokens,
        output_tokens_cv=(row.out_tokens_std or 0.0) / row.out_tokens,
    )
    return Server(
        name=name, service_class="c", model="m", load=load, min_replicas=1, max_replicas=1
    )


def main() -> int:
    """Print mean and median errors."""
    errors = planned_errors(Path(sys.argv[1]) if len(sys.argv) > 1 else TRUTH)
    for name, values in (("TTFT", errors.ttft), ("ITL", errors.itl)):
        mean, median = float(np.mean(values)), float(np.median(values))
        print(f"{name}: {len(values)} points, mean error {mean:.1%}, median {median:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
