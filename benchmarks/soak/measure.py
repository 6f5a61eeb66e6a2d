"""What is judged of a soak: targets kept, calm, and cost against one who knows the load."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.soak.scenario import ITL_P95_MS, SERVER, TTFT_P95_MS, Soak
from demos.cluster.closed_loop import ClosedLoop
from demos.cluster.hindsight import (
    clairvoyant_sizes,
    counted,
    replica_seconds,
    sizes_asked_for,
    sizes_within,
    turns,
)
from emulator.virtual_load import Served

LEAST_ATTAINMENT = 0.95
MOST_TURNS = 2
MOST_COST = 1.25


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the load.

    Attributes:
        name: What it is called.
        start_s: When it begins.
        end_s: When it ends.
        requests: Requests sent in it.
        attainment: Share of them within both targets; NaN for none.
        left_out: Requests of it that were sent during the start-up of the first step.
        attainment_outside: Share within both targets of the others; NaN for none.
        turns: How often the number of replicas asked for changed its direction in it.
        least: Fewest replicas asked for in it.
        most: Most replicas asked for in it.
    """

    name: str
    start_s: float
    end_s: float
    requests: int
    attainment: float
    left_out: int
    attainment_outside: float
    turns: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The figures of a soak; times in seconds since its load began.

    Attributes:
        speed: What all times were divided by.
        cycles: Cycles of the loop.
        slowest_cycle_s: Time that the slowest of them took.
        requests: Requests that ended.
        attainment: Share of them within both targets.
        first_step_s: When the loop first asked for more replicas; None for never.
        startup_s: Start-up time of a replica.
        attainment_outside: The same share without those that were sent while the replicas of the
            first step started.
        attainment_left_out: The same share of those alone; NaN for none.
        ttft_p95_ms: TTFT that 95% of the requests kept.
        itl_p95_ms: ITL likewise.
        phases: The phases.
        replica_s: Seconds of replicas, from their container's start to its end.
        clairvoyant_s: The same of one who knows the load.
        unknown_cycles: Cycles in which nothing could be decided.
    """

    speed: float
    cycles: int
    slowest_cycle_s: float
    requests: int
    attainment: float
    first_step_s: float | None
    startup_s: float
    attainment_outside: float
    attainment_left_out: float
    ttft_p95_ms: float
    itl_p95_ms: float
    phases: tuple[Phase, ...]
    replica_s: float
    clairvoyant_s: float
    unknown_cycles: int

    @property
    def cost_ratio(self) -> float:
        """Cost over that of one who knows the load."""
        return self.replica_s / self.clairvoyant_s

    @property
    def left_out(self) -> int:
        """Requests that were sent while the replicas of the first step started."""
        return sum(phase.left_out for phase in self.phases)

    def holds(self) -> Mapping[str, bool]:
        """Return what was promised, and whether it holds."""
        return {
            "attainment": self.attainment_outside >= LEAST_ATTAINMENT,
            "calm": all(phase.turns <= MOST_TURNS for phase in self.phases),
            "cost": self.cost_ratio <= MOST_COST,
        }


def judge(soak: Soak, found: ClosedLoop, rate_of_one_rps: float) -> Verdict:
    """Return the figures of a soak that is over.

    Args:
        soak: What was played.
        found: How it went.
        rate_of_one_rps: Largest rate of one replica within the targets.
    """
    end_s = soak.load.duration_s
    requests = found.served(SERVER)
    sizes = sizes_asked_for(found, SERVER)
    first = next(
        (after[0] for before, after in itertools.pairwise(sizes) if after[1] > before[1]), None
    )

    def in_first_step(request: Served) -> bool:
        return first is not None and first <= found.sent_s(request) < first + soak.startup_s

    outside, left_out = parted(requests, in_first_step)
    phases = []
    start_s = 0.0
    for index, (name, phase) in enumerate(soak.phases):
        mine = [each for each in requests if each.phase == index]
        window = start_s, start_s + phase.duration_s
        counts = [size for _, size in sizes_within(sizes, *window)]
        kept, out = parted(mine, in_first_step)
        phases.append(
            Phase(
                name,
                *window,
                len(mine),
                attainment(mine),
                len(out),
                attainment(kept),
                turns(counts),
                min(counts),
                max(counts),
            )
        )
        start_s += phase.duration_s
    decisions = [
        record["servers"][SERVER]["decision"] or {"held": []} for _, record in found.cycles()
    ]
    return Verdict(
        soak.speed,
        len(found.records),
        max((each.took_s or 0.0 for each in found.records), default=0.0),
        len(requests),
        attainment(requests),
        first,
        soak.startup_s,
        attainment(outside),
        attainment(left_out),
        _p95([each.ttft_ms for each in requests]),
        _p95([each.itl_ms for each in requests]),
        tuple(phases),
        replica_seconds(counted(found, found.pods(SERVER), ready=False, end_s=end_s), end_s),
        replica_seconds(
            clairvoyant_sizes(soak.load.rate_rps, end_s, soak.startup_s, rate_of_one_rps), end_s
        ),
        sum(any(held.endswith("_unknown") for held in each["held"]) for each in decisions),
    )


def parted(
    requests: Sequence[Served], apart: Callable[[Served], bool]
) -> tuple[list[Served], list[Served]]:
    """Return the requests that something does not hold of, and those that it holds of."""
    parts: tuple[list[Served], list[Served]] = [], []
    for each in requests:
        parts[apart(each)].append(each)
    return parts


def within_targets(request: Served) -> bool:
    """Return whether a request was served within both targets."""
    return request.done and request.ttft_ms <= TTFT_P95_MS and request.itl_ms <= ITL_P95_MS


def attainment(requests: Sequence[Served]) -> float:
    """Return the share of requests within both targets; NaN for none."""
    if not requests:
        return math.nan
    return sum(map(within_targets, requests)) / len(requests)


def _p95(values: Sequence[float]) -> float:
    known = sorted(value for value in values if not math.isnan(value))
    return known[min(len(known) - 1, math.ceil(0.95 * len(known)) - 1)] if known else math.nan
