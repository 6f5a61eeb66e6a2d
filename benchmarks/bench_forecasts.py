"""What forecasts cost over hundreds of servers: processor seconds of a cycle, by method.

`python -m benchmarks.bench_forecasts` foretells the load of 500 servers from histories as the loop
keeps them: three days in steps of five minutes, and the last hour by cycles of 30 seconds. With a
season (Holt-Winters), parameters are found for a few servers a cycle, and used again by the others;
the rows are the first cycle, one halfway, and one in which all servers have theirs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from controller.demand import rates_to_plan, with_seasons
from controller.history import LoadHistory, LoadSample
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.settings import ControlSettings, ForecastSettings
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet

SERVERS = 500
DAY_S = 86_400.0


def histories(servers: int, seed: int = 1) -> dict[str, ServerMemory]:
    """Return three days of load for each server, with a peak at an hour of its own, and noise."""
    rng = np.random.default_rng(seed)
    hour = 3 * DAY_S - 3600.0
    times = np.concatenate([np.arange(0.0, hour, 300.0), np.arange(hour, 3 * DAY_S + 1, 30.0)])
    found = {}
    for index in range(servers):
        phase = 2 * np.pi * (times / DAY_S + index / servers)
        rates = 50.0 + 30.0 * np.sin(phase) + rng.normal(0.0, 2.0, len(times))
        samples = tuple(
            LoadSample(float(at), float(rate), 400.0, 150.0)
            for at, rate in zip(times, rates, strict=True)
        )
        found[f"server-{index:04d}"] = ServerMemory(history=LoadHistory(samples))
    return found


def fleet_of(names: list[str]) -> Fleet:
    """Return a fleet with servers of these names."""
    servers = tuple(Server(name, "bulk", "org/chat-8b") for name in names)
    return replace(controlled_fleet(), servers=servers)


def cycles(servers: int, method: ForecastMethod) -> Iterator[tuple[int, float, int]]:
    """Yield number, processor seconds and seasons known of cycles, until nothing more is found."""
    memory = Memory(histories(servers))
    names = list(memory.servers)
    fleet = fleet_of(names)
    at = 3 * DAY_S
    loads = {
        name: MeasuredLoad(Load(memory.server(name).history.samples[-1].arrival_rate_rps, 400, 150))
        for name in names
    }
    settings = ControlSettings(forecast=ForecastSettings(method))
    known, number = -1, 0
    while True:
        began = time.process_time()
        told = rates_to_plan(fleet, loads, memory, settings, {}, at)
        took_s = time.process_time() - began
        memory = with_seasons(memory, told)
        before, known = known, sum(each.season is not None for each in memory.servers.values())
        number += 1
        yield number, took_s, known
        if known == before:
            return


def main() -> None:
    """Print rows for each number of servers and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, nargs="*", default=[SERVERS])
    options = parser.parse_args()
    table = Table(title="Forecasts of a cycle, processor seconds")
    for header in ("servers", "method", "cycle", "seconds", "seasons known"):
        table.add_column(header, justify="right")
    for servers in options.servers:
        for method in (ForecastMethod.LAST, ForecastMethod.LINEAR, ForecastMethod.HOLT_WINTERS):
            rows = list(cycles(servers, method))
            shown = sorted({0, len(rows) // 2, len(rows) - 1})
            for number, took_s, known in (rows[index] for index in shown):
                table.add_row(str(servers), method.value, str(number), f"{took_s:.2f}", str(known))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
