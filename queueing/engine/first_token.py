"""Until the first token: distributions of the wait and of TTFT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.mixtures import Mixture, Parts, Shape
from queueing.engine.requests import Requests
from queueing.engine.scene import Scene


def memory_wait(scene: Scene) -> tuple[FloatArray, FloatArray] | None:
    """Return at each state the probability of a wait for KV memory, and its mean.

    Those present beyond the number that fits wait for departures, one for each.
    """
    states, memory = scene.states, scene.top.memory
    if not np.any(memory.bounded()):
        return None
    # A newcomer needs room for its prompt, less than those hold that have decoded for a while.
    needs = np.minimum(scene.requests.held / memory.kv_mean, 1.0)
    taken = states.number * memory.kv_mean + scene.requests.held
    spread = np.sqrt(np.maximum(states.number * memory.kv_variance, 1e-12))
    beyond = np.where(memory.bounded(), taken - memory.capacity, -np.inf)
    waits = np.where(states.number >= 0.5, ndtr(beyond / spread), 0.0)
    surplus = np.maximum(states.number - memory.in_service(states.number), 0.0)
    place = np.clip(surplus / np.maximum(waits, 1e-12), 0.0, states.number) + needs
    pace = states.at.in_service / scene.station.service_ms
    return waits, np.where(waits > 1e-9, place / np.maximum(pace, 1e-300), 0.0)


def full_wait(scene: Scene) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the wait of those who find the replica full."""
    line, top, states = scene.line, scene.top, scene.states
    before = np.maximum(top.limit - top.slots, 0.0) / top.rate
    # The mean wait of all is that of a time; those who find it full are more or fewer.
    ratio = states.full_in_time / np.maximum(states.full_met, 1e-300)
    fewer = np.clip(ratio, 0.1, 10.0) ** (1.0 / top.slots)
    return fewer * line.mean_ms + before, fewer**2 * line.variance + before / top.rate


def wait_mixture(scene: Scene) -> Mixture:
    """Return the time from arrival to the iteration that begins the prompt."""
    states, station = scene.states, scene.station
    busy = states.number >= 0.5
    mean = np.where(busy, station.backlog.wait_ms, 0.0)
    none = np.zeros_like(mean)
    full_mean, full_variance = full_wait(scene)
    above = _row(scene.accepted_full, 0.0 * full_mean, full_mean, full_variance)
    memory = memory_wait(scene)
    if memory is None:
        return Mixture((Parts(scene.accepted, none, mean, mean**2 / 3.0), above))
    waits, long = memory
    below = Parts(scene.accepted * (1.0 - waits), none, mean, mean**2 / 3.0)
    return Mixture((below, Parts(scene.accepted * waits, none, long, long**2), above))


def delays(scene: Scene, requests: Requests) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return by how much later than its iteration a first token is with its reader.

    Least, mean excess over it and variance, arrays (states + 1, cases), the replica that is full
    last. Only lengths of answers vary: two standard deviations below the mean count as the least.
    """
    top, times = scene.top, scene.cases.times
    decoding = np.concatenate(
        [scene.states.at.decoding, (top.slots * scene.requests.steps / top.steps)[None]]
    )
    mean = times.first_token_delay_ms(decoding, requests.output)
    shortest = times.first_token_delay_ms(decoding, np.ones_like(requests.output))
    by_token = (mean - shortest) / np.maximum(requests.steps, 1e-12)
    variance = by_token**2 * np.maximum(requests.output_square - requests.output**2, 0.0)
    least = np.maximum(mean - 2.0 * np.sqrt(variance), shortest)
    return least, mean - least, variance


def mean_delay_ms(scene: Scene) -> FloatArray:
    """Return by how much later first tokens are with their readers on average, array (cases,)."""
    least, excess, _ = delays(scene, scene.requests)
    met = np.concatenate([scene.accepted, scene.accepted_full[None]])
    mean: FloatArray = (met * (least + excess)).sum(axis=0) / np.maximum(met.sum(axis=0), 1e-300)
    return mean


def ttft_mixture(scene: Scene, requests: Requests | None = None) -> Mixture:
    """Return the time from arrival to the first output token.

    Args:
        scene: the replicas.
        requests: requests as their senders know them, where the replicas serve a part of them.
    """
    engine = _prefilled(scene)
    least, excess, variance = delays(scene, scene.requests if requests is None else requests)
    if not np.any(least + excess > 0.0):
        return engine

    def late(part: Parts, rows: slice) -> Parts:
        return replace(
            part,
            shift=part.shift + least[rows],
            mean=part.mean + excess[rows],
            variance=part.variance + variance[rows],
        )

    *below, above = engine.parts
    full = slice(len(least) - 1, None)
    return Mixture((*(late(part, slice(0, full.start)) for part in below), late(above, full)))


def _prefilled(scene: Scene) -> Mixture:
    """Return the time from arrival to the end of the iteration that makes the first token."""
    states, station, top = scene.states, scene.station, scene.top
    at = states.at
    busy = states.number >= 0.5
    shift = at.chunks * at.base_ms + at.offset_ms
    mean = at.prompt_ms + np.where(busy, station.backlog.ahead_ms + station.backlog.fill_ms, 0.0)
    variance = np.where(busy, station.backlog.variance, 0.0) + station.own_variance
    share = np.where(busy, station.backlog.quiet, 0.0)
    quiet_mean = np.where(share > 0.0, at.prompt_ms + station.backlog.quiet_ms, 0.0)
    share = np.where(quiet_mean < mean, share, 0.0)
    rest = np.maximum(1.0 - share, 1e-9)
    loud_mean = (mean - share * quiet_mean) / rest
    square = variance + mean**2 - share * (station.backlog.quiet_variance + quiet_mean**2)
    # Who meets nobody waits for nothing that could vary.
    least = station.own_variance + np.where(busy, 0.02 * loud_mean**2, 0.0)
    loud_variance = np.maximum(square / rest - loud_mean**2, least)
    quiet = Parts(
        scene.accepted * share, shift, quiet_mean, station.backlog.quiet_variance, Shape.LOGNORMAL
    )
    loud = Parts(scene.accepted * rest, shift, loud_mean, loud_variance, Shape.LOGNORMAL)
    own = top.prompt_ms
    spread = own**2 * top.prompt_spread
    full_mean, full_variance = full_wait(scene)
    above = _row(
        scene.accepted_full, top.admission_ms - own, full_mean + own, full_variance + spread
    )
    memory = memory_wait(scene)
    if memory is None:
        return Mixture((quiet, loud, above))
    waits, long = memory
    held = Parts(
        scene.accepted * waits,
        shift,
        at.prompt_ms + long,
        station.own_variance + long**2,
    )
    parts = [replace(part, weight=part.weight * (1.0 - waits)) for part in (quiet, loud)]
    return Mixture((*parts, held, above))


def _row(weight: FloatArray, shift: FloatArray, mean: FloatArray, variance: FloatArray) -> Parts:
    """Return a single part."""
    return Parts(weight[None], shift[None], mean[None], variance[None])
