"""Prefill on one pool of replicas, decode on another: two stations and a transfer between them.

- The first station is an engine whose requests have one output token: its TTFT is that of all.
- A request then travels, with its KV, for a fixed time and a time by the input token.
- The second station is an engine whose requests bring a context of L + 1 tokens, make K - 1 more
  and compute no prompt: the token that they join with costs what a decode costs. Requests of one
  output token do not come there.

What leaves the first station arrives at the second: a renewal stream of the same rate whose
variability is that of departures (Whitt, The queueing network analyzer, 1983, section 4.5) in the
short run, and that of the arrivals over times much longer than a stay at the first station, for
all that arrives leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.cases import EngineCases
from queueing.engine.decoding import decoding
from queueing.engine.first_token import ttft_mixture
from queueing.engine.handover import Handover
from queueing.engine.joining import JoiningTimes
from queueing.engine.requests import Requests
from queueing.engine.routing import fleet_scene
from queueing.engine.scene import Scene
from stoker.domain.routing import Router

_LEAST_SPREAD = 0.2
"""Least squared coefficient of variation of services that Whitt's formula for departures takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """The way of the KV from one pool to the other; arrays (cases,).

    Attributes:
        fixed_ms: time of a transfer, whatever its size.
        ms_per_token: further time for each input token.
    """

    fixed_ms: FloatArray
    ms_per_token: FloatArray

    @classmethod
    def of(
        cls, count: int, fixed_ms: npt.ArrayLike = 0.0, ms_per_token: npt.ArrayLike = 0.0
    ) -> Transfer:
        """Build for a number of cases from scalars or arrays.

        Raises:
            ValueError: a time is negative or not finite.
        """
        fixed, by_token, _ = columns(fixed_ms, ms_per_token, np.zeros(count))
        for name, values in (("fixed_ms", fixed), ("ms_per_token", by_token)):
            wrong = values[~((values >= 0.0) & np.isfinite(values))]
            if len(wrong):
                raise ValueError(f"{name} is {wrong[0]:g} (allowed: finite, 0 or more)")
        return cls(fixed, by_token)


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Two pools, one such system a case; arrays (cases,).

    Attributes:
        prefill: a replica of the first pool. Its cases tell the requests, too: lengths, prefix
            hits, and the variability of the arrivals; its output tokens are those of the answer.
        decode: a replica of the second pool; of its cases the service times, the batch limit, the
            token budget and the KV capacity count. It turns nobody away.
        prefill_replicas: replicas of the first pool.
        decode_replicas: replicas of the second pool.
        transfer: the way between them.
        prefill_router: how a request finds a replica of the first pool.
        decode_router: how it finds one of the second.
    """

    prefill: EngineCases
    decode: EngineCases
    prefill_replicas: FloatArray
    decode_replicas: FloatArray
    transfer: Transfer
    prefill_router: Router
    decode_router: Router

    def answers(self) -> Requests:
        """Return the moments of the requests."""
        return Requests.of(self.prefill)

    def stages(self) -> tuple[EngineCases, EngineCases]:
        """Return both stations as engines of their own; the second with Poisson arrivals."""
        one = np.ones(len(self.prefill))
        first = replace(self.prefill, output_tokens=one, output_cv=0.0 * one)
        return first, _decode_cases(self, self.answers())


def handover_at(system: System, rate: FloatArray) -> Handover:
    """Return both stations at a rate (per ms)."""
    answers = system.answers()
    first_cases, second_cases = system.stages()
    first = fleet_scene(first_cases, system.prefill_replicas, system.prefill_router, rate)
    first_token = ttft_mixture(first, answers)
    passing = rate * (1.0 - first.blocking) * answers.answering
    stay = answers.steps * _pace_ms(system.decode, answers)
    sojourn = first_token.average()
    short = np.where(np.isfinite(sojourn), sojourn / np.maximum(sojourn + stay, 1e-12), 1.0)
    spread = departure_spread(system.prefill.arrival_cv**2, first, system.prefill_replicas, short)
    # One that goes on leaves with those that do not.
    spread = 1.0 + answers.answering * (spread - 1.0)
    second = fleet_scene(
        replace(second_cases, arrival_cv=np.sqrt(np.clip(spread, 0.0, 100.0))),
        system.decode_replicas,
        system.decode_router,
        np.maximum(passing, 1e-15),
    )
    by_token = system.transfer.ms_per_token
    travel_variance = by_token**2 * np.maximum(answers.held_square - answers.held**2, 0.0)
    own = first.top.prompt_ms**2 * first.top.prompt_spread
    return Handover(
        first=first,
        second=second,
        first_token=first_token,
        second_token=ttft_mixture(second),
        decode=decoding(second),
        answering=answers.answering,
        steps=answers.steps,
        travel_ms=system.transfer.fixed_ms + by_token * answers.held,
        least_travel_ms=system.transfer.fixed_ms + by_token,
        travel_variance=travel_variance,
        # Long prompts take longer in both.
        together=np.sqrt(travel_variance * own),
    )


def departure_spread(
    arrivals: FloatArray, first: Scene, replicas: FloatArray, share: FloatArray
) -> FloatArray:
    """Return the squared coefficient of variation of what leaves the first station.

    Whitt's departures of R servers, 1 + (1 - ρ²)(c² - 1) + ρ²/√R (c_s² - 1), as far as times as
    short as a stay there matter; else that of the arrivals.

    Args:
        arrivals: that of the arrivals, c².
        first: one of the replicas of the first station.
        replicas: how many there are, R.
        share: weight of the departures.
    """
    load = np.clip(first.states.load, 0.0, 1.0)
    service = np.maximum(first.top.prompt_spread, _LEAST_SPREAD)
    leaving = 1.0 + (1.0 - load**2) * (arrivals - 1.0)
    leaving = leaving + load**2 / np.sqrt(replicas) * (service - 1.0)
    spread: FloatArray = arrivals + share * (leaving - arrivals)
    return spread


def _pace_ms(decode: EngineCases, answers: Requests) -> FloatArray:
    """Return the time of a decode iteration of a few sequences."""
    none = np.zeros(len(decode))
    few = np.minimum(0.25 * decode.max_batch, 16.0)
    return decode.times.iteration_ms(np.maximum(few, 1.0), answers.context, none, none, none)


def _decode_cases(system: System, answers: Requests) -> EngineCases:
    """Return the second station as an engine: contexts of L + 1 that are there, K - 1 tokens.

    K - 1 has the mean and variance that it has where K is above 1, as a lognormal length.
    """
    asked = system.prefill
    some = np.maximum(answers.answering, 1e-9)
    more = np.maximum(answers.steps / some, 1.0)
    square = (answers.output_square - 2.0 * answers.output + 1.0) / some
    # Lengths are made whole, which adds about a sixth to their variance.
    variance = np.maximum(square - more**2 - 1.0 / 6.0, 0.0)
    none = np.zeros(len(asked))
    held = np.maximum(asked.input_tokens, 1.0)
    return replace(
        system.decode,
        times=JoiningTimes(system.decode.times),
        input_tokens=held + 1.0,
        input_cv=asked.input_cv * held / (held + 1.0),
        output_tokens=more,
        output_cv=np.where(asked.output_cv > 0.0, np.sqrt(variance) / more, none),
        arrival_cv=none + 1.0,
        max_queue=none + np.inf,
        prefix_hit_rate=none + 1.0,
    )
