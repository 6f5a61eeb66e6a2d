"""A simulated replica whose queue is never empty."""

from __future__ import annotations

from dataclasses import dataclass

from simulator import (
    Engine,
    IterationModel,
    LognormalLength,
    PoissonArrivals,
    Pool,
    Scenario,
    SeparateLengths,
    simulate,
    summarize,
)


@dataclass(frozen=True, slots=True)
class Saturated:
    throughput_rps: float
    mean_in_service: float
    mean_kv_tokens: float
    preemptions_per_request: float
    too_large: float


def play_saturated(
    parameters: IterationModel,
    max_batch: int,
    inputs: tuple[float, float],
    outputs: tuple[float, float],
    *,
    offered_rps: float,
    token_budget: int = 8192,
    kv_tokens: int | None = None,
    prefix_hit_rate: float = 0.0,
    requests: int = 60_000,
    seed: int = 1,
) -> Saturated:
    """Play arrivals beyond what the replica can serve; lengths are means and their CVs.

    Raises:
        ValueError: The queue ran empty, the load was not beyond saturation.
    """
    engine = Engine(
        parameters,
        max_batch=max_batch,
        max_queue=2 * max_batch + 50,
        token_budget=token_budget,
        kv_tokens=kv_tokens,
    )
    scenario = Scenario(
        PoissonArrivals(offered_rps),
        SeparateLengths(LognormalLength(*inputs), LognormalLength(*outputs)),
        Pool(engine),
        requests=requests,
        seed=seed,
        prefix_hit_rate=prefix_hit_rate,
    )
    run = simulate(scenario, warm_up=0.15)
    waiting = run.series.waiting
    if waiting[len(waiting) // 5 : -len(waiting) // 20].min() == 0:
        raise ValueError(f"the queue ran empty at {offered_rps} requests a second")
    figures = summarize(run)
    return Saturated(
        figures.throughput_rps.value,
        figures.mean_batch,
        16 * figures.mean_kv_blocks,
        figures.preemptions_per_request,
        figures.too_large,
    )
