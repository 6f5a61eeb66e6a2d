"""How many requests are present: against chains computed state by state, and queues known exactly.

Requests of one prompt token and many output tokens make iterations of alpha + beta n, and a
departure rate of n/(K (alpha + beta n)) with n in service: a birth-death chain.
"""

from __future__ import annotations

import heapq
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.arrays import FloatArray
from queueing.engine import EngineCases, EnginePoint, TokenWorkTimes, analyze_engine
from queueing.engine.open import InService, in_service
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import full
from queueing.engine.wait import Line, line

BY_FORMULAS = partial(analyze_engine, corrected=False)
"""The analysis whose chain is looked at; the correction knows nothing of chains."""

ALPHA, BETA, TOKENS = 10.0, 0.1, 1000
LOADS = np.array([0.05, 0.3, 0.6, 0.8, 0.95])


def departures(number: int) -> float:
    """Return departures per ms with some number in service."""
    return number / (TOKENS * (ALPHA + BETA * number))


def chain(rate: float, slots: int, queue: int | None) -> FloatArray:
    """Return the probabilities of 0, 1, ... requests present."""
    weights = [1.0]
    while queue is None or len(weights) <= slots + queue:
        weights.append(weights[-1] * rate / departures(min(len(weights), slots)))
        if queue is None and len(weights) > slots and weights[-1] < 1e-15 * max(weights):
            break
    return np.array(weights) / sum(weights)


def cases(count: int, slots: int, queue: float = np.inf) -> EngineCases:
    """Return replicas whose times in service vary as exponential ones."""
    times = TokenWorkTimes.of([ALPHA] * count, BETA, 0.0)
    return EngineCases.of(times, 1, TOKENS, slots, queue, output_cv=1.0)


def present(slots: int) -> InService:
    rates = 1e3 * LOADS * departures(slots)
    return in_service(cases(len(LOADS), slots), rates)


@pytest.mark.parametrize("slots", [1, 2, 3, 8, 29, 30, 31, 64, 128, 256])
def test_probabilities_are_those_of_the_chain(slots: int) -> None:
    own = present(slots)
    for case, load in enumerate(LOADS):
        exact = chain(load * departures(slots), slots, None)
        number, probability = own.number[:, case].round(6), own.probability[:, case]
        told = (number % 1.0 == 0.0) & (number < slots)
        assert told.sum() >= min(slots, 2)
        expected = exact[number[told].astype(int)]
        assert probability[told] == pytest.approx(expected, abs=5e-3 * exact.max())
        assert own.full[case] == pytest.approx(exact[slots:].sum(), abs=1e-3)


@pytest.mark.parametrize("slots", [1, 2, 8, 30, 64, 256])
def test_the_mean_in_service_is_that_of_the_chain(slots: int) -> None:
    rates = LOADS * departures(slots)
    point = BY_FORMULAS(cases(len(LOADS), slots), 1e3 * rates)
    for case, rate in enumerate(rates):
        exact = chain(rate, slots, None)
        busy = (np.minimum(np.arange(len(exact)), slots) * exact).sum()
        # In an engine a request meets the half iteration before it starts, too.
        assert point.mean_in_service[case] == pytest.approx(busy, rel=0.012)
    assert point.saturation_rps == pytest.approx(1e3 * departures(slots), rel=1e-6)


def finite(slots: int, queue: int, load: float) -> EnginePoint:
    return BY_FORMULAS(cases(1, slots, queue), 1e3 * load * departures(slots))


@pytest.mark.parametrize("load", [0.5, 0.9, 1.0, 1.2])
@pytest.mark.parametrize("queue", [0, 1, 10, 50])
@pytest.mark.parametrize("slots", [1, 4, 31])
def test_a_finite_queue_loses_what_the_chain_loses(slots: int, queue: int, load: float) -> None:
    exact = chain(load * departures(slots), slots, queue)
    point = finite(slots, queue, load)
    assert point.blocking[0] == pytest.approx(exact[-1], rel=5e-3, abs=1e-5)
    waiting = np.maximum(np.arange(len(exact)) - slots, 0) @ exact
    wait = waiting / (load * departures(slots) * (1 - exact[-1]))
    # A request waits for the iteration that it meets, too: half of one, or less where it is alone.
    iteration = ALPHA + BETA * slots
    assert wait * (1 - 1e-3) <= point.wait.mean_ms[0] <= wait * (1 + 1e-3) + iteration
    assert point.stable[0]


@pytest.mark.parametrize(("slots", "queue", "load"), [(1, 3, 0.7), (6, 0, 0.8), (6, 0, 1.0)])
def test_one_iteration_time_for_all_is_erlangs_loss_formula(
    slots: int, queue: int, load: float
) -> None:
    # Without beta every sequence is served at its own rate: M/M/N/N+Q.
    times = TokenWorkTimes.of(ALPHA, 0.0, 0.0)
    service = TOKENS * ALPHA
    offered = load * slots
    answer = analyze_engine(
        EngineCases.of(times, 1, TOKENS, slots, queue, output_cv=1.0), 1e3 * offered / service
    )
    terms = [1.0]
    for number in range(1, slots + queue + 1):
        terms.append(terms[-1] * offered / min(number, slots))
    assert answer.blocking[0] == pytest.approx(terms[-1] / sum(terms), rel=2e-3)


@pytest.mark.parametrize("load", [0.3, 0.8, 1.0, 1.5, 8.0])
@pytest.mark.parametrize("output_cv", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("slots", [1, 12])
def test_without_a_queue_who_is_lost_does_not_depend_on_how_services_vary(
    slots: int, output_cv: float, load: float
) -> None:
    times = TokenWorkTimes.of(ALPHA, 0.0, 0.0)
    case = EngineCases.of(times, 1, TOKENS, slots, 0, output_cv=output_cv)
    answer = analyze_engine(case, 1e3 * load * slots / (TOKENS * ALPHA))
    terms = [1.0]
    for number in range(1, slots + 1):
        terms.append(terms[-1] * load * slots / number)
    assert answer.blocking[0] == pytest.approx(terms[-1] / sum(terms), rel=3e-3)


def lost_by_fixed_services(load: float, queue: int) -> float:
    """Return what M/D/1 with a limit loses, by the chain at departures."""
    came = [math.exp(-load) * load**count / math.factorial(count) for count in range(queue + 2)]
    left = [1.0]
    for number in range(queue):
        inner = sum(came[number - k + 1] * left[k] for k in range(1, number + 1))
        left.append((left[number] - came[number] * left[0] - inner) / came[0])
    return 1 - 1 / (left[0] / sum(left) + load)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95, 1.0, 1.05, 1.5, 3.0])
@pytest.mark.parametrize("queue", [0, 1, 2, 5, 10])
def test_one_slot_and_fixed_services_lose_about_what_they_do_exactly(
    queue: int, load: float
) -> None:
    case = EngineCases.of(TokenWorkTimes.of(ALPHA, 0.0, 0.0), 1, TOKENS, 1, queue)
    point = analyze_engine(case, 1e3 * load / (TOKENS * ALPHA))
    exact = lost_by_fixed_services(load, queue)
    assert point.blocking[0] == pytest.approx(exact, rel=0.08, abs=1.5e-3)
    assert point.throughput_rps[0] <= point.saturation_rps[0] * (1 + 1e-9)


@settings(max_examples=30)
@given(
    st.integers(1, 300),
    st.floats(0.001, 0.99),
    st.floats(0.0, 3.0),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.sampled_from([np.inf, 0.0, 7.0]),
)
def test_probabilities_sum_to_one(
    slots: int, load: float, input_cv: float, arrival_cv: float, queue: float
) -> None:
    times = TokenWorkTimes.of(8.0, 0.03, 0.0003)
    case = EngineCases.of(
        times, 400, 100, slots, queue, input_cv=input_cv, output_cv=1.0, arrival_cv=arrival_cv
    )
    most = saturation(case)
    requests = most.memory.requests
    rate = load * most.throughput_rps / 1e3
    with np.errstate(all="ignore"):
        scene = scene_at(case, requests, full(case, requests, most), rate)
    states = scene.states
    assert (states.in_time >= 0).all()
    assert (states.met >= 0).all()
    assert states.in_time.sum() + states.full_in_time[0] == pytest.approx(1, rel=1e-9)
    assert states.met.sum() + states.full_met[0] == pytest.approx(1, rel=1e-9)
    assert scene.accepted.sum() + scene.accepted_full[0] == pytest.approx(1, rel=1e-9)
    assert 0 <= scene.blocking[0] < 1
    assert states.mean[0] <= slots


def behind(
    slots: int, queue: float, load: float, spread: float = 1.0, arrival_cv: float = 1.0
) -> Line:
    """Return the line of a replica that serves `slots` requests in 1 ms each."""
    case = EngineCases.of(TokenWorkTimes.of(1.0, 0, 0), 1, 10, slots, queue, arrival_cv=arrival_cv)
    columns = (np.array([value]) for value in (slots, load * slots, slots, spread))
    first, second, third, fourth = (column.astype(np.float64) for column in columns)
    with np.errstate(all="ignore"):
        return line(case, first, second, third, fourth)


@pytest.mark.parametrize("load", [0.1, 0.7, 1.0, 1.4])
@pytest.mark.parametrize("queue", [1, 2, 25])
@pytest.mark.parametrize("slots", [1, 5])
def test_a_line_of_exponential_times_is_a_truncated_geometric_one(
    slots: int, queue: int, load: float
) -> None:
    ratios = [load**waiting for waiting in range(queue + 1)]
    own = behind(slots, queue, load)
    assert own.weight[0] == pytest.approx(sum(ratios), rel=1e-4)
    assert own.lost[0] == pytest.approx(ratios[-1] / sum(ratios), rel=1e-4)
    # Who finds j waiting leaves the line after j + 1 departures: an Erlang time.
    shares = np.array(ratios[:-1]) / sum(ratios[:-1])
    places = np.arange(queue) + 1
    mean = shares @ places / slots
    assert own.mean_ms[0] == pytest.approx(mean, rel=1e-4)
    square = shares @ (places * (places + 1)) / slots**2
    assert own.variance[0] == pytest.approx(square - mean**2, rel=1e-3)


@pytest.mark.parametrize("load", [0.1, 0.7, 0.99])
@pytest.mark.parametrize("slots", [1, 5, 300])
def test_an_unlimited_line_of_exponential_times(slots: int, load: float) -> None:
    own = behind(slots, np.inf, load)
    assert own.lost[0] == 0
    assert own.weight[0] == pytest.approx(1 / (1 - load))
    assert own.mean_ms[0] == pytest.approx(1 / (slots * (1 - load)))
    assert own.variance[0] == pytest.approx(1 / (slots * (1 - load)) ** 2)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("load", [0.2, 0.6, 0.95])
def test_one_slot_waits_as_pollaczek_and_khinchine_say(load: float, spread: float) -> None:
    own = behind(1, np.inf, load, spread)
    assert load * own.mean_ms[0] == pytest.approx(load * (1 + spread) / 2 / (1 - load), rel=1e-6)


def waits(slots: int, load: float, between: FloatArray, service: FloatArray) -> FloatArray:
    """Return waits in a queue of several servers, one by one."""
    free = [0.0] * slots
    now, answer = 0.0, []
    for gap, time in zip((between / (slots * load)).tolist(), service.tolist(), strict=True):
        now += gap
        start = max(now, heapq.heappop(free))
        answer.append(start - now)
        heapq.heappush(free, start + time)
    return np.array(answer[len(answer) // 10 :])


@pytest.mark.parametrize(
    ("slots", "load", "spread", "arrival_cv"),
    [(4, 0.8, 0.0, 1.0), (16, 0.9, 0.0, 1.0), (4, 0.8, 3.0, 1.0), (4, 0.8, 1.0, 1.5)],
)
def test_who_waits_waits_as_long_as_in_a_simulated_queue(
    slots: int, load: float, spread: float, arrival_cv: float
) -> None:
    random = np.random.default_rng(8)
    count = 120_000
    shape = arrival_cv**-2
    sigma = np.log1p(spread) ** 0.5
    between = random.gamma(shape, 1 / shape, count)
    service = random.lognormal(-(sigma**2) / 2, sigma, count)
    simulated = waits(slots, load, between, service)
    some = simulated[simulated > 0]
    own = behind(slots, np.inf, load, spread, arrival_cv)
    assert own.mean_ms[0] == pytest.approx(some.mean(), rel=0.15)
    assert own.variance[0] ** 0.5 == pytest.approx(some.std(), rel=0.25)


def test_batch_limits_do_not_mix() -> None:
    limits = np.array([1.0, 8.0, 30.0, 256.0])
    times = TokenWorkTimes.of([ALPHA] * 4, BETA, 0.0)
    every = EngineCases.of(times, 1, TOKENS, limits, output_cv=1.0)
    rates = np.array([0.9e3 * departures(int(limit)) for limit in limits])
    together = in_service(every, rates)
    for case in range(4):
        row = np.array([case])
        alone = in_service(every.take(row), rates[row])
        assert alone.full[0] == pytest.approx(together.full[case], rel=1e-9)
        assert alone.probability[:, 0] == pytest.approx(
            together.probability[:, case], rel=1e-9, abs=1e-15
        )
