"""How many replicas it takes at least, whatever the router: a bound by prices of time.

Put a price on every moment of a replica. Engine time that a request needs must be spent between
its arrival and the latest moment at which it still keeps its targets, so it costs at least its
engine time at the least price in between. Of all requests, some may miss their targets and then
cost nothing: those that would cost the most. What the others cost must be paid out of all moments
of all replicas, so that

    replicas >= (cost of the requests, without the dearest that may miss) / (price of one replica).

That holds for any prices, any router, any order of service, even one that knows the future;
`lower_bound` looks for prices under which it says the most, which is the dual of the linear
program of serving the trace by fluid.

A router that knows the future may send what is dear to a few replicas and let it wait there for
hours. No router here behaves so, and nobody wants it: with a `Patience`, the requests that miss
their targets cost something as well, their engine time at the least price until that patience ends.
The bound is then one on the fleets that let nobody wait longer.

What engine time a request needs is priced by floors under the time of an iteration
(`studies.traces.floors`). To the prices of its tokens comes a share of the overhead of iterations,
for iterations cannot be shared by arbitrarily many: a batch has at most so many sequences, so much
context fits in memory, so many prompt tokens are computed. And a small ITL bounds the batch as
well: with c the least decode price of a token of a request, S its tokens after the first, I the
target and a the overhead, the iterations that the request is decoded in take at most I * S
together, each of them a and the c of all that decode in it; by the inequality of Cauchy and Schwarz
the iterations of all requests are at least sum(c * S) / (I - a). `docs/traces.md` has the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from studies.traces.floors import IterationFloor, iteration_floors
from studies.traces.goal import TraceGoal
from studies.traces.market import Market, Windows
from studies.traces.replica import ReplicaOption
from studies.traces.requests import BoolArray, FloatArray, RequestTrace

MOMENTS = 48
"""Moments that prices are put on."""


class BoundBasis(StrEnum):
    """What limits how many tokens an iteration can serve, in the floor that says the most."""

    BATCH = "batch limit"
    MEMORY = "KV memory"
    PROMPTS = "prompt tokens"
    ITL = "ITL target"
    ONE = "one request"


@dataclass(frozen=True, slots=True)
class Patience:
    """What a request gets that misses its targets.

    Attributes:
        ttft_ms: Largest time to its first token.
        itl_ms: Largest mean time between its tokens.
    """

    ttft_ms: float
    itl_ms: float


@dataclass(frozen=True, slots=True)
class FleetBound:
    """What no fleet can go below.

    Attributes:
        replicas: Replicas at least; None where no number of them is enough.
        fluid: The bound before it is rounded up; infinite where no number is enough.
        basis: What it rests on.
        impossible: Requests that miss a target on a replica of their own.
        patience: How long a request may take that misses its targets; None for any time.
    """

    replicas: int | None
    fluid: float
    basis: BoundBasis
    impossible: int
    patience: Patience | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Needs:
    """What each request needs; arrays (requests,), times in ms.

    Attributes:
        prompt_ms: Engine time of its prompt.
        decode_ms: Engine time of its further tokens.
        itl_ms: Least mean time between its tokens; 0 for one token.
        ttft_ms: Least time to its first token.
        shares: For each basis the iterations that prompt and decode take at least, times the
            overhead.
    """

    prompt_ms: FloatArray
    decode_ms: FloatArray
    itl_ms: FloatArray
    ttft_ms: FloatArray
    shares: dict[BoundBasis, tuple[FloatArray, FloatArray]]


def lower_bound(
    option: ReplicaOption,
    trace: RequestTrace,
    goal: TraceGoal,
    patience: Patience | None = None,
) -> FleetBound:
    """Return a number of replicas that no fleet of them goes below, whatever its router.

    Args:
        option: The replica.
        trace: The requests.
        goal: What they are to keep.
        patience: How long those may take that do not; None for any time at all.
    """
    best = FleetBound(1, 0.0, BoundBasis.ONE, 0, patience)
    may_miss = goal.may_miss(len(trace))
    for floor in _floors(option, trace):
        needs = _needs(option, trace, goal, floor)
        refused = too_large(option, trace)
        lost = refused | _impossible(trace, goal, needs)
        count = int(lost.sum())
        if count > may_miss:
            return FleetBound(None, math.inf, BoundBasis.ONE, count, patience)
        for basis, fluid in _fluid_bounds(trace, goal, needs, lost, refused, patience, best.fluid):
            if fluid > best.fluid:
                # What rounding may have added to the sums must not add a replica.
                replicas = max(1, math.ceil(fluid * (1.0 - 1e-9)))
                best = FleetBound(replicas, fluid, basis, count, patience)
    return best


def too_large(option: ReplicaOption, trace: RequestTrace) -> BoolArray:
    """Tell which requests the KV memory of a replica can never hold; they are refused."""
    tokens = trace.input_tokens + trace.output_tokens - 1
    if option.profile.kv_tokens is None:
        return np.zeros(len(trace), dtype=np.bool_)
    block = option.engine.block_tokens
    refused: BoolArray = -(-tokens // block) > option.profile.kv_tokens // block
    return refused


def _impossible(trace: RequestTrace, goal: TraceGoal, needs: _Needs) -> BoolArray:
    """Tell which requests cannot keep their targets even with a replica of their own."""
    lost: BoolArray = np.zeros(len(trace), dtype=np.bool_)
    if goal.ttft_ms is not None:
        lost |= needs.ttft_ms > goal.ttft_ms
    if goal.itl_ms is not None:
        lost |= needs.itl_ms > goal.itl_ms
    if goal.e2e_ms is not None:
        lost |= needs.ttft_ms + needs.itl_ms * (trace.output_tokens - 1) > goal.e2e_ms
    return lost


def _floors(option: ReplicaOption, trace: RequestTrace) -> Iterator[IterationFloor]:
    longest = int((trace.input_tokens + trace.output_tokens).max())
    return iteration_floors(
        option.profile.parameters, option.max_batch, option.profile.token_budget, longest
    )


def _needs(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, floor: IterationFloor
) -> _Needs:
    prompt: FloatArray = trace.input_tokens.astype(np.float64)
    further: FloatArray = trace.output_tokens.astype(np.float64) - 1.0
    budget = float(option.profile.token_budget)
    chunks = np.ceil(prompt / budget)
    # The last chunk reads up to the end of the prompt, the one before at most a budget less.
    read = prompt * chunks - budget * chunks * (chunks - 1.0) / 2.0
    # A prompt that is split fills an iteration, whose tokens pay for what is saved there.
    filled = max(budget - option.max_batch, 1.0)
    token = max(floor.token_ms - floor.credit_ms / filled, 0.0)
    prompt_ms = np.maximum(
        token * prompt + floor.read_ms * read + floor.prompt_ms - floor.credit_ms, 0.0
    )
    context = further * prompt + further * (further + 1.0) / 2.0
    decode_ms = floor.sequence_ms * further + floor.context_ms * context
    with np.errstate(invalid="ignore"):
        each = np.where(further > 0, decode_ms / further, 0.0)
    overhead = floor.overhead_ms
    none: FloatArray = np.zeros(len(prompt))
    shares: dict[BoundBasis, tuple[FloatArray, FloatArray]] = {
        BoundBasis.BATCH: (none, overhead * further / option.max_batch)
    }
    if option.profile.kv_tokens is not None:
        shares[BoundBasis.MEMORY] = (none, overhead * context / option.profile.kv_tokens)
    if floor.every:
        shares[BoundBasis.PROMPTS] = (overhead * prompt / budget, overhead * further / budget)
    if goal.itl_ms is not None and goal.itl_ms > overhead:
        least = floor.sequence_ms + floor.context_ms * (prompt + 1.0)
        batches = least * further / (goal.itl_ms - overhead)
        shares[BoundBasis.ITL] = (none, overhead * batches)
    alone = overhead * chunks if floor.every else none
    return _Needs(
        prompt_ms=prompt_ms,
        decode_ms=decode_ms,
        itl_ms=np.where(further > 0, overhead + each, 0.0),
        ttft_ms=alone + prompt_ms + floor.first_token_ms,
        shares=shares,
    )


def _fluid_bounds(
    trace: RequestTrace,
    goal: TraceGoal,
    needs: _Needs,
    lost: BoolArray,
    refused: BoolArray,
    patience: Patience | None,
    beyond: float,
) -> Iterator[tuple[BoundBasis, float]]:
    arrival = trace.arrival_ms
    by_first, by_last = _latest(trace, goal)
    if not np.isfinite(by_first).any():
        return
    late_first = np.full(len(trace), np.inf)
    late_last = late_first
    if patience is not None:
        late_first = np.maximum(arrival + patience.ttft_ms, by_first)
        late_last = late_first + patience.itl_ms * (trace.output_tokens - 1)
    end = 1.5 * trace.span_ms + float(np.min(by_first - arrival)) + 1.0
    end = min(end, max(float(np.max(by_last)), trace.span_ms + 1.0))
    moment = end / MOMENTS
    first = np.minimum((arrival / moment).astype(np.int64), MOMENTS - 1)
    windows = [
        # What may happen after the last moment may happen for nothing: one more moment, free.
        Windows.of(
            first,
            np.where(until < end, np.minimum(until, end) / moment, MOMENTS).astype(np.int64),
        )
        for until in (by_first, by_last, late_first, late_last)
    ]
    served = ~refused
    for basis, (of_prompt, of_decode) in needs.shares.items():
        # Who misses the targets is not held to the ITL, and who is refused takes nothing.
        late = served * (0.0 if basis is BoundBasis.ITL else 1.0)
        market = Market(
            needs.prompt_ms + of_prompt,
            needs.decode_ms + of_decode,
            served * needs.prompt_ms + late * of_prompt,
            served * needs.decode_ms + late * of_decode,
            *windows,
            lost=lost,
            may_miss=goal.may_miss(len(trace)),
            moments=MOMENTS,
        )
        found = market.best(moment, beyond * moment) / moment
        # Only what adds a replica is looked for: the next basis must say more than this one.
        beyond = max(beyond, math.ceil(found))
        yield basis, found


def _latest(trace: RequestTrace, goal: TraceGoal) -> tuple[FloatArray, FloatArray]:
    """Return when the first and the last token of each request have to be there at the latest."""
    arrival = trace.arrival_ms
    first = np.full(len(trace), np.inf)
    if goal.ttft_ms is not None:
        first = arrival + goal.ttft_ms
    last = arrival + goal.allowed_ms(trace.output_tokens)
    return np.minimum(first, last), last
