"""A throughput grid from a profile: the most that a replica carries within targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.measurements.grids import ThroughputGrid
from data.measurements.profiles import FittedProfile
from profiler.fit import predict
from stoker.domain.measurement import Arrival, LoadKind, Measurement
from stoker.domain.profile import ModelProfile


@dataclass(frozen=True, slots=True)
class GridTargets:
    """Largest means that a rate of a grid may come with; None promises nothing.

    Attributes:
        e2e_s: Time from arrival to last token.
        ttft_s: Time to first token.
        tpot_s: Time for each further token.
    """

    e2e_s: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None

    @property
    def told(self) -> dict[str, float]:
        """The targets in AIBrix's names and units."""
        named = {"e2e": self.e2e_s, "ttft": self.ttft_s, "tpot": self.tpot_s}
        return {"percentile": 0.0} | {
            name: value for name, value in named.items() if value is not None
        }


def throughput_grid(
    profile: ModelProfile,
    input_tokens: Sequence[int],
    output_tokens: Sequence[int],
    targets: GridTargets | None = None,
    cost_per_hour: float | None = None,
) -> ThroughputGrid:
    """Return what a replica carries, length by length: the best of closed loops within the targets.

    Clients go from 1 to the batch limit in steps of a factor of 1.4, and as far as the KV memory
    holds them. A cell in which one client alone misses a target has the rate 0.

    Args:
        profile: The profile.
        input_tokens: Input lengths, ascending.
        output_tokens: Output lengths, ascending.
        targets: What the rates must keep.
        cost_per_hour: Price of the replica.
    """
    wanted = targets or GridTargets()
    named = FittedProfile.of(profile)
    rates, responses, firsts = [], [], []
    for output in output_tokens:
        cells = [_cell(named, given, output, wanted) for given in input_tokens]
        rates.append(tuple(cell[0] for cell in cells))
        responses.append(tuple(cell[1] for cell in cells))
        firsts.append(tuple(cell[2] for cell in cells))
    return ThroughputGrid(
        profile.accelerator,
        cost_per_hour,
        tuple(input_tokens),
        tuple(output_tokens),
        tuple(rates),
        tuple(responses),
        tuple(firsts),
        wanted.told,
    )


def _cell(
    profile: FittedProfile, given: int, output: int, targets: GridTargets
) -> tuple[float, float, float]:
    """Return rate, E2E and TTFT of the best closed loop; of a lone client where none will do."""
    held = profile.kv_tokens // (given + output) if profile.kv_tokens else profile.max_batch
    most = max(1, min(profile.max_batch, held))
    ladder = sorted({*(int(1.4**step) for step in range(40) if 1.4**step < most), most})
    points = [
        Measurement(
            model=profile.model,
            gpu=profile.accelerator,
            n_gpus=profile.accelerators_per_replica,
            load_kind=LoadKind.CONCURRENCY,
            load=float(clients),
            in_tokens=float(given),
            out_tokens=float(output),
            arrival=Arrival.CLOSED,
            max_batch=profile.max_batch,
            max_num_batched_tokens=profile.token_budget,
        )
        for clients in ladder
    ]
    told = predict(
        profile.kind,
        {**profile.parameters, "kv_tokens": profile.kv_tokens or math.inf},
        points,
        profile.curve,
    )
    cells = [
        (float(rate), float(e2e) / 1e3, float(ttft) / 1e3, float(itl) / 1e3)
        for rate, e2e, ttft, itl in zip(
            told.throughput_rps, told.e2e_ms, told.ttft_ms, told.itl_ms, strict=True
        )
    ]
    kept = [cell for cell in cells if _keeps(cell, targets)]
    if not kept:
        return 0.0, cells[0][1], cells[0][2]
    best = max(kept)
    return best[0], best[1], best[2]


def _keeps(cell: tuple[float, float, float, float], targets: GridTargets) -> bool:
    limits = (targets.e2e_s, targets.ttft_s, targets.tpot_s)
    return all(
        limit is None or value <= limit for value, limit in zip(cell[1:], limits, strict=True)
    )
