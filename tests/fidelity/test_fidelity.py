import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.answer import answer
from benchmarks.fidelity.campaign import Analyses, Settings, run
from benchmarks.fidelity.case import Json, OperatingPoint, Replica
from benchmarks.fidelity.comparison import LIMITED, Comparison
from benchmarks.fidelity.drawing import FAMILIES, families, published
from benchmarks.fidelity.predicted import Predictions, reference
from benchmarks.fidelity.report import Section, write_page
from benchmarks.fidelity.simulated import (
    Effort,
    Figures,
    Precision,
    Truth,
    saturation_rps,
    simulated,
)
from benchmarks.fidelity.sizing import Checking, Promise, SizingVerdict
from benchmarks.fidelity.store import Store
from benchmarks.fidelity.work import Measured
from stoker.domain.profile import TokenWorkParameters

NO_RATE = np.zeros(2)
SMALL = Effort((Precision("ttft", "mean"),), requests=20_000, per_slot=0, most_requests=80_000)


def one_at_a_time(**changes: object) -> Replica:
    fields: dict[str, object] = {
        "family": "test",
        "parameters": TokenWorkParameters(10.0, 0.0, 0.0),
        "input_tokens": 100.0,
        "output_tokens": 10.0,
        "input_cv": 0.0,
        "output_cv": 0.0,
        "arrival_cv": 1.0,
        "max_batch": 1,
        "token_budget": 8192,
        "kv_tokens": None,
        "prefix_hit_rate": 0.0,
    }
    return Replica(**(fields | changes))  # type: ignore[arg-type]


def measured(load: float, ttft: float) -> Measured:
    keys = ("mean", "p50", "p90", "p95", "p99")
    figures = Figures(dict.fromkeys(keys, ttft), dict.fromkeys(keys, 0.01))
    names = ("ttft", "itl", "token_itl", "e2e", "wait")
    truth = Truth(
        rate_rps=load,
        throughput_rps=load,
        latencies=dict.fromkeys(names, figures),
        mean_in_service=1.0,
        mean_waiting=0.0,
        busy=load,
        preemptions=0.0,
        too_large=0.0,
        kv_use=None,
        requests=10,
    )
    return Measured(OperatingPoint(one_at_a_time(), load, 1), 1.0, truth)


def test_the_grid_covers_what_it_says() -> None:
    grid = published(320, 5)
    replicas = [point.replica for point in grid]
    batches = [replica.max_batch for replica in replicas]
    loads = [point.load for point in grid]
    assert min(batches) == 1
    assert max(batches) >= 250
    assert 0.1 <= min(loads) < 0.11
    assert 0.94 < max(loads) <= 0.95
    assert {replica.kind for replica in replicas} == {"token-work", "linear", "curve"}
    for values, top in (
        ([replica.input_cv for replica in replicas], 1.5),
        ([replica.output_cv for replica in replicas], 1.5),
        ([replica.arrival_cv for replica in replicas], 2.0),
    ):
        assert min(values) == 0.0
        assert 0.97 * top < max(values) <= top
    for share in (
        np.mean([replica.kv_tokens is not None for replica in replicas]),
        np.mean([replica.token_budget < 8192 for replica in replicas]),
    ):
        assert 0.3 < share < 0.36
    assert all(replica.token_budget >= replica.max_batch for replica in replicas)


def test_a_seed_gives_one_grid_and_another_seed_another() -> None:
    assert published(30, 1) == published(30, 1)
    assert published(30, 1) != published(30, 2)


def test_families_show_one_thing_at_a_time() -> None:
    for point in families(dict.fromkeys(FAMILIES, 5), 3):
        replica, family = point.replica, point.replica.family
        assert (replica.kv_tokens is not None) == (family == "memory")
        assert (replica.prefix_hit_rate > 0) == (family == "prefix")
        assert (replica.token_budget < 8192) == (family == "chunked")
        assert replica.kind == (family if family in ("linear", "curve") else "token-work")


def test_saturation_of_one_slot_is_one_over_its_service_time() -> None:
    assert saturation_rps(one_at_a_time(), 1, requests=2000) == pytest.approx(10.0, rel=1e-3)


def test_saturation_does_not_depend_on_arrivals() -> None:
    steady, bursty = (
        saturation_rps(one_at_a_time(arrival_cv=cv, max_batch=4), 1, requests=20_000)
        for cv in (0.0, 2.0)
    )
    assert steady == pytest.approx(bursty, rel=0.01)


def test_a_point_is_simulated_until_it_is_precise() -> None:
    rough = Effort((Precision("ttft", "mean", 0.5),), 20_000, 0, 80_000)
    assert simulated(one_at_a_time(), 8.0, 1, rough).requests == 20_000
    precise = Effort((Precision("ttft", "mean", 0.0001),), 20_000, 0, 80_000)
    assert simulated(one_at_a_time(), 8.0, 1, precise).requests == 80_000


def test_simulated_wait_is_that_of_a_queue_with_fixed_service() -> None:
    truth = simulated(one_at_a_time(), 5.0, 1, Effort((), 200_000))
    assert truth.value("wait", "mean") == pytest.approx(50.0, rel=0.03)  # M/D/1 at load 0.5
    assert truth.value("ttft", "mean") == pytest.approx(60.0, rel=0.03)


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    store = Store(tmp_path)
    question: dict[str, Json] = {"replica": "a", "rate_rps": 1.5}
    assert store.read(question) is None
    truth = simulated(one_at_a_time(output_tokens=1.0), 5.0, 1, SMALL)
    store.write(question, truth.to_json())
    kept = store.read(question)
    assert kept is not None
    again = Truth.from_json(kept)
    assert again.to_json() == truth.to_json()
    assert np.isnan(again.value("itl", "mean"))
    assert store.read({"replica": "a", "rate_rps": 1.25}) is None


def test_what_an_analysis_does_not_answer_counts_as_wrong() -> None:
    points = [measured(load, 100.0) for load in (0.2, 0.4, 0.6, 0.9)]
    figure = ("ttft", "mean")
    comparison = Comparison(points, Predictions({figure: np.array([110.0, 95.0, np.nan, 300.0])}))
    assert comparison.signed(figure) == pytest.approx([0.1, -0.05, np.inf, 2.0])
    errors = comparison.errors(figure, comparison.quiet())
    assert errors.points == 3
    assert errors.median == pytest.approx(0.1)
    assert errors.high == np.inf
    assert not any(verdict.holds for verdict in comparison.verdicts())


def test_a_perfect_analysis_keeps_all_limits() -> None:
    points = [measured(load, 100.0) for load in (0.2, 0.9)]
    figures = {judged.figure: np.array([100.0, 100.0]) for judged in LIMITED}
    assert all(verdict.holds for verdict in Comparison(points, Predictions(figures)).verdicts())


def test_sizing_is_checked_in_simulation(tmp_path: Path) -> None:
    store = Store(tmp_path)
    # p95 of TTFT is 10 ms without load, and grows with the queue of a single slot.
    promise = Promise(one_at_a_time(), 1, 10.0, ttft_ms=250.0, itl_ms=20.0)
    timid, bold, beyond, none = (
        Checking(promise, rate, store, (SMALL,))() for rate in (3.0, 8.5, 12.0, 0.0)
    )
    assert timid.kept
    assert not timid.broken
    assert not bold.kept
    assert bold.broken
    assert beyond.at_rate == np.inf
    assert not none.found
    verdict = SizingVerdict.of([timid, bold, beyond, none])
    assert verdict.found == 0.75
    assert verdict.kept == pytest.approx(1 / 3)
    assert verdict.broken == pytest.approx(2 / 3)


def silent(title: str, total: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


def test_a_small_comparison_from_drawing_to_page(tmp_path: Path) -> None:
    settings = Settings(6, seed=4, sized=2, effort=SMALL, store=Store(tmp_path / "kept"))
    outcome = run(
        settings, Analyses(reference, reference, reference, lambda promises: NO_RATE), silent
    )
    plain = json.loads(json.dumps(answer(outcome), allow_nan=False))
    assert plain["points"] == 6
    assert len(plain["operating_points"]) == 6
    assert {verdict["figure"] for verdict in plain["verdicts"]} == {j.name for j in LIMITED}
    assert plain["sizing"]["found"] == 0
    page, *pictures = write_page(outcome, [], [Section("More", "text")], tmp_path)
    text = page.read_text()
    assert "Limits are missed" in text
    assert "## More\n\ntext" in text
    for name in re.findall(r"\]\((images/.*?)\)", text):
        assert tmp_path / name in pictures
