"""All that the latencies of replicas at a rate follow from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.prompts import Station
from queueing.engine.requests import Requests
from queueing.engine.states import Full, States, solve_states
from queueing.engine.wait import Line, line


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Replicas at a rate; arrays (cases,) unless said otherwise.

    Attributes:
        cases: the replicas.
        requests: moments of their requests.
        rate: arrivals per ms.
        states: how many requests are present.
        station: what prompts make of a request's time, by state.
        top: a replica with every slot taken.
        line: the line behind it.
        blocking: share of the arrivals that are turned away.
        accepted: probability that one who is not meets a state, array (states, cases).
        accepted_full: probability that one who is not finds every slot taken.
    """

    cases: EngineCases
    requests: Requests
    rate: FloatArray
    states: States
    station: Station
    top: Full
    line: Line
    blocking: FloatArray
    accepted: FloatArray
    accepted_full: FloatArray

    def met(self, values: FloatArray) -> FloatArray:
        """Return the mean over the states that requests meet below the limit, array (cases,)."""
        share = np.maximum(self.accepted.sum(axis=0), 1e-9)
        mean: FloatArray = (self.accepted * values).sum(axis=0) / share
        return mean


def scene_at(cases: EngineCases, requests: Requests, top: Full, rate: FloatArray) -> Scene:
    """Return replicas at a rate (per ms)."""
    behind = line(cases, top.slots, rate, top.rate, top.spread)
    states, prompts = solve_states(cases, requests, rate, top, behind)
    states = _shedding(states, behind, cases)
    blocking = states.full_met * behind.lost
    kept = np.maximum(1.0 - blocking, 1e-300)
    return Scene(
        cases,
        requests,
        rate,
        states,
        prompts,
        top,
        behind,
        blocking,
        states.met / kept,
        states.full_met * (1.0 - behind.lost) / kept,
    )


def _shedding(states: States, behind: Line, cases: EngineCases) -> States:
    """Return the states with every slot taken as often as it takes to shed what is too much.

    No more can leave than a full replica completes: a queue with a limit turns the rest away, also
    where the batch limit is not what makes the replica full.
    """
    share = np.where(np.isfinite(cases.max_queue), 1.0 - 1.0 / states.load, 0.0)
    least = np.clip(share / np.maximum(behind.lost, 1e-300), 0.0, 1.0)
    if np.all(states.full_met >= least):
        return states
    met = np.maximum(states.full_met, least)
    over_time = np.maximum(states.full_in_time, least)
    return replace(
        states,
        met=states.met * (1.0 - met) / np.maximum(1.0 - states.full_met, 1e-300),
        full_met=met,
        in_time=states.in_time * (1.0 - over_time) / np.maximum(1.0 - states.full_in_time, 1e-300),
        full_in_time=over_time,
    )
