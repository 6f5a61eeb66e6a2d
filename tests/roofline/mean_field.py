"""Latency at an operating point from iteration times alone: mean field, no queueing model.

A replica spends X·p of its time on prompts (X requests per ms, p ms that a prompt adds to the
iteration that computes it) and decodes in the rest, so ITL = D(n) / (1 - X·p) with n = X·K·ITL
sequences in decode. A prompt waits for half the running iteration and, first come first served,
for the prompts ahead of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from queueing.roofline import Deployment, decode_time, kv_room, prefill_time
from queueing.roofline.constants import DEFAULT_MAX_SEQUENCES, FIRST_TOKEN_MS

_STEPS = 60
_MOST_BUSY = 0.99
_ROUNDS = 10.0  # requests that a client of a benchmark sends, by custom (InferenceMAX: ten)


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one shape: tokens in, of which cached, tokens out, arrival variability."""

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    arrival_cv: float = 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Predicted means, in ms; TTFT is None where a queue grows without end."""

    itl_ms: float
    ttft_ms: float | None


def open_loop(deployment: Deployment, load: Load, rate_rps: float) -> Latency:
    """Return latencies at an arrival rate, at the largest batch where it is too much."""
    rate = rate_rps / 1e3
    limit = _batch_limit(deployment, load)
    prompt = _prompt_ms(deployment, load)
    itl = _itl_at_rate(deployment, load, rate, limit)
    if itl is None:
        return Latency(_closed(deployment, load, limit)[1], None)
    busy = rate * prompt
    ahead = busy * prompt * load.arrival_cv**2 / (2.0 * (1.0 - busy))
    return Latency(itl, _ttft_ms(deployment, load, rate * load.output_tokens * itl, ahead))


def closed_loop(
    deployment: Deployment, load: Load, clients: float, *, in_waves: bool = False
) -> Latency:
    """Return latencies with so many clients, each sending anew as soon as it is answered.

    Clients start together. In an engine that mixes prompts with decodes the first round of
    prompts sets their requests apart in time; from then on a prompt finds those of the other
    clients as they are on average (Schweitzer's approximation of the mean value analysis of closed
    networks, 1979). An engine that computes prompts first keeps requests of one length together:
    every round is a wave.

    Args:
        deployment: The model on its cards.
        load: The requests.
        clients: Clients, at least 1.
        in_waves: Whether requests stay together in every round.
    """
    limit = min(clients, _batch_limit(deployment, load))
    prompt = _prompt_ms(deployment, load)
    rate, apart_itl = _closed(deployment, load, limit)
    decode = _decode_ms(deployment, load, limit)
    wave_itl = decode + (limit - 1.0) / 2.0 * prompt / load.output_tokens
    wave_ttft = _ttft_ms(deployment, load, 0.0, (limit - 1.0) / 2.0 * prompt)
    others = rate * prompt * (limit - 1.0) / limit
    decoding = rate * load.output_tokens * apart_itl
    apart_ttft = _ttft_ms(deployment, load, decoding, prompt * others / (1.0 - others))
    share = 1.0 if in_waves else 1.0 / _ROUNDS
    itl = share * wave_itl + (1.0 - share) * apart_itl
    waiting = max(0.0, clients - limit) / rate  # for room in the batch
    return Latency(itl, share * wave_ttft + (1.0 - share) * apart_ttft + waiting)


def static_batch(deployment: Deployment, load: Load, batch: float) -> Latency:
    """Return latencies of a batch whose prompts are computed together, then decoded together."""
    context = load.input_tokens + load.output_tokens / 2.0
    first = float(prefill_time(deployment, load.input_tokens).total_ms)
    first += (batch - 1.0) * _prompt_ms(deployment, load)
    return Latency(float(decode_time(deployment, batch, context).total_ms), first)


def _prompt_ms(deployment: Deployment, load: Load) -> float:
    """Return what a prompt adds to the iteration that computes it."""
    computed = max(load.input_tokens - load.cached_tokens, 1.0)
    time = prefill_time(deployment, computed, load.cached_tokens)
    return float(time.total_ms - time.overhead_ms)


def _decode_ms(deployment: Deployment, load: Load, batch: float) -> float:
    context = load.input_tokens + load.output_tokens / 2.0
    return float(decode_time(deployment, max(batch, 1.0), context).total_ms)


def _batch_limit(deployment: Deployment, load: Load) -> float:
    context = load.input_tokens + load.output_tokens / 2.0
    fits = kv_room(deployment).largest_batch(context)
    return float(min(max(1, fits), DEFAULT_MAX_SEQUENCES))


def _ttft_ms(deployment: Deployment, load: Load, decoding: float, ahead_ms: float) -> float:
    """Return handling, half a running iteration, prompts ahead, and the own iteration."""
    computed = max(load.input_tokens - load.cached_tokens, 1.0)
    alone = float(prefill_time(deployment, computed, load.cached_tokens).total_ms)
    running = min(decoding, 1.0) * _decode_ms(deployment, load, decoding)
    beside = max(0.0, running - deployment.fixed_ms)
    return FIRST_TOKEN_MS + running / 2.0 + ahead_ms + alone + beside


def _itl_at_rate(deployment: Deployment, load: Load, rate: float, limit: float) -> float | None:
    """Return ITL where n sequences in decode sustain the rate; None above the largest rate."""
    free = 1.0 - rate * _prompt_ms(deployment, load)
    if free <= 1.0 - _MOST_BUSY:
        return None

    def excess(batch: float) -> float:
        itl = _decode_ms(deployment, load, batch) / free
        return batch - rate * load.output_tokens * itl

    if excess(limit) < 0.0:
        return None
    low, high = 0.0, limit
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) < 0.0 else (low, middle)
    return _decode_ms(deployment, load, high) / free


def _closed(deployment: Deployment, load: Load, clients: float) -> tuple[float, float]:
    """Return the rate per ms and ITL at which so many clients are all in service."""
    prompt = _prompt_ms(deployment, load)
    low, high = 0.0, _MOST_BUSY / prompt
    itl = _decode_ms(deployment, load, clients)
    for _ in range(_STEPS):
        rate = (low + high) / 2.0
        others = rate * prompt * (clients - 1.0) / clients
        itl = _decode_ms(deployment, load, clients) / (1.0 - others)
        cycle = prompt / (1.0 - others) + load.output_tokens * itl
        low, high = (rate, high) if rate * cycle < clients else (low, rate)
    return low, itl
