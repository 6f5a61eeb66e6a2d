"""What requests need of engines at least, and by when: what every bound adds up.

Engine time is priced by floors under the time of an iteration (`studies.traces.floors`). To the
prices of a request's tokens comes a share of the overhead of iterations, for iterations cannot be
shared by arbitrarily many: a batch has at most so many sequences, so much context fits in memory,
so many prompt tokens are computed. And a small ITL bounds the batch as well: with c the least
decode price of a token of a request, S its tokens after the first, I the target and a the overhead,
the iterations that the request is decoded in take at most I * S together, each of them a and the c
of all that decode in it; by the inequality of Cauchy and Schwarz the iterations of all requests are
at least sum(c * S) / (I - a). `docs/traces.md` has the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from studies.traces.floors import IterationFloor, iteration_floors
from studies.traces.goal import TraceGoal
from studies.traces.replica import ReplicaOption
from studies.traces.requests import BoolArray, FloatArray, RequestTrace


class BoundBasis(StrEnum):
    """What limits how many tokens an iteration can serve, in the floor that says the most."""

    BATCH = "batch limit"
    MEMORY = "KV memory"
    PROMPTS = "prompt tokens"
    ITL = "ITL target"
    ONE = "one request"


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
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


def floors_of(option: ReplicaOption, trace: RequestTrace) -> Iterator[IterationFloor]:
    """Yield floors under the times of all iterations that a trace can make a replica run."""
    longest = int((trace.input_tokens + trace.output_tokens).max())
    return iteration_floors(
        option.profile.parameters, option.max_batch, option.profile.token_budget, longest
    )


def needs_of(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, floor: IterationFloor
) -> Needs:
    """Return what each request needs where a floor is under the time of every iteration."""
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
    return Needs(
        prompt_ms=prompt_ms,
        decode_ms=decode_ms,
        itl_ms=np.where(further > 0, overhead + each, 0.0),
        ttft_ms=alone + prompt_ms + floor.first_token_ms,
        shares=shares,
    )


def impossible(trace: RequestTrace, goal: TraceGoal, needs: Needs) -> BoolArray:
    """Tell which requests cannot keep their targets even with a replica of their own."""
    lost: BoolArray = np.zeros(len(trace), dtype=np.bool_)
    if goal.ttft_ms is not None:
        lost |= needs.ttft_ms > goal.ttft_ms
    if goal.itl_ms is not None:
        lost |= needs.itl_ms > goal.itl_ms
    if goal.e2e_ms is not None:
        lost |= needs.ttft_ms + needs.itl_ms * (trace.output_tokens - 1) > goal.e2e_ms
    return lost


def too_large(option: ReplicaOption, trace: RequestTrace) -> BoolArray:
    """Tell which requests the KV memory of a replica can never hold; they are refused."""
    tokens = trace.input_tokens + trace.output_tokens - 1
    if option.profile.kv_tokens is None:
        return np.zeros(len(trace), dtype=np.bool_)
    block = option.engine.block_tokens
    refused: BoolArray = -(-tokens // block) > option.profile.kv_tokens // block
    return refused


def latest(trace: RequestTrace, goal: TraceGoal) -> tuple[FloatArray, FloatArray]:
    """Return when the first and the last token of each request have to be there at the latest."""
    arrival = trace.arrival_ms
    first = np.full(len(trace), np.inf)
    if goal.ttft_ms is not None:
        first = arrival + goal.ttft_ms
    last = arrival + goal.allowed_ms(trace.output_tokens)
    return np.minimum(first, last), last


def least_engine_ms(option: ReplicaOption, trace: RequestTrace, goal: TraceGoal) -> FloatArray:
    """Return engine time of each request whose sum, over all that keep their targets, is spent.

    Of the floors and what limits a batch, those are taken that say the most in all.
    """
    return max(
        (
            needs.prompt_ms + of_prompt + needs.decode_ms + of_decode
            for floor in floors_of(option, trace)
            for needs in (needs_of(option, trace, goal, floor),)
            for of_prompt, of_decode in needs.shares.values()
        ),
        key=lambda each: float(each.sum()),
    )


def least_replica_ms(option: ReplicaOption, trace: RequestTrace, goal: TraceGoal) -> float:
    """Return the replica time that it takes at least until the last arrival, however provided.

    Every moment until then has the same price, so that it holds for replicas that come and go as
    they like, with any router. What a request may do after the last arrival is free, and those that
    may miss are those that would take the most.
    """
    best = 0.0
    by_first, by_last = latest(trace, goal)
    end = trace.span_ms
    refused = too_large(option, trace)
    for floor in floors_of(option, trace):
        needs = needs_of(option, trace, goal, floor)
        lost = refused | impossible(trace, goal, needs)
        left = goal.may_miss(len(trace)) - int(lost.sum())
        if left < 0:
            return math.inf
        for of_prompt, of_decode in needs.shares.values():
            spent = np.where(by_first <= end, needs.prompt_ms + of_prompt, 0.0)
            spent += np.where(by_last <= end, needs.decode_ms + of_decode, 0.0)
            each = np.sort(np.where(lost, 0.0, spent))
            best = max(best, float(each[: len(each) - left].sum()))
    return best
