"""What a prompt waits for: the running iteration, prompts before it, and those beside it.

Prompts are computed first come, first served. With an ample token budget all that arrived during
an iteration are computed in the next one, and the first token waits for those behind as well as
for those ahead. Where the budget binds, prompts form a queue: the work ahead is that of an M/G/1
queue (Pollaczek and Khinchine), a prompt costs its share of the iterations that it fills, and only
what fits in its last iteration is computed along with it. In between, both are mixed by the
probability that the work at hand exceeds the budget.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after, count_variance
from queueing.engine.cycle import Cycle, no_prompt
from queueing.engine.iterations import Iterations
from queueing.engine.single_server import wait_ratio


@dataclass(frozen=True, slots=True, eq=False)
class Backlog:
    """What a prompt that meets requests waits for; arrays (states, cases).

    Attributes:
        queued: probability that the token budget binds.
        largest_ms: prompt work that one iteration can hold.
        wait_ms: mean time until the iteration that begins the prompt.
        ahead_ms: mean time until all work before the prompt is done.
        fill_ms: mean work that is computed along with the end of the prompt.
        variance: variance of ahead_ms and fill_ms together.
        quiet: probability to meet an iteration without prompts.
        quiet_ms: mean wait for it and for those beside, if so.
        quiet_variance: variance of that and of the prompt itself.
    """

    queued: FloatArray
    largest_ms: FloatArray
    wait_ms: FloatArray
    ahead_ms: FloatArray
    fill_ms: FloatArray
    variance: FloatArray
    quiet: FloatArray
    quiet_ms: FloatArray
    quiet_variance: FloatArray


def backlog(
    at: Iterations,
    met: Cycle,
    computed_tokens: FloatArray,
    rate: FloatArray,
    arrival_cv: FloatArray,
    most_load: FloatArray,
) -> Backlog:
    """Return what a prompt waits for.

    Args:
        at: iterations by the number in service.
        met: what an arrival meets there.
        computed_tokens: mean tokens of a prompt to compute, array (cases,).
        rate: arrivals per ms, array (cases,).
        arrival_cv: coefficient of variation of the times between arrivals, array (cases,).
        most_load: largest load that prompts are taken to be in any state, array (cases,).
    """
    base, prompt, spread = at.base_ms, at.prompt_ms, at.prompt_spread
    tokens = np.maximum(computed_tokens, 1e-9)
    own_variance = prompt**2 * spread
    largest = prompt * at.room / tokens
    queued = _exceeds(
        prompt * (1.0 + met.others),
        prompt**2 * met.others_variance + (1.0 + met.others) * own_variance,
        largest,
    )
    gated = 0.5 * (met.met_ms + prompt * met.others)
    # A prompt's share of the iterations that it fills, and the queue of such prompts.
    full = prompt + queued * base * tokens / at.room
    load = np.minimum(rate * full, most_load)
    moment = rate * (1.0 + spread) * met.busier
    line = 0.5 * moment * full**2 / (1.0 - load)
    # What other than Poisson arrivals make of the mean wait of a single server.
    burst = wait_ratio(load, arrival_cv, spread)
    ahead = (1.0 - queued) * gated + queued * (0.5 * base + line * burst)
    half = 0.5 * prompt * met.others
    fill = half / np.sqrt(1.0 + (2.0 * half / np.maximum(largest, 1e-300)) ** 2)
    residual = (met.met_ms**2 + met.met_variance) / 3.0 - 0.25 * met.met_ms**2
    together = prompt**2 * met.others_variance + met.others * own_variance
    variance = residual + together + prompt * rate * met.met_variance
    third = line * (1.0 + spread) ** 2 * full / 1.5
    second = third + line**2 * (2.0 / met.busier - 1.0)
    line_variance = np.maximum(second, 0.3 * line**2) * burst**2
    line_variance = line_variance + fill**2 / 3.0 + base**2 / 12.0
    # An arrival may meet an iteration without prompts.
    none = no_prompt(np.maximum(rate * met.mean_ms, 1e-12), met.prompts_variance)
    loud = (1.0 - queued) * (1.0 - none * base / met.mean_ms) + queued * load
    short = np.maximum(rate * base, 1e-12)
    beside = count_after(short, arrival_cv)
    swing = np.maximum(count_variance(short, arrival_cv) / short, 0.05)
    return Backlog(
        queued,
        largest,
        np.minimum((1.0 - queued) * 0.5 * met.met_ms + queued * ahead, ahead),
        ahead,
        fill,
        (1.0 - queued) * variance + queued * line_variance,
        np.maximum(1.0 - loud * met.busier, 0.0),
        0.5 * base + prompt * beside,
        base**2 / 12.0 + (prompt**2 * swing + own_variance) * beside + own_variance,
    )


def _exceeds(mean: FloatArray, variance: FloatArray, most: FloatArray) -> FloatArray:
    """Return the probability that a lognormal amount of work exceeds what an iteration holds."""
    spread = np.log1p(variance / np.maximum(mean, 1e-12) ** 2)
    place = np.log(mean / np.maximum(most, 1e-300)) - 0.5 * spread
    exceeds: FloatArray = ndtr(place / np.sqrt(spread + 1e-4))
    return exceeds
