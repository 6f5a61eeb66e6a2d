"""Closed loops: a fixed number of clients, each sending its next request as its last one ends.

C clients hold C requests in the system at all times; B = min(C, N, …) of them have a slot in the
batch and the others wait in line, first come, first served. What happens in the slots is told by
`closed_waves` where all answers are equally long, by `closed_spread` where they are not, and by
`closed_backlog` where the prompts of an iteration often exceed its token budget. Here the waits
are added, and Little's law holds exactly: C = throughput · mean E2E. Where first tokens take time
outside the engine, those whose tokens are on their way are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.closed_backlog import backlog_times
from queueing.engine.closed_delays import LOCKSTEP_CV, later, outside_ms
from queueing.engine.closed_loop import Loops, SlotTimes, mean_of
from queueing.engine.closed_nodes import FINE, combine, percentiles_of, stratify
from queueing.engine.closed_spread import overflow_share, spread_times
from queueing.engine.closed_waves import wave_group, wave_times
from queueing.engine.memory import MemoryBound, memory_bound
from queueing.engine.point import PERCENTILES, EnginePoint, Latency

_CHUNK = 128
_RARE_OVERFLOW = 0.003
_MOST_ROUNDS = 12
_CLOSE = 1e-4


def analyze_closed(
    cases: EngineCases, concurrency: npt.ArrayLike, percentiles: Sequence[float] = PERCENTILES
) -> EnginePoint:
    """Return what replicas do under a fixed number of clients without think time.

    The queue limit and the arrival CV of the cases have no meaning here: the line holds whatever
    the batch does not, nobody is turned away, and requests offered are requests completed.

    Args:
        cases: the replicas.
        concurrency: clients of each case, C ≥ 1, one value or one for each case. Rows where it
            is less, not finite, or where the case makes no sense come back as NaN.
        percentiles: which percentiles of the latencies, 0 to 100.

    Raises:
        ValueError: as many numbers of clients as cases, or one, were expected.
    """
    clients = columns(concurrency, np.zeros(len(cases)))[0]
    if len(clients) != len(cases):
        raise ValueError(f"{len(clients)} numbers of clients for {len(cases)} cases")
    with np.errstate(invalid="ignore"):
        usable = cases.usable() & (clients >= 1.0) & np.isfinite(clients)
    parts = []
    places = np.flatnonzero(usable)
    for start in range(0, len(places), _CHUNK):
        rows = places[start : start + _CHUNK]
        parts.append(_analyze(cases.take(rows), clients[rows], percentiles))
    return _gather(parts, places, len(cases), tuple(percentiles))


def _analyze(cases: EngineCases, clients: FloatArray, percentiles: Sequence[float]) -> EnginePoint:
    point = _in_engine(cases, clients, percentiles)
    delay, wait = outside_ms(cases, clients, point)
    if not np.any(delay > 0.0):
        return point
    # Of C clients those are served whose tokens are not on their way.
    served = clients
    for _ in range(_MOST_ROUNDS):
        e2e = point.e2e.mean_ms
        before, served = served, np.maximum(clients * e2e / (e2e + wait + delay), 1.0)
        point = _in_engine(cases, served, percentiles)
        delay, wait = outside_ms(cases, clients, point)
        if np.all(np.abs(served - before) <= _CLOSE * clients):
            break
    rate = clients / (point.e2e.mean_ms + wait + delay)
    thinner = 1000.0 * rate / point.throughput_rps
    in_service = point.mean_in_service * thinner
    return replace(
        point,
        arrival_rate_rps=1000.0 * rate,
        throughput_rps=1000.0 * rate,
        saturation_rps=np.maximum(point.saturation_rps, 1000.0 * rate),
        wait=later(point.wait, wait),
        ttft=later(point.ttft, wait + delay),
        e2e=later(point.e2e, wait + delay),
        mean_in_service=in_service,
        mean_in_system=clients - rate * delay,
        utilization=in_service / cases.max_batch,
        kv_use=point.kv_use * thinner,
    )


def _in_engine(
    cases: EngineCases, clients: FloatArray, percentiles: Sequence[float]
) -> EnginePoint:
    """Return what replicas do with that many clients whose tokens reach them at once."""
    memory = memory_bound(cases)
    limit = np.minimum(cases.max_batch, np.floor(cases.token_budget))
    present = np.minimum(clients, limit)
    again = memory.recomputed_tokens(cases.prefix_hit_rate)
    again = np.where(memory.bounded(), again, 0.0)
    preemptions = memory.preemptions_per_request(present)
    loops = Loops.of(cases, clients, _places(memory, present), preemptions, again)
    times = _slot_times(loops)
    full = times.rate_per_ms.copy()
    more = np.flatnonzero(clients < limit)
    if len(more):
        crowded = memory.preemptions_per_request(limit)
        crowd = Loops.of(cases, limit, _places(memory, limit), crowded, again).take(more)
        full[more] = _slot_times(crowd).rate_per_ms
    rate = times.rate_per_ms
    saturation = np.maximum(full, rate)

    mean_queued = np.maximum(clients - loops.slots, 0.0) / rate
    mean_ready = mean_of(times.ready_ms, times.prefill_weight)
    wait, wait_weight = _sum(
        (times.queued_ms, times.queued_weight), (times.ready_ms, times.prefill_weight), FINE
    )
    first, first_weight = _sum(
        (times.queued_ms, times.queued_weight), (times.prefill_ms, times.prefill_weight), FINE
    )
    whole, whole_weight = _sum((first, first_weight), (times.decode_ms, times.decode_weight), FINE)
    itl = _latency(times.itl_ms, times.itl_weight, percentiles)
    token_itl = _latency(times.gap_ms, times.gap_weight, percentiles)
    ttft = _latency(first, first_weight, percentiles)
    e2e = Latency(clients / rate, _latency(whole, whole_weight, percentiles).at_ms)
    waiting = rate * (mean_queued + mean_ready)
    in_service = clients - waiting
    none = np.zeros_like(rate)
    return EnginePoint(
        percentiles=tuple(percentiles),
        arrival_rate_rps=1000.0 * rate,
        throughput_rps=1000.0 * rate,
        saturation_rps=1000.0 * saturation,
        blocking=none,
        wait=Latency(mean_queued + mean_ready, _latency(wait, wait_weight, percentiles).at_ms),
        ttft=ttft,
        itl=itl,
        token_itl=token_itl,
        e2e=e2e,
        mean_in_service=in_service,
        mean_in_system=clients,
        utilization=in_service / cases.max_batch,
        kv_use=memory.kv_use(in_service),
        preemption_rate=preemptions,
        stable=np.ones(len(rate), dtype=np.bool_),
        extrapolated=cases.times.extrapolates(
            loops.slots, loops.requests.context, np.minimum(loops.computed, cases.token_budget)
        ),
    )


def _places(memory: MemoryBound, limit: FloatArray) -> FloatArray:
    """Return how many requests are in service, of that many that batch and budget allow."""
    places = np.maximum(np.minimum(memory.in_service(limit), limit), 1.0)
    # Of a binomial distribution with a large probability only whole numbers make sense.
    answer: FloatArray = np.where(
        memory.bounded() & (memory.requests.output < 2.3), np.floor(places), places
    )
    return answer


def _slot_times(loops: Loops) -> SlotTimes:
    requests = loops.requests
    spread = np.sqrt(np.maximum(requests.output_square / requests.output**2 - 1.0, 0.0))
    group = wave_group(loops)
    # A slot alone is a renewal process whatever the lengths; and random prompts that hardly fit
    # scatter the clients as random answers do.
    tight = (group < 1.0) | (loops.slots > 0.9 * group * requests.output)
    scattered = (loops.slots <= 1.0) | ((loops.cases.input_cv > 0.0) & tight)
    lockstep = (spread < LOCKSTEP_CV) & ~scattered
    parts: list[tuple[BoolArray, SlotTimes]] = []
    if lockstep.any():
        parts.append((lockstep, wave_times(loops.take(lockstep), group[lockstep])))
    if not lockstep.all():
        rows = np.flatnonzero(~lockstep)
        crowded = np.zeros_like(lockstep)
        apart = loops.take(rows)
        crowded[rows] = (overflow_share(apart) > _RARE_OVERFLOW) & (apart.slots > 1.0)
        for kind, times in ((crowded, backlog_times), (~lockstep & ~crowded, spread_times)):
            if kind.any():
                parts.append((kind, times(loops.take(kind))))
    return _join(parts, len(lockstep))


def _join(parts: list[tuple[BoolArray, SlotTimes]], count: int) -> SlotTimes:
    """Put the rows of the parts in their places; fewer values are filled up with weight 0."""
    arrays = {}
    for field in fields(SlotTimes):
        given = [(rows, getattr(part, field.name)) for rows, part in parts]
        shape: tuple[int, ...] = (count,)
        if given[0][1].ndim == 2:
            shape = (max(len(values) for _, values in given), count)
        whole = np.zeros(shape)
        for rows, values in given:
            if values.ndim == 2:
                whole[: len(values), rows] = values
            else:
                whole[rows] = values
        arrays[field.name] = whole
    return SlotTimes(**arrays)


def _sum(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray], edges: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the distribution of the sum of two independent times, each cut into strata."""
    short, long = (_strata(*part, edges) for part in (first, second))
    count = short.shape[-1]
    weight = np.diff(edges)[:, None] * np.ones(count)
    return (short[:, None] + long[None]).reshape(-1, count), combine(weight, weight)


def _strata(values: FloatArray, weights: FloatArray, edges: FloatArray) -> FloatArray:
    order = np.argsort(values, axis=0)
    ascending = np.take_along_axis(values, order, axis=0)
    masses = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=0)
    return stratify(masses, [ascending], edges)[0]


def _latency(values: FloatArray, weights: FloatArray, percentiles: Sequence[float]) -> Latency:
    """Return mean and percentiles; NaN where nothing weighs (no gap follows a single token)."""
    some = weights.sum(axis=0) > 0.0
    at = percentiles_of(values, weights, percentiles)
    return Latency(mean_of(values, weights), np.where(some, at, np.nan))


def _gather(
    parts: list[EnginePoint],
    places: npt.NDArray[np.int64],
    count: int,
    percentiles: tuple[float, ...],
) -> EnginePoint:
    def scatter(pieces: list[FloatArray]) -> FloatArray:
        whole = np.full(count, np.nan)
        if pieces:
            whole[places] = np.concatenate(pieces)
        return whole

    def flags(pieces: list[BoolArray]) -> BoolArray:
        whole = np.zeros(count, dtype=np.bool_)
        if pieces:
            whole[places] = np.concatenate(pieces)
        return whole

    def latency(pieces: list[Latency]) -> Latency:
        at = np.full((len(percentiles), count), np.nan)
        if pieces:
            at[:, places] = np.concatenate([piece.at_ms for piece in pieces], axis=1)
        return Latency(scatter([piece.mean_ms for piece in pieces]), at)

    return EnginePoint(
        percentiles=percentiles,
        arrival_rate_rps=scatter([part.arrival_rate_rps for part in parts]),
        throughput_rps=scatter([part.throughput_rps for part in parts]),
        saturation_rps=scatter([part.saturation_rps for part in parts]),
        blocking=scatter([part.blocking for part in parts]),
        wait=latency([part.wait for part in parts]),
        ttft=latency([part.ttft for part in parts]),
        itl=latency([part.itl for part in parts]),
        token_itl=latency([part.token_itl for part in parts]),
        e2e=latency([part.e2e for part in parts]),
        mean_in_service=scatter([part.mean_in_service for part in parts]),
        mean_in_system=scatter([part.mean_in_system for part in parts]),
        utilization=scatter([part.utilization for part in parts]),
        kv_use=scatter([part.kv_use for part in parts]),
        preemption_rate=scatter([part.preemption_rate for part in parts]),
        stable=flags([part.stable for part in parts]),
        extrapolated=flags([part.extrapolated for part in parts]),
    )
