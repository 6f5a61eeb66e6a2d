"""Errors of the analysis of common replicas: ``python -m benchmarks.bench_sharing``.

Prints a Markdown table: errors of the analysis, relative to 200,000 simulated requests, of each
class of several mixtures at several loads, first come, first served and by priority; and the mean
of their sizes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from queueing.engine import TokenWorkTimes
from queueing.engine.sharing import SharedCases
from queueing.engine.sharing_point import SharedPoint, analyze_shared
from simulator import Engine, LognormalLength, PoissonArrivals, Pool, SeparateLengths
from simulator.priorities import ClassSummary, RequestClass, simulate_shared, summarize_classes
from stoker.domain.profile import TokenWorkParameters

TIMES = (8.0, 0.03, 0.0003)
INPUT_CV, OUTPUT_CV = 0.6, 0.8


@dataclass(frozen=True, slots=True)
class Mixture:
    """Classes on one replica.

    Attributes:
        name: In words.
        rates: Arrival rates, whose ratios count.
        inputs: Mean input tokens.
        outputs: Mean output tokens.
        max_batch: Batch limit.
        kv_tokens: KV memory; None for no limit.
        token_budget: Tokens that one iteration computes at most.
    """

    name: str
    rates: tuple[float, ...]
    inputs: tuple[float, ...]
    outputs: tuple[float, ...]
    max_batch: int
    kv_tokens: int | None = None
    token_budget: int = 8192


MIXTURES = (
    Mixture("short and long prompts", (3.0, 1.0), (300.0, 2500.0), (200.0, 150.0), 32),
    Mixture("short and long answers", (3.0, 1.0), (300.0, 300.0), (60.0, 600.0), 16),
    Mixture("three classes", (1.0, 1.0, 1.0), (200.0, 800.0, 3000.0), (200.0, 200.0, 400.0), 24),
    Mixture("little KV memory", (2.0, 1.0), (500.0, 2000.0), (200.0, 200.0), 64, 40_000),
    Mixture("small budget", (2.0, 1.0), (500.0, 4000.0), (50.0, 50.0), 64, None, 2048),
)
LOADS = (0.5, 0.7, 0.85)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    requests = parser.parse_args().requests
    print(
        "| mixture | load | line | class | mean TTFT | p95 TTFT | mean ITL | p95 ITL | mean E2E |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    errors: dict[float, list[list[float]]] = {}
    for mixture in MIXTURES:
        for load in LOADS:
            for by_priority in (False, True):
                errors.setdefault(load, []).extend(_errors(mixture, load, by_priority, requests))
    for load, found in errors.items():
        cells = " | ".join(f"{size:.0%}" for size in np.abs(found).mean(axis=0))
        print(f"| size, mean of all | {load:g} | | | {cells} |")


def _errors(mixture: Mixture, load: float, by_priority: bool, requests: int) -> list[list[float]]:
    """Print the errors of each class, and return them."""
    most = float(_analyzed(mixture, by_priority, sum(mixture.rates)).saturation_rps[0])
    point = _analyzed(mixture, by_priority, load * most)
    seen = _simulated(mixture, by_priority, load * most, requests)
    found = []
    for index, (item, own) in enumerate(zip(point.classes, seen, strict=True)):
        ratios = [
            item.ttft.mean_ms[0] / own.ttft_ms.mean.value,
            item.ttft.at_ms[0, 0] / own.ttft_ms.percentiles[95.0].value,
            item.itl.mean_ms[0] / own.itl_ms.mean.value,
            item.itl.at_ms[0, 0] / own.itl_ms.percentiles[95.0].value,
            item.e2e.mean_ms[0] / own.e2e_ms.mean.value,
        ]
        line = "priority" if by_priority else "first come"
        cells = " | ".join(f"{error - 1.0:+.0%}" for error in ratios)
        print(f"| {mixture.name} | {load:g} | {line} | {index + 1} | {cells} |", flush=True)
        found.append([error - 1.0 for error in ratios])
    return found


def _analyzed(mixture: Mixture, by_priority: bool, rate_rps: float) -> SharedPoint:
    def column(values: tuple[float, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array(values)[:, None]

    ranks = tuple(float(rank) for rank in range(len(mixture.rates)))
    shared = SharedCases.of(
        TokenWorkTimes.of(*(np.array([value]) for value in TIMES)),
        column(mixture.rates),
        column(mixture.inputs),
        column(mixture.outputs),
        mixture.max_batch,
        10 * mixture.max_batch,
        priority=column(ranks) if by_priority else 0.0,
        input_cv=INPUT_CV,
        output_cv=OUTPUT_CV,
        kv_tokens=np.inf if mixture.kv_tokens is None else mixture.kv_tokens,
        token_budget=mixture.token_budget,
    )
    return analyze_shared(shared, rate_rps, (95.0,))


def _simulated(
    mixture: Mixture, by_priority: bool, rate_rps: float, requests: int
) -> tuple[ClassSummary, ...]:
    scale = rate_rps / sum(mixture.rates)
    classes = [
        RequestClass(
            PoissonArrivals(scale * rate),
            SeparateLengths(LognormalLength(inputs, INPUT_CV), LognormalLength(outputs, OUTPUT_CV)),
            rank,
        )
        for rank, (rate, inputs, outputs) in enumerate(
            zip(mixture.rates, mixture.inputs, mixture.outputs, strict=True)
        )
    ]
    engine = Engine(
        TokenWorkParameters(*TIMES),
        max_batch=mixture.max_batch,
        max_queue=10 * mixture.max_batch,
        token_budget=mixture.token_budget,
        kv_tokens=mixture.kv_tokens,
    )
    run = simulate_shared(classes, Pool(engine), requests, seed=1, by_priority=by_priority)
    return summarize_classes(run, (95.0,))


if __name__ == "__main__":
    main()
