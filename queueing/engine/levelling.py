"""Replicas whose numbers in service a router evens out.

A router that sends each request to the replica with the fewest makes the R replicas one system:
the number T in all of them is a birth–death chain with the arrivals of all, each replica serving
about T/R (the single-queue view of Gupta, Harchol-Balter, Sigman and Whitt, Analysis of
join-the-shortest-queue routing for web server farms, 2007). A replica then has the whole number
below T/R or the one above, and an arrival meets the lower one. With every slot of all replicas
taken they share one line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.scene import Scene
from queueing.engine.states import States, pooling
from queueing.engine.wait import Line, line, variability

_GRID = 96
_STEPS: FloatArray = np.arange(_GRID, dtype=np.float64)
_REACH = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class _Totals:
    """Numbers in all replicas, and their probabilities; arrays (grid, cases) or (cases,)."""

    number: FloatArray
    in_time: FloatArray
    met: FloatArray
    full_in_time: FloatArray
    full_met: FloatArray


def levelled(scene: Scene, replicas: FloatArray, arrival_cv: FloatArray, part: FloatArray) -> Scene:
    """Return the scene of one of several replicas whose numbers are evened out.

    Args:
        scene: one replica at its share of the rate, alone.
        replicas: replicas R of each case, at least 1.
        arrival_cv: coefficient of variation of the times between arrivals to all of them.
        part: share of the variance of the numbers that is evened out, 0 to 1.
    """
    queue = scene.cases.max_queue * replicas
    together = replace(scene.cases, max_queue=queue, arrival_cv=arrival_cv)
    behind = _line(together, scene, replicas)
    totals = _totals(scene, replicas, arrival_cv, behind)
    shares = _shares(scene, replicas, totals)
    states = _mixed(part, scene.states, shares)
    found = part * shares.full_met / np.maximum(states.full_met, 1e-300)
    behind = _mixed_line(np.where(part < 1.0, found, 1.0), scene.line, behind)
    blocking = states.full_met * behind.lost
    kept = np.maximum(1.0 - blocking, 1e-300)
    return replace(
        scene,
        states=states,
        line=behind,
        blocking=blocking,
        accepted=states.met / kept,
        accepted_full=states.full_met * (1.0 - behind.lost) / kept,
    )


def _line(together: EngineCases, scene: Scene, replicas: FloatArray) -> Line:
    """Return the line behind all replicas, whose members have chosen one of them.

    With Q waiting in all, geometric of ratio r, about Q/R wait in each, rounded down: geometric of
    ratio r^R. One who comes waits for that many departures of its own replica and for one more:
    R(1 - r)/(1 - r^R) times as long as for any slot of all.
    """
    top = scene.top
    slots, served = replicas * top.slots, replicas * top.rate
    common = line(together, slots, replicas * scene.rate, served, top.spread)
    load = scene.rate / top.rate
    factor = variability(together, slots, load, top.spread)
    ratio = np.clip(factor * load / np.maximum(1.0 - load + factor * load, 1e-3), 0.0, 1.0 - 1e-9)
    longer = np.maximum(replicas * (1.0 - ratio) / (1.0 - ratio**replicas), 1.0)
    return replace(common, mean_ms=common.mean_ms * longer, variance=common.variance * longer**2)


def _totals(scene: Scene, replicas: FloatArray, arrival_cv: FloatArray, behind: Line) -> _Totals:
    """Return the chain of the number in all replicas."""
    states, top, rate = scene.states, scene.top, replicas * scene.rate
    offered = np.maximum(replicas * states.mean, 1e-9)
    kept = pooling(top.spread)

    def peaked(cv: FloatArray, expected: FloatArray) -> FloatArray:
        dispersion = count_variance(expected, cv) / expected
        return np.maximum(1.0 + (dispersion - 1.0) * kept, 0.05)

    peakedness = peaked(arrival_cv, offered)
    alone = peaked(scene.cases.arrival_cv, np.maximum(states.mean, 1e-9))
    stretch = np.maximum(states.variance / np.maximum(states.mean * alone, 1e-9), 0.25)
    deviation = np.sqrt(offered * peakedness * stretch) + 2.0
    most = replicas * top.limit - 1.0
    first = np.clip(np.floor(offered - _REACH * deviation), 0.0, np.maximum(most - _GRID, 0.0))
    last = np.clip(np.ceil(offered + _REACH * deviation), np.minimum(first + _GRID, most), most)
    step = np.maximum((last - first) / (_GRID - 1.0), 1.0)
    number = first + step * _STEPS[:, None]
    inside = number <= last + 1e-6
    slope = rate * (1.0 - 1.0 / peakedness) / offered
    bound = 0.5 * np.maximum(replicas * top.rate - rate, 0.0)
    bound = bound / np.maximum(replicas * top.limit - offered, 1e-9)
    slope = np.where(slope > 0.0, np.minimum(slope, bound), slope)

    def arrivals(at: FloatArray) -> FloatArray:
        return np.maximum(rate + slope * (at - offered), 1e-9 * rate)

    pace = _pace(scene, number / replicas) * replicas
    pace = np.where(number > 0.5, pace, 1.0)
    log_in, log_out = np.log(arrivals(number)), np.log(np.maximum(pace, 1e-300))
    half = 0.5 * step
    growth = (half + 0.5) * (log_in[:-1] - log_out[1:]) + (half - 0.5) * (
        log_in[1:] - np.where(number[:-1] > 0.5, log_out[:-1], log_out[1:])
    )
    logs = np.zeros_like(number)
    np.cumsum(growth, axis=0, out=logs[1:])
    logs = np.where(inside, logs, -np.inf)
    weights = np.exp(logs - logs.max(axis=0))
    columns = np.arange(number.shape[1])
    index = inside.sum(axis=0) - 1
    at_last = weights[index, columns]
    reaches = number[index, columns] >= most - 1e-6
    full = np.where(reaches, at_last * arrivals(most) / (replicas * top.rate), 0.0) * behind.weight
    weights = weights * step
    ends = np.where(index > 0, 0.5 * (step + 1.0), 1.0) / step
    weights[0] *= ends
    weights[index, columns] *= np.where(index > 0, ends, 1.0)
    scale = 1.0 / (weights.sum(axis=0) + full)
    met, full_met = weights * arrivals(number), full * arrivals(most + 1.0)
    arriving = met.sum(axis=0) + full_met
    return _Totals(number, weights * scale, met / arriving, full * scale, full_met / arriving)


def _pace(scene: Scene, number: FloatArray) -> FloatArray:
    """Return departures per millisecond of a replica with a number, (grid, cases), present."""
    nodes, top = scene.states.number, scene.top
    rates = scene.states.at.in_service / scene.station.service_ms
    per_request = rates[1:] / np.maximum(nodes[1:], 1.0)
    ends = np.maximum(nodes[1:], 1.0)
    at = np.maximum(number, 1.0)
    pace = np.broadcast_to(per_request[0], number.shape)
    for low in range(len(ends) - 1):
        width = np.maximum(ends[low + 1] - ends[low], 1e-9)
        share = np.clip((at - ends[low]) / width, 0.0, 1.0)
        inner = per_request[low] + share * (per_request[low + 1] - per_request[low])
        pace = np.where(at > ends[low], inner, pace)
    # Between the last node and the full replica.
    end = ends[-1]
    share = np.clip((at - end) / np.maximum(top.limit - end, 1e-9), 0.0, 1.0)
    inner = per_request[-1] + share * (top.rate / top.limit - per_request[-1])
    pace = np.where(at > end, inner, pace)
    result: FloatArray = number * np.where(top.limit > 1.0, pace, top.rate)
    return result


def _shares(scene: Scene, replicas: FloatArray, totals: _Totals) -> States:
    """Return the states of one replica from those of all."""
    states, top = scene.states, scene.top
    level = totals.number / replicas
    low = np.floor(level + 1e-9)
    above = level - low
    in_time = totals.in_time * (1.0 - above), totals.in_time * above
    nodes = states.number
    times = _on_nodes(nodes, low, in_time[0]) + _on_nodes(nodes, low + 1.0, in_time[1])
    fine = np.concatenate([0.0 * states.fine[:1], states.fine])
    density = _on_nodes(fine, low, in_time[0]) + _on_nodes(fine, low + 1.0, in_time[1])
    density = density[1:] / np.maximum(np.gradient(states.fine, axis=0), 1.0)
    mean = (totals.in_time * level).sum(axis=0) + totals.full_in_time * top.limit
    square = (in_time[0] * low**2 + in_time[1] * (low + 1.0) ** 2).sum(axis=0)
    square = square + totals.full_in_time * top.limit**2
    return replace(
        states,
        in_time=times,
        met=_on_nodes(nodes, low, totals.met),
        full_in_time=totals.full_in_time,
        full_met=totals.full_met,
        mean=mean,
        variance=np.maximum(square - mean**2, 0.0),
        density=density,
    )


def _mixed(share: FloatArray, other: States, one: States) -> States:
    """Return states that are those of one with a probability, else those of the other."""

    def mix(one_of: FloatArray, other_of: FloatArray) -> FloatArray:
        mixed: FloatArray = share * one_of + (1.0 - share) * other_of
        return mixed

    mean = mix(one.mean, other.mean)
    square = mix(one.variance + one.mean**2, other.variance + other.mean**2)
    return replace(
        other,
        in_time=mix(one.in_time, other.in_time),
        met=mix(one.met, other.met),
        full_in_time=mix(one.full_in_time, other.full_in_time),
        full_met=mix(one.full_met, other.full_met),
        mean=mean,
        variance=square - mean**2,
        density=mix(one.density, other.density),
    )


def _mixed_line(share: FloatArray, other: Line, one: Line) -> Line:
    """Return the line that one joins where every slot is taken, one of two.

    Args:
        share: probability of the one.
        other: the other line.
        one: that line.
    """
    mean = share * one.mean_ms + (1.0 - share) * other.mean_ms
    square = share * (one.variance + one.mean_ms**2)
    square = square + (1.0 - share) * (other.variance + other.mean_ms**2)
    return Line(
        share * one.weight + (1.0 - share) * other.weight,
        share * one.lost + (1.0 - share) * other.lost,
        mean,
        square - mean**2,
    )


def _on_nodes(nodes: FloatArray, number: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weights of nodes, (nodes, cases), from those of numbers: the same sums and means."""
    number = np.where(number > 0.5, np.clip(number, nodes[1], nodes[-1]), 0.0)
    result = np.zeros_like(nodes)
    for low in range(len(nodes) - 1):
        width = nodes[low + 1] - nodes[low]
        inside = (number >= nodes[low]) & (number < nodes[low + 1])
        part = np.where(inside, weight, 0.0)
        share = np.where(inside, (number - nodes[low]) / np.where(width > 0.0, width, 1.0), 0.0)
        result[low] += (part * (1.0 - share)).sum(axis=0)
        result[low + 1] += (part * share).sum(axis=0)
    result[-1] += np.where(number >= nodes[-1], weight, 0.0).sum(axis=0)
    return result
