"""Scaling one server: the best accelerator depends on the load.

One server is planned alone at loads from a trickle to a flood. A small load is served best by the
smallest hardware that keeps the targets; a large one by the hardware with the most throughput for
the money; between them the choice goes back and forth as replicas come in whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.table import Table

from data.fleets import read_fleet
from demos.measures import with_load
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.cli.plots import ScalePoint, scaling_figure
from stoker.domain.fleet import Fleet

SERVER = "Premium-granite_20b"
FACTORS = tuple(float(factor) for factor in 2.0 ** np.arange(-6.0, 5.01, 0.5))
"""Loads tried, over the server's own."""

_SECONDS_PER_HOUR = 3600.0


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = _fleet_of_one()
    points = [_point(fleet, factor) for factor in FACTORS]
    names = list(dict.fromkeys(point.accelerator for point in points))
    report = Report(
        title=f"{SERVER} from {points[0].arrival_rate_rps:.3g} to "
        f"{points[-1].arrival_rate_rps:.3g} requests a second",
        data={
            "server": SERVER,
            "currency": fleet.currency,
            "accelerators": names,
            "points": [asdict(point) for point in points],
        },
        tables=[_table(points, fleet.currency)],
        findings=_findings(points, fleet.currency),
        figures={
            "scaling.png": scaling_figure(
                f"{SERVER} runs best on {len(names)} different configurations, by load",
                points,
                fleet.currency,
            )
        },
    )
    return publish(report, output, format)


def _fleet_of_one() -> Fleet:
    fleet = read_fleet("large")
    servers = tuple(server for server in fleet.servers if server.name == SERVER)
    return replace(fleet, servers=servers, settings=replace(fleet.settings, unlimited=True))


def _point(fleet: Fleet, factor: float) -> ScalePoint:
    (server,) = fleet.servers
    scaled = with_load(server, factor)
    plan = plan_fleet(replace(fleet, servers=(scaled,)))
    rate = scaled.load.arrival_rate_rps if scaled.load else 0.0
    if not plan.allocations:
        return ScalePoint(rate, None, 0, 0.0)
    (item,) = plan.allocations
    return ScalePoint(rate, item.accelerator, item.replicas, item.cost_per_hour)


def _per_million(point: ScalePoint) -> float:
    return point.cost_per_hour / (point.arrival_rate_rps * _SECONDS_PER_HOUR) * 1e6


def _table(points: Sequence[ScalePoint], currency: str) -> Table:
    rows = [
        (
            f"{point.arrival_rate_rps:.3f}",
            f"{point.replicas} × {point.accelerator}",
            money(point.cost_per_hour),
            money(_per_million(point)),
        )
        for point in points
    ]
    columns = ("requests/s", "runs on", f"{currency}/h", f"{currency} per million requests")
    return numbers_table(columns, rows)


def _findings(points: Sequence[ScalePoint], currency: str) -> list[str]:
    switches = sum(a.accelerator != b.accelerator for a, b in pairwise(points))
    settled = next(
        point
        for index, point in enumerate(points)
        if all(later.accelerator == points[-1].accelerator for later in points[index:])
    )
    first, last = points[0], points[-1]
    return [
        f"The best accelerator changes {switches} times on the way up; from "
        f"{settled.arrival_rate_rps:.3g} requests a second on it is {settled.accelerator}.",
        f"{last.arrival_rate_rps / first.arrival_rate_rps:,.0f} times the load costs "
        f"{last.cost_per_hour / first.cost_per_hour:,.0f} times as much: a million requests fall "
        f"from {money(_per_million(first))} to {money(_per_million(last))} {currency}, because a "
        f"replica that is hardly used costs as much as a full one.",
    ]


if __name__ == "__main__":
    run(main, "05-scaling")
