"""What holds for every replica, over both generations of parameters."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from queueing.cases import ReplicaCases
from queueing.concurrency import batch_throughput_curve, smallest_near_peak_batch
from queueing.replica import OperatingPoint, analyze, state_distribution
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import LatencyTargets, size

Floats = npt.NDArray[np.float64]

milliseconds = st.one_of(st.just(0.0), st.floats(1e-6, 300.0))


@st.composite
def replicas(draw: st.DrawFn, largest_batch: int = 60) -> ReplicaCases:
    """One replica with parameters like those of the field, short and long prompts."""
    alpha, beta = draw(milliseconds), draw(st.floats(0.0, 1.0))
    gamma = draw(st.floats(0.0, 0.05))
    assume(alpha + beta > 1e-6)
    service: ServiceTimeModel = (
        TokenWorkService.of(alpha, beta, gamma, draw(st.sampled_from([512.0, 8192.0])))
        if draw(st.booleans())
        else LinearService.of(alpha, beta, draw(milliseconds), gamma)
    )
    return ReplicaCases.of(
        service,
        float(draw(st.integers(0, 20000))),
        float(draw(st.integers(2, 3000))),
        float(draw(st.integers(1, largest_batch))),
        float(draw(st.sampled_from([0, 1, 10, 200, 1000000]))),
    )


def at_share(case: ReplicaCases, share: float) -> OperatingPoint:
    return analyze(case, share * analyze(case, 1.0).max_rate_rps)


@given(replicas(), st.floats(1e-6, 20.0))
def test_little_and_bounds(case: ReplicaCases, share: float) -> None:
    point = at_share(case, share)
    assert point.valid[0]
    throughput = point.throughput_rps[0] / 1000
    assert point.mean_in_system[0] == pytest.approx(throughput * point.response_ms[0], rel=1e-12)
    assert point.mean_in_queue[0] == pytest.approx(throughput * point.wait_ms[0], rel=1e-12)
    assert 0 < point.throughput_rps[0] <= point.arrival_rate_rps[0] * (1 + 1e-12)
    assert point.throughput_rps[0] == pytest.approx(
        point.arrival_rate_rps[0] * (1 - point.blocking[0]), rel=1e-9
    )
    assert 0 <= point.blocking[0] <= 1
    assert 0 <= point.empty_probability[0] <= 1
    assert 0 < point.utilization[0] <= 1 + 1e-12
    assert point.mean_in_queue[0] <= case.max_queue[0]


@given(replicas(), st.floats(1e-6, 20.0))
def test_probabilities(case: ReplicaCases, share: float) -> None:
    assume(case.max_queue[0] < 1e5)
    point = at_share(case, share)
    p = state_distribution(case, 0, float(point.arrival_rate_rps[0]))
    assert len(p) == case.max_batch[0] + case.max_queue[0] + 1
    assert np.all((p >= 0) & (p <= 1))
    assert p.sum() == pytest.approx(1.0, rel=1e-12)
    assert p[0] == pytest.approx(point.empty_probability[0], rel=1e-9, abs=1e-250)
    assert p[-1] == pytest.approx(point.blocking[0], rel=1e-9, abs=1e-250)
    assert p @ np.arange(len(p)) == pytest.approx(point.mean_in_system[0], rel=1e-9)


@given(replicas(), st.floats(1e-4, 3.0), st.floats(1.0, 2.0))
def test_monotone_in_rate(case: ReplicaCases, share: float, factor: float) -> None:
    """Numbers, loss, wait and TTFT rise; throughput where μ does; ITL where the model says so."""
    less, more = at_share(case, share), at_share(case, share * factor)
    names = ["blocking", "wait_ms", "service_ms", "mean_in_service", "ttft_ms"]
    batches = np.arange(1.0, case.max_batch[0] + 1.0)[:, None]
    if np.all(np.diff((batches / case.service_time_ms(batches))[:, 0]) >= 0.0):
        # One more chunk can make a larger batch slower, and overload then completes less.
        names.append("throughput_rps")
    if case.service.itl_rises_with_load(case.max_batch, case.input_tokens, case.output_tokens)[0]:
        names.append("itl_ms")
    elif case.max_batch[0] == 1:
        assert more.itl_ms[0] <= less.itl_ms[0] * (1 + 1e-9)
    for name in names:
        low, high = getattr(less, name)[0], getattr(more, name)[0]
        assert high >= low * (1 - 1e-9) - 1e-280, name


@given(
    replicas(),
    st.floats(0.5, 50.0),
    st.floats(0.5, 3.0),
    st.sampled_from([np.nan, 0.001, 0.1]),
    st.sampled_from([np.nan, 100.0]),
)
def test_sizes_keep_their_targets_and_are_the_largest(
    case: ReplicaCases, ttft: float, itl: float, blocking: float, tps: float
) -> None:
    idle = at_share(case, 1e-4)
    targets = LatencyTargets.of(
        1,
        ttft_ms=ttft * idle.ttft_ms,
        itl_ms=itl * idle.itl_ms,
        max_blocking=blocking,
        tps=tps,
    )
    sized = size(case, targets)
    again = size(case, targets)
    top = sized.max_rate_rps[0] * (0.9 if tps > 0 else 1.0)
    if not sized.feasible[0]:
        assert np.isnan(sized.arrival_rate_rps[0])
        return
    rate = sized.arrival_rate_rps[0]
    assert rate == again.arrival_rate_rps[0]
    assert rate <= top * (1 + 1e-12)

    def kept(point: OperatingPoint, slack: float) -> bool:
        return bool(
            point.ttft_ms[0] <= targets.ttft_ms[0] * slack
            and point.itl_ms[0] <= targets.itl_ms[0] * slack
            and not point.blocking[0] > blocking * slack
        )

    assert kept(sized.point, 1 + 1.1e-9)
    # No rate of a scan above the answer keeps the targets.
    above = np.linspace(rate, top, 40)
    for higher in above[above > rate * (1 + 1e-6)]:
        assert not kept(analyze(case, higher), 1.0)
    looser = size(
        case,
        LatencyTargets.of(
            1,
            ttft_ms=2 * targets.ttft_ms,
            itl_ms=1.5 * targets.itl_ms,
            max_blocking=blocking,
            tps=tps,
        ),
    )
    assert looser.arrival_rate_rps[0] >= rate * (1 - 1e-8)


@given(replicas(), st.floats(0.2, 50.0), st.floats(0.2, 3.0))
def test_refusals_name_a_target_that_no_rate_keeps(
    case: ReplicaCases, ttft: float, itl: float
) -> None:
    idle = at_share(case, 1e-3)
    sized = size(case, LatencyTargets.of(1, ttft_ms=ttft * idle.ttft_ms, itl_ms=itl * idle.itl_ms))
    # Below the normal numbers of floating point no ratio means anything.
    assume(not sized.feasible[0] and idle.ttft_ms[0] > 1e-300)
    low = 1000 * 0.001 / case.service_time_ms(np.ones(1))[0]
    for rate in np.geomspace(low, sized.max_rate_rps[0], 60):
        point = analyze(case, rate)
        if sized.ttft_unreachable[0]:
            assert point.ttft_ms[0] > ttft * idle.ttft_ms[0]
            assert point.ttft_ms[0] >= sized.best_ttft_ms[0] * (1 - 1e-9)
        if sized.itl_unreachable[0]:
            assert point.itl_ms[0] > itl * idle.itl_ms[0] * (1 - 1e-9)
        assert point.ttft_ms[0] > ttft * idle.ttft_ms[0] or (point.itl_ms[0] > itl * idle.itl_ms[0])


def many(count: int, seed: int = 5) -> tuple[ReplicaCases, LatencyTargets, Floats]:
    """Random token-work replicas of all batch limits up to 300."""
    draw = np.random.default_rng(seed)
    case = ReplicaCases.of(
        TokenWorkService.of(
            draw.uniform(1, 50, count), draw.uniform(0, 0.2, count), draw.uniform(0, 1e-3, count)
        ),
        draw.integers(0, 4000, count),
        draw.integers(1, 1000, count),
        draw.integers(1, 300, count),
        draw.choice([0, 0, 7, 200], count),
    )
    targets = LatencyTargets.of(
        count,
        ttft_ms=draw.choice([np.nan, 100.0, 1000.0, 10000.0], count),
        itl_ms=draw.choice([np.nan, 30.0, 80.0, 200.0], count),
        tps=draw.choice([np.nan, 500.0], count),
        max_blocking=draw.choice([np.nan, 0.01], count),
    )
    return case, targets, draw.uniform(0.1, 100.0, count)


def test_a_case_gives_the_same_bits_alone_and_among_others() -> None:
    case, targets, rates = many(3000)
    together, sized = analyze(case, rates), size(case, targets)
    for row in range(0, 3000, 60):
        only = slice(row, row + 1)
        alone = analyze(case.take(only), rates[only])
        sized_alone = size(case.take(only), targets.take(only))
        for field in dataclasses.fields(OperatingPoint):
            np.testing.assert_array_equal(
                getattr(alone, field.name), getattr(together, field.name)[only]
            )
        np.testing.assert_array_equal(sized_alone.arrival_rate_rps, sized.arrival_rate_rps[only])
        np.testing.assert_array_equal(sized_alone.best_itl_ms, sized.best_itl_ms[only])
    shuffled = np.random.default_rng(0).permutation(3000)
    np.testing.assert_array_equal(
        size(case.take(shuffled), targets.take(shuffled)).throughput_rps,
        sized.throughput_rps[shuffled],
    )


def test_flat_latency_equal_to_its_target_is_kept() -> None:
    case = ReplicaCases.of(TokenWorkService.of(8.0, 0.0, 0.0), 256, 128, 16, 32)
    sized = size(case, LatencyTargets.of(1, itl_ms=8.0))
    assert sized.feasible[0]
    assert sized.arrival_rate_rps[0] == pytest.approx(sized.max_rate_rps[0], rel=1e-12)
    above = size(case, LatencyTargets.of(1, itl_ms=7.999))
    assert above.itl_unreachable[0]
    assert above.best_itl_ms[0] == pytest.approx(8.0, rel=1e-12)


def test_batch_one_itl_falls_with_load() -> None:
    case = ReplicaCases.of(TokenWorkService.of(8.0, 0.03, 0.0003), 256, 128, 1, 32)
    idle, busy = at_share(case, 0.002), at_share(case, 1.0)
    assert busy.itl_ms[0] < idle.itl_ms[0]
    between = (idle.itl_ms + busy.itl_ms) / 2
    assert size(case, LatencyTargets.of(1, itl_ms=between)).arrival_rate_rps[0] == pytest.approx(
        busy.max_rate_rps[0], rel=1e-12
    )
    assert size(case, LatencyTargets.of(1, itl_ms=busy.itl_ms * 0.999)).itl_unreachable[0]
    # Each is within reach alone, at opposite ends of the range.
    both = size(case, LatencyTargets.of(1, itl_ms=between, ttft_ms=idle.ttft_ms * 1.0001))
    assert not both.feasible[0]
    assert not both.itl_unreachable[0]
    assert not both.ttft_unreachable[0]


def test_senseless_inputs_are_not_valid_and_spoil_no_neighbour() -> None:
    good = (8.0, 0.03, 0.0003, 8192.0, 256.0, 128.0, 16.0, 32.0, 1.0)
    wrong = [(at, value) for at in range(len(good)) for value in (np.nan, np.inf, -np.inf, -1.0)]
    wrong += [(3, 0.5), (5, 0.5), (6, 0.0), (6, 2.5), (6, 1e30), (7, 0.5), (8, 0.0)]
    bad = [[*good[:at], value, *good[at + 1 :]] for at, value in wrong]
    bad.append([0.0, 0.0, 0.0, *good[3:]])
    table = np.array([*bad, list(good)]).T
    cases = ReplicaCases.of(TokenWorkService.of(*table[:4]), *table[4:8])
    point = analyze(cases, table[8])
    assert not point.valid[:-1].any()
    assert point.valid[-1]
    assert np.isnan(point.ttft_ms[:-1]).all()
    sized = size(cases, LatencyTargets.of(len(cases), itl_ms=10.0))
    rate_is_bad = np.array([*(row[8] != 1.0 for row in bad), True])
    np.testing.assert_array_equal(sized.feasible, rate_is_bad)
    found = smallest_near_peak_batch(cases, LatencyTargets.of(len(cases), itl_ms=10.0))
    np.testing.assert_array_equal(found.feasible, rate_is_bad)


extreme = st.sampled_from([0.0, 1e-30, 1e-12, 1e-3, 1.0, 1e3, 1e12, 1e30])


@given(
    st.lists(extreme, min_size=7, max_size=7),
    st.sampled_from([1.0, 2.0, 300.0, 4096.0]),
    st.sampled_from([0.0, 1.0, 1e5, 1e30]),
    st.booleans(),
)
def test_extremes_never_yield_nonsense(
    values: list[float], limit: float, queue: float, linear: bool
) -> None:
    a, b, c, d, inputs, outputs, rate = values
    service: ServiceTimeModel = (
        LinearService.of(a, b, c, d) if linear else TokenWorkService.of(a, b, c, max(d, 1.0))
    )
    case = ReplicaCases.of(service, inputs, max(outputs, 1.0), limit, queue)
    started = time.perf_counter()
    point = analyze(case, rate)
    sized = size(case, LatencyTargets.of(1, ttft_ms=1e4 * max(a, b), itl_ms=10 * max(a, c)))
    assert time.perf_counter() - started < 5.0
    for answer in (point, sized.point):
        if answer.valid[0]:
            for field in dataclasses.fields(OperatingPoint):
                assert np.isfinite(getattr(answer, field.name)[0]), field.name
            assert answer.blocking[0] <= 1.0
            assert answer.throughput_rps[0] > 0.0
    assert sized.feasible[0] <= sized.valid[0]


@pytest.mark.parametrize(
    ("limit", "queue", "inputs", "outputs", "rate"),
    [
        (4096, 0, 256, 128, 50.0),
        (16, 1e5, 256, 128, 1e9),
        (16, 32, 1e5, 128, 0.01),
        (65536, 0, 9000, 3, 1.0),
    ],
)
def test_large_cases_end_quickly(
    limit: int, queue: float, inputs: float, outputs: float, rate: float
) -> None:
    case = ReplicaCases.of(TokenWorkService.of(8.0, 0.03, 0.0003), inputs, outputs, limit, queue)
    started = time.perf_counter()
    assert analyze(case, rate).valid[0]
    assert size(case, LatencyTargets.of(1, ttft_ms=5000.0, itl_ms=40.0)).valid[0]
    assert time.perf_counter() - started < 5.0


@given(replicas(largest_batch=25), st.floats(1.05, 20.0), st.floats(1.01, 3.0))
def test_near_peak_batch_is_the_smallest_by_its_definition(
    case: ReplicaCases, ttft: float, itl: float
) -> None:
    idle = at_share(case, 1e-3)
    targets = LatencyTargets.of(1, ttft_ms=ttft * idle.ttft_ms, itl_ms=itl * idle.itl_ms)
    found = smallest_near_peak_batch(case, targets)
    limits, throughput = batch_throughput_curve(case, targets, 0)
    np.testing.assert_array_equal(limits, np.arange(1.0, case.max_batch[0] + 1.0))
    if not found.feasible[0]:
        assert np.isnan(throughput).all()
        return
    plateau = np.nanmax(throughput)
    assert found.plateau_rps[0] == plateau
    near = limits[np.nan_to_num(throughput) >= 0.98 * plateau]
    assert found.max_batch[0] == near[0]
    assert found.throughput_rps[0] == throughput[int(near[0]) - 1]


def test_lengths_must_agree() -> None:
    case, targets, rates = many(4)
    with pytest.raises(ValueError, match="arrays of 3 and 4 values"):
        analyze(case, rates[:3])
    with pytest.raises(ValueError, match="2 rows of targets for 4 cases"):
        size(case, targets.take(slice(0, 2)))
    with pytest.raises(ValueError, match="arrays of 4 and 5 values"):
        ReplicaCases.of(case.service, np.ones(5), 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="3 lengths and limits for 1 cases"):
        ReplicaCases.of(case.service.take(slice(0, 1)), np.ones(3), 1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="one-dimensional"):
        analyze(case, rates.reshape(2, 2))
