"""What a request gets with a replica of its own: the best that any fleet can do for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import Records, Router
from studies.traces.goal import TraceGoal
from studies.traces.playing import run_whole, scenario_of
from studies.traces.replica import ReplicaOption
from studies.traces.requests import IntArray, RequestTrace

_APART_MS = 1e7
"""Time between requests played one after the other, hours; more where one takes longer."""


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
    records = _apart(option, trace, _APART_MS)
    longest = float(np.max(records.e2e_ms, where=~np.isnan(records.e2e_ms), initial=0.0))
    if longest > _APART_MS:
        # One waited for another, or shared its engine: that far apart nobody can.
        records = _apart(option, trace, longest)
    kept = np.logical_and.reduce(list(goal.kept(records).values()))
    prompts = trace.input_tokens[kept]
    return Reach(float(kept.mean()), np.flatnonzero(~kept), int(prompts.max(initial=0)))


def _apart(option: ReplicaOption, trace: RequestTrace, apart_ms: float) -> Records:
    """Return what becomes of the requests that far apart on one replica."""
    times = np.arange(len(trace), dtype=np.float64) * apart_ms
    alone = RequestTrace.of(times, trace.input_tokens, trace.output_tokens)
    return run_whole(scenario_of(option, alone, 1, Router.ROUND_ROBIN)).records
