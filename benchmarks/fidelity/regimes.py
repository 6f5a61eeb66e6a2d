"""Groups of operating points that have something in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.fidelity.work import Measured
from queueing.arrays import BoolArray

PREEMPTED = 0.001
"""Preemptions per request from which memory counts as overdrawn."""


@dataclass(frozen=True, slots=True)
class Regime:
    """Points that have something in common.

    Attributes:
        group: What tells it from the others of its group, which together hold every point once.
        name: What its points have in common.
        selects: Tells whether a point belongs to it.
    """

    group: str
    name: str
    selects: Callable[[Measured], bool]

    def rows(self, measured: Sequence[Measured]) -> BoolArray:
        """Return which points belong to it."""
        return np.array([self.selects(item) for item in measured], dtype=np.bool_)


def regimes() -> Iterator[Regime]:
    """Yield all regimes, group by group."""
    yield from _bands("load", lambda m: m.point.load, (0.3, 0.6, 0.8, 0.9, 0.95), first="0.1")
    yield from _bands("batch limit", lambda m: m.point.replica.max_batch, (4, 16, 64, 256))
    yield from _bands("input tokens", lambda m: m.point.replica.input_tokens, (256, 2000, 8000))
    yield from _bands("output tokens", lambda m: m.point.replica.output_tokens, (4, 32, 256, 2000))
    yield from _bands("input CV", lambda m: m.point.replica.input_cv, (0, 0.75, 1.5))
    yield from _bands("output CV", lambda m: m.point.replica.output_cv, (0, 0.75, 1.5))
    yield Regime("arrival CV", "below 1", lambda m: m.point.replica.arrival_cv < 1)
    yield Regime("arrival CV", "1 (Poisson)", lambda m: m.point.replica.arrival_cv == 1)
    yield Regime("arrival CV", "1 to 2", lambda m: m.point.replica.arrival_cv > 1)
    yield Regime("prompts", "fit in the token budget", lambda m: not _chunked(m))
    yield Regime("prompts", "are cut in chunks", _chunked)
    yield Regime("KV memory", "no limit", lambda m: m.point.replica.kv_tokens is None)
    yield Regime("KV memory", "limited, held", lambda m: _limited(m) and not _overdrawn(m))
    yield Regime("KV memory", "limited, preempting", _overdrawn)
    yield Regime("parameters", "token-work", lambda m: m.point.replica.kind == "token-work")
    yield Regime("parameters", "linear", lambda m: m.point.replica.kind == "linear")
    yield Regime("parameters", "curve", lambda m: m.point.replica.kind == "curve")
    yield Regime("prefix hits", "none", lambda m: m.point.replica.prefix_hit_rate == 0)
    yield Regime("prefix hits", "some", lambda m: m.point.replica.prefix_hit_rate > 0)


def _bands(
    group: str, value: Callable[[Measured], float], upper: Sequence[float], first: str = ""
) -> Iterator[Regime]:
    """Yield a regime for each band, which holds its upper end and not its lower one."""
    below = -np.inf
    for top in upper:
        begin = first if below == -np.inf else f"{below:g}"
        name = f"{begin} to {top:g}" if begin else ("none" if top == 0 else f"up to {top:g}")

        def selects(item: Measured, low: float = below, high: float = top) -> bool:
            return low < value(item) <= high

        yield Regime(group, name, selects)
        below = top


def _chunked(item: Measured) -> bool:
    replica = item.point.replica
    return replica.input_tokens * (1 - replica.prefix_hit_rate) > replica.token_budget


def _limited(item: Measured) -> bool:
    return item.point.replica.kv_tokens is not None


def _overdrawn(item: Measured) -> bool:
    return _limited(item) and item.truth.preemptions >= PREEMPTED
