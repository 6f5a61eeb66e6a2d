"""Margins of sized rates: what is taken off, and where none is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fidelity.drawing import published
from benchmarks.fidelity.engine import cases_of
from queueing.arrays import FloatArray
from queueing.engine import EngineCases, EngineTargets, LatencyTarget, TokenWorkTimes
from queueing.engine import analyze_engine as analyze
from queueing.engine import size_engine as size
from queueing.engine.correction import LATENCIES, Networks, careful, networks
from queueing.engine.excess import DOUBT, DOUBTFUL, Excess, LatencyExcess, excess
from queueing.engine.misses import target_excess
from queueing.engine.saturation import saturation
from queueing.engine.states import full

WITHOUT_MARGINS = {name: networks()[name] for name in LATENCIES}


def drawn(count: int) -> EngineCases:
    return cases_of([point.replica for point in published(count, 31)])


def p95_targets(cases: EngineCases, factor: float = 1.6) -> EngineTargets:
    """Return targets above the latencies at a tenth of the saturation."""
    light = analyze(cases, 0.1 * analyze(cases, 1e-3).saturation_rps, (95.0,))
    count = len(cases)
    return EngineTargets.of(
        count, ttft=(LatencyTarget.of(count, factor * light.ttft.at_ms[0], 95.0),)
    )


def beyond(cases: EngineCases, targets: EngineTargets, rate_rps: FloatArray) -> Excess:
    with np.errstate(all="ignore"):
        limit = saturation(cases)
        requests = limit.memory.requests
        top = full(cases, requests, limit)
        return excess(cases, requests, top, targets, rate_rps, networks())


def test_a_sized_rate_is_the_expected_one_less_its_margin() -> None:
    cases = drawn(60)
    targets = p95_targets(cases)
    expected = size(cases, targets, fitted=WITHOUT_MARGINS)
    sized = size(cases, targets)
    some = expected.feasible & expected.limited
    assert some.mean() > 0.8
    (latency,) = beyond(cases, targets, expected.rate_rps).latencies
    assert (latency.margin[some] >= 0.0).all()
    assert 0.03 < np.median(latency.margin[some]) < 0.3
    told = np.log(expected.rate_rps[some] / sized.rate_rps[some])
    in_doubt = told > latency.margin[some] + 0.01
    assert 0.0 < in_doubt.mean() < 0.5
    assert told[~in_doubt] == pytest.approx(latency.margin[some][~in_doubt], abs=0.01)
    assert (told[in_doubt] >= DOUBTFUL - 1e-9).all()
    assert (sized.feasible == expected.feasible).all()


def test_a_sized_rate_keeps_targets_carefully_and_much_more_does_not() -> None:
    cases = drawn(60)
    targets = p95_targets(cases)
    sized = size(cases, targets)
    some = sized.feasible & sized.limited
    # The margin is told where it is asked for: at the sized rate, and not at the one beyond it.
    kept = target_excess(cases, targets, 0.9 * sized.rate_rps)[some] <= 0.0
    missed = target_excess(cases, targets, 1.1 * sized.rate_rps)[some] > 0.0
    assert kept.mean() > 0.95
    assert missed.mean() > 0.95
    # As expected, it keeps them in any case.
    assert (beyond(cases, targets, sized.rate_rps).worst[some] <= 1e-9).mean() > 0.97


def test_what_is_kept_by_far_takes_no_margin() -> None:
    far = LatencyExcess("ttft", np.array([0.0, -0.1, -3.0, -np.inf]), np.full(4, 0.2))
    near = LatencyExcess("itl", np.array([-3.0, -3.0, -3.0, 0.0]), np.full(4, 0.1))
    told = Excess((far, near), np.full(4, -np.inf), np.zeros(4))
    assert told.worst == pytest.approx([0.0, -0.1, -3.0, 0.0])
    assert told.margin(np.zeros(4, dtype=np.bool_)) == pytest.approx([0.2, 0.15, 0.0, 0.1])
    # What more load misses is not kept by far, although it jumps: the worst has all its margin.
    assert told.margin(np.ones(4, dtype=np.bool_)) == pytest.approx([0.2, 0.2, 0.2, 0.1])


def test_a_rate_is_in_doubt_where_few_requests_would_miss_its_target_far_below() -> None:
    cases = drawn(60)
    targets = p95_targets(cases)
    known = networks()
    expected = size(cases, targets, fitted=WITHOUT_MARGINS)
    some = expected.feasible & expected.limited
    without_doubt = {name: net for name, net in known.items() if "careful" not in name}
    margins = np.log(expected.rate_rps / size(cases, targets, fitted=without_doubt).rate_rps)
    sized = np.log(expected.rate_rps / size(cases, targets).rate_rps)
    with np.errstate(all="ignore"):
        limit = saturation(cases)
        requests = limit.memory.requests
        top = full(cases, requests, limit)
        rate = expected.rate_rps * np.exp(-DOUBT)
        far = excess(cases, requests, top, targets, rate, careful(known)).worst > 0.0
    assert 0 < far[some].sum() < some.sum() / 2
    assert sized[some & ~far] == pytest.approx(margins[some & ~far], abs=1e-6)
    assert sized[some & far] == pytest.approx(np.maximum(margins[some & far], DOUBTFUL), abs=1e-6)


def test_exact_means_take_no_margin() -> None:
    cases = EngineCases.of(TokenWorkTimes.of([8.0] * 2, 0.03, 0.0003), [64, 900.0], 40.0, 1)
    mean_ms = 1.8 * analyze(cases, 1e-3).ttft.mean_ms
    targets = EngineTargets.of(2, ttft=(LatencyTarget.of(2, mean_ms),))
    rate = size(cases, targets).rate_rps
    assert analyze(cases, rate).ttft.mean_ms == pytest.approx(mean_ms, rel=5e-3)


def test_formulas_alone_take_no_margin() -> None:
    cases = drawn(20)
    targets = p95_targets(cases)
    limit = saturation(cases)
    requests = limit.memory.requests
    told = excess(cases, requests, full(cases, requests, limit), targets, np.full(20, 0.1), None)
    kept = told.worst <= 0.0
    assert kept.any()
    assert (told.margin(kept)[kept] == 0.0).all()


def one_by_one(cases: EngineCases, targets: EngineTargets, rate_rps: FloatArray) -> list[float]:
    """Return what `target_excess` has to tell of targets of one latency, a replica at a time."""
    told = []
    for row in range(len(cases)):
        own, target = cases.take(np.array([row])), targets.take(np.array([row]))
        limit = saturation(own)
        requests = limit.memory.requests
        top = full(own, requests, limit)
        rate, most = rate_rps[row], 0.999 * limit.throughput_rps[0]

        def at(
            log: float, known: Networks | None, rate: float = rate, most: float = most
        ) -> Excess:
            asked = np.array([min(rate * np.exp(log), max(rate, most))])
            return excess(own, requests, top, target, asked, known)  # noqa: B023

        (latency,) = at(0.0, networks()).latencies
        worst, margin = latency.worst[0], latency.margin[0]
        if margin > 0.0:
            logs = margin + (max(margin, DOUBTFUL) - margin) * np.linspace(0.0, 1.0, 6)
            values = [at(log, networks()).worst[0] for log in logs]
            worst = max(worst, values[0])
            if values[-1] > 0.0:
                largest = margin
                if values[0] <= 0.0:
                    first = int(np.argmax(np.array(values) > 0.0))
                    largest = np.interp(0.0, values[first - 1 : first + 1], logs[first - 1 :][:2])
                worst = max(worst, at(largest - DOUBT, careful(networks())).worst[0])
        told.append(worst)
    return told


def test_replicas_are_looked_at_carefully_together_as_one_by_one() -> None:
    cases = drawn(24)
    targets = p95_targets(cases)
    sized = size(cases, targets)
    assert sized.feasible.mean() > 0.9
    told = []
    for share in (0.4, 0.9, 1.0, 1.2):
        rate = np.where(sized.feasible, share * sized.rate_rps, 0.1)
        with np.errstate(all="ignore"):
            told.append(target_excess(cases, targets, rate))
            # Iterations end for all rows at once: alone, a row may have had some less of them.
            np.testing.assert_allclose(told[-1], one_by_one(cases, targets, rate), atol=1e-2)
    assert (told[0] <= 0.0).mean() > 0.9
    assert (told[-1] > 0.0).mean() > 0.9
