"""One replica under rising load: TTFT goes first, and all at once.

The replica that the plan gives one server is offered more and more requests. While slots are free
a request starts at once; near saturation requests queue and TTFT leaves its target within a few
percent of load, long before the replica completes fewer requests than it is offered.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from data.fleets import read_fleet
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from queueing.replica import OperatingPoint, analyze
from queueing.sizing import size
from stoker.cli.figures import duration_ms, share, small_share
from stoker.cli.plots import (
    PlannedReplica,
    batch_figure,
    load_figure,
    planned_replica,
    states_figure,
)
from stoker.domain.settings import Analysis

SERVER = "Premium-llama_13b"
_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
"""Loads tried, over the largest one within the targets."""


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    replica = _replica()
    sizing = size(replica.case, replica.targets)
    largest_rps = float(sizing.arrival_rate_rps[0])
    rates = np.array(_SHARES) * largest_rps
    point = analyze(replica.case.take(np.zeros(len(rates), dtype=np.int64)), rates)
    points = [_point(point, row) for row in range(len(rates))]
    report = Report(
        title=f"One replica of {replica.server} on {replica.accelerator} under rising load",
        data={
            "server": replica.server,
            "accelerator": replica.accelerator,
            "max_batch": replica.max_batch,
            "ttft_target_ms": replica.ttft_target_ms,
            "itl_target_ms": replica.itl_target_ms,
            "largest_rate_rps": largest_rps,
            "points": points,
        },
        tables=[_table(point)],
        findings=_findings(replica, point, largest_rps),
        figures={
            "load.png": load_figure(replica, np.linspace(rates[0] / 2, rates[-1], 150)),
            "states-at-half-load.png": states_figure(
                replace(replica, arrival_rate_rps=largest_rps / 2)
            ),
            "states-at-full-load.png": states_figure(
                replace(replica, arrival_rate_rps=largest_rps)
            ),
            "batch-curve.png": batch_figure(replica),
        },
    )
    return publish(report, output, format)


def _replica() -> PlannedReplica:
    fleet = read_fleet("small")
    plan = plan_fleet(fleet, replace(fleet.settings, unlimited=True, analysis=Analysis.REFERENCE))
    replica = planned_replica(fleet, plan, SERVER)
    if replica is None:
        raise ValueError(f"the plan of {fleet.name} has no replica of {SERVER}")
    return replica


def _point(point: OperatingPoint, row: int) -> dict[str, float]:
    names = ("arrival_rate_rps", "throughput_rps", "ttft_ms", "itl_ms", "utilization", "blocking")
    return {name: float(getattr(point, name)[row]) for name in names}


def _table(point: OperatingPoint) -> Table:
    rows = [
        (
            share(load),
            f"{point.arrival_rate_rps[row]:.3f}",
            f"{point.throughput_rps[row]:.3f}",
            duration_ms(float(point.ttft_ms[row])),
            duration_ms(float(point.itl_ms[row])),
            share(float(point.utilization[row])),
            small_share(float(point.blocking[row])),
        )
        for row, load in enumerate(_SHARES)
    ]
    columns = ("load", "offered/s", "completed/s", "TTFT ms", "ITL ms", "slots busy", "turned away")
    return numbers_table(columns, rows)


def _findings(replica: PlannedReplica, point: OperatingPoint, largest_rps: float) -> list[str]:
    at = {load: row for row, load in enumerate(_SHARES)}
    ttft, itl = point.ttft_ms, point.itl_ms
    half, full, over = at[0.5], at[1.0], at[1.1]
    binding = "TTFT" if _closer_to_ttft(replica, point, full) else "ITL"
    return [
        f"The replica keeps its targets up to {largest_rps:.3f} requests a second, where "
        f"{binding} reaches its target with {point.utilization[full]:.0%} of its "
        f"{replica.max_batch} slots busy.",
        f"From half that load to all of it TTFT grows {ttft[full] / ttft[half]:.1f} times and ITL "
        f"{itl[full] / itl[half]:.1f} times; 10% more load and TTFT grows another "
        f"{ttft[over] / ttft[full]:.1f} times.",
        f"At that 10% more, {small_share(float(point.blocking[over]))} of the requests are turned "
        f"away: throughput alone would not have told that the promise is broken.",
    ]


def _closer_to_ttft(replica: PlannedReplica, point: OperatingPoint, row: int) -> bool:
    def use(value: float, target: float | None) -> float:
        return value / target if target else 0.0

    return use(float(point.ttft_ms[row]), replica.ttft_target_ms) >= use(
        float(point.itl_ms[row]), replica.itl_target_ms
    )


if __name__ == "__main__":
    run(main, "01-rising-load")
