"""What prompts make of a request's time: its wait, its first iteration, and those of others later.

After its first token a request meets the prompts that arrived meanwhile, then those that arrive
while they are computed, and so on: an echo that fades by the factor r an iteration, as long as
slots are free for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after
from queueing.engine.backlog import Backlog, backlog
from queueing.engine.cases import EngineCases
from queueing.engine.cycle import Cycle, cycle, faded, limited
from queueing.engine.iterations import MOST_PREFILL, Iterations
from queueing.engine.requests import Requests
from queueing.engine.rows import take_states

_MOST_FOLLOWING = 0.97


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """Prompts as a request meets them with some number in service; arrays (states, cases).

    Attributes:
        cycle: the iterations that it meets.
        backlog: what it waits for.
        own_variance: variance of what its own prompt takes.
        seen_ms: mean time of an iteration as it sees them while it decodes, the echo apart.
        echo_ms: what the prompts that arrived meanwhile, and their followers, add to its decodes.
        fading: by how much that fades an iteration.
        behind: prompts left over when its own is done.
        behind_spread: squared coefficient of variation of the time in which those arrived.
        service_ms: mean time in service.
    """

    cycle: Cycle
    backlog: Backlog
    own_variance: FloatArray
    seen_ms: FloatArray
    echo_ms: FloatArray
    fading: FloatArray
    behind: FloatArray
    behind_spread: FloatArray
    service_ms: FloatArray


def station(
    cases: EngineCases,
    requests: Requests,
    at: Iterations,
    rate: FloatArray,
    idle: FloatArray,
    slots: FloatArray,
    busy: FloatArray,
    load: FloatArray,
) -> Station:
    """Return what prompts make of a request's time.

    Args:
        cases: the replicas.
        requests: moments of their requests.
        at: iterations by the number in service.
        rate: arrivals per ms, array (cases,).
        idle: share of time without any request, array (cases,).
        slots: most requests in service, array (cases,).
        busy: probability that a request meets others, array (states, cases).
        load: arrival rate over the largest throughput, array (cases,).
    """
    # Whatever a passing state needs: in the long run prompts need no more than all together.
    most = np.minimum(load, MOST_PREFILL)
    met = cycle(at, rate, cases.arrival_cv, idle, most)
    line = backlog(at, met, requests.computed, rate, cases.arrival_cv, most)
    return _served(cases, requests, at, rate, slots, busy, met, line)


def met_by_nobody(
    cases: EngineCases,
    requests: Requests,
    at: Iterations,
    rate: FloatArray,
    slots: FloatArray,
    among: Station,
    state: int,
) -> FloatArray:
    """Return the mean time in service in one of the states of a request that finds no other.

    Args:
        cases: the replicas.
        requests: moments of their requests.
        at: iterations by the number in service.
        rate: arrivals per ms, array (cases,).
        slots: most requests in service, array (cases,).
        among: the same requests where they may find others.
        state: index of the state.
    """
    only = slice(state, state + 1)
    met, line = take_states(among.cycle, only), take_states(among.backlog, only)
    nobody = np.zeros((1, len(rate)))
    there = take_states(at, only)
    time: FloatArray = _served(cases, requests, there, rate, slots, nobody, met, line).service_ms[0]
    return time


def _served(
    cases: EngineCases,
    requests: Requests,
    at: Iterations,
    rate: FloatArray,
    slots: FloatArray,
    busy: FloatArray,
    met: Cycle,
    line: Backlog,
) -> Station:
    """Return what prompts make of a request's time, by what it meets and waits for."""
    arrival_cv = cases.arrival_cv
    base, prompt, share = at.base_ms, at.prompt_ms, met.share
    own_variance = prompt**2 * at.prompt_spread
    joined = limited(prompt * met.others * busy, line.largest_ms)
    first = at.chunks * base + at.offset_ms + prompt + joined
    # Who takes the last slot meets no new prompt before another request leaves.
    stay = requests.steps + at.chunks
    passing = at.chunks + line.queued * line.ahead_ms / np.maximum(base + prompt, 1e-12)
    free = np.maximum(slots - 1.0 - at.in_service, 0.0)
    free = free + at.in_service * np.minimum(passing / stay, 1.0)
    # Prompts that arrived meanwhile: during the first iteration where all of them share the next
    # one, since the arrival where they queue.
    gated = limited(count_after(rate * first, arrival_cv), free)
    sojourn = busy * line.ahead_ms + first
    done = busy * line.fill_ms / np.maximum(prompt, 1e-12)
    queued = np.maximum(count_after(rate * sojourn, arrival_cv) - done, 0.0)
    behind = (1.0 - line.queued) * gated + line.queued * limited(queued, free)
    noise = (1.0 - line.queued) * prompt**2 * met.others_variance + line.queued * line.variance
    since = np.maximum(busy * line.queued * line.ahead_ms + first, 1e-12)
    behind_spread = (own_variance + busy * noise) / since**2
    # Those that arrive during the decodes, near arrivals apart.
    steps = np.maximum(requests.steps / np.maximum(requests.answering, 1e-9), 1.0)
    left = prompt * behind
    window = np.maximum(rate * (steps * met.mean_ms + left / (1.0 - share)), 1e-12)
    before = rate * first
    after = count_after(before + window, arrival_cv) - count_after(before, arrival_cv)
    follow = np.clip(after / window, 0.0, _MOST_FOLLOWING / np.maximum(share, 1e-9))
    slots_then = free + at.in_service * np.minimum(steps / stay, 1.0)
    follow = limited(window * follow, slots_then) / window
    mean = base + (met.mean_ms - base) * follow
    fewer = (follow < 1.0) & (at.offset_ms == 0.0)
    mean = np.where(fewer, base / (1.0 - share * np.minimum(follow, 1.0)), mean)
    # Each follower holds a slot that its own followers need.
    again = np.maximum(free - 1.0, 0.0)
    fading = share * follow
    fading = fading * again / (again + fading + 1e-9)
    echo = (left - fading * mean) * (1.0 - faded(fading, steps)) / (1.0 - fading)
    bound = steps * np.maximum(base + line.largest_ms - mean, 1e-9)
    some = -np.expm1(-np.maximum(behind, 1e-9))
    each = np.maximum(echo, 0.0) / some
    # How long those go on varies widely: the mean of the smaller of such a time and a bound.
    widely = each * bound / np.maximum(each + bound, 1e-300)
    echo = some * ((1.0 - line.queued) * limited(each, bound) + line.queued * widely)
    return Station(
        met,
        line,
        own_variance,
        mean - base + at.seen_ms,
        echo,
        fading,
        behind,
        behind_spread,
        first + requests.steps * mean + requests.answering * echo,
    )
