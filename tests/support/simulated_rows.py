"""Operating points measured on the simulator, which shares nothing with what fits them."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator import (
    ClosedLoop,
    Engine,
    GammaArrivals,
    LognormalLength,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)
from simulator.iteration import IterationModel
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement

MAX_BATCH = 256


@dataclass(frozen=True)
class Run:
    """A load to be measured: a rate with the variability of its arrivals, or clients."""

    in_tokens: int
    out_tokens: int
    load: float
    clients: bool = False
    arrival_cv: float = 1.0


def measure(
    iteration: IterationModel, runs: Sequence[Run], requests: int = 4000
) -> list[Measurement]:
    """Return a row for each run, as a benchmark would record it."""
    return [_row(iteration, run, number, requests) for number, run in enumerate(runs)]


def _row(iteration: IterationModel, run: Run, number: int, requests: int) -> Measurement:
    arrivals = (
        ClosedLoop(int(run.load), think_ms=0.1, ramp_ms=20_000.0)
        if run.clients
        else GammaArrivals(run.load, run.arrival_cv)
    )
    lengths = SeparateLengths(
        LognormalLength(run.in_tokens, 0.2), LognormalLength(run.out_tokens, 0.2)
    )
    engine = Engine(iteration, max_batch=MAX_BATCH)
    summary = summarize(
        simulate(Scenario(arrivals, lengths, Pool(engine), requests, seed=number)), (50.0,)
    )
    return Measurement(
        model="simulated",
        gpu="none",
        n_gpus=1,
        load_kind=LoadKind.CONCURRENCY if run.clients else LoadKind.RATE,
        load=run.load,
        in_tokens=run.in_tokens,
        out_tokens=run.out_tokens,
        in_tokens_std=0.2 * run.in_tokens,
        out_tokens_std=0.2 * run.out_tokens,
        arrival=Arrival.CLOSED if run.clients else Arrival.UNKNOWN,
        arrival_cv=None if run.clients else run.arrival_cv,
        max_batch=MAX_BATCH,
        ttft=LatencyFigures(summary.ttft_ms.mean.value, summary.ttft_ms.percentiles[50.0].value),
        itl=LatencyFigures(summary.itl_ms.mean.value),
        e2e=LatencyFigures(summary.e2e_ms.mean.value),
        throughput_rps=summary.throughput_rps.value,
        concurrency_mean=summary.mean_batch + summary.mean_waiting,
        name=f"run {number + 1}",
    )
