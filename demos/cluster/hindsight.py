"""What a loop did, and what one who knows the load would have done: replicas over time."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.fleets import parse_fleet
from demos.cluster.closed_loop import ClosedLoop, Document
from demos.cluster.emulated import PodLife
from optimizer.planner import plan_fleet

Sizes = list[tuple[float, int]]
"""From when on how many, in the order of the times."""

_STEP_S = 0.25


def rates_of_one(document: Document, loads: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the largest rate of one replica within the targets, by server.

    Args:
        document: The fleet.
        loads: Load of each server, as a fleet document has it.
    """
    servers: list[dict[str, Any]] = document["servers"]
    told = [{**server, "load": dict(loads[server["name"]])} for server in servers]
    plan = plan_fleet(parse_fleet({**document, "servers": told}))
    return {each.server: each.max_rate_rps or 0.0 for each in plan.allocations}


def sizes_asked_for(found: ClosedLoop, server: str) -> Sizes:
    """Return when which number of replicas was asked for, the first at the start."""
    deployed = next(each for each in found.setup.deployed if each.server == server)
    sizes = [(0.0, deployed.replicas)]
    for at_s, record in found.cycles():
        took_s = record["took_s"] or 0.0
        sizes += [
            (at_s + took_s, int(change["replicas"]))
            for change in record["changes"]
            if change["outcome"] == "applied" and change["workload"].endswith(f"/{server}")
        ]
    return sizes


def sizes_within(sizes: Sizes, start_s: float, end_s: float) -> Sizes:
    """Return the sizes in force between two times; the first is that at the start."""
    before = [size for at_s, size in sizes if at_s <= start_s]
    inside = [(at_s, size) for at_s, size in sizes if start_s < at_s < end_s]
    return [(start_s, before[-1] if before else sizes[0][1]), *inside]


def turns(counts: Sequence[int]) -> int:
    """Return how often a row of numbers changes its direction."""
    steps = [after - before for before, after in itertools.pairwise(counts) if after != before]
    return sum((one > 0) != (other > 0) for one, other in itertools.pairwise(steps))


def counted(found: ClosedLoop, pods: Sequence[PodLife], *, ready: bool, end_s: float) -> Sizes:
    """Return how many pods there were over time: those that serve, or all that hold cards."""
    changes: list[tuple[float, int]] = []
    for pod in pods:
        start = pod.ready_s if ready else pod.started_s
        end = pod.stopping_s if ready else pod.gone_s
        if start is None:
            continue
        changes.append((max(0.0, found.since_began(start)), 1))
        if end is not None:
            changes.append((max(0.0, found.since_began(end)), -1))
    sizes: Sizes = [(0.0, 0)]
    for at_s, change in sorted(changes):
        if at_s < end_s:
            sizes.append((at_s, sizes[-1][1] + change))
    return sizes


def replica_seconds(sizes: Sizes, end_s: float) -> float:
    """Return the sum of sizes over time, up to the end."""
    ends = [*(at_s for at_s, _ in sizes[1:]), end_s]
    return sum(
        size * max(0.0, min(after, end_s) - at_s)
        for (at_s, size), after in zip(sizes, ends, strict=True)
    )


def size_at(sizes: Sizes, at_s: float) -> int:
    """Return the size in force at a time."""
    place = bisect.bisect_right([at for at, _ in sizes], at_s)
    return sizes[max(0, place - 1)][1]


def replicas_needed(rate_rps: float, rate_of_one_rps: float) -> int:
    """Return the fewest replicas that keep the targets at a rate; at least one."""
    return max(1, math.ceil(rate_rps / rate_of_one_rps - 1e-9))


def clairvoyant_sizes(
    rate_rps: Callable[[float], float], end_s: float, startup_s: float, rate_of_one_rps: float
) -> Sizes:
    """Return the fewest replicas to pay for at every moment, for one who knows the load.

    What serves at a moment was ordered a start-up time before: paid for are, at every moment, as
    many as any moment from now to a start-up time later needs. Replicas end at once.
    """
    times = [index * _STEP_S for index in range(max(1, int(end_s / _STEP_S)))]
    needed = [replicas_needed(rate_rps(at_s), rate_of_one_rps) for at_s in times]
    ahead = round(startup_s / _STEP_S)
    sizes = [(at_s, max(needed[index : index + ahead + 1])) for index, at_s in enumerate(times)]
    return [
        sizes[0],
        *(after for before, after in itertools.pairwise(sizes) if after[1] != before[1]),
    ]
