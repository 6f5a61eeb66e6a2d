"""Fleets behind routers, and prefill and decode pools, against simulation.

`python -m benchmarks.networks` draws operating points from the replicas of the published grid of
fidelity, simulates each, and prints how far the analysis is off, as tables for the documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.fidelity.case import Replica
from benchmarks.fidelity.drawing import published
from queueing.arrays import FloatArray
from queueing.engine.build import iteration_times
from queueing.engine.cases import EngineCases
from queueing.engine.disaggregated import analyze_disaggregated
from queueing.engine.point import Latency
from queueing.engine.routing import analyze_fleet, fleet_saturation_rps
from queueing.engine.split import best_split
from queueing.engine.stations import Transfer
from queueing.engine.targets import EngineTargets
from simulator import (
    Disaggregated,
    GammaArrivals,
    LatencySummary,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    Summary,
    simulate,
    summarize,
)
from stoker.domain.routing import Router

PERCENTS = (50.0, 95.0)
FIGURES = ("ttft", "itl", "e2e")
_REPLICAS = (2, 3, 4, 6, 8, 12, 16)
_CARDS = (3, 4, 6, 8, 12)
_PREFILL_BATCHES = (1, 2, 4, 8, 16, 64)
_ONE = np.ones(1)


@dataclass(frozen=True, slots=True)
class Compared:
    """Predicted and simulated figures of one point: mean, p50 and p95 of TTFT, ITL and E2E."""

    predicted: FloatArray
    simulated: FloatArray


def cases_of(replica: Replica) -> EngineCases:
    """Return a replica as a case of the analysis."""
    return EngineCases.of(
        iteration_times([replica.parameters]),
        replica.input_tokens,
        replica.output_tokens,
        float(replica.max_batch),
        input_cv=replica.input_cv,
        output_cv=replica.output_cv,
        arrival_cv=replica.arrival_cv,
        token_budget=float(replica.token_budget),
        kv_tokens=np.inf if replica.kv_tokens is None else float(replica.kv_tokens),
        prefix_hit_rate=replica.prefix_hit_rate,
    )


def play(
    replica: Replica, system: Pool | Disaggregated, rate_rps: float, slots: float, seed: int
) -> Summary:
    """Return the figures of a simulation; `slots` are the requests in service in all, about."""
    requests = int(np.clip(400.0 * slots, 120_000, 800_000))
    lengths = SeparateLengths(
        LognormalLength(replica.input_tokens, replica.input_cv),
        LognormalLength(replica.output_tokens, replica.output_cv),
    )
    arrivals = GammaArrivals(rate_rps, replica.arrival_cv)
    hits = replica.prefix_hit_rate
    scenario = Scenario(arrivals, lengths, system, requests, seed=seed, prefix_hit_rate=hits)
    return summarize(simulate(scenario), PERCENTS)


def fleets(points: int, seed: int) -> Mapping[Router, list[Compared]]:
    """Return fleets of 2 to 16 replicas at utilizations of 0.1 to 0.8, behind every router."""
    random = np.random.default_rng(seed)
    found: dict[Router, list[Compared]] = {router: [] for router in Router}
    for number, point in enumerate(published(points, seed)):
        replicas, load = int(random.choice(_REPLICAS)), 0.1 + 0.7 * random.random()
        cases, engine = cases_of(point.replica), point.replica.engine
        rate = load * float(fleet_saturation_rps(cases, replicas * _ONE)[0])
        slots = replicas * point.replica.max_batch * load
        for router in Router:
            answer = analyze_fleet(cases, replicas, router, rate, PERCENTS)
            played = play(point.replica, Pool(engine, replicas, router), rate, slots, number)
            found[router].append(
                Compared(
                    _predicted((answer.ttft, answer.itl, answer.e2e)),
                    _simulated((played.ttft_ms, played.itl_ms, played.e2e_ms)),
                )
            )
    return found


def pools(points: int, seed: int) -> list[Compared]:
    """Return prefill and decode pools at utilizations of 0.1 to 0.8 of what both could carry."""
    random = np.random.default_rng(seed)
    found = []
    for number, point in enumerate(published(points, seed)):
        decode = replace(point.replica, output_tokens=max(point.replica.output_tokens, 4.0))
        batch = int(random.choice(_PREFILL_BATCHES))
        prefill = replace(decode, max_batch=batch, kv_tokens=None)
        pair = cases_of(prefill), cases_of(decode)
        cards = int(random.choice(_CARDS))
        splits = best_split(*pair, cards, 1, 1, EngineTargets.of(1))
        # Near the split that carries most, and not just it.
        best = 0 if splits.best is None else splits.best
        row = int(np.clip(best + random.integers(-1, 2), 0, cards - 2))
        first, second = int(splits.prefill_replicas[row]), int(splits.decode_replicas[row])
        rate = (0.1 + 0.7 * random.random()) * float(splits.saturation_rps[row])
        travel = float(random.choice([0.0, 5.0, 30.0])), float(random.choice([0.0, 0.003, 0.02]))
        routers = [Router(int(value)) for value in random.integers(0, 4, 2)]
        answer = analyze_disaggregated(
            *pair,
            first,
            second,
            rate,
            PERCENTS,
            transfer=Transfer.of(1, *travel),
            prefill_router=routers[0],
            decode_router=routers[1],
        )
        system = Disaggregated(
            Pool(prefill.engine, first, routers[0]),
            Pool(decode.engine, second, routers[1]),
            *travel,
        )
        played = play(decode, system, rate, second * decode.max_batch, number)
        found.append(
            Compared(
                _predicted((answer.ttft, answer.itl, answer.e2e)),
                _simulated((played.ttft_ms, played.itl_ms, played.e2e_ms)),
            )
        )
    return found


def _predicted(latencies: Sequence[Latency]) -> FloatArray:
    return np.array([[item.mean_ms[0], *item.at_ms[:, 0]] for item in latencies])


def _simulated(latencies: Sequence[LatencySummary]) -> FloatArray:
    rows = [[item.mean.value, *(item.percentiles[p].value for p in PERCENTS)] for item in latencies]
    return np.array(rows)


def errors(compared: Sequence[Compared]) -> FloatArray:
    """Return relative errors without sign, shape (points, latencies, figures)."""
    predicted = np.array([item.predicted for item in compared])
    simulated = np.array([item.simulated for item in compared])
    off: FloatArray = np.abs(predicted / simulated - 1.0)
    return off


def row(name: str, compared: Sequence[Compared]) -> str:
    """Return a row of the table: median and 90th percentile of the errors in percent."""
    off = 100.0 * errors(compared)
    cells = [
        f"{np.nanmedian(off[:, latency, figure]):.1f} / "
        f"{np.nanpercentile(off[:, latency, figure], 90):.0f}"
        for latency in range(len(FIGURES))
        for figure in (0, 2)
    ]
    return f"| {name} | {len(compared)} | " + " | ".join(cells) + " |"


def gains(found: Mapping[Router, Sequence[Compared]]) -> list[str]:
    """Return rows of what routers make of TTFT beside a random split: simulated, then predicted."""
    rows = []
    base = found[Router.RANDOM]
    for router in list(Router)[1:]:
        cells = []
        for figure in (0, 2):
            for kind in ("simulated", "predicted"):
                ratio = [
                    getattr(one, kind)[0, figure] / getattr(other, kind)[0, figure]
                    for one, other in zip(found[router], base, strict=True)
                ]
                low, middle, high = np.percentile(ratio, [10, 50, 90])
                cells.append(f"{low:.2f} – {middle:.2f} – {high:.2f}")
        rows.append(f"| {NAMES[router]} | " + " | ".join(cells) + " |")
    return rows


NAMES: Mapping[Router, str] = {
    Router.RANDOM: "random",
    Router.ROUND_ROBIN: "round robin",
    Router.SHORTEST_QUEUE: "shortest queue",
    Router.LEAST_KV: "least KV",
}


def main() -> None:
    """Simulate, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=120, help="operating points of each kind")
    parser.add_argument("--seed", type=int, default=2, help="seed of the drawing")
    asked = parser.parse_args()
    found = fleets(asked.points, asked.seed)
    for router, compared in found.items():
        print(row(NAMES[router], compared))
    print(row("two pools", pools(asked.points, asked.seed + 1)))
    print()
    for line in gains(found):
        print(line)


if __name__ == "__main__":
    main()
