"""Fleets whose regions share no cards: planned part by part, and as a whole, in the same run.

`python -m benchmarks.bench_parts [SERVERS REGIONS]` prints, for the large fleet spread over regions
with half the cards that they need: processor seconds of the placement by parts and as one program,
their ratio, the gap that was proven, and who is served by priority with what was proven to be the
most. By parts the served vectors are exact, since no region has more than 100 servers; as a whole
they are weighted. The first rows are of 300 servers in 6 regions, the last of 5000 in 60.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fleets import scaled_large
from optimizer.kept import kept_cards
from optimizer.milp import place_milp
from optimizer.milp_parts import place_in_parts
from optimizer.placement import Outcome
from optimizer.planner import capacity_left
from optimizer.preparation import prepare
from optimizer.table import CandidateTable, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, OptimizerSettings

CASES = ((300, 6), (1000, 20), (5000, 60))
SCARCE = 0.5
GAP = 1e-3

Place = Callable[[CandidateTable, IntArray, OptimizerSettings], Outcome]


def in_regions(fleet: Fleet, regions: int, *, seed: int = 1) -> Fleet:
    """Return a fleet whose servers and cards are spread over regions, which share nothing.

    Cards are spread unevenly: a region has between half and one and a half times its share.

    Args:
        fleet: A fleet with capacity by card type.
        regions: Their number.
        seed: Of the shares.
    """
    share = np.random.default_rng(seed).uniform(0.5, 1.5, regions)
    share /= share.sum()
    names = [f"r{index:02d}" for index in range(regions)]
    return replace(
        fleet,
        accelerators=tuple(
            replace(item, name=f"{item.name}-{name}", card_type=f"{item.card_type}-{name}")
            for name in names
            for item in fleet.accelerators
        ),
        capacity=tuple(
            replace(item, card_type=f"{item.card_type}-{name}", count=round(item.count * part))
            for name, part in zip(names, share.tolist(), strict=True)
            for item in fleet.capacity
        ),
        profiles=tuple(
            replace(
                item,
                model=f"{item.model}-{name}",
                accelerator=f"{item.accelerator}-{name}",
            )
            for name in names
            for item in fleet.profiles
        ),
        service_classes=tuple(
            replace(
                item,
                targets=tuple(
                    replace(target, model=f"{target.model}-{name}")
                    for name in names
                    for target in item.targets
                ),
            )
            for item in fleet.service_classes
        ),
        servers=tuple(
            replace(item, model=f"{item.model}-{names[index % regions]}")
            for index, item in enumerate(fleet.servers)
        ),
    )


def timed(
    place: Place, table: CandidateTable, capacity: IntArray, settings: OptimizerSettings
) -> tuple[float, Outcome]:
    """Return the processor seconds of a placement, and the placement."""
    start = time.process_time()
    outcome = place(table, capacity, settings)
    return time.process_time() - start, outcome


def row(name: str, seconds: float, outcome: Outcome) -> list[str]:
    """Return the cells that tell of a placement."""
    gap = "unknown" if outcome.gap is None else f"{outcome.gap:.1e}"
    served = ", ".join(f"{item.served}/{item.servers}" for item in outcome.services)
    most = ", ".join(f"{item.bound}" for item in outcome.services)
    return [name, outcome.method, f"{seconds:.2f}", outcome.status.value, gap, served, most]


def main(cases: tuple[tuple[int, int], ...] = CASES) -> None:
    """Print two rows for each fleet: by parts, and as a whole."""
    table = Table(title=f"Half the cards, one thread, value to {GAP:.1%}; processor seconds")
    for header in ("servers", "regions", "planned", "method", "seconds", "status", "gap proven"):
        table.add_column(header, justify="right", no_wrap=True)
    for header in ("served by priority", "at most", "ratio"):
        table.add_column(header, justify="right", no_wrap=True)
    for servers, regions in cases:
        fleet = in_regions(scale_capacity(scaled_large(servers, 0), SCARCE), regions)
        settings = OptimizerSettings(analysis=Analysis.REFERENCE, relative_gap=GAP)
        prepared = prepare(fleet, settings)
        capacity = capacity_left(fleet, prepared.table, kept_cards(prepared.kept))
        question = (prepared.table, capacity, prepared.settings)
        parts_s, parts = timed(place_in_parts, *question)
        whole_s, whole = timed(place_milp, *question)
        size = [f"{servers}", f"{regions}"]
        table.add_row(*size, *row("by parts", parts_s, parts), f"{parts_s / whole_s:.2f}")
        table.add_row(*size, *row("whole", whole_s, whole), "1.00")
    Console(width=160).print(table)


if __name__ == "__main__":
    main(((int(sys.argv[1]), int(sys.argv[2])),) if len(sys.argv) == 3 else CASES)
