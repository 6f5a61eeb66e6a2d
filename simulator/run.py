"""Running a scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.kernel import layout as at
from simulator.kernel.layout import World
from simulator.kernel.loop import advance
from simulator.records import Records, Series, TokenGaps
from simulator.scenario import Scenario
from simulator.setup import build_world

DEFAULT_WARM_UP = 0.1
"""Share of the requests, from the first on, that statistics leave out."""

DEFAULT_COOL_DOWN = 0.02
"""Share of the requests at the end that they leave out: few arrive beside them any more."""

_STEPS = 50


@dataclass(frozen=True, slots=True)
class Run:
    """A finished simulation.

    Attributes:
        scenario: What was simulated.
        records: All requests, those of warm-up and cool-down included.
        series: The state over time.
        token_gaps: Times between tokens in the measured period.
        measured: The requests that statistics count.
        iterations: Iterations of all replicas.
        peak_kv_blocks: Most KV blocks that one replica had in use.
        kv_blocks: KV blocks of one replica that decodes; None for no limit.
        end_ms: Time at which the last request left.
    """

    scenario: Scenario
    records: Records
    series: Series
    token_gaps: TokenGaps
    measured: slice
    iterations: int
    peak_kv_blocks: int
    kv_blocks: int | None
    end_ms: float


def simulate(
    scenario: Scenario,
    *,
    warm_up: float = DEFAULT_WARM_UP,
    cool_down: float = DEFAULT_COOL_DOWN,
    on_progress: Callable[[float], None] | None = None,
) -> Run:
    """Play a scenario until its last request has left.

    The same scenario gives the same run, bit for bit.

    Args:
        scenario: What to simulate.
        warm_up: Share of the requests, from the first on, that no statistics count.
        cool_down: Share of the requests at the end that none count.
        on_progress: Called from time to time with the share of the requests that have arrived.

    Raises:
        ValueError: The shares leave no request to count, or the scenario cannot be drawn.
    """
    if not (warm_up >= 0 and cool_down >= 0 and warm_up + cool_down < 1):
        raise ValueError(
            f"warm_up is {warm_up} and cool_down {cool_down} (allowed: 0 or more, below 1 in all)"
        )
    world = build_world(scenario, warm_up, cool_down)
    step = max(1, scenario.requests // _STEPS) if on_progress else scenario.requests
    target = min(step, scenario.requests)
    while not advance(world, target):
        if on_progress is not None:
            on_progress(float(world.counts[at.ARRIVED]) / scenario.requests)
        target = min(target + step, scenario.requests)
    return _run(scenario, world)


def records_of(world: World) -> Records:
    """Return what became of each request of a simulation that has ended."""
    whole, times = world.request_i, world.request_f
    return Records(
        arrival_ms=times[:, at.ARRIVAL].copy(),
        admitted_ms=times[:, at.ADMITTED].copy(),
        first_token_ms=times[:, at.FIRST_TOKEN].copy(),
        completion_ms=times[:, at.COMPLETION].copy(),
        input_tokens=whole[:, at.INPUT].copy(),
        output_tokens=whole[:, at.OUTPUT].copy(),
        status=whole[:, at.STATUS].copy(),
        preemptions=whole[:, at.PREEMPTIONS].copy(),
        replica=whole[:, at.REPLICA].copy(),
    )


def _run(scenario: Scenario, world: World) -> Run:
    total, tokens = world.gap_sum
    last = 1 if world.engine_i[1, at.REPLICAS] else 0
    capacity = int(world.engine_i[last, at.KV_BLOCKS])
    return Run(
        scenario=scenario,
        records=records_of(world),
        series=_series(world),
        token_gaps=TokenGaps(
            world.edges, world.gaps, float(total / tokens) if tokens else float("nan")
        ),
        measured=slice(int(world.counts[at.MEASURE_FROM]), int(world.counts[at.MEASURE_TO])),
        iterations=int(world.replica_i[:, at.TOTAL_ITERATIONS].sum()),
        peak_kv_blocks=int(world.replica_i[:, at.PEAK_BLOCKS].max()),
        kv_blocks=None if capacity == at.UNLIMITED else capacity,
        end_ms=float(world.snapshots[-1, at.AT_MS]),
    )


def _series(world: World) -> Series:
    taken = np.ascontiguousarray(world.snapshots[: world.counts[at.SNAPSHOTS]].T)
    return Series(
        at_ms=taken[at.AT_MS],
        batch=taken[at.S_BATCH],
        waiting=taken[at.S_WAITING],
        kv_blocks=taken[at.S_BLOCKS],
        completed=taken[at.S_COMPLETED],
        blocked=taken[at.S_BLOCKED],
        preempted=taken[at.S_PREEMPTED],
        output_tokens=taken[at.S_STREAMED],
        iterations=taken[at.S_ITERATIONS],
        batch_ms=taken[at.S_BATCH_TIME],
        waiting_ms=taken[at.S_WAITING_TIME],
        kv_block_ms=taken[at.S_BLOCK_TIME],
        busy_ms=taken[at.S_BUSY_TIME],
    )
