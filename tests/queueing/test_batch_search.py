"""The concurrency search sizes few of many batch limits, and finds what sizing all would."""

from __future__ import annotations

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queueing import concurrency
from queueing.block import ReplicaBlock
from queueing.cases import ReplicaCases
from queueing.concurrency import NearPeakBatch, smallest_near_peak_batch
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import LatencyTargets, Sizing, size

NEAR = 0.98


def replica(
    inputs: float, outputs: float, limit: int, queue: float, alpha: float = 1.0, beta: float = 0.01
) -> ReplicaCases:
    return ReplicaCases.of(
        TokenWorkService.of(alpha, beta, 0.0), inputs, outputs, float(limit), queue
    )


def all_limits(case: ReplicaCases, targets: LatencyTargets) -> npt.NDArray[np.float64]:
    """Return f(1..N), minus infinity where infeasible: the definition, limit by limit."""
    limits = np.arange(1.0, case.max_batch[0] + 1.0)
    rows = np.zeros(len(limits), dtype=np.int64)
    every = case.take(rows)
    every = ReplicaCases(
        every.service, every.input_tokens, every.output_tokens, limits, every.max_queue
    )
    return np.nan_to_num(size(every, targets.take(rows)).throughput_rps, nan=-np.inf)


@st.composite
def chunked(
    draw: st.DrawFn, limit: int, least_outputs: int = 1
) -> tuple[ReplicaCases, LatencyTargets]:
    """Long prompts or small budgets: several chunks, at some or all batches; with targets."""
    service = TokenWorkService.of(
        draw(st.floats(0.01, 100.0)),
        draw(st.floats(1e-6, 0.5)),
        draw(st.sampled_from([0.0, 1e-6, 1e-3])),
        draw(st.sampled_from([64.0, 512.0, 8192.0])),
    )
    case = ReplicaCases.of(
        service,
        float(draw(st.integers(1, 20000))),
        float(draw(st.integers(least_outputs, 2000))),
        float(limit),
        float(draw(st.sampled_from([0, 1, 20, 100, 10**6]))),
    )
    return case, draw(goals(case))


@st.composite
def goals(draw: st.DrawFn, case: ReplicaCases) -> LatencyTargets:
    """ITL or TTFT targets that are met at some batch, or both."""
    batch = np.array([float(draw(st.integers(1, int(case.max_batch[0]))))])
    itl = case.service.itl_ms(batch, case.input_tokens, case.output_tokens)
    prefill = case.service.prefill_ms(batch, case.input_tokens, case.output_tokens)
    which = draw(st.sampled_from(["itl", "ttft", "both"]))
    return LatencyTargets.of(
        1,
        itl_ms=itl * draw(st.floats(0.8, 1.5)) if which != "ttft" else np.nan,
        ttft_ms=(itl + prefill) * draw(st.floats(0.8, 3.0)) if which != "itl" else np.nan,
    )


@st.composite
def whole(draw: st.DrawFn, limit: int) -> tuple[ReplicaCases, LatencyTargets]:
    """One chunk, or the generation that knows none."""
    alpha, beta = draw(st.floats(0.01, 100.0)), draw(st.floats(1e-6, 0.5))
    service: ServiceTimeModel = (
        TokenWorkService.of(alpha, beta, 1e-5, 1e7)
        if draw(st.booleans())
        else LinearService.of(alpha, beta, 1.0, 1e-3)
    )
    case = ReplicaCases.of(
        service,
        float(draw(st.integers(1, 3000))),
        float(draw(st.integers(2, 2000))),
        float(limit),
        float(draw(st.sampled_from([0, 1, 20, 100, 10**6]))),
    )
    return case, draw(goals(case))


def check(found: NearPeakBatch, carried: npt.NDArray[np.float64], slack: float) -> None:
    """The answer is that of the definition, for a plateau known up to the slack."""
    plateau = carried.max()
    if not np.isfinite(plateau):
        assert not found.feasible[0]
        return
    assert found.feasible[0]
    answer = int(found.max_batch[0])
    assert found.plateau_rps[0] <= plateau * (1 + 1e-9)
    assert found.plateau_rps[0] >= plateau * (1 - slack)
    assert found.throughput_rps[0] == pytest.approx(carried[answer - 1], rel=1e-9)
    assert carried[answer - 1] >= NEAR * plateau * (1 - slack)
    assert np.all(carried[: answer - 1] < NEAR * plateau * (1 + slack))


@settings(max_examples=20, deadline=None)
@given(chunked(limit=100))
def test_several_chunks_against_all_limits(drawn: tuple[ReplicaCases, LatencyTargets]) -> None:
    check(smallest_near_peak_batch(*drawn), all_limits(*drawn), 1e-6)


@settings(max_examples=20, deadline=None)
@given(whole(limit=250))
def test_one_chunk_against_all_limits(drawn: tuple[ReplicaCases, LatencyTargets]) -> None:
    check(smallest_near_peak_batch(*drawn), all_limits(*drawn), 1e-6)


@settings(max_examples=20, deadline=None)
@given(whole(limit=400))
def test_one_chunk_with_limits_left_out(drawn: tuple[ReplicaCases, LatencyTargets]) -> None:
    check(smallest_near_peak_batch(*drawn, exact_up_to=8), all_limits(*drawn), 1e-6)


@settings(max_examples=10, deadline=None)
@given(chunked(limit=200, least_outputs=20))
def test_several_chunks_with_limits_left_out(drawn: tuple[ReplicaCases, LatencyTargets]) -> None:
    """For outputs of a few tokens ITL swings with each chunk, and only all limits tell."""
    check(smallest_near_peak_batch(*drawn, exact_up_to=64), all_limits(*drawn), 1e-3)


def test_the_end_is_found_with_an_answer_unlike_the_largest_limit() -> None:
    """The plateau of 2,000 limits, all of them sized, is that of the first hundreds."""
    case = replica(100, 100, 2000, 100, alpha=5.0, beta=0.05)
    targets = LatencyTargets.of(1, itl_ms=30.0)
    check(smallest_near_peak_batch(case, targets), all_limits(case, targets), 1e-8)


@pytest.mark.parametrize("queue", [0, 100, 10**6])
@pytest.mark.parametrize(
    ("inputs", "outputs", "alpha", "beta", "itl"),
    [
        (9000, 100, 1.0, 0.01, 50.0),
        (9000, 100, 50.0, 1e-6, 52.0),
        (9000, 3, 1.0, 0.01, 30.0),
        (9000, 100, 1.0, 0.01, 0.5),
        (20, 1, 1.0, 0.01, 40.0),
        (100, 100, 1.0, 0.01, 50.0),
        (100, 1000, 20.0, 1e-6, np.nan),
    ],
)
def test_work_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
    inputs: float,
    outputs: float,
    alpha: float,
    beta: float,
    itl: float,
    queue: float,
) -> None:
    """The largest legal limit asks for some hundred sizings."""
    sized, large = 0, 0

    def counting(cases: ReplicaCases, targets: LatencyTargets) -> Sizing:
        nonlocal sized, large
        sized += len(cases)
        large += int((cases.max_batch > 4096).sum())
        return size(cases, targets)

    monkeypatch.setattr(concurrency, "size", counting)
    case = replica(inputs, outputs, 65536, queue, alpha, beta)
    found = smallest_near_peak_batch(case, LatencyTargets.of(1, itl_ms=itl))
    assert found.valid[0]
    assert sized <= 550
    assert large <= 130


@pytest.mark.parametrize(("count", "limit"), [(1, 65536), (300, 512)])
def test_memory_is_bounded(count: int, limit: int) -> None:
    case = replica(100, 100, limit, 100).take(np.zeros(count, dtype=np.int64))
    tracemalloc.start()
    try:
        found = smallest_near_peak_batch(case, LatencyTargets.of(count, itl_ms=50.0))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.feasible.all()
    assert most_bytes < 64 << 20


def test_evaluations_of_one_large_limit_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = 0
    at = ReplicaBlock.at

    def counting(self: ReplicaBlock, log_rate: npt.NDArray[np.float64]) -> object:
        nonlocal evaluated
        evaluated += 1
        return at(self, log_rate)

    monkeypatch.setattr(ReplicaBlock, "at", counting)
    sized = size(replica(9000, 100, 65536, 100), LatencyTargets.of(1, itl_ms=50.0))
    assert sized.feasible[0]
    assert evaluated <= 500


@pytest.mark.parametrize("queue", [0, 3, 10**6])
@pytest.mark.parametrize(("inputs", "beta"), [(100, 0.01), (9000, 0.01), (9000, 1e-6)])
def test_chain_cut_down_gives_the_same_means(inputs: float, beta: float, queue: float) -> None:
    block = ReplicaBlock.of(replica(inputs, 100, 5000, queue, beta=beta))
    top = float(block.log_largest_rate[0])
    for low, high in ((top - 9.0, top), (top - 2.0, top - 1.0), (top - 0.02, top - 0.01)):
        short = block.between(low, high)
        for share in (0.0, 0.3, 1.0):
            rate = np.array([low + share * (high - low)])
            full, quick = block.at(rate), short.at(rate)
            for name in ("mean_in_service", "mean_in_queue", "throughput_per_ms", "blocking"):
                assert getattr(quick.means, name)[0] == pytest.approx(
                    getattr(full.means, name)[0], rel=1e-11, abs=1e-290
                ), name
            assert quick.latencies.itl_ms[0] == pytest.approx(full.latencies.itl_ms[0], rel=1e-9)


@pytest.mark.parametrize("itl", [5.0, 30.0, 300.0])
@pytest.mark.parametrize("outputs", [3, 100])
def test_search_of_a_lone_large_case_agrees_with_the_common_one(
    monkeypatch: pytest.MonkeyPatch, outputs: float, itl: float
) -> None:
    case = replica(9000, outputs, 3000, 100, alpha=4.0)
    targets = LatencyTargets.of(1, itl_ms=itl)
    alone = size(case, targets)
    monkeypatch.setattr("queueing.sawtooth._ALONE_ABOVE", 10**6)
    together = size(case, targets)
    np.testing.assert_array_equal(alone.feasible, together.feasible)
    np.testing.assert_allclose(alone.throughput_rps, together.throughput_rps, rtol=1e-6)
