"""Replicas that several classes of requests share, first come, first served or by priority.

Each class has arrivals and lengths of its own. With priorities the line of a replica is in their
order, first come, first served among equals; a request in service stays there, whoever comes (where
KV memory runs out, the youngest sequence is preempted, as everywhere). Without, it is the
simulation of one stream of requests, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from simulator.arrivals import GammaArrivals, PoissonArrivals, TraceArrivals
from simulator.kernel import layout as at
from simulator.kernel.loop import advance
from simulator.lengths import JointLengths, TokenLengths
from simulator.priorities_loop import play
from simulator.records import FloatArray, IntArray, Records, RequestStatus
from simulator.run import DEFAULT_COOL_DOWN, DEFAULT_WARM_UP, records_of
from simulator.scenario import Pool, Scenario
from simulator.setup import build_world
from simulator.statistics import LatencySummary, summarize_latency


@dataclass(frozen=True, slots=True)
class RequestClass:
    """Requests of one kind.

    Attributes:
        arrivals: When they arrive; of a trace only its times within the run.
        lengths: Their tokens.
        priority: Smaller numbers go first.
        prefix_hit_rate: Share of each prompt whose KV is there already.
    """

    arrivals: PoissonArrivals | GammaArrivals
    lengths: TokenLengths
    priority: int = 0
    prefix_hit_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A finished simulation of classes that share replicas.

    Attributes:
        records: All requests, in the order of their arrival.
        of_class: Index of the class of each, shape (requests,).
        measured: The requests that statistics count.
    """

    records: Records
    of_class: IntArray
    measured: slice


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """What the requests of one class saw; latencies are those of completed ones.

    Attributes:
        ttft_ms: Arrival to first output token.
        itl_ms: Mean time between the tokens of a request.
        e2e_ms: Arrival to last output token.
        wait_ms: Arrival to the iteration that first serves the request.
        requests: Requests of the class that are counted.
        blocking: Share of them turned away for a full replica.
    """

    ttft_ms: LatencySummary
    itl_ms: LatencySummary
    e2e_ms: LatencySummary
    wait_ms: LatencySummary
    requests: int
    blocking: float


def simulate_shared(
    classes: Sequence[RequestClass],
    pool: Pool,
    requests: int,
    *,
    seed: int = 0,
    by_priority: bool = True,
    warm_up: float = DEFAULT_WARM_UP,
    cool_down: float = DEFAULT_COOL_DOWN,
) -> SharedRun:
    """Play classes of requests on replicas that they share, until the last one has left.

    The same question gives the same run, bit for bit.

    Args:
        classes: The classes.
        pool: The replicas.
        requests: Number of requests of all classes together.
        seed: Seed of all random draws; each class draws from a stream of its own.
        by_priority: Whether the line is in the order of priorities, or first come, first served.
        warm_up: Share of the requests, from the first on, that no statistics count.
        cool_down: Share of the requests at the end that none count.

    Raises:
        ValueError: No class, no request, or a pool whose replicas come and go.
    """
    if not classes:
        raise ValueError("classes is empty (allowed: at least one)")
    if pool.schedule:
        raise ValueError("schedule: replicas that classes share may not come and go")
    drawn = _draw(classes, requests, seed)
    scenario = Scenario(
        TraceArrivals(tuple(drawn.arrival_ms.tolist())),
        JointLengths(tuple(drawn.inputs.tolist()), tuple(drawn.outputs.tolist()), in_order=True),
        pool,
        requests,
        seed,
    )
    world = build_world(scenario, warm_up, cool_down)
    hits = np.array([item.prefix_hit_rate for item in classes])[drawn.of_class]
    cached = np.floor(drawn.inputs * hits).astype(np.int64)
    world.request_i[:, at.CACHED] = np.minimum(cached, drawn.inputs - 1)
    if by_priority:
        priority = np.array([item.priority for item in classes], dtype=np.int64)
        play(world, priority[drawn.of_class])
    else:
        advance(world, requests)
    measured = slice(int(world.counts[at.MEASURE_FROM]), int(world.counts[at.MEASURE_TO]))
    return SharedRun(records_of(world), drawn.of_class, measured)


def summarize_classes(
    run: SharedRun, percents: Sequence[float] = (50.0, 90.0, 95.0, 99.0)
) -> tuple[ClassSummary, ...]:
    """Return what the requests of each class saw, in the order of the classes."""
    count = int(run.of_class.max(initial=-1)) + 1
    part = np.zeros(len(run.of_class), dtype=np.bool_)
    part[run.measured] = True
    found = []
    for index in range(count):
        own = part & (run.of_class == index)
        done = own & (run.records.status == RequestStatus.DONE)
        lost = own & (run.records.status == RequestStatus.TURNED_AWAY)
        found.append(
            ClassSummary(
                ttft_ms=summarize_latency(run.records.ttft_ms[done], percents),
                itl_ms=summarize_latency(run.records.itl_ms[done], percents),
                e2e_ms=summarize_latency(run.records.e2e_ms[done], percents),
                wait_ms=summarize_latency(run.records.wait_ms[done], percents),
                requests=int(own.sum()),
                blocking=float(lost.sum() / own.sum()) if own.any() else float("nan"),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Requests of all classes in the order of their arrival, arrays (requests,)."""

    arrival_ms: FloatArray
    inputs: IntArray
    outputs: IntArray
    of_class: IntArray

    def take(self, rows: IntArray) -> _Drawn:
        return _Drawn(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


def _draw(classes: Sequence[RequestClass], requests: int, seed: int) -> _Drawn:
    """Return the first requests of all classes' streams together.

    As many are drawn of each class as could be among the first ones, more where they are too few.
    """
    total = sum(item.arrivals.rate_rps for item in classes)
    margin = 5.0
    while True:
        found = _streams(classes, requests, seed, total, margin)
        # Beyond the end of the shortest stream something would be missing.
        enough = min(float(stream.arrival_ms[-1]) for stream in found)
        together = _Drawn(
            *(
                np.concatenate([getattr(stream, item.name) for stream in found])
                for item in fields(_Drawn)
            )
        )
        order = np.argsort(together.arrival_ms, kind="stable")[:requests]
        if len(order) == requests and together.arrival_ms[order[-1]] <= enough:
            return together.take(order)
        margin *= 2.0


def _streams(
    classes: Sequence[RequestClass], requests: int, seed: int, total: float, margin: float
) -> list[_Drawn]:
    found = []
    streams = np.random.default_rng(seed).spawn(len(classes))
    for index, (item, stream) in enumerate(zip(classes, streams, strict=True)):
        expected = requests * item.arrivals.rate_rps / total
        cv = item.arrivals.cv if isinstance(item.arrivals, GammaArrivals) else 1.0
        count = int(expected + margin * (1.0 + cv) * np.sqrt(expected) + 20.0)
        coming, measuring = stream.spawn(2)
        times = item.arrivals.times_ms(count, coming)
        inputs, outputs = item.lengths.draw(count, measuring)
        found.append(_Drawn(times, inputs, outputs, np.full(count, index, dtype=np.int64)))
    return found
