"""The smallest fleets for real traces: attainment, one replica less, and how tight the bounds are.

`python -m benchmarks.bench_trace` sizes two models on three accelerators for both shared traces,
at their own rate and sped up until the fleet has ten or more replicas, with targets of TTFT and ITL
that 95% of the requests keep together. Options: ``--traces DIR``, ``--router NAME`` (or ``best``),
``--only NAME`` for one trace, ``--model NAME`` and ``--accelerator NAME`` for one of each.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from data.fleets import read_fleet
from data.simulation_lines import parse_trace
from stoker.domain.routing import Router
from studies.traces.foresight import fewest_by_foresight
from studies.traces.goal import TraceGoal
from studies.traces.options import replica_options
from studies.traces.requests import RequestTrace
from studies.traces.search import MinimumFleet, SearchSettings, minimum_fleet

FLEET = Path(__file__).with_name("trace_fleet.yaml")
TRACES = {
    "azure2023_conv": TraceGoal(0.95, ttft_ms=1000.0, itl_ms=100.0),
    "mooncake_conversation": TraceGoal(0.95, ttft_ms=15_000.0, itl_ms=200.0),
}
ENOUGH = 10
"""Replicas of the fleets that are sped up."""


def main() -> None:
    """Print a row for each trace, model, accelerator and speed."""
    parser = argparse.ArgumentParser(prog="bench_trace")
    parser.add_argument(
        "--traces", type=Path, default=FLEET.parents[2] / "shared" / "truth" / "traces"
    )
    parser.add_argument("--router", default=Router.SHORTEST_QUEUE.label)
    parser.add_argument("--only", choices=list(TRACES))
    parser.add_argument("--model")
    parser.add_argument("--accelerator")
    given = parser.parse_args()
    router = next((item for item in Router if item.label == given.router), None)
    if router is None and given.router != "best":
        parser.error(f"--router: no router is called {given.router}")
    print(
        f"{'trace':<22}{'model':<14}{'accelerator':<15}{'speed':>6}{'n':>5}{'attained':>10}"
        f"{'n-1':>8}{'proposed':>9}{'at least':>9}{'patient':>8}{'ratio':>6}{'any':>5}"
        f"{'ratio':>6}{'foreseen':>9}{'s':>6}"
    )
    for name in [given.only] if given.only else list(TRACES):
        with (given.traces / f"{name}.csv").open(encoding="utf-8") as lines:
            rows = parse_trace(lines)
        trace = RequestTrace.of(rows.arrival_ms, rows.input_tokens, rows.output_tokens)
        for option in replica_options(
            read_fleet(str(FLEET)),
            float(trace.output_tokens.mean()),
            models=[given.model] if given.model else (),
            accelerators=[given.accelerator] if given.accelerator else (),
        ):
            speed = 1.0
            while True:
                started = time.perf_counter()
                paced = trace.sped_up(speed)
                found = minimum_fleet(option, paced, TRACES[name], SearchSettings(router))
                if speed == 1.0 or (found.replicas or 0) >= ENOUGH:
                    took_s = time.perf_counter() - started
                    foreseen = fewest_by_foresight(option, paced, TRACES[name], found.replicas or 0)
                    fewest = found.replicas if foreseen is None else foreseen.replicas
                    _print(name, found, speed, fewest, took_s)
                if found.replicas is None or found.replicas >= ENOUGH:
                    break
                speed *= max(1.25, round(11 / found.replicas, 2))


def _print(
    name: str, found: MinimumFleet, speed: float, foreseen: int | None, took_s: float
) -> None:
    profile = found.option.profile
    head = f"{name:<22}{profile.model:<14}{profile.accelerator:<15}{speed:>6.3g}"
    if found.replicas is None or found.answer is None or found.patient is None:
        print(f"{head}  {found.status}", flush=True)
        return
    less, patient, free = found.one_less, found.patient.replicas or 0, found.bound.replicas or 0
    print(
        f"{head}{found.replicas:>5}{found.answer.attainment:>10.2%}"
        f"{'–' if less is None else format(less.attainment, '.2%'):>8}{found.proposed or 0:>9}"
        f"{found.refuted_below:>9}{patient:>8}{patient / found.replicas:>6.2f}{free:>5}"
        f"{free / found.replicas:>6.2f}{foreseen or 0:>9}{took_s:>6.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
