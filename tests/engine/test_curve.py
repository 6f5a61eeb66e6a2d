"""Measured curves in the analysis: the times that the simulator plays, for many cases at once."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing.engine.build import iteration_times
from queueing.engine.curve import CurveTimes
from queueing.engine.mixed import MixedTimes
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes
from simulator import Engine, FixedLength, PoissonArrivals, Pool, Scenario, SeparateLengths
from simulator.kernel import timing
from simulator.setup import build_world
from stoker.domain.curve import IterationTable, tabulate
from stoker.domain.profile import LinearParameters, ServiceParameters, TokenWorkParameters
from tests.support.simulations import models, tables

State = tuple[int, float, int, float]
"""Sequences in decode, their mean context, prompt tokens computed, KV tokens that those read."""

states: st.SearchStrategy[State] = st.tuples(
    st.integers(0, 12), st.floats(0, 60), st.one_of(st.just(0), st.integers(1, 90)),
    st.floats(0, 150),
)  # fmt: skip

RISING = tabulate(
    lambda batch, context: 5.0 + 0.1 * batch + 1e-4 * batch * context,
    lambda tokens, reads: 6.0 + 0.05 * tokens + 1e-5 * reads,
    batches=(1, 8, 64),
    contexts=(128, 4096),
    prefill_tokens=(1, 512, 4096),
    prefill_contexts=(0, 8192),
    shared_ms=4.0,
)


def uncompiled(module: ModuleType) -> ModuleType:
    """Return a module of the kernel as plain Python, which can be called from outside of it."""
    spec = importlib.util.spec_from_file_location(f"plain_{module.__name__}", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    with patch("simulator.kernel.compiled.find_spec", return_value=None):
        spec.loader.exec_module(plain)
    return plain


TIMING = uncompiled(timing)


def played_ms(parameters: ServiceParameters, state: State) -> float:
    """Return the time that the simulator gives an iteration."""
    decoding, context, tokens, reads = state
    scenario = Scenario(
        PoissonArrivals(1.0),
        SeparateLengths(FixedLength(1), FixedLength(1)),
        Pool(Engine(parameters, max_batch=16)),
        requests=1,
    )
    world = build_world(scenario, 0.0, 0.0)
    if tokens > 0:
        # One whole prompt, so that its share is 1 and it is in service beside the decodes.
        batch = decoding + 1
        read = decoding * context
        return float(TIMING.mixed_time(world, 0, decoding, read, batch, float(tokens), reads, 1.0))
    if decoding == 0:
        return 0.0
    base, slope, valid_to = TIMING.decode_line(world, 0, decoding, decoding * context)
    assert decoding * context <= valid_to
    return float(base + slope * decoding * context)


def told_ms(times: IterationTimes, chosen: list[State]) -> np.ndarray:
    """Return the times that the analysis gives to iterations, one a case."""
    decoding, context, tokens, reads = np.array(chosen, dtype=np.float64).T
    some = np.sign(tokens)
    return times.iteration_ms(decoding, context, some, tokens, some * reads)


def at(times: IterationTimes, *state: float) -> float:
    """Return the time of one state, the same for all cases."""
    decoding, context, tokens, reads = (np.array([value], dtype=np.float64) for value in state)
    return float(times.iteration_ms(decoding, context, np.sign(tokens), tokens, reads)[0])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(tables(), states), min_size=1, max_size=6))
def test_curves_take_the_time_that_the_simulator_plays(
    cases: list[tuple[IterationTable, State]],
) -> None:
    times = CurveTimes.of([table for table, _ in cases])
    told = told_ms(times, [state for _, state in cases])
    played = [played_ms(table, state) for table, state in cases]
    np.testing.assert_allclose(told, played, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(models(), states), min_size=1, max_size=8))
def test_mixed_kinds_take_the_time_that_the_simulator_plays(
    cases: list[tuple[ServiceParameters, State]],
) -> None:
    # An empty iteration of `token-work` costs alpha, but no engine plays one.
    cases = [(p, (max(s[0], 1), *s[1:])) for p, s in cases]
    times = iteration_times([parameters for parameters, _ in cases])
    told = told_ms(times, [state for _, state in cases])
    played = [played_ms(parameters, state) for parameters, state in cases]
    np.testing.assert_allclose(told, played, rtol=1e-12, atol=1e-12)


def test_knots_between_and_beyond_by_hand() -> None:
    table = IterationTable((2, 4), (100, 200), ((10, 20), (14, 40)), (8, 16), (0,), ((5,), (9,)))
    times = CurveTimes.of([table])
    assert at(times, 2, 100, 0, 0) == 10
    assert at(times, 3, 150, 0, 0) == pytest.approx((10 + 20 + 14 + 40) / 4)
    assert at(times, 1, 50, 0, 0) == 10  # constant below the first knots
    assert at(times, 6, 100, 0, 0) == 18  # the last cell goes on in a straight line
    assert at(times, 4, 300, 0, 0) == 66
    assert at(times, 0, 0, 4, 50) == 5
    assert at(times, 0, 0, 24, 50) == 13
    assert at(times, 2, 100, 12, 50) == 17
    assert at(times, 0, 100, 0, 0) == 0


def test_falling_ends_are_extended_level() -> None:
    table = IterationTable((1, 2), (0,), ((10,), (8,)), (1, 2), (0, 1), ((9, 7), (6, 5)))
    times = CurveTimes.of([table])
    assert at(times, 2, 0, 0, 0) == 8
    assert at(times, 1000, 0, 0, 0) == 8
    assert at(times, 0, 0, 1, 1000) == 7


def test_what_is_shared_is_paid_once() -> None:
    times = CurveTimes.of([RISING])
    apart = at(times, 4, 512, 0, 0) + at(times, 0, 0, 256, 256)
    assert at(times, 4, 512, 256, 256) == pytest.approx(apart - 4.0)


def test_a_part_of_a_sequence_takes_its_share() -> None:
    times = CurveTimes.of([RISING])
    one = at(times, 1, 512, 0, 0)
    assert at(times, 0.25, 512, 0, 0) == pytest.approx(0.25 * one)


@settings(deadline=None)
@given(states, st.integers(0, 3), st.floats(0, 5))
def test_rising_tables_give_rising_times_everywhere(state: State, axis: int, step: float) -> None:
    times = CurveTimes.of([RISING])
    scaled = [value * scale for value, scale in zip(state, (10, 200, 100, 200), strict=True)]
    more = [value * (1 + step) + (step if index == axis else 0) for index, value in
            enumerate(scaled)]  # fmt: skip
    if scaled[2] == 0:
        more[2] = 0
    further = [new if index == axis else old for index, (old, new) in
               enumerate(zip(scaled, more, strict=True))]  # fmt: skip
    assert at(times, *further) >= at(times, *scaled) - 1e-9


def test_extrapolation_is_told() -> None:
    times = CurveTimes.of([RISING])

    def told(decoding: float, context: float, tokens: float) -> bool:
        return bool(
            times.extrapolates(np.array([decoding]), np.array([context]), np.array([tokens]))[0]
        )

    assert not told(1, 128, 0)
    assert not told(64, 4096, 4096)
    assert not told(0.5, 500, 0)  # the mean number of an engine that is often empty
    assert not told(0, 1e6, 100)  # nobody reads that context
    assert told(65, 500, 0)
    assert told(8, 5000, 0)
    assert told(8, 100, 0)
    assert told(8, 500, 5000)


def test_equal_tables_are_kept_once() -> None:
    twin = replace(RISING, shared_ms=RISING.shared_ms)
    other = replace(RISING, shared_ms=0.0)
    times = CurveTimes.of([RISING, other, twin, RISING])
    assert times.table.tolist() == [0, 1, 0, 0]
    assert len(times.shared_ms) == 2


def test_tables_without_any_time_are_not_usable() -> None:
    nothing = IterationTable((1,), (0,), ((0,),), (1,), (0,), ((0,),))
    times = iteration_times([nothing, RISING, TokenWorkParameters(0, 0, 0)])
    assert times.usable().tolist() == [False, True, False]


PARTS: list[ServiceParameters] = [
    RISING,
    TokenWorkParameters(5.0, 0.1, 1e-4),
    LinearParameters(6.0, 0.2, 3.0, 1e-3),
    replace(RISING, shared_ms=1.0),
    TokenWorkParameters(7.0, 0.1, 1e-4),
]


@pytest.mark.parametrize(
    "rows",
    [
        np.array([4, 0, 0, 2]),
        np.array([1, 4]),
        np.array([], dtype=np.int64),
        np.array([True, False, True, False, True]),
        slice(1, 4),
    ],
)
def test_taken_cases_keep_their_times(rows: np.ndarray) -> None:
    times = iteration_times(PARTS)
    decoding = np.linspace(1, 80, 7)[:, None]
    whole = times.iteration_ms(
        decoding, np.array(500.0), np.array(1.0), np.array(300.0), np.array(300.0)
    )
    part = times.take(rows)
    taken = part.iteration_ms(
        decoding, np.array(500.0), np.array(1.0), np.array(300.0), np.array(300.0)
    )
    assert whole.shape == (7, 5)
    np.testing.assert_array_equal(taken, whole[:, rows])
    assert len(part) == taken.shape[-1]
    flags = times.extrapolates(decoding, np.array(500.0), np.array(300.0))
    np.testing.assert_array_equal(
        part.extrapolates(decoding, np.array(500.0), np.array(300.0)), flags[:, rows]
    )
    assert flags[-1].tolist() == [True, False, False, True, False]


def test_one_kind_needs_no_mixture() -> None:
    assert isinstance(iteration_times(PARTS[:1]), CurveTimes)
    assert isinstance(iteration_times([PARTS[1], PARTS[4]]), TokenWorkTimes)
    assert isinstance(iteration_times([PARTS[2]]), LinearTimes)
    assert isinstance(iteration_times(PARTS), MixedTimes)
    assert len(iteration_times([])) == 0


def test_a_mixture_needs_every_case_once() -> None:
    times = iteration_times(PARTS[:1])
    with pytest.raises(ValueError, match="exactly one model"):
        MixedTimes.of([times, times], [np.array([0]), np.array([2])])
    with pytest.raises(ValueError, match="as many rows"):
        MixedTimes.of([times], [np.array([0, 1])])
    with pytest.raises(ValueError, match="at least one table"):
        CurveTimes.of([])
