"""All that the latencies of replicas at a rate follow from."""

from __future__ import annotations

from dataclasses import dataclass

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
