"""What a request gets with a replica of its own: the best that any fleet can do for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import Router
from studies.traces.goal import TraceGoal
from studies.traces.playing import run_whole, scenario_of
from studies.traces.replica import ReplicaOption
from studies.traces.requests import IntArray, RequestTrace

_APART_MS = 1e7
"""Time between requests played one after the other, hours: whoever takes longer waits."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How many requests can keep their targets at all.

    Attributes:
        attainment: Share of the requests that keep all targets on an idle replica.
        missing: Which do not, the first ones first; indices into the trace.
        longest_kept: Input tokens of the longest prompt that keeps its targets; 0 for none.
    """

    attainment: float
    missing: IntArray
    longest_kept: int


def reach(option: ReplicaOption, trace: RequestTrace, goal: TraceGoal) -> Reach:
    """Play every request by itself."""
    apart = np.arange(len(trace), dtype=np.float64) * _APART_MS
    alone = RequestTrace.of(apart, trace.input_tokens, trace.output_tokens)
    records = run_whole(scenario_of(option, alone, 1, Router.ROUND_ROBIN)).records
    kept = np.logical_and.reduce(list(goal.kept(records).values()))
    prompts = trace.input_tokens[kept]
    return Reach(float(kept.mean()), np.flatnonzero(~kept), int(prompts.max(initial=0)))
