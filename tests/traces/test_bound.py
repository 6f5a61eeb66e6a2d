"""The bound: floors are below every iteration, prices give no more than a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from simulator import Engine
from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from studies.traces.bound import BoundBasis, Patience, lower_bound
from studies.traces.floors import iteration_floors
from studies.traces.goal import TraceGoal
from studies.traces.market import Market, Windows, least_prices
from studies.traces.requests import RequestTrace
from tests.support.naive_simulator import iteration_time
from tests.support.traces import generated, option

TABLE = IterationTable(
    (1.0, 8.0, 64.0),
    (128.0, 4096.0),
    ((6.0, 6.5), (6.5, 8.0), (9.0, 20.0)),
    (1.0, 512.0, 8192.0),
    (0.0, 65_536.0),
    ((6.0, 6.0), (14.0, 15.5), (160.0, 180.0)),
    5.0,
)
KINDS: tuple[ServiceParameters, ...] = (
    TokenWorkParameters(8.0, 0.03, 3e-4),
    LinearParameters(8.0, 0.4, 5.0, 0.01),
    OverlapParameters(2.0, 5.0, 0.03, 0.02, 5e-5, 1e-6, 1.0, 10.0),
    TABLE,
)


@pytest.mark.parametrize("parameters", KINDS, ids=lambda kind: type(kind).__name__)
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 48),
    st.integers(1, 5000),
    st.lists(st.integers(1, 4000), max_size=3),
)
def test_floors_are_below_every_iteration(
    parameters: ServiceParameters, decoding: int, context: int, prompts: list[int]
) -> None:
    prompts = prompts[:2] if sum(prompts) + decoding > 8192 else prompts
    if decoding + len(prompts) == 0:
        return
    real = iteration_time(
        Engine(parameters, 64),
        [context] * decoding,
        [(size, size, 1.0) for size in prompts],
        decoding + len(prompts),
    )
    for floor in iteration_floors(parameters, 64, 8192, 12_000):
        added = sum(
            floor.token_ms * size + floor.read_ms * size + floor.prompt_ms for size in prompts
        )
        least = max(added - floor.credit_ms, 0.0)
        least += floor.sequence_ms * decoding + floor.context_ms * decoding * context
        if decoding or (floor.every and prompts):
            least += floor.overhead_ms
        assert least <= real * (1 + 1e-9)


def brute_least(prices: np.ndarray, first: int, last: int) -> float:
    return float(min(np.append(prices, 0.0)[first : last + 1]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_cheapest_moments_are_those_of_a_plain_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    prices = random.random(int(random.integers(1, 40)))
    first = random.integers(0, len(prices), 30)
    last = np.minimum(first + random.integers(0, 20, 30), len(prices))
    windows = Windows.of(first, last)
    found = windows.cheapest(least_prices(np.append(prices, 0.0)))
    expected = [brute_least(prices, a, b) for a, b in zip(first, last, strict=True)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_prices_reach_the_fluid_program(seed: int) -> None:
    """With nobody allowed to miss, the best prices pay what serving by fluid takes, by duality."""
    random = np.random.default_rng(seed)
    moments, requests = 12, 25
    work = random.exponential(1.0, requests)
    first = random.integers(0, moments, requests)
    last = np.minimum(first + random.integers(0, 4, requests), moments - 1)
    none = np.zeros(requests)
    windows = Windows.of(first, last)
    market = Market(
        work,
        none,
        work,
        none,
        windows,
        windows,
        windows,
        windows,
        lost=np.zeros(requests, dtype=np.bool_),
        may_miss=0,
        moments=moments,
    )
    columns = [
        (row, moment) for row in range(requests) for moment in range(first[row], last[row] + 1)
    ]
    served = np.zeros((requests, len(columns) + 1))
    within = np.zeros((moments, len(columns) + 1))
    within[:, -1] = -1.0
    for place, (row, moment) in enumerate(columns):
        served[row, place] = within[moment, place] = 1.0
    aim = np.append(np.zeros(len(columns)), 1.0)
    fluid = linprog(aim, within, np.zeros(moments), served, work, method="highs").fun
    assert market.best() <= fluid * (1 + 1e-9)
    assert market.best() == pytest.approx(fluid, rel=0.005)


def test_a_bound_of_equal_requests_in_a_row_is_the_load() -> None:
    """10 requests a second of 50 ms of prompt each keep half a replica busy."""
    count = 20_000
    trace = RequestTrace.of(100.0 * np.arange(count), [1000] * count, [1] * count)
    replica = option(TokenWorkParameters(0.0, 0.05, 0.0), kv_tokens=None)
    goal = TraceGoal(1.0, ttft_ms=500.0)
    for speed, replicas in ((1, 1), (7, 4), (21, 11), (25, 13)):
        assert lower_bound(replica, trace.sped_up(speed), goal).replicas == replicas


def test_itl_bounds_the_batch() -> None:
    """With 10 ms an iteration and 1 ms a sequence, 15 ms leave 5 sequences: 3 ms of engine each."""
    count, tokens = 2000, 101
    trace = RequestTrace.of(80.0 * np.arange(count), [1] * count, [tokens] * count)
    replica = option(TokenWorkParameters(10.0, 1.0, 0.0), kv_tokens=None, max_batch=256)
    goal = TraceGoal(1.0, ttft_ms=100.0, itl_ms=15.0)
    found = lower_bound(replica, trace, goal)
    assert found.basis is BoundBasis.ITL
    assert found.replicas == 4
    # 12.5 requests a second of 301 ms each: 3.76 replicas.
    assert 3.0 < found.fluid <= 3.77


def test_patience_adds_what_late_requests_take() -> None:
    trace, replica = generated(1, 800, 60.0), option()
    goal = TraceGoal(0.8, ttft_ms=1000.0, itl_ms=60.0)
    without = lower_bound(replica, trace, goal)
    within = lower_bound(replica, trace, goal, Patience(3000.0, 100.0))
    assert within.fluid > 1.02 * without.fluid


def test_without_a_latest_time_nothing_is_bounded() -> None:
    found = lower_bound(option(), generated(), TraceGoal(0.95, itl_ms=80.0))
    assert (found.replicas, found.basis) == (1, BoundBasis.ONE)
