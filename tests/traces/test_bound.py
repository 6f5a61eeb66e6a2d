"""The bound: floors are below every iteration, prices give no more than a linear program."""

from __future__ import annotations

import math

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
from stoker.domain.routing import Router
from studies.traces.bound import Patience, lower_bound
from studies.traces.floors import iteration_floors
from studies.traces.goal import TraceGoal
from studies.traces.market import Market, Service
from studies.traces.needs import BoundBasis
from studies.traces.playing import run_whole, scenario_of
from studies.traces.prices import best_prices
from studies.traces.replica import ReplicaOption
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


def random_market(seed: int, *, may_miss: int = 0, late: bool = False) -> Market:
    """Return a few requests with windows of a few moments."""
    random = np.random.default_rng(seed)
    moments, requests = 10, 20
    first = np.sort(random.integers(0, moments, requests))

    def service(longer: int) -> Service:
        prompt_by = np.minimum(first + random.integers(0, 2, requests) + longer, moments)
        decode_by = np.minimum(prompt_by + random.integers(0, 4, requests) + longer, moments)
        return Service(
            random.exponential(1.0, requests),
            random.exponential(1.0, requests),
            prompt_by,
            decode_by,
            prompt_by + 1,
            np.minimum(first + random.integers(0, 3, requests), decode_by),
        )

    return Market(
        first,
        service(0),
        service(2) if late else None,
        random.integers(1, 50, requests).astype(float),
        lost=np.zeros(requests, dtype=np.bool_),
        may_miss=may_miss,
        moments=moments,
        moment_ms=2.0,
        slots=3.0,
        kv_tokens=100.0,
    )


def choices(market: Market, service: Service, row: int) -> list[np.ndarray]:
    """Return what a request may pay for, each way by itself: engine, slots, memory."""
    count = market.moments
    found = []
    for prompt in range(int(market.first[row]), int(service.prompt_by[row]) + 1):
        for decode in range(int(market.first[row]), int(service.decode_by[row]) + 1):
            amounts = np.zeros(3 * count)
            if prompt < count:
                amounts[prompt] += service.prompt_ms[row]
            if decode < count:
                amounts[decode] += service.decode_ms[row]
            until = min(max(decode, int(service.completed_from[row])), count)
            for boundary in range(int(service.held_from[row]), until + 1):
                amounts[count + boundary - 1] += 1.0
                amounts[2 * count + boundary - 1] += market.tokens[row]
            found.append(amounts)
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_requests_pay_the_least_of_all_they_may_choose(seed: int) -> None:
    market = random_market(seed, may_miss=4, late=True)
    assert market.late is not None
    prices = np.random.default_rng(seed).exponential(1.0, 3 * market.moments) / market.sold
    least = [
        np.array(
            [
                min(float(prices @ amounts) for amounts in choices(market, service, row))
                for row in range(len(market.first))
            ]
        )
        for service in (market.kept, market.late)
    ]
    for service, expected in zip((market.kept, market.late), least, strict=True):
        assert market.cheapest(service, prices).cost == pytest.approx(expected)
    saved = np.sort(least[0] - least[1])[::-1][: market.may_miss]
    cuts = market.paid(prices)
    assert cuts.paid == pytest.approx(float(least[0].sum()) - float(saved.sum()))
    # A cut has the value of the function where it was made, and is above it everywhere else.
    here = float((cuts.amounts @ prices).sum())
    assert here == pytest.approx(cuts.paid)
    for other in range(5):
        elsewhere = np.random.default_rng(other).exponential(1.0, len(prices)) / market.sold
        assert market.paid(elsewhere).paid <= float((cuts.amounts @ elsewhere).sum()) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_prices_reach_the_fluid_program(seed: int) -> None:
    """With nobody allowed to miss, the best prices pay what serving by fluid takes, by duality."""
    market = random_market(seed)
    ways = [choices(market, market.kept, row) for row in range(len(market.first))]
    used = np.column_stack([amounts for each in ways for amounts in each])
    owner = np.repeat(np.arange(len(ways)), [len(each) for each in ways])
    served = np.equal.outer(np.arange(len(ways)), owner).astype(float)
    fluid = linprog(
        np.append(np.zeros(used.shape[1]), 1.0),
        np.column_stack([used, -market.sold]),
        np.zeros(len(used)),
        np.column_stack([served, np.zeros(len(ways))]),
        np.ones(len(ways)),
        method="highs",
    ).fun
    found = best_prices(market)
    assert found <= fluid * (1 + 1e-9)
    # The search ends where no replica more is in reach.
    assert math.ceil(found) == math.ceil(fluid) or found == pytest.approx(fluid, rel=0.005)


TINY = st.lists(
    st.tuples(st.floats(0, 300), st.integers(1, 2400), st.integers(1, 120)), min_size=3, max_size=7
)


@settings(max_examples=15, deadline=None)
@given(
    TINY,
    st.sampled_from(KINDS[:2]),
    st.integers(1, 4),
    st.sampled_from([2500, 6000]),
    st.sampled_from([1.0, 0.8, 0.6]),
    st.floats(80, 300),
    st.floats(12, 40),
)
def test_no_way_to_share_out_requests_takes_fewer(
    requests: list[tuple[float, int, int]],
    parameters: ServiceParameters,
    max_batch: int,
    kv_tokens: int,
    share: float,
    ttft_ms: float,
    itl_ms: float,
) -> None:
    """Every way to share out a few requests over replicas is played; the best one needs no less."""
    trace = RequestTrace.of(*zip(*sorted(requests), strict=True))
    replica = option(parameters, max_batch=max_batch, kv_tokens=kv_tokens)
    goal = TraceGoal(share, ttft_ms, itl_ms)
    enough = len(trace) - goal.may_miss(len(trace))
    kept, worst = shared_out(replica, trace, goal)
    everybody = len(kept) - 1
    for patience in (None, Patience(500.0, 50.0)):
        allowed = [
            patience is None or (first <= patience.ttft_ms and gap <= patience.itl_ms)
            for first, gap in worst
        ]
        best = [0.0] + [-math.inf] * everybody  # of each set of requests, with so many replicas
        least = None
        for replicas in range(1, len(trace) + 1):
            best = [
                max(
                    best[rest] + kept[part] if allowed[part] else -math.inf
                    for part, rest in parts(whole)
                )
                for whole in range(everybody + 1)
            ]
            if best[everybody] >= enough:
                least = replicas
                break
        bound = lower_bound(replica, trace, goal, patience).replicas
        assert least is None or (bound is not None and bound <= least)


def parts(whole: int) -> list[tuple[int, int]]:
    """Return each part of a set of bits, with what is left of it."""
    found, part = [], whole
    while True:
        found.append((part, whole ^ part))
        if not part:
            return found
        part = (part - 1) & whole


def shared_out(
    replica: ReplicaOption, trace: RequestTrace, goal: TraceGoal
) -> tuple[list[int], list[tuple[float, float]]]:
    """Return of each set of requests how many keep their targets on one replica, and the worst."""
    kept, worst = [0], [(0.0, 0.0)]
    for members in range(1, 1 << len(trace)):
        rows = np.array([bool(members >> row & 1) for row in range(len(trace))])
        played = run_whole(scenario_of(replica, trace.take(rows), 1, Router.ROUND_ROBIN)).records
        kept.append(int(np.logical_and.reduce(list(goal.kept(played).values())).sum()))
        worst.append(
            (
                float(np.nanmax(np.nan_to_num(played.ttft_ms))),
                float(np.nanmax(np.nan_to_num(played.itl_ms))),
            )
        )
    return kept, worst


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
