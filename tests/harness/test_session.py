"""Runs of cases: every fault is a result, nothing is lost, the budget goes where it is needed."""

import json
import math
import random
from pathlib import Path

import pytest
import torch

from profiler.harness.adaptive import Chooser
from profiler.harness.cases import Limits, candidates, first_cases, tokens_held
from profiler.harness.journal import MOST_STARTS, Journal, JournalError
from profiler.harness.measure import DeviceLostError, lacks_memory, measure
from profiler.harness.scaling import bend, scaled
from profiler.harness.session import Progress, run_cases
from profiler.harness.stability import SamplingRules, outliers, sample
from profiler.iterations import fit_iterations
from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase, IterationKind
from tests.support.harness_benches import FakeClock, FaultyBench, LawBench, no_memory

LIMITS = Limits(max_batch=16, max_context=512, max_prefill=512, kv_tokens=20_000)
RULES = SamplingRules()
HEADER = {"shape": "small", "seed": 1}


def affine(case: IterationCase, count: int) -> float:
    """An iteration of `token-work`: 3 ms, 0.02 ms a token computed, 1e-4 ms a token read."""
    computed = case.decode_batch + case.prefill_tokens
    read = case.decode_batch * case.context_tokens
    read += case.prefill_tokens + case.prefix_tokens if case.prefill_tokens else 0
    return count / 4 * (3.0 + 0.02 * computed + 1e-4 * read)


def run(
    bench: LawBench,
    path: Path,
    clock: FakeClock,
    budget_s: float = 1e9,
    tolerance: float = 1e-9,
    seen: list[Progress] | None = None,
) -> Journal:
    chooser = Chooser(LIMITS, 1, tolerance)
    with Journal(path, HEADER) as journal:
        journal.begin("2026-01-01T00:00:00+00:00")
        report = (seen if seen is not None else []).append
        run_cases(bench, chooser, journal, RULES, budget_s, clock, report)
    return journal


def test_a_planted_affine_law_is_recovered_within_two_percent(tmp_path: Path) -> None:
    clock, dice = FakeClock(), random.Random(3)
    bench = LawBench(affine, clock, noise=lambda: dice.gauss(1.0, 0.01))
    journal = run(bench, tmp_path / "j", clock, budget_s=60.0, tolerance=0.005)
    [fit] = fit_iterations(journal.timings.values(), ["token-work"])
    assert fit.values["alpha_ms"] == pytest.approx(3.0, rel=0.02)
    assert fit.values["beta_ms"] == pytest.approx(0.02, rel=0.02)
    assert fit.values["gamma_ms"] == pytest.approx(1e-4, rel=0.05)
    assert fit.error is not None
    assert fit.error < 0.02


def test_lack_of_memory_and_failures_are_results(tmp_path: Path) -> None:
    def fails(case: IterationCase) -> Exception | None:
        if case.decode_batch * case.context_tokens > 2000:
            return no_memory()
        return NotImplementedError("no kernel") if case.prefix_tokens else None

    clock = FakeClock()
    journal = run(FaultyBench(affine, clock, fails), tmp_path / "j", clock)
    assert set(journal.timings) == set(candidates(LIMITS))
    for case, timing in journal.timings.items():
        expected = fails(case)
        if expected is None:
            assert timing.status is CaseStatus.OK
        elif lacks_memory(expected):
            assert timing.status is CaseStatus.OUT_OF_MEMORY
            assert "out of memory" in timing.reason
        else:
            assert (timing.status, timing.reason) == (CaseStatus.FAILED, "no kernel")
        assert (timing.median_ms is None) == (expected is not None)


def test_a_lost_device_ends_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    poison = first_cases(LIMITS, 1)[4]

    def fails(case: IterationCase) -> Exception | None:
        return DeviceLostError("unspecified launch failure") if case == poison else None

    clock = FakeClock()
    with pytest.raises(DeviceLostError, match="illegal memory access unspecified launch failure"):
        run(FaultyBench(affine, clock, fails), tmp_path / "j", clock)
    journal = run(FaultyBench(affine, clock, fails), tmp_path / "j", clock)
    assert set(journal.timings) == set(candidates(LIMITS))
    assert journal.timings[poison].status is CaseStatus.FAILED
    assert "launch failure" in journal.timings[poison].reason


def test_a_case_that_ends_the_process_is_not_tried_for_ever(tmp_path: Path) -> None:
    killer = first_cases(LIMITS, 1)[2]

    def fails(case: IterationCase) -> Exception | None:
        if case == killer:
            raise KeyboardInterrupt  # nothing of the run is left
        return None

    clock = FakeClock()
    for _ in range(MOST_STARTS):
        with pytest.raises(KeyboardInterrupt):
            run(FaultyBench(affine, clock, fails), tmp_path / "j", clock)
    journal = run(FaultyBench(affine, clock, fails), tmp_path / "j", clock)
    assert journal.timings[killer].status is CaseStatus.FAILED
    assert "ended 3 times" in journal.timings[killer].reason
    assert set(journal.timings) == set(candidates(LIMITS))


def test_what_was_timed_is_not_timed_again(tmp_path: Path) -> None:
    clock = FakeClock()
    first = LawBench(affine, clock)
    run(first, tmp_path / "j", clock, budget_s=2.0)
    second = LawBench(affine, clock)
    journal = run(second, tmp_path / "j", clock)
    assert sorted(first.prepared + second.prepared) == list(candidates(LIMITS))
    assert journal.spent_s == pytest.approx(clock.now)
    third = LawBench(affine, clock)
    run(third, tmp_path / "j", clock)
    assert third.prepared == []


def test_the_budget_holds_beyond_the_first_cases(tmp_path: Path) -> None:
    clock, seen = FakeClock(), list[Progress]()
    journal = run(LawBench(affine, clock), tmp_path / "a", clock, budget_s=2.0, seen=seen)
    assert len(first_cases(LIMITS, 1)) < len(journal.timings) < len(candidates(LIMITS))
    assert 1.4 < journal.spent_s < 2.4
    assert [each.timed for each in seen] == list(range(1, len(seen) + 1))
    tiny = run(LawBench(affine, clock), tmp_path / "b", clock, budget_s=1e-9)
    assert set(tiny.timings) == set(first_cases(LIMITS, 1))


def test_a_run_stops_when_every_time_is_known(tmp_path: Path) -> None:
    clock = FakeClock()
    loose = run(LawBench(affine, clock), tmp_path / "a", clock, tolerance=0.1)
    tight = run(LawBench(affine, clock), tmp_path / "b", clock, tolerance=0.012)
    assert len(loose.timings) < len(tight.timings)


def test_cases_are_chosen_where_times_bend(tmp_path: Path) -> None:
    def steps(case: IterationCase, count: int) -> float:
        # Decodes hold a straight line; prefills bend at 64 tokens.
        bent = 4.0 if case.prefill_tokens > 64 else 1.0
        return affine(case, count) * (bent if not case.decode_batch else 1.0)

    clock = FakeClock()
    path = tmp_path / "j"
    journal = run(LawBench(steps, clock), path, clock, tolerance=0.03)
    first = set(first_cases(LIMITS, 1))
    later = [case.kind for case in journal.timings if case not in first]
    whole = [case.kind for case in candidates(LIMITS) if case not in first]
    shares = {kind: later.count(kind) / whole.count(kind) for kind in IterationKind}
    assert shares[IterationKind.PREFILL] > 1.5 * shares[IterationKind.DECODE]


def test_the_order_is_random_and_repeatable() -> None:
    assert first_cases(LIMITS, 1) == first_cases(LIMITS, 1)
    assert first_cases(LIMITS, 1) != first_cases(LIMITS, 2)
    assert set(first_cases(LIMITS, 1)) == set(first_cases(LIMITS, 2))
    assert first_cases(LIMITS, 1) != tuple(sorted(first_cases(LIMITS, 1)))


def test_cases_fit_memory_and_reach_its_edge() -> None:
    tight = Limits(max_batch=512, max_context=8192, max_prefill=16_384, kv_tokens=40_000)
    cases = candidates(tight)
    assert all(tokens_held(case) <= 40_000 for case in cases)
    for context in {case.context_tokens for case in cases if case.kind is IterationKind.DECODE}:
        largest = max(case.decode_batch for case in cases if case.context_tokens == context)
        assert largest == min(512, 40_000 // (context + 1))
    assert set(first_cases(tight, 0)) <= set(cases)
    assert max(case.prefill_tokens for case in cases) == 8192


@pytest.mark.parametrize(
    "limits",
    [Limits(1, 1, 1, 1), Limits(1, 2, 1, 3), Limits(3, 20, 7, 50), Limits(512, 131_072, 1, 10**9)],
)
def test_small_limits_leave_cases_that_fit(limits: Limits) -> None:
    cases = candidates(limits)
    assert cases
    assert len(set(cases)) == len(cases)
    assert all(tokens_held(case) <= limits.kv_tokens for case in cases)
    assert set(first_cases(limits, 0)) <= set(cases)


class TestJournal:
    def test_a_torn_last_line_counts_as_not_written(self, tmp_path: Path) -> None:
        clock, path = FakeClock(), tmp_path / "j"
        run(LawBench(affine, clock), path, clock, budget_s=1e-9)
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        for cut in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
            path.write_bytes(whole[:-cut])
            again = LawBench(affine, clock)
            journal = run(again, path, clock, budget_s=1e-9)
            assert len(again.prepared) == 1
            assert set(journal.timings) == set(first_cases(LIMITS, 1))
            assert all(json.loads(line) for line in path.read_bytes().splitlines())

    def test_every_prefix_of_a_journal_goes_on_to_the_same_cases(self, tmp_path: Path) -> None:
        clock, path = FakeClock(), tmp_path / "j"
        run(LawBench(affine, clock), path, clock, budget_s=1e-9)
        whole = path.read_bytes()
        for kept in range(0, len(whole), 997):
            path.write_bytes(whole[:kept])
            journal = run(LawBench(affine, clock), path, clock, budget_s=1e-9)
            results = [
                json.loads(line)["result"]
                for line in path.read_bytes().splitlines()
                if b'"result"' in line
            ]
            assert len(results) == len(journal.timings) == len(first_cases(LIMITS, 1))

    def test_results_read_back_exactly(self, tmp_path: Path) -> None:
        clock, dice = FakeClock(), random.Random(1)
        bench = LawBench(affine, clock, (2, 4, 6), 8, lambda: dice.uniform(0.99, 1.01))
        journal = run(bench, tmp_path / "j", clock, budget_s=1e-9)
        with Journal(tmp_path / "j", HEADER) as again:
            assert again.timings == journal.timings
            assert again.bends == journal.bends
            assert again.started_at == journal.started_at
            assert again.spent_s == pytest.approx(journal.spent_s)

    def test_another_run_does_not_go_on(self, tmp_path: Path) -> None:
        with Journal(tmp_path / "j", HEADER) as journal:
            journal.begin("now")
        with pytest.raises(JournalError, match=r"another run: seed is 1 there, 2 here"):
            Journal(tmp_path / "j", {**HEADER, "seed": 2})

    def test_what_is_no_journal_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        for text in ("hello\n", '{"a": 1}\n', "[1]\n", "notes", '{"a"'):
            (tmp_path / "j").write_text(text)
            with pytest.raises(JournalError):
                Journal(tmp_path / "j", HEADER)
            assert (tmp_path / "j").read_text() == text

    def test_two_runs_do_not_share_one(self, tmp_path: Path) -> None:
        with Journal(tmp_path / "j", HEADER), pytest.raises(JournalError, match="another run"):
            Journal(tmp_path / "j", HEADER)

    def test_a_second_result_is_refused(self, tmp_path: Path) -> None:
        timing = CaseTiming(IterationCase(0, 0, 1, 16), CaseStatus.FAILED, reason="x")
        with Journal(tmp_path / "j", HEADER) as journal:
            journal.begin("now")
            journal.finish(timing, None, 1.0)
            with pytest.raises(ValueError, match="timed twice"):
                journal.finish(timing, None, 1.0)


class TestScaling:
    COUNTS = (2, 4)

    def test_times_of_few_layers_tell_those_of_all(self, tmp_path: Path) -> None:
        def law(case: IterationCase, count: int) -> float:
            return 0.7 + 0.1 * count * (1 + case.decode_batch + case.prefill_tokens)

        clock = FakeClock()
        for case in (IterationCase(0, 0, 8, 100), IterationCase(64, 0, 0, 0)):
            few, _ = measure(LawBench(law, clock, self.COUNTS, 32), case, RULES, clock)
            whole, _ = measure(LawBench(law, clock, (32,), 32), case, RULES, clock)
            assert few.median_ms == pytest.approx(whole.median_ms)

    def test_a_third_number_tells_how_straight_the_line_is(self) -> None:
        assert bend((2, 4), (1.0, 2.0)) is None
        assert bend((2, 4, 6), (1.0, 2.0, 3.0)) == pytest.approx(0.0)
        assert bend((2, 4, 6), (1.0, 2.5, 3.0)) == pytest.approx(0.2)
        assert scaled((2, 4, 6), (1.0, 2.0, 3.0), 80) == pytest.approx(40.0)

    def test_times_that_fall_with_layers_are_no_result(self) -> None:
        clock = FakeClock()
        bench = LawBench(lambda _, count: 5.0 - count, clock, self.COUNTS, 32)
        timing, _ = measure(bench, IterationCase(0, 0, 1, 16), RULES, clock)
        assert timing.status is CaseStatus.FAILED
        assert "do not grow with layers" in timing.reason


class TestSampling:
    def test_a_warm_up_lasts_until_times_are_stable(self) -> None:
        times = iter([50.0, 30.0, 20.0, 15.0, 12.0, 11.0, *[10.0] * 100])
        samples = sample([lambda: next(times)], RULES, FakeClock())
        assert samples.stable
        assert samples.warm_up > 6
        assert set(samples.series[0]) == {10.0}
        assert len(samples.series[0]) == RULES.least

    def test_times_that_never_settle_are_kept_and_told(self) -> None:
        times = (float(2 + count % 7) for count in range(1000))
        samples = sample([lambda: next(times)], RULES, FakeClock())
        assert not samples.stable
        assert samples.warm_up == RULES.warm_up_most
        assert len(samples.series[0]) == RULES.most

    def test_slow_cases_have_the_fewest_runs(self) -> None:
        clock = FakeClock()

        def slow() -> float:
            clock.pass_ms(5000.0)
            return 5000.0 + clock.now % 7

        samples = sample([slow], RULES, clock)
        assert (samples.warm_up, len(samples.series[0])) == (2, RULES.least)

    def test_outliers_are_kept_but_not_counted(self) -> None:
        clock = FakeClock()
        times = iter([10.0] * 9 + [95.0] + [10.0] * 1000)
        bench = LawBench(lambda *_: next(times), clock)
        timing, _ = measure(bench, IterationCase(0, 0, 1, 16), RULES, clock)
        assert timing.median_ms == 10.0
        assert [timing.samples_ms[place] for place in timing.outliers] == [95.0]
        assert timing.spread_ms == 0.0
        assert outliers([10.0, 10.01, 9.99, 10.02]) == ()

    def test_gauges_and_memory_are_recorded(self) -> None:
        clock = FakeClock()
        timing, _ = measure(LawBench(affine, clock), IterationCase(0, 0, 1, 16), RULES, clock)
        assert (timing.clock_mhz, timing.temperature_c, timing.power_w) == (1500.0, 40.0, 300.0)
        assert timing.memory_bytes == 1000


def test_words_of_lacking_memory() -> None:
    assert lacks_memory(MemoryError())
    assert lacks_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"))
    assert lacks_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert lacks_memory(torch.OutOfMemoryError("x"))
    assert not lacks_memory(RuntimeError("CUDA error: an illegal memory access"))
    assert math.isfinite(affine(IterationCase(1, 0, 0, 0), 4))
