"""KV memory as a bound on the batch: who fits, what is in service, how often memory runs out.

The engine admits a request when the blocks of its whole prompt are free, lets it grow, and sends
the youngest back when memory runs out. Think of the requests present as a stack, the oldest at the
bottom: those whose KV lies below the capacity C are in service. Then

- with m present, V(m) the KV they would hold has mean m·v and variance m·s², v and s² those of a
  request in service at a random iteration. The number that fits is that of renewals up to C, about
  normal with mean C/v and variance C·s²/v³ (Cox, Renewal Theory, 1962, section 3.3);
- the capacity falls inside some request, of which nothing is held: on average E[h²]/2E[h] stays
  free, h the KV that requests near the edge ask for (inspection paradox);
- decoding pulls the edge down by a token for each sequence and iteration, those that leave push it
  up. Each time that it moves down past a request, that one is preempted: as often as the tokens
  that the edge sinks times the density of edges at C, Σ f(C + j·h) over j ≥ 0, with f the density
  of V(m). Deep in the bound that is 1/h: what is recomputed is what the others grow by.

Counting in iterations keeps all of this free of times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import BoolArray, FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.held import BLOCK_TOKENS, Held, held
from queueing.engine.requests import Requests

_LEAVING = 4
"""Departures in one iteration that are told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryBound:
    """What KV memory allows; arrays (cases,). Without a limit, `room` is infinite.

    Attributes:
        requests: moments of the requests served, those that could fit.
        too_large: share of the offered requests that memory could never hold.
        capacity: KV tokens, in whole blocks.
        kv_mean: KV tokens that a request in service holds, on average over its iterations.
        kv_variance: variance of that.
        edge: KV tokens that a request at the edge of memory holds when it is preempted, or asks
            for when it comes back.
        slack: KV tokens free on average while a request waits for memory.
        room: mean number of requests that fit.
        room_deviation: its standard deviation.
        freed_mean: KV tokens that a departure frees.
        freed_variance: variance of that.
        max_batch: the batch limit N.
        effective_batch: mean number in service while the queue is never empty, 1 to N.
    """

    requests: Requests
    too_large: FloatArray
    capacity: FloatArray
    kv_mean: FloatArray
    kv_variance: FloatArray
    edge: FloatArray
    slack: FloatArray
    room: FloatArray
    room_deviation: FloatArray
    freed_mean: FloatArray
    freed_variance: FloatArray
    max_batch: FloatArray
    effective_batch: FloatArray

    def bounded(self) -> BoolArray:
        """Tell which cases have a limit."""
        bounded: BoolArray = np.isfinite(self.capacity)
        return bounded

    def in_service(self, present: FloatArray) -> FloatArray:
        """Return the mean number in service with that many in the system: E[min(present, fit)].

        Args:
            present: requests waiting or in service, up to N, arrays (..., cases).
        """
        return _in_service(present, self.room, self.room_deviation, self.slack / self.kv_mean)

    def waiting_for_memory(self, present: FloatArray) -> FloatArray:
        """Return the probability that not all of those present are in service for want of KV."""
        room = np.where(self.bounded(), self.room, 1e18)
        z = (present - room) / np.maximum(self.room_deviation, 1e-9)
        waiting: FloatArray = np.where(present > 1.0, ndtr(z), 0.0)
        return waiting

    def admits(self, in_service: FloatArray) -> FloatArray:
        """Return the probability that one more request is admitted beside those in service.

        It is the probability that the number that fits is above `in_service`, given that it is at
        least that.
        """
        stays = 1.0 - self.waiting_for_memory(in_service)
        more = 1.0 - self.waiting_for_memory(in_service + 1.0)
        ratio: FloatArray = np.where(stays > 1e-12, more / np.maximum(stays, 1e-12), 0.0)
        return np.clip(ratio, 0.0, 1.0)

    def preemptions(self, present: FloatArray) -> FloatArray:
        """Return the preemptions per iteration with that many in the system.

        Args:
            present: requests waiting or in service, up to N, arrays (..., cases).
        """
        bounded = self.bounded()
        if not np.any(bounded):
            return np.zeros(np.broadcast_shapes(np.shape(present), np.shape(self.room)))
        capacity = np.where(bounded, np.maximum(self.capacity, 1.0), 1e18)
        serving = self.in_service(present)
        leaving = serving / self.requests.output
        sinks = _sinking(serving, leaving, self.freed_mean, self.freed_variance)
        crossed = _edges_at(capacity, present, self.kv_mean, self.kv_variance, self.edge)
        rate: FloatArray = np.where(
            bounded & (present > 1.0) & (self.too_large < 1.0), sinks * crossed, 0.0
        )
        return rate

    def preemptions_per_request(self, present: FloatArray) -> FloatArray:
        """Return the preemptions per completed request with that many in the system."""
        rate: FloatArray = self.preemptions(present) * self.requests.output
        return rate / np.maximum(self.in_service(present), 1e-12)

    def recomputed_tokens(self, prefix_hit_rate: FloatArray) -> FloatArray:
        """Return the tokens that a preemption makes the engine compute again."""
        cached = self.requests.held * prefix_hit_rate
        held = self.edge - 0.5 * (BLOCK_TOKENS - 1.0)
        tokens: FloatArray = np.maximum(held, self.requests.held) - cached
        return np.maximum(tokens, 1.0)

    def kv_use(self, in_service: FloatArray) -> FloatArray:
        """Return the mean share of the capacity in use; 0 without a limit."""
        held = in_service * self.kv_mean / np.maximum(self.capacity, 1.0)
        use: FloatArray = np.minimum(held, 1.0)
        return use


def memory_bound(cases: EngineCases) -> MemoryBound:
    """Return what the KV memory of the cases allows."""
    holds = held(cases)
    requests = holds.requests
    bounded = np.isfinite(holds.capacity)
    capacity = np.where(bounded, np.maximum(holds.capacity, 1.0), 1.0)
    mean, variance = holds.mean, holds.variance
    room = capacity / mean
    deviation = np.sqrt(capacity * variance / mean**3)
    age = _age_at_edge(cases, holds, room)
    edge = holds.prompt + age
    # The age is taken as exponential.
    slack = (holds.prompt_square + 2.0 * holds.prompt * age + 2.0 * age**2) / (2.0 * edge)
    prompt_variance = np.maximum(holds.prompt_square - holds.prompt**2, 0.0)
    spread = np.sqrt(deviation**2 + prompt_variance / mean**2)
    room = room + _whole_numbers((capacity - holds.prompt) / mean + 1.0, spread)
    room = np.where(bounded, room, np.inf)
    return MemoryBound(
        requests=requests,
        too_large=holds.too_large,
        capacity=holds.capacity,
        kv_mean=mean,
        kv_variance=variance,
        edge=edge,
        slack=np.where(bounded, slack, 0.0),
        room=room,
        room_deviation=np.where(bounded, deviation, 0.0),
        freed_mean=requests.held + requests.output,
        freed_variance=holds.size_variance,
        max_batch=cases.max_batch,
        effective_batch=_in_service(cases.max_batch, room, deviation, slack / mean),
    )


def _age_at_edge(cases: EngineCases, holds: Held, room: FloatArray) -> FloatArray:
    """Return the output tokens that a request at the edge of memory has made.

    The edge wanders over the youngest while they move below it, one for each departure. How far,
    no closed form tells: the constants are those of 342 simulated replicas with their memory
    full (inputs of 8 to 8,000 tokens, outputs of 16 to 1,000, coefficients of variation 0 to 1.5,
    room for 1 to 250 requests), and leave the preemptions within 20% at most of them.
    """
    steps = holds.requests.steps
    between = steps / np.maximum(np.minimum(cases.max_batch, room), 1.0)
    wander = 0.05 * steps * (steps / holds.prompt) ** 0.4
    age = wander * (1.0 + cases.output_cv**2) ** 0.25 + 0.5 * between
    lasting: FloatArray = np.minimum(age, steps)
    return lasting


def _whole_numbers(fit: FloatArray, deviation: FloatArray) -> FloatArray:
    """Return E[floor(X)] - E[X - 1/2] of a normal X: lengths that hardly vary waste more, or less.

    The sum of Φ over the whole numbers nearby; for a deviation above 0.7 nothing is left of it.
    """
    narrow = np.clip(deviation, 1e-6, 0.7)
    fit = fit + 1e-4  # what fits exactly fits
    first = np.floor(fit) - 3.0
    above = sum((ndtr((fit - first - k) / narrow) for k in range(1, 8)), np.zeros(len(fit)))
    difference: FloatArray = first + above - (fit - 0.5)
    return difference


def _in_service(
    present: FloatArray, room: FloatArray, deviation: FloatArray, wasted: FloatArray
) -> FloatArray:
    """Return E[min(present, normal number that fits)], less what is free at the edge."""
    bounded = np.isfinite(room)
    sigma = np.maximum(deviation, 1e-9)
    over = np.where(bounded, present - np.where(bounded, room, 0.0), -np.inf)
    z = over / sigma
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    with np.errstate(invalid="ignore"):
        short = np.where(z > -38.0, (over + wasted) * ndtr(z) + sigma * density, 0.0)
    fits: FloatArray = np.maximum(present - np.maximum(short, 0.0), np.minimum(present, 1.0))
    return fits


def _sinking(
    serving: FloatArray, leaving: FloatArray, freed: FloatArray, variance: FloatArray
) -> FloatArray:
    """Return the tokens by which the edge of memory sinks in an iteration: E[(growth - freed)⁺].

    Everyone in service grows by a token; a Poisson number leaves and frees its KV first.
    """
    chance = np.exp(-leaving)
    sinks: FloatArray = serving * chance
    # A normal law is good only where it hardly reaches below nothing freed.
    variance = np.minimum(variance, 0.16 * freed**2)
    for k in range(1, _LEAVING + 1):
        chance = chance * leaving / k
        sigma = np.sqrt(k * variance + 1.0)
        rest = serving - k * freed
        z = rest / sigma
        part = rest * ndtr(z) + sigma * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        sinks = sinks + chance * part
    return sinks


def _edges_at(
    capacity: FloatArray,
    present: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
    edge: FloatArray,
) -> FloatArray:
    """Return Σ f(C + j·h) over j ≥ 0, f the density of the KV that those present would hold.

    A gamma law of that mean and variance, by the cube root of Wilson and Hilferty (1931); beyond
    two terms the trapezoidal rule.
    """
    total = np.maximum(present, 1e-9) * mean
    shape = np.maximum(total * mean / np.maximum(variance, 1e-9), 1e-9)
    root = np.sqrt(shape)

    def normal(x: FloatArray) -> FloatArray:
        place: FloatArray = 3.0 * root * (np.cbrt(x / total) - 1.0 + 1.0 / (9.0 * shape))
        return place

    def density(x: FloatArray) -> FloatArray:
        at = np.exp(-0.5 * np.minimum(normal(x) ** 2, 1400.0)) / np.sqrt(2.0 * np.pi)
        slope: FloatArray = at * root * (total / x) ** (2.0 / 3.0) / total
        return slope

    third = capacity + 2.0 * edge
    crossed: FloatArray = (
        density(capacity)
        + density(capacity + edge)
        + 0.5 * density(third)
        + ndtr(-normal(third)) / edge
    )
    return crossed
