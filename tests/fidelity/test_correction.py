"""Fitting the correction: learning, examples, and the command from end to end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.correction import learning
from benchmarks.correction.__main__ import STORED, main
from benchmarks.correction.examples import Example, drawn, missing, read, write
from benchmarks.correction.folds import FOLDS, folds
from benchmarks.correction.learning import Lesson, averaged, fitted
from benchmarks.correction.margins import margins
from benchmarks.correction.table import FIGURES, tables
from benchmarks.fidelity.campaign import POINTS, SEED
from benchmarks.fidelity.drawing import published
from benchmarks.fidelity.engine import cases_of
from benchmarks.fidelity.simulated import Effort, Precision, simulated
from queueing.engine import EngineTargets, LatencyTarget, size_engine
from queueing.engine.correction import LATENCIES, SIZED
from queueing.engine.traits import LOAD

LESSON = Lesson(hidden=(24, 24), passes=150, batch=256, decay=1e-4)
HIGH = replace(LESSON, high=0.9)
QUICK = Effort((Precision("ttft", "mean", 0.5),), requests=2_000, per_slot=0, most_requests=2_000)


def smooth(inputs: np.ndarray) -> np.ndarray:
    return np.array([np.sin(inputs[:, 0]) + 0.3 * inputs[:, 1], inputs[:, 0] * inputs[:, 1]]).T


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, and a smooth function of them with noise."""
    random = np.random.default_rng(11)
    inputs = random.uniform(-1.5, 1.5, (6000, 2))
    return inputs, smooth(inputs) + random.normal(0.0, 0.2, (6000, 2))


def test_a_smooth_function_and_its_quantile_are_found(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    inputs, wanted = noisy
    passes = []
    network = fitted(inputs, wanted, np.ones_like(wanted), LESSON, lambda: passes.append(1))
    assert len(passes) == LESSON.passes
    random = np.random.default_rng(12)
    unseen = random.uniform(-1.4, 1.4, (4000, 2))
    told, trust = network(unseen.T)
    assert (trust > 0.99).all()
    true, expected = smooth(unseen), told.T
    high = fitted(inputs, wanted, np.ones_like(wanted), HIGH)(unseen.T)[0].T
    assert np.sqrt(np.mean((expected - true) ** 2)) < 0.05
    # Nine of ten are below the high output: 1.28 deviations above the expected one.
    above = true + random.normal(0.0, 0.2, true.shape) > high
    assert above.mean() == pytest.approx(0.1, abs=0.03)
    assert np.mean(high - expected) == pytest.approx(1.28 * 0.2, rel=0.2)


def test_several_networks_become_one_that_tells_their_average(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    inputs, wanted = noisy
    several = [
        fitted(inputs, wanted, np.ones_like(wanted), replace(LESSON, passes=2, seed=seed))
        for seed in range(3)
    ]
    told, trust = averaged(several, times=1.5)(inputs.T)
    expected = 1.5 * np.mean([each(inputs.T)[0] for each in several], axis=0)
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(trust, several[0](inputs.T)[1])


def test_what_is_unknown_or_weighs_nothing_does_not_count(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    inputs, wanted = noisy[0][:1500], noisy[1][:1500]
    weight = np.ones_like(wanted)
    weight[::3] = 0.0
    wrong, unknown = wanted.copy(), wanted.copy()
    wrong[::3], unknown[::3] = 7.0, np.nan
    lesson = replace(LESSON, passes=3)
    told = [fitted(inputs, values, weight, lesson)(inputs.T)[0] for values in (wrong, unknown)]
    np.testing.assert_allclose(told[0], told[1], rtol=1e-5, atol=1e-6)
    again = fitted(inputs, wrong, weight, lesson)(inputs.T)[0]
    np.testing.assert_array_equal(again, told[0])


def loss(
    layers: list[np.ndarray],
    inputs: np.ndarray,
    target: np.ndarray,
    counts: np.ndarray,
    lesson: Lesson,
) -> float:
    """Return what the slopes are of, in double precision."""
    values = inputs
    for index in range(0, len(layers) - 2, 2):
        sums = values @ layers[index] + layers[index + 1]
        values = sums * (1.0 + np.tanh(sums))
    error = values @ layers[-2] + layers[-1] - target
    if lesson.high is None:
        each = np.sqrt(error**2 + lesson.tolerance**2)
    else:
        each = 0.5 * (np.sqrt(error**2 + learning._SHARP**2) + error) - lesson.high * error
    return float(np.sum(counts * each) / len(inputs))


@pytest.mark.parametrize("lesson", [LESSON, HIGH], ids=["expected", "high"])
def test_slopes_are_those_of_the_loss(lesson: Lesson) -> None:
    random = np.random.default_rng(13)
    layers = []
    for into, out in pairwise((3, 5, 4, 2)):
        layers += [random.normal(0.0, 0.5, (into, out)), random.normal(0.0, 0.5, out)]
    inputs, target = random.normal(size=(20, 3)), random.normal(size=(20, 2))
    counts = random.uniform(0.0, 2.0, (20, 2))
    single = [layer.astype(np.float32) for layer in layers]
    given, wanted, weight = (array.astype(np.float32) for array in (inputs, target, counts))
    slopes = learning._slopes(single, given, wanted, weight, lesson)
    for place, slope in enumerate(slopes):
        assert slope.shape == layers[place].shape
        for index in np.ndindex(slope.shape):
            values = []
            for change in (1e-5, -1e-5):
                moved = [layer.copy() for layer in layers]
                moved[place][index] += change
                values.append(loss(moved, inputs, target, counts, lesson))
            assert slope[index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=2e-3, abs=2e-4)


def test_examples_are_drawn_again_alike_and_not_from_the_grid() -> None:
    some = drawn(80)
    assert some == drawn(80)
    assert some != drawn(80, seed=1)
    assert {task.replica.family == "wide" for task in some} == {True, False}
    assert all(task.rate_rps > 0.0 for task in some)
    assert len({task.seed for task in some}) == len(some)
    grid = [point.replica for point in published(POINTS, SEED)]
    assert not any(task.replica in grid for task in some)
    assert max(task.replica.max_batch for task in drawn(400)) > 400


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [
        Example(task.replica, simulated(task.replica, task.rate_rps, task.seed, QUICK))
        for task in drawn(24)
    ]


def test_examples_come_back_from_their_file(tmp_path: Path, examples: list[Example]) -> None:
    path = tmp_path / "folder" / "examples.jsonl"
    assert list(write(examples[:5], path)) == examples[:5]
    assert len(list(write(examples[5:], path))) == len(examples) - 5
    with path.open("a", encoding="utf-8") as file:
        file.write('{"replica": {"family": "wi')  # the program was ended here
    again = read(path)
    assert [example.replica for example in again] == [example.replica for example in examples]
    assert repr(again) == repr(examples)  # NaN is not equal to itself


def test_only_what_is_not_known_is_simulated(examples: list[Example]) -> None:
    # By several processes some of the last ones drawn are done first.
    done = examples[5:9] + examples[20:]
    rest = missing(24, done)
    known = [example.replica for example in done]
    assert [task.replica for task in rest] == [
        task.replica for task in drawn(24) if task.replica not in known
    ]
    assert missing(24, examples) == []
    assert missing(10, examples) == []
    assert len(missing(30, examples)) == 6


def test_a_table_tells_what_the_analysis_misses(examples: list[Example]) -> None:
    made = tables(examples)
    assert tuple(made) == LATENCIES
    for name, table in made.items():
        assert np.isfinite(table.traits).all(), name
        assert len(table.traits) == len(examples)
        assert table.missed.shape == table.weight.shape == (len(examples), len(FIGURES))
        known = np.isfinite(table.missed)
        assert table.weight[known].mean() == pytest.approx(1.0)
        assert (table.weight >= 0.0).all()
        assert ((table.traits[:, LOAD] > 0.0) & (table.traits[:, LOAD] < 1.0)).all()
        if name in ("ttft", "e2e"):
            assert known.all()
    again = tables(examples[::-1])["e2e"].take(np.arange(len(examples))[::-1])
    np.testing.assert_allclose(again.missed, made["e2e"].missed, rtol=1e-9, atol=1e-9)


def test_errors_of_sizing_are_those_of_networks_that_have_not_seen_the_example(
    examples: list[Example],
) -> None:
    by = folds(tables(examples), replace(LESSON, passes=4))
    assert sorted(set(by.part)) == list(range(FOLDS))
    for name in SIZED:
        table = margins(name, examples, by)
        # Each row is of one figure of one example.
        known = np.isfinite(table.missed)
        assert (known.sum(axis=1) == 1).all()
        assert table.weight[known].mean() == pytest.approx(1.0, rel=0.2)
        assert (table.weight[~known] == 0.0).all()
        for row in range(0, len(table.example), 7):
            example = examples[table.example[row]]
            figure = FIGURES[int(np.flatnonzero(known[row])[0])]
            cases = cases_of([example.replica])
            wanted = LatencyTarget.of(
                1,
                example.truth.value(name, figure) / 1.02,
                np.nan if figure == "mean" else float(figure[1:]),
            )
            targets = EngineTargets.of(1, **{name: (wanted,)})  # type: ignore[arg-type]
            unseen = by.networks[by.part[table.example[row]]]
            rate = float(size_engine(cases, targets, fitted=unseen).rate_rps[0])
            error = np.clip(np.log(rate / example.truth.rate_rps), -0.5, 1.0)
            assert table.missed[row, known[row]] == pytest.approx([error], abs=5e-3)


def test_the_command_simulates_fits_and_judges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.correction.examples.EFFORT", QUICK)
    path = tmp_path / "examples.jsonl"
    before = STORED.read_bytes()
    ask = ["--passes", "5", "--jobs", "1", "--dry-run", "--examples", str(path)]
    assert main(["--count", "40", *ask]) == 0
    held = len(read(path))
    assert held == 40
    shown = capsys.readouterr().out
    for name in LATENCIES:
        assert f"{name}: " in shown
    for name in SIZED:
        assert f"rates sized to {name}" in shown
    # What is there is not simulated again, and what is missing is added.
    kept = path.read_text(encoding="utf-8")
    assert main(["--count", "60", *ask]) == 0
    assert path.read_text(encoding="utf-8").startswith(kept)
    assert len(read(path)) == 60
    assert STORED.read_bytes() == before
