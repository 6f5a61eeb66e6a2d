"""Which batch limits to size in search of the smallest near-peak one.

f(N) is the throughput at the largest rate that keeps the targets with batch limit N. Up to
`EXACT_UP_TO` every limit is sized; above it four in a hundred, and then more of them where it
matters: beside the best one, and between the last limit below the answer and the answer. Two facts
spare the rest.

**A cap.** No rate above 0.999·μ(N) is considered and none completes more than is offered, hence
f(N) ≤ 0.999·μ(N), which costs nothing to compute. Limits whose cap is below what is needed are not
sized. This is proven, also where μ(N) drops because prompts take one chunk more; limits just before
such a drop, where f can peak, are sized although they lie between two of the four in a hundred.

**An end.** Chains with limits N < N' weigh the states up to N alike. So where the rate is held by a
target and not by its upper end, and the states from N on have next to no probability (P below, over
the distance of the rate from the smallest μ above N, so that a longer chain has no more there), the
means at that rate are the same with N' up to that share. Where ITL is known to rise with the rate,
as TTFT always does, no higher rate keeps the target with N' either: f(N') = f(N), and the search
ends. The same holds if no limit up to N, beyond the largest batch whose closed-form latencies keep
the targets, is feasible. Elsewhere, with prompts of a varying number of chunks or with very short
outputs, ITL falls at some rates and may be kept again with more requests in service. There nothing
is proven: every limit up to `EXACT_UP_TO` is sized, and then only those twice as large as the last.
(With outputs of a few tokens f can jump from limit to limit; above `EXACT_UP_TO` the plateau is
then the best of the limits sized.) Tests compare all this with every limit sized.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray

EXACT_UP_TO = 256
"""Batch limits are all sized up to this one, unless the end is reached before."""

SETTLED = 1e-8
"""Largest share of requests in states beyond a limit that counts as none."""

_FIRST = 32
_STEP = 0.04
_STRETCH = 6  # sampled limits between two looks at the end
_WAYS = 8
_PEAKS = 8
_MARGIN = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Sized:
    """What sizing says of some limits, arrays (limits,): requests per second; NaN: infeasible.

    ``settled`` tells that the rate is held by a target, and that longer chains weigh no more.
    """

    throughput_rps: FloatArray
    settled: BoolArray


Search = Generator[IntArray, Sized, tuple[float, float]]
"""Yields limits to size, is sent what they carry; returns the answer and the plateau (or NaN)."""


def search_limits(
    cap_rps: FloatArray,
    kept_up_to: int,
    share: float,
    exact_up_to: int,
    *,
    itl_rises: bool,
) -> Search:
    """Search the smallest limit N with f(N) ≥ share·plateau.

    Args:
        cap_rps: 0.999·μ(N) for N = 1..max_batch.
        kept_up_to: the largest batch whose closed-form latencies keep the targets.
        share: of the plateau, what is near it.
        exact_up_to: largest limit up to which every limit is sized.
        itl_rises: ITL never falls as the rate rises, with any of the limits from 2.
    """
    known = _Known(cap_rps)
    settled, last = False, 0
    for stretch in _stretches(len(cap_rps), exact_up_to):
        end = int(stretch[-1])
        beyond = stretch[0] > exact_up_to
        if beyond and settled and end < min(2 * last, len(cap_rps)):
            continue
        # Far above the batch that the targets allow, f only nears the value that it ends with.
        levelling = beyond and (settled or stretch[0] > 2 * kept_up_to)
        limits = stretch[-1:] if levelling else stretch
        sized = yield limits
        better = known.add(limits, sized)
        last = end
        settled = end > kept_up_to and (bool(sized.settled[-1]) or not known.feasible)
        if settled and itl_rises:
            break
        settled &= not (levelling and better)
    if not known.feasible:
        return np.nan, np.nan
    peaks = known.peaks(exact_up_to, kept_up_to)
    yield from _size(known, peaks[known.cap[peaks] > known.plateau * (1.0 + _MARGIN)], _PEAKS)
    while len(beside := known.beside_best()):
        yield from _size(known, beside, _WAYS)
    floor = share * known.plateau
    early = peaks[(known.cap[peaks] >= floor) & (peaks < known.first_from(floor))]
    yield from _size(known, early, _PEAKS)
    while len(between := known.before_first(share * known.plateau)):
        yield from _size(known, between, _WAYS)
    return float(known.first_from(share * known.plateau)), known.plateau


def _size(known: _Known, wanted: IntArray, most: int) -> Generator[IntArray, Sized, None]:
    """Size the wanted limits, or so many of them, evenly spread and with the last."""
    if len(wanted) > 2 * most:
        wanted = wanted[(np.arange(1, most + 1) * len(wanted)) // most - 1]
    if len(wanted):
        known.add(wanted, (yield wanted))


def _stretches(largest: int, exact_up_to: int) -> list[IntArray]:
    """Return limits to size, in stretches after each of which the search may end."""
    ends = [0]
    while ends[-1] < min(largest, exact_up_to):
        ends.append(min(max(_FIRST, 2 * ends[-1]), largest, exact_up_to))
    stretches = [np.arange(low + 1, high + 1) for low, high in pairwise(ends)]
    if largest > exact_up_to:
        steps = int(np.ceil(np.log(largest / exact_up_to) / _STEP))
        sampled = np.unique(np.ceil(np.geomspace(exact_up_to, largest, steps + 1))).astype(np.int64)
        sampled = np.append(sampled[(sampled > exact_up_to) & (sampled < largest)], largest)
        stretches += [sampled[at : at + _STRETCH] for at in range(0, len(sampled), _STRETCH)]
    return stretches


class _Known:
    """What has been sized so far; arrays by limit, number 0 unused."""

    def __init__(self, cap_rps: FloatArray) -> None:
        self.cap = np.concatenate([[0.0], cap_rps])
        self._carried = np.full(len(self.cap), -np.inf)
        self._sized = np.zeros(len(self.cap), dtype=np.bool_)
        self._sized[0] = True

    def add(self, limits: IntArray, sized: Sized) -> bool:
        """Take what the limits carry; tell whether it is more than before."""
        before = self.plateau
        self._sized[limits] = True
        self._carried[limits] = np.nan_to_num(sized.throughput_rps, nan=-np.inf)
        return (
            self.plateau > before + _MARGIN * abs(before) if np.isfinite(before) else self.feasible
        )

    @property
    def plateau(self) -> float:
        return float(self._carried.max())

    @property
    def feasible(self) -> bool:
        return bool(np.isfinite(self.plateau))

    def first_from(self, floor: float) -> int:
        """Return the smallest sized limit that carries this much."""
        return int(np.argmax(self._carried >= floor))

    def peaks(self, above: int, up_to: int) -> IntArray:
        """Return limits not sized that have a larger cap than both neighbours."""
        inner = (self.cap[1:-1] > self.cap[:-2]) & (self.cap[1:-1] > self.cap[2:])
        limits: IntArray = 1 + np.flatnonzero(inner)
        return limits[(limits > above) & (limits <= up_to) & ~self._sized[limits]]

    def beside_best(self) -> IntArray:
        """Return limits between the best one and its sized neighbours that may be better."""
        best = int(np.argmax(self._carried))
        sized = np.flatnonzero(self._sized)
        at = int(np.searchsorted(sized, best))
        last = sized[min(at + 1, len(sized) - 1)]
        limits = np.arange(sized[at - 1] + 1, last)
        return limits[~self._sized[limits] & (self.cap[limits] > self.plateau * (1.0 + _MARGIN))]

    def before_first(self, floor: float) -> IntArray:
        """Return limits between the first that carries this much and the sized one before it."""
        first = self.first_from(floor)
        below = int(np.flatnonzero(self._sized[:first])[-1])
        limits = np.arange(below + 1, first)
        return limits[self.cap[limits] >= floor]
