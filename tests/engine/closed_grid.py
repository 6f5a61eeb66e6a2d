"""Closed loops drawn at random, simulated and analysed: the table of errors by regime.

Run as `python -m tests.engine.closed_grid [--points N] [--cache FILE]`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.closed import analyze_closed
from queueing.engine.curve import CurveTimes
from queueing.engine.point import EnginePoint
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes
from simulator import (
    ClosedLoop,
    Engine,
    FixedLength,
    IterationModel,
    IterationTable,
    Length,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    Summary,
    simulate,
    summarize,
    tabulate,
)
from stoker.domain.profile import LinearParameters, TokenWorkParameters

PERCENTILES = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True, slots=True)
class Loop:
    """A closed loop to compare."""

    kind: str
    parameters: tuple[float, ...]
    concurrency: int
    max_batch: int
    input_tokens: int
    output_tokens: int
    input_cv: float
    output_cv: float
    token_budget: int
    kv_tokens: int | None
    prefix_hit_rate: float

    @property
    def regimes(self) -> list[str]:
        """Name the regimes that the loop belongs to."""
        names = ["all", self.kind]
        names.append("fixed output" if self.output_cv == 0 else "random output")
        names.append("queue" if self.concurrency > self.max_batch else "no queue")
        batch = min(self.concurrency, self.max_batch)
        if self.kv_tokens is not None:
            names.append("memory")
        computed = self.input_tokens * (1 - self.prefix_hit_rate)
        together = batch if self.output_cv == 0 else max(1.0, batch / self.output_tokens)
        if computed * together > self.token_budget - batch:
            names.append("chunked")
        if batch <= 2:
            names.append("batch 1-2")
        return names


def draw_loops(points: int, seed: int = 7) -> list[Loop]:
    """Return random loops of all regimes."""
    random = np.random.default_rng(seed)
    loops = []
    for _ in range(points):
        batch = int(2 ** random.integers(0, 9))
        concurrency = int(np.clip(round(batch * 2 ** random.uniform(-3, 1)), 1, 2 * batch))
        tokens_in = int(np.exp(random.uniform(np.log(16), np.log(4096))))
        tokens_out = int(np.exp(random.uniform(np.log(2), np.log(600))))
        input_cv = float(random.choice([0.0, 0.3, 0.7, 1.0, 1.5]))
        output_cv = float(random.choice([0.0, 0.3, 0.7, 1.0, 1.5]))
        budget = int(random.choice([512, 2048, 8192, 8192]))
        hit = float(random.choice([0.0, 0.0, 0.0, 0.5]))
        kind = str(random.choice(["token-work", "linear", "curve"]))
        parameters: tuple[float, ...]
        if kind != "linear":
            parameters = (
                float(random.uniform(2, 20)),
                float(np.exp(random.uniform(np.log(0.005), np.log(0.1)))),
                float(np.exp(random.uniform(np.log(1e-6), np.log(3e-4)))),
            )
        else:
            parameters = (
                float(random.uniform(2, 20)),
                float(np.exp(random.uniform(np.log(0.02), np.log(0.5)))),
                float(random.uniform(1, 20)),
                float(np.exp(random.uniform(np.log(1e-4), np.log(0.05))))
                / min(concurrency, batch) ** 0.5,
            )
        kv: int | None = None
        held = tokens_in + tokens_out * (1 + output_cv**2) / 2
        if random.random() < 0.2 and min(concurrency, batch) > 2:
            largest = 8 * tokens_in * (1 + input_cv) + 8 * tokens_out * (1 + output_cv)
            kv = int(max(held * min(concurrency, batch) * random.uniform(0.4, 1.2), largest))
        loops.append(
            Loop(
                kind,
                parameters,
                concurrency,
                batch,
                tokens_in,
                tokens_out,
                input_cv,
                output_cv,
                max(budget, 2 * batch),
                kv,
                hit,
            )
        )
    return loops


def play(loop: Loop, seed: int = 3) -> Summary:
    """Simulate a loop."""
    model: IterationModel
    if loop.kind == "curve":
        model = bent(loop.parameters)
    else:
        kind = TokenWorkParameters if loop.kind == "token-work" else LinearParameters
        model = kind(*loop.parameters)

    def length(mean: int, cv: float) -> Length:
        return LognormalLength(mean, cv) if cv else FixedLength(mean)

    engine = Engine(model, loop.max_batch, token_budget=loop.token_budget, kv_tokens=loop.kv_tokens)
    scenario = Scenario(
        ClosedLoop(loop.concurrency),
        SeparateLengths(
            length(loop.input_tokens, loop.input_cv), length(loop.output_tokens, loop.output_cv)
        ),
        Pool(engine),
        max(40_000, 500 * loop.concurrency),
        seed=seed,
        prefix_hit_rate=loop.prefix_hit_rate,
    )
    return summarize(simulate(scenario, warm_up=0.2), PERCENTILES)


def figures(summary: Summary) -> dict[str, list[float]]:
    """Return what a simulation measured, by name."""
    answer = {
        name: [latency.mean.value] + [latency.percentiles[p].value for p in PERCENTILES]
        for name, latency in (
            ("wait", summary.wait_ms),
            ("ttft", summary.ttft_ms),
            ("itl", summary.itl_ms),
            ("token_itl", summary.token_itl_ms),
            ("e2e", summary.e2e_ms),
        )
    }
    answer["throughput"] = [summary.throughput_rps.value]
    answer["batch"] = [summary.mean_batch]
    answer["preemption"] = [summary.preemptions_per_request]
    return answer


def analyze(loops: list[Loop]) -> dict[int, dict[str, list[float]]]:
    """Analyse loops; the answers by their index."""
    answers: dict[int, dict[str, list[float]]] = {}
    for kind in ("token-work", "linear", "curve"):
        rows = [index for index, loop in enumerate(loops) if loop.kind == kind]
        if not rows:
            continue
        some = [loops[index] for index in rows]
        times = _times(kind, [loop.parameters for loop in some])
        cases = EngineCases.of(
            times,
            [loop.input_tokens for loop in some],
            [loop.output_tokens for loop in some],
            [loop.max_batch for loop in some],
            input_cv=[loop.input_cv for loop in some],
            output_cv=[loop.output_cv for loop in some],
            token_budget=[loop.token_budget for loop in some],
            kv_tokens=[loop.kv_tokens or np.inf for loop in some],
            prefix_hit_rate=[loop.prefix_hit_rate for loop in some],
        )
        point = analyze_closed(cases, [loop.concurrency for loop in some], PERCENTILES)
        for place, index in enumerate(rows):
            answers[index] = _answer(point, place)
    return answers


def _times(kind: str, parameters: list[tuple[float, ...]]) -> IterationTimes:
    if kind == "curve":
        return CurveTimes.of([bent(row) for row in parameters])
    columns = np.array(parameters).T
    return TokenWorkTimes.of(*columns) if kind == "token-work" else LinearTimes.of(*columns)


def bent(parameters: tuple[float, ...]) -> IterationTable:
    """Return curves of an engine whose memory and computing times overlap."""
    alpha, beta, gamma = parameters
    knots = tuple(float(2**k) for k in range(9))
    tokens = tuple(float(2**k) for k in range(4, 15))
    return tabulate(
        lambda n, c: alpha + (((beta * n) ** 2 + (gamma * n * c) ** 2) ** 0.5),
        lambda x, c: alpha + beta * (x**2 + 256.0**2) ** 0.5 + gamma * c,
        batches=knots,
        contexts=(0.0, 256.0, 1024.0, 4096.0, 16384.0),
        prefill_tokens=tokens,
        prefill_contexts=(0.0, 4096.0, 65536.0),
        shared_ms=alpha,
    )


def _answer(point: EnginePoint, place: int) -> dict[str, list[float]]:
    answer = {
        name: [float(latency.mean_ms[place]), *map(float, latency.at_ms[:, place])]
        for name, latency in (
            ("wait", point.wait),
            ("ttft", point.ttft),
            ("itl", point.itl),
            ("token_itl", point.token_itl),
            ("e2e", point.e2e),
        )
    }
    answer["throughput"] = [float(point.throughput_rps[place])]
    answer["batch"] = [float(point.mean_in_service[place])]
    answer["preemption"] = [float(point.preemption_rate[place])]
    return answer


def errors(
    measured: dict[str, list[float]], predicted: dict[str, list[float]]
) -> dict[str, FloatArray]:
    """Return the relative errors of a point, by figure."""

    def relative(name: str) -> FloatArray:
        truth, guess = np.array(measured[name]), np.array(predicted[name])
        return np.abs(guess / np.where(truth > 0, truth, np.nan) - 1.0)

    ttft, itl, tokens, e2e = (relative(name) for name in ("ttft", "itl", "token_itl", "e2e"))
    return {
        "mean ITL": itl[:1],
        "p95 ITL": itl[3:4],
        "p95 token ITL": tokens[3:4],
        "mean TTFT": ttft[:1],
        "p50-p99 TTFT": ttft[1:],
        "p50-p99 E2E": e2e[1:],
        "throughput": relative("throughput"),
    }


def table(
    loops: list[Loop],
    measured: list[dict[str, list[float]]],
    predicted: dict[int, dict[str, list[float]]],
) -> str:
    """Return errors at the median and the 90th percentile of points, a row for each regime."""
    rows: dict[str, dict[str, list[FloatArray]]] = {}
    counts: dict[str, int] = {}
    for index, loop in enumerate(loops):
        point = errors(measured[index], predicted[index])
        for regime in loop.regimes:
            counts[regime] = counts.get(regime, 0) + 1
            for name, values in point.items():
                rows.setdefault(regime, {}).setdefault(name, []).append(values)
    names = list(next(iter(rows.values())))
    lines = ["regime".ljust(15) + " points " + "".join(name.rjust(15) for name in names)]
    for regime, by_name in rows.items():
        line = regime.ljust(15) + f"{counts[regime]:7d} "
        for name in names:
            values = np.concatenate(by_name[name])
            values = values[np.isfinite(values)]
            middle, high = np.percentile(values, [50, 90]) if len(values) else (np.nan, np.nan)
            line += f"{100 * middle:6.1f} /{100 * high:6.1f}%"
        lines.append(line)
    return "\n".join(lines)


def simulate_all(loops: list[Loop], cache: Path | None) -> list[dict[str, list[float]]]:
    """Simulate loops, or take them from a file of earlier ones."""
    known: dict[str, dict[str, list[float]]] = {}
    if cache is not None and cache.exists():
        known = json.loads(cache.read_text())
    answers = []
    for loop in loops:
        key = json.dumps(asdict(loop))
        if key not in known:
            known[key] = figures(play(loop))
        answers.append(known[key])
    if cache is not None:
        cache.write_text(json.dumps(known))
    return answers


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    loops = draw_loops(options.points, options.seed)
    measured = simulate_all(loops, options.cache)
    print(table(loops, measured, analyze(loops)))


if __name__ == "__main__":
    main()
