"""Playing a trace on a number of replicas, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulator import (
    JointLengths,
    Pool,
    RequestStatus,
    Router,
    Run,
    Scenario,
    TraceArrivals,
    simulate,
)
from stoker.domain.latency import Latency
from studies.traces.goal import TraceGoal
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace

DEFAULT_SEEDS = 3
"""Runs of a router that draws at random; the worst of them counts."""


@dataclass(frozen=True, slots=True)
class Played:
    """A trace played on a number of replicas.

    Attributes:
        replicas: How many.
        attainment: Share of the requests that keep all targets; the least of all seeds.
        by_latency: The same for each target alone, in that run.
        percentiles_ms: Of each latency the percentile that the goal's share names, in that run: the
            smallest value that at least that share of the completed requests do not exceed. Of
            the ITL those with more than one token count.
        completed: Share of the requests that were completed.
        tokens: Input and output tokens of those.
        drain_ms: Time from the last arrival until the last request left.
        preemptions: Times that a request lost its KV.
        worst_ttft_ms: Largest time to a first token; NaN where no request had one.
        worst_itl_ms: Largest mean time between the tokens of a request; 0 for single tokens.
    """

    replicas: int
    attainment: float
    by_latency: Mapping[Latency, float]
    percentiles_ms: Mapping[Latency, float]
    completed: float
    tokens: int
    drain_ms: float
    preemptions: int
    worst_ttft_ms: float
    worst_itl_ms: float

    def meets(self, goal: TraceGoal, requests: int) -> bool:
        """Tell whether enough of that many requests keep all targets."""
        return round((1 - self.attainment) * requests) <= goal.may_miss(requests)


def scenario_of(
    option: ReplicaOption, trace: RequestTrace, replicas: int, router: Router, seed: int = 0
) -> Scenario:
    """Return the trace on that many replicas, to be played."""
    return Scenario(
        TraceArrivals(tuple(trace.arrival_ms.tolist())),
        JointLengths(
            tuple(trace.input_tokens.tolist()), tuple(trace.output_tokens.tolist()), in_order=True
        ),
        Pool(option.engine, replicas, router),
        len(trace),
        seed,
    )


def run_whole(scenario: Scenario) -> Run:
    """Play a scenario; of a trace every request counts, the first as much as any other."""
    return simulate(scenario, warm_up=0.0, cool_down=0.0)


def play(
    option: ReplicaOption,
    trace: RequestTrace,
    replicas: int,
    router: Router,
    goal: TraceGoal,
    seeds: Sequence[int] = (0,),
) -> Played:
    """Play a trace on that many replicas, with each of the seeds where the router draws.

    Returns:
        The run in which the fewest requests keep all targets.
    """
    drawn = seeds if router is Router.RANDOM and replicas > 1 else seeds[:1]
    return min(
        (
            measured(run_whole(scenario_of(option, trace, replicas, router, seed)), replicas, goal)
            for seed in drawn
        ),
        key=lambda played: played.attainment,
    )


def measured(run: Run, replicas: int, goal: TraceGoal) -> Played:
    """Return what a finished run says of a goal."""
    records = run.records
    kept = goal.kept(records)
    together = np.logical_and.reduce(list(kept.values()))
    done = records.status == RequestStatus.DONE
    # A value that a request had, so that it is within a target which the share keeps.
    percentiles = {
        latency: float(np.percentile(values[known], 100 * goal.share, method="inverted_cdf"))
        for latency, values in zip(
            Latency, (records.ttft_ms, records.itl_ms, records.e2e_ms), strict=True
        )
        if (known := done & ~np.isnan(values)).any()
    }
    return Played(
        replicas=replicas,
        attainment=float(together.mean()),
        by_latency={latency: float(each.mean()) for latency, each in kept.items()},
        percentiles_ms=percentiles,
        completed=float(done.mean()),
        tokens=int((records.input_tokens + records.output_tokens)[done].sum()),
        drain_ms=max(run.end_ms - float(records.arrival_ms[-1]), 0.0),
        preemptions=int(records.preemptions.sum()),
        worst_ttft_ms=float(np.max(records.ttft_ms[done])) if done.any() else float("nan"),
        worst_itl_ms=float(np.max(np.nan_to_num(records.itl_ms[done]), initial=0.0)),
    )
