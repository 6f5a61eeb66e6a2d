"""The reference's systems, candidate tables and plans, as values of Stoker's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.placement import Placement
from optimizer.table import EMPTY, CandidateTable, IntArray
from stoker.domain.fleet import Fleet

SYSTEMS = {
    "tokenwork_small": "light_small_cap100",
    "tokenwork_large": "light_large_cap100",
    "tokenwork_largenotie": "light_largenotie_cap100",
    "tokenwork_mixed1": "light_mixed1_cap100",
    "tokenwork_mixed2": "light_mixed2_cap100",
    "linear_small": "old_small_cap100",
    "linear_large": "old_large_cap100",
}
"""System at full capacity of each candidate table."""

Chosen = dict[str, tuple[str, int]]
"""Accelerator and replicas, by server; servers with nothing left out."""


@dataclass(frozen=True)
class GoldenPlan:
    """Options of a run of the reference, and every distinct answer that it gave."""

    table: str
    system: str
    options: dict[str, Any]
    answers: tuple[dict[str, dict[str, Any]], ...]

    @property
    def name(self) -> str:
        switches = "delayed" if self.options["delayedBestEffort"] else "at-once"
        policy = "unlimited" if self.options["unlimited"] else self.options["saturationPolicy"]
        return f"{self.system}-{policy}-{switches}"


def golden_plans(folder: Path) -> Iterator[GoldenPlan]:
    for kind in ("tokenwork", "linear"):
        path = folder / f"plans_{kind}.jsonl"
        for line in path.read_text().splitlines() if path.is_file() else ():
            entry = json.loads(line)
            yield GoldenPlan(
                table=f"{kind}_{entry['dataset']}",
                system=Path(entry["system"]).stem,
                options=entry["options"],
                answers=tuple(solution["allocations"] for solution in entry["solutions"]),
            )


def chosen_by_reference(answer: dict[str, dict[str, Any]]) -> Chosen:
    return {
        server: (allocation["accelerator"], allocation["numReplicas"])
        for server, allocation in answer.items()
        if allocation["accelerator"]
    }


def chosen_by_stoker(table: CandidateTable, placement: Placement) -> Chosen:
    return {
        table.servers[table.server[row]]: (table.accelerators[table.accelerator[row]], int(n))
        for row, n in zip(placement.row, placement.replicas, strict=True)
        if table.accelerator[row] != EMPTY
    }


def capacity_of(fleet: Fleet, table: CandidateTable) -> IntArray:
    counts = {item.card_type: item.count for item in fleet.capacity}
    return np.array([counts.get(name, 0) for name in table.card_types], dtype=np.int64)
