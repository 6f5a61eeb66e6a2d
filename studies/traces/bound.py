"""How many replicas it takes at least, whatever the router: a bound by prices of time.

Put a price on every moment of a replica. Engine time that a request needs must be spent between
its arrival and the latest moment at which it still keeps its targets, so it costs at least its
engine time at the least price in between. Of all requests, some may miss their targets and then
cost nothing: those that would cost the most. What the others cost must be paid out of all moments
of all replicas, so that

    replicas >= (cost of the requests, without the dearest that may miss) / (price of one replica).

That holds for any prices and any router, even one that knows the future;
`lower_bound` looks for prices under which it says the most, which is the dual of the linear
program of serving the trace by fluid.

A router that knows the future may send what is dear to a few replicas and let it wait there for
hours. No router here behaves so, and nobody wants it: with a `Patience`, the requests that miss
their targets cost something as well, their engine time at the least price until that patience ends.
The bound is then one on the fleets that let nobody wait longer.

A request that is in service holds a batch slot and KV memory, of which a replica has so many: they
have prices as well, at the boundaries between moments (`studies.traces.market`), so that to put off
decoding is not free. For this, requests are taken to be in service from their first token to their
last one. Those that lost their memory in between are not, strictly; but they wait at the front of
the line, and nobody new is admitted before them: they and the others all held slots and memory
together when the last one was admitted, so that they still fit. What engine time a request needs
is told by `studies.traces.needs`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from studies.traces.goal import TraceGoal
from studies.traces.market import Market, Service
from studies.traces.needs import (
    BoundBasis,
    Needs,
    floors_of,
    impossible,
    latest,
    needs_of,
    too_large,
)
from studies.traces.prices import best_prices
from studies.traces.replica import ReplicaOption
from studies.traces.requests import BoolArray, FloatArray, IntArray, RequestTrace

MOMENTS = 64
"""Moments that prices are put on, at most."""
_EACH = 20
"""Requests for each moment, at least."""


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
    for floor in floors_of(option, trace):
        needs = needs_of(option, trace, goal, floor)
        refused = too_large(option, trace)
        lost = refused | impossible(trace, goal, needs)
        count = int(lost.sum())
        if count > may_miss:
            return FleetBound(None, math.inf, BoundBasis.ONE, count, patience)
        for basis, fluid in _fluid_bounds(
            option, trace, goal, needs, lost, refused, patience, best.fluid
        ):
            if fluid > best.fluid:
                # What rounding may have added to the sums must not add a replica.
                replicas = max(1, math.ceil(fluid * (1.0 - 1e-9)))
                best = FleetBound(replicas, fluid, basis, count, patience)
    return best


def _fluid_bounds(
    option: ReplicaOption,
    trace: RequestTrace,
    goal: TraceGoal,
    needs: Needs,
    lost: BoolArray,
    refused: BoolArray,
    patience: Patience | None,
    beyond: float,
) -> Iterator[tuple[BoundBasis, float]]:
    arrival = trace.arrival_ms
    by_first, by_last = latest(trace, goal)
    if not np.isfinite(by_first).any():
        return
    end = trace.span_ms + float(np.min(by_first - arrival)) + 1.0
    served = ~refused
    further = trace.output_tokens - 1
    # By the engine: its reader may have the first token, and all others, some time later.
    soonest = arrival + needs.prompt_ms + needs.itl_ms * further
    clock = _Clock(end, min(max(len(trace) // _EACH, 8), MOMENTS))
    late_first = late_last = by_last
    if patience is not None:
        late_first = np.maximum(arrival + patience.ttft_ms, by_first)
        late_last = late_first + patience.itl_ms * further
    for basis, (of_prompt, of_decode) in needs.shares.items():
        # Who misses the targets is not held to the ITL, and who is refused takes nothing.
        late_too = served * (0.0 if basis is BoundBasis.ITL else 1.0)
        late = None
        if patience is not None:
            late = clock.service(
                served * needs.prompt_ms + late_too * of_prompt,
                served * needs.decode_ms + late_too * of_decode,
                late_first,
                late_last,
                soonest,
                served & (further > 0),
            )
        market = Market(
            clock.moments_of(arrival),
            clock.service(
                needs.prompt_ms + of_prompt,
                needs.decode_ms + of_decode,
                by_first,
                by_last,
                soonest,
                further > 0,
            ),
            late,
            trace.input_tokens.astype(np.float64),
            lost=lost,
            may_miss=goal.may_miss(len(trace)),
            moments=clock.moments,
            moment_ms=clock.moment_ms,
            slots=float(option.max_batch),
            kv_tokens=float(option.profile.kv_tokens or np.inf),
        )
        found = best_prices(market, beyond)
        # Only what adds a replica is looked for: the next basis must say more than this one.
        beyond = max(beyond, math.ceil(found))
        yield basis, found


@dataclass(frozen=True, slots=True)
class _Clock:
    """Moments of equal length until an end; what may happen later has the moment after the last."""

    end_ms: float
    moments: int

    @property
    def moment_ms(self) -> float:
        return self.end_ms / self.moments

    def moments_of(self, times: FloatArray) -> IntArray:
        """Return the moment that holds each time."""
        inside = np.minimum((np.minimum(times, self.end_ms) / self.moment_ms), self.moments - 1)
        return np.where(times < self.end_ms, inside, self.moments).astype(np.int64)

    def service(
        self,
        prompt_ms: FloatArray,
        decode_ms: FloatArray,
        by_first: FloatArray,
        by_last: FloatArray,
        soonest: FloatArray,
        holds: BoolArray,
    ) -> Service:
        """Return what is served by such times, where some requests hold a slot until the end."""
        boundary = np.ceil(np.minimum(by_first, self.end_ms * 2.0) / self.moment_ms + 1e-9)
        never = self.moments + 1
        return Service(
            prompt_ms,
            decode_ms,
            self.moments_of(by_first),
            self.moments_of(by_last),
            np.where(holds, np.clip(boundary, 1, never), never).astype(np.int64),
            np.minimum(self.moments_of(soonest), self.moments_of(by_last)),
        )
