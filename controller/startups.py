"""How long replicas take to start, learned from those that did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.control.cluster import VariantState

_KEPT = 20
_SHARE = 0.9

Pair = tuple[str, str]
"""Name of the model, name of the accelerator."""


@dataclass(frozen=True, slots=True)
class StartupTimes:
    """Observed start-up times, the newest last, by model and accelerator.

    Attributes:
        seconds: From a pod's creation to ready.
        counted: Pods that are counted already, by pair.
    """

    seconds: Mapping[Pair, tuple[float, ...]] = field(default_factory=dict)
    counted: Mapping[Pair, frozenset[str]] = field(default_factory=dict)

    def with_variant(self, model: str, variant: VariantState) -> StartupTimes:
        """Return the times with those of a workload's replicas that got ready since.

        Counted from the moment a node was found: waiting for cards is no start-up.
        """
        pair = (model, variant.accelerator)
        known = self.counted.get(pair, frozenset())
        fresh = {
            replica.name: replica.ready_at - begun
            for replica in variant.replicas
            if replica.ready_at is not None
            and replica.name not in known
            and (begun := replica.scheduled_at or replica.created_at) is not None
            and replica.ready_at >= begun
        }
        if not fresh:
            return self
        there = {replica.name for replica in variant.replicas}
        times = (*self.seconds.get(pair, ()), *fresh.values())[-_KEPT:]
        return StartupTimes(
            {**self.seconds, pair: times},
            {**self.counted, pair: frozenset((known & there) | set(fresh))},
        )

    def expected_s(self, model: str, accelerator: str, otherwise_s: float) -> float:
        """Return a time within which nine of ten replicas started; `otherwise_s` where none did."""
        times = sorted(self.seconds.get((model, accelerator), ()))
        if not times:
            return otherwise_s
        return times[min(len(times) - 1, math.ceil(_SHARE * len(times)) - 1)]
