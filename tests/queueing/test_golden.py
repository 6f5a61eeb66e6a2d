"""Agreement with the reference outputs, and better where they are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from queueing.cases import ReplicaCases
from queueing.concurrency import smallest_near_peak_batch
from queueing.replica import analyze, state_distribution
from queueing.service import LinearService
from queueing.sizing import LatencyTargets, size
from tests.support import naive_queue
from tests.support.queueing_golden import cases, column, rows, targets


def test_analysis_agrees_wherever_the_reference_answers(golden_dir: Path) -> None:
    lines = rows(golden_dir / "replica_solve.jsonl")
    answered = np.array([line["status"] == 200 for line in lines])
    point = analyze(cases(lines), column(lines, "input", "RPS"))
    assert point.valid.all()
    assert answered.sum() == 198
    for theirs, ours in {
        "throughput": point.throughput_rps,
        "avgRespTime": point.response_ms,
        "avgNumInServ": point.mean_in_service,
        "avgTTFT": point.ttft_ms,
        "avgITL": point.itl_ms,
        "maxRPS": point.max_rate_rps,
    }.items():
        np.testing.assert_allclose(
            ours[answered], column(lines, "output", theirs)[answered], rtol=1e-4, err_msg=theirs
        )
    np.testing.assert_allclose(
        point.wait_ms[answered],
        column(lines, "output", "avgWaitTime")[answered],
        rtol=1e-4,
        atol=1e-3,
    )


def test_cases_that_the_reference_refuses_are_answered(golden_dir: Path) -> None:
    lines = [line for line in rows(golden_dir / "replica_solve.jsonl") if line["status"] != 200]
    point = analyze(cases(lines), column(lines, "input", "RPS"))
    assert len(lines) == 2
    for row, line in enumerate(lines):
        given = line["input"]
        service = naive_queue.NaiveTokenWork(
            given["alpha"],
            given["beta"],
            given["gamma"],
            given["avgInputTokens"],
            given["avgOutputTokens"],
        )
        load = given["RPS"] / 1000 * service.tau(1)  # M/M/1/1: blocked while one is served
        assert point.blocking[row] == pytest.approx(load / (1 + load), rel=1e-12)
        assert point.throughput_rps[row] == pytest.approx(given["RPS"] / (1 + load), rel=1e-12)


def test_sizing_keeps_every_target_and_carries_as_much(golden_dir: Path) -> None:
    lines = rows(golden_dir / "replica_target.jsonl")
    goal = targets(lines)
    sizing = size(cases(lines), goal, per_target=True)
    point = sizing.point
    for ours, target in ((point.ttft_ms, goal.ttft_ms), (point.itl_ms, goal.itl_ms)):
        set_and_sized = sizing.feasible & ~np.isnan(target)
        assert np.all(ours[set_and_sized] <= target[set_and_sized] * (1 + 1e-6))

    def kept(name: str, target: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        return np.isnan(target) | (column(lines, "output", name) <= target * (1 + 1e-6))

    honest = (
        np.array([line["status"] == 200 for line in lines])
        & kept("avgTTFT", goal.ttft_ms)
        & kept("avgITL", goal.itl_ms)
    )
    assert honest.sum() > 100
    theirs = column(lines, "output", "throughput")
    assert np.all(sizing.throughput_rps[honest] >= 0.997 * theirs[honest])
    assert sizing.ttft_limit_rps is not None
    assert sizing.itl_limit_rps is not None
    for limit, name in (
        (sizing.ttft_limit_rps, "RPSTargetTTFT"),
        (sizing.itl_limit_rps, "RPSTargetITL"),
    ):
        assert np.all(limit[honest] >= 0.997 * column(lines, "output", name)[honest])


def test_sizing_refuses_with_the_right_reason(golden_dir: Path) -> None:
    lines = rows(golden_dir / "replica_target.jsonl")
    goal = targets(lines)
    sizing = size(cases(lines), goal)
    refused = ~sizing.feasible
    assert refused.any()
    assert np.all((sizing.ttft_unreachable | sizing.itl_unreachable)[refused])
    slow = refused & sizing.ttft_unreachable
    assert np.all(sizing.best_ttft_ms[slow] > goal.ttft_ms[slow])
    stuttering = refused & sizing.itl_unreachable
    assert np.all(sizing.best_itl_ms[stuttering] > goal.itl_ms[stuttering])
    # Batch 1: the reference refuses them, as ITL falls with load, or as it needs N + Q > 1.
    loose = np.array([line["status"] != 200 for line in lines]) & sizing.feasible
    assert np.all(column(lines, "input", "maxBatchSize")[loose] == 1)


def test_concurrency_is_never_worse(golden_dir: Path) -> None:
    lines = rows(golden_dir / "replica_concurrency.jsonl")
    goal = targets(lines)
    given = cases(lines)
    found = smallest_near_peak_batch(given, goal)
    theirs = column(lines, "output", "concurrency")
    feasible = np.array([line["output"]["feasible"] for line in lines])
    np.testing.assert_array_equal(found.feasible, feasible)
    assert np.all(
        found.point.ttft_ms[~np.isnan(goal.ttft_ms) & feasible]
        <= goal.ttft_ms[~np.isnan(goal.ttft_ms) & feasible] * (1 + 1e-6)
    )
    assert np.all(found.throughput_rps[feasible] >= 0.98 * found.plateau_rps[feasible])
    # A larger batch than theirs only where theirs is not within 2% of the plateau.
    limit = np.where(feasible, theirs, 1.0)
    at_theirs = size(
        ReplicaCases.of(
            given.service, given.input_tokens, given.output_tokens, limit, given.max_queue
        ),
        goal,
    ).throughput_rps
    larger = feasible & (found.max_batch > theirs)
    assert np.all(at_theirs[larger] < 0.98 * found.plateau_rps[larger])
    for bracket, target, name in (
        (found.itl_bracket, goal.itl_ms, "M_ITL"),
        (found.ttft_bracket, goal.ttft_ms, "M_TPF"),
    ):
        bound = ~np.isnan(target)
        np.testing.assert_array_equal(bracket[bound], column(lines, "output", name)[bound])
        np.testing.assert_array_equal(bracket[~bound], given.max_batch[~bound])


def test_edge_cases_are_answered_or_refused_but_never_half_done(golden_dir: Path) -> None:
    lines = [line for line in rows(golden_dir / "replica_edge.jsonl") if line["cmd"] == "solve"]
    point = analyze(cases(lines), column(lines, "input", "RPS"))
    refused = {line["note"] for line, valid in zip(lines, point.valid, strict=True) if not valid}
    assert refused == {
        "RPS=0",
        "zero output tokens",
        "fractional output tokens <1",
        "all zero parms",
        "negative parm",
        "batch 0",
    }
    assert np.all(np.isfinite(point.ttft_ms[point.valid]))
    sized = [line for line in rows(golden_dir / "replica_edge.jsonl") if line["cmd"] == "target"]
    sizing = size(cases(sized), targets(sized))
    infeasible = {
        line["note"] for line, fits in zip(sized, sizing.feasible, strict=True) if not fits
    }
    assert infeasible == {"unreachable TTFT", "unreachable ITL", "all zero parms"}


def test_printed_reference_table() -> None:
    """Decode only, α = 19, β = 1, 1024 iterations, 200 places in all; rates per minute."""
    replicas = ReplicaCases.of(
        LinearService.of([19.0] * 3, 1.0, 0.0, 0.0), 0.0, 1025.0, [32, 48, 48], [168, 152, 152]
    )
    # The second and third rates are the largest with wait ≤ 1 s and with ITL ≤ 50 ms.
    sized = size(
        replicas, LatencyTargets.of(3, ttft_ms=[np.nan, 1000, np.nan], itl_ms=[np.nan, np.nan, 50])
    )
    assert f"{60 * sized.arrival_rate_rps[1]:.3f}" == "36.613"
    # Printed from the rate that the table gives, and from the sized one where ITL is at its target.
    rates = np.array([30.0, 36.613, 60 * sized.arrival_rate_rps[2]]) / 60
    point = analyze(replicas, rates)
    within = [
        state_distribution(replicas, row, rate)[: limit + 1].sum()
        for row, (rate, limit) in enumerate(zip(rates, (32, 48, 48), strict=True))
    ]
    printed = [
        f"{60 * rates[row]:.3f} {point.empty_probability[row]:.3e} "
        f"{point.mean_in_system[row]:.2f} {point.mean_in_service[row]:.2f} "
        f"{point.wait_ms[row]:,.0f} {point.response_ms[row]:,.0f} {point.service_ms[row]:,.0f} "
        f"{point.itl_ms[row]:.1f} {within[row]:.5f}"
        for row in range(3)
    ]
    assert printed == [
        "30.000 5.798e-07 21.24 20.90 674 42,481 41,808 40.8 0.93803",
        "36.613 3.001e-09 33.77 33.16 1,000 55,349 54,349 53.1 0.92202",
        "35.200 1.054e-08 30.23 30.04 333 51,533 51,200 50.0 0.96847",
    ]
