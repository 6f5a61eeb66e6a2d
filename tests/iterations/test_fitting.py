"""Models recover the laws that times were made by, and tell what they cannot know."""

from collections.abc import Callable

import numpy as np
import pytest

from profiler.harness.cases import Limits, candidates
from profiler.iterations import IterationFit, best_fit, fit_iterations
from profiler.iterations.errors import residuals
from profiler.iterations.states import States
from queueing.engine.overlap import OverlapTimes
from queueing.engine.times import LinearTimes, TokenWorkTimes
from stoker.domain.curve import IterationTable
from stoker.domain.profile import OverlapParameters
from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase, IterationKind

CASES = candidates(Limits(max_batch=64, max_context=4096, max_prefill=4096, kv_tokens=100_000))
OVERLAP = OverlapParameters(0.4, 4.0, 0.02, 0.01, 4e-6, 2e-7, 0.3)


def made(
    law: Callable[[States], np.ndarray], cases: tuple[IterationCase, ...] = CASES, noise: float = 0
) -> list[CaseTiming]:
    times = law(States.at(cases)) * np.exp(
        noise * np.random.default_rng(1).standard_normal(len(cases))
    )
    return [
        CaseTiming(case, CaseStatus.OK, (time,) * 9, (), float(time), float(0.01 * time))
        for case, time in zip(cases, times, strict=True)
    ]


def token_work(states: States) -> np.ndarray:
    return TokenWorkTimes.of(5.0, 0.03, 2e-5).iteration_ms(*states.places)


def linear(states: States) -> np.ndarray:
    return LinearTimes.of(5.0, 0.2, 1.5, 1e-4).iteration_ms(*states.places)


def overlap(states: States) -> np.ndarray:
    return OverlapTimes.of([OVERLAP]).iteration_ms(*states.places)


def fitted(timings: list[CaseTiming], model: str) -> IterationFit:
    return fit_iterations(timings, [model])[0]


@pytest.mark.parametrize(
    ("model", "law", "truth"),
    [
        ("token-work", token_work, (5.0, 0.03, 2e-5)),
        ("linear", linear, (5.0, 0.2, 1.5, 1e-4)),
        ("overlap", overlap, OVERLAP.engine_times_ms),
    ],
)
def test_exact_times_give_their_parameters_back(
    model: str, law: Callable[[States], np.ndarray], truth: tuple[float, ...]
) -> None:
    fit = fitted(made(law), model)
    assert list(fit.values.values()) == pytest.approx(truth, rel=0.01)
    assert fit.errors.keys() == {kind.value for kind in IterationKind}
    assert fit.error == pytest.approx(0.0, abs=1e-3)
    assert fit.condition_number is not None
    assert fit.condition_number > 1


def test_intervals_hold_the_truth_of_noisy_times() -> None:
    truth = (5.0, 0.03, 2e-5)
    fit = fitted(made(token_work, noise=0.03), "token-work")
    for value, (low, high) in zip(truth, fit.confidence.values(), strict=True):
        assert low < value < high
        assert high < 2.0 * low


def test_a_table_holds_what_was_measured_and_what_lies_between() -> None:
    some = tuple(case for index, case in enumerate(CASES) if index % 3 or case.decode_batch == 64)
    fit = fitted(made(overlap, some), "curve")
    assert isinstance(fit.parameters, IterationTable)
    others = made(overlap, tuple(case for case in CASES if case not in some))
    for kind, most in ((IterationKind.DECODE, 0.05), (IterationKind.PREFILL, 0.15)):
        errors = [abs(each.error) for each in residuals(fit, others) if each.kind is kind]
        assert np.mean(errors) < most


def test_a_table_never_falls_and_its_intervals_widen_where_nobody_measured() -> None:
    short = tuple(case for case in CASES if case.context_tokens < 1000)
    fit = fitted(made(overlap, short, noise=0.05), "curve")
    table = fit.parameters
    assert isinstance(table, IterationTable)
    assert fit.intervals is not None
    for grid in (np.array(table.decode_ms), np.array(table.prefill_ms)):
        assert np.all(np.diff(grid, axis=0) >= 0)
        assert np.all(np.diff(grid, axis=1) >= 0)
    for times, (low, high) in (
        (table.decode_ms, fit.intervals.decode_ms),
        (table.prefill_ms, fit.intervals.prefill_ms),
    ):
        assert np.all(np.array(low) < np.array(times))
        assert np.all(np.array(times) < np.array(high))
    sparse = tuple(case for case in CASES if case.decode_batch in (0, 1, 64) or case.prefill_tokens)
    wide = fitted(made(overlap, sparse), "curve")
    assert wide.error is not None
    assert wide.error < 0.1


def test_what_both_kinds_pay_once_is_told_by_iterations_of_both() -> None:
    fit = fitted(made(token_work), "curve")
    # An iteration of both pays alpha once.
    assert fit.values["shared_ms"] == pytest.approx(5.0, rel=0.05)
    alone = [timing for timing in made(token_work) if timing.case.kind is not IterationKind.MIXED]
    assert fitted(alone, "curve").values["shared_ms"] == pytest.approx(5.0, rel=0.05)


def test_errors_on_left_out_iterations_choose_the_model() -> None:
    assert getattr(best_fit(fit_iterations(made(linear))), "model", "") == "linear"
    assert getattr(best_fit(fit_iterations(made(overlap))), "model", "") == "overlap"


@pytest.mark.parametrize("model", ["linear", "token-work", "overlap", "curve"])
def test_iterations_that_tell_too_little_are_refused_with_what_to_time(model: str) -> None:
    few = made(token_work, (IterationCase(0, 0, 1, 16), IterationCase(0, 0, 2, 16)))
    fit = fitted(few, model)
    assert fit.parameters is None
    assert fit.refusal
    assert fit.measure


def test_parameters_without_effect_are_named() -> None:
    decodes = [each for each in made(overlap) if each.case.kind is IterationKind.DECODE]
    fit = fitted(decodes, "overlap")
    assert fit.parameters is None
    assert {"attention_ms", "prompts_ms"} <= set(fit.untold)
    fit = fitted(decodes, "linear")
    assert {"gamma_ms", "delta_ms"} & set(fit.untold)


def test_cases_that_failed_take_no_part() -> None:
    failed = CaseTiming(IterationCase(0, 0, 64, 4000), CaseStatus.OUT_OF_MEMORY, reason="full")
    assert fitted([*made(token_work), failed], "token-work").points == len(CASES)
    assert best_fit(fit_iterations([failed])) is None


def test_no_reading_of_weights_is_a_base_alone() -> None:
    fit = fitted(made(token_work), "overlap")
    assert fit.parameters is not None
    assert fit.error == pytest.approx(0.0, abs=0.02)
