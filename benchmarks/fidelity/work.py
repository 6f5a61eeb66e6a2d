"""Simulating many operating points: kept results first, the rest by several processes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import TypeVar

from benchmarks.fidelity.case import Json, OperatingPoint, Replica
from benchmarks.fidelity.simulated import Effort, Truth, pooled, saturation_rps, simulated, states
from benchmarks.fidelity.store import Store

Result = TypeVar("Result")

RUN = 1_000_000
"""Distance of the seeds of independent runs of a point."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An operating point and what its simulation says.

    Attributes:
        point: The point.
        saturation_rps: Throughput of the replica with a queue that is never empty.
        truth: What it did at its load.
    """

    point: OperatingPoint
    saturation_rps: float
    truth: Truth


@dataclass(frozen=True, slots=True)
class Measuring:
    """The task of simulating an operating point.

    Attributes:
        point: The point.
        effort: How precisely.
        store: Where results are kept.
        most_runs: Independent runs at most, where the longest leaves a mean imprecise.
    """

    point: OperatingPoint
    effort: Effort
    store: Store
    most_runs: int = 4

    def __call__(self) -> Measured:
        """Return the point with its saturation and its figures."""
        replica, seed = self.point.replica, self.point.seed
        saturated = saturation(replica, seed, self.store)
        rate = self.point.load * saturated
        runs: list[Truth] = []
        for number in range(self.most_runs):
            runs.append(truth_at(replica, rate, seed + number * RUN, self.effort, self.store))
            if self.effort.missing(pooled(runs), "mean") <= 1.0:
                break
        return Measured(self.point, saturated, pooled(runs))


def saturation(replica: Replica, seed: int, store: Store) -> float:
    """Return the saturation throughput of a replica, kept or simulated now."""
    question: dict[str, Json] = {"replica": replica.key(), "seed": seed, "what": "saturation"}
    kept = store.read(question)
    if kept is None:
        kept = {"rps": saturation_rps(replica, seed)}
        store.write(question, kept)
    value = kept["rps"]
    assert isinstance(value, float)
    return value


def truth_at(replica: Replica, rate_rps: float, seed: int, effort: Effort, store: Store) -> Truth:
    """Return what a replica does at a rate, kept or simulated now."""
    question: dict[str, Json] = {
        "replica": replica.key(),
        "rate_rps": rate_rps,
        "seed": seed,
        "effort": json.loads(json.dumps(asdict(effort))),
        "what": "truth",
    }
    kept = store.read(question)
    if kept is None:
        kept = simulated(replica, rate_rps, seed, effort).to_json()
        store.write(question, kept)
    return Truth.from_json(kept)


@dataclass(frozen=True, slots=True)
class Watching:
    """The task of telling how often a replica holds how many requests.

    Attributes:
        point: The replica and its load.
        requests: How many to simulate.
        store: Where results are kept.
    """

    point: OperatingPoint
    requests: int
    store: Store

    def __call__(self) -> list[float]:
        """Return the share of time with 0, 1, ... requests in service."""
        replica, seed = self.point.replica, self.point.seed
        rate = self.point.load * saturation(replica, seed, self.store)
        question: dict[str, Json] = {
            "replica": replica.key(),
            "rate_rps": rate,
            "seed": seed,
            "requests": self.requests,
            "what": "states",
        }
        kept = self.store.read(question)
        if kept is None:
            kept = {"shares": [*states(replica, rate, seed, self.requests)]}
            self.store.write(question, kept)
        shares = kept["shares"]
        assert isinstance(shares, list)
        return [share for share in shares if isinstance(share, float)]


def carried_out(
    tasks: Sequence[Callable[[], Result]], jobs: int, on_done: Callable[[], None]
) -> list[Result]:
    """Return the results of tasks that several processes carry out, in the order of the tasks.

    Args:
        tasks: What to do; each must travel to another process.
        jobs: Processes at most.
        on_done: Called after each.
    """
    results: dict[int, Result] = {}
    for index, result in as_they_come(tasks, jobs):
        results[index] = result
        on_done()
    return [results[index] for index in range(len(tasks))]


def as_they_come(tasks: Sequence[Callable[[], Result]], jobs: int) -> Iterator[tuple[int, Result]]:
    """Yield results of tasks that several processes carry out, with the place of each task."""
    if jobs == 1:
        for index, task in enumerate(tasks):
            yield index, task()
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = {pool.submit(task): index for index, task in enumerate(tasks)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
