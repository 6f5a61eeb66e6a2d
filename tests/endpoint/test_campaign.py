"""Campaigns on servers that the simulator plays: which points, when to stop, what comes out."""

from __future__ import annotations

import math

import pytest

from profiler.endpoint import Campaign, Grid, OperatingPoint, Progress, Verdict
from profiler.endpoint.design import learn, most_telling, uncertainty
from profiler.fit import CrossValidation, fit
from stoker.domain.errors import StokerError
from stoker.domain.measurement import LoadKind
from stoker.domain.profile import TokenWorkParameters
from tests.support.simulated_endpoint import DEPLOYMENT, SERVER, SimulatedRuns

GRID = Grid((128, 512, 2048), (32, 128), (1, 4, 16, 64))
PLANTED = TokenWorkParameters(8.0, 0.03, 0.0003)


def campaign_of(runs: SimulatedRuns, model: str = "token-work", **changes: object) -> Campaign:
    settings: dict[str, object] = {"budget_s": 5000.0} | changes
    return Campaign(SERVER, DEPLOYMENT, GRID, model, runs, runs.clock, **settings)  # type: ignore[arg-type]


def nothing(_: object) -> None:
    pass


def test_planted_parameters_are_found() -> None:
    campaign = campaign_of(SimulatedRuns(PLANTED, requests=1200))
    assert campaign.run(nothing, nothing) is Verdict.KNOWN
    assert len(campaign.rows) < 12
    assert any(row.load_kind is LoadKind.RATE for row in campaign.rows)
    result = fit(campaign.rows, "token-work", cross_validation=CrossValidation.NONE)
    for name, share in {"alpha_ms": 0.03, "beta_ms": 0.05, "gamma_ms": 0.08}.items():
        assert result.parameters[name] == pytest.approx(getattr(PLANTED, name), rel=share)


def test_it_goes_on_where_it_was_interrupted() -> None:
    whole = campaign_of(SimulatedRuns(PLANTED, 200), most_points=4)
    whole.run(nothing, nothing)
    runs = SimulatedRuns(PLANTED, 200)
    kept: list[object] = []
    first = campaign_of(runs, most_points=3)
    assert first.run(kept.append, nothing) is Verdict.BUDGET
    assert kept == first.rows
    assert len(kept) == 3
    second = campaign_of(SimulatedRuns(PLANTED, 200), most_points=4, rows=list(first.rows))
    second.run(nothing, nothing)
    names = [row.name for row in second.rows]
    assert len(names) == len(set(names))
    assert names == [row.name for row in whole.rows]


def test_it_ends_with_its_time() -> None:
    runs = SimulatedRuns(PLANTED)
    campaign = campaign_of(runs, budget_s=40.0, confidence=1e-6)
    assert campaign.run(nothing, nothing) is Verdict.BUDGET
    # Runs of two points and of one: time is looked at before each run.
    assert 40.0 <= runs.now_s < 200.0


def test_it_ends_with_its_grid() -> None:
    runs = SimulatedRuns(PLANTED, requests=100)
    grid = Grid((128,), (32,), (1, 4), open_share=0.0)
    campaign = Campaign(
        SERVER, DEPLOYMENT, grid, "token-work", runs, runs.clock, 1e-9, budget_s=1e9
    )
    assert campaign.run(nothing, nothing) is Verdict.EXHAUSTED
    assert [row.name for row in campaign.rows] == [
        "concurrency-1-in-128-out-32",
        "concurrency-4-in-128-out-32",
    ]


def test_a_run_that_fails_is_told_and_left_out() -> None:
    told: list[Progress] = []
    fails = frozenset({"concurrency-1-in-2048-out-32"})
    campaign = campaign_of(SimulatedRuns(PLANTED, 200, fails), most_points=4)
    campaign.run(nothing, told.append)
    assert [one.failed for one in told if one.failed] == ["on request"]
    assert "concurrency-1-in-2048-out-32" not in {row.name for row in campaign.rows}


def test_runs_that_always_fail_end_it() -> None:
    everything = frozenset(point.name for point in GRID.closed(None))
    with pytest.raises(StokerError, match="3 runs failed"):
        campaign_of(SimulatedRuns(PLANTED, fails=everything)).run(nothing, nothing)


def test_points_of_a_run_are_of_one_shape() -> None:
    runs = SimulatedRuns(PLANTED, requests=200)
    campaign_of(runs, confidence=1e-9, most_points=6).run(nothing, nothing)
    for points, seconds in runs.asked:
        assert len({(point.shape, point.kind) for point in points}) == 1
        assert seconds >= 15.0


def test_the_first_points_are_corners() -> None:
    first = [(point.shape, point.load) for point in GRID.first(None)]
    assert first == [((128, 32), 1.0), ((128, 32), 64.0), ((2048, 32), 1.0), ((2048, 128), 64.0)]
    assert all(sum(point.shape) <= 600 for point in GRID.first(600))
    assert GRID.first(10) == []


@pytest.mark.parametrize(
    "lists",
    [((), (1,), (1,)), ((2, 1), (1,), (1,)), ((1,), (0,), (1,)), ((1,), (1,), (3, 3))],
)
def test_grids_that_are_none(lists: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Grid(*lists)  # type: ignore[arg-type]


def test_the_next_point_tells_what_is_open() -> None:
    """After lone clients with short requests, nothing tells what a KV token costs."""
    runs = SimulatedRuns(PLANTED)
    known = [
        OperatingPoint(prompt, 32, LoadKind.CONCURRENCY, clients)
        for prompt, clients in ((128, 1.0), (512, 1.0), (128, 4.0))
    ]
    rows = [runs.measure([point], 10.0, 0)[0] for point in known]
    knowledge = learn(rows, "token-work")
    assert knowledge is not None
    open_points = [point for point in GRID.closed(None) if point not in known]
    (best,) = most_telling(knowledge, open_points, DEPLOYMENT, 1)
    assert (best.in_tokens, best.load) == (2048, 64.0)
    before = uncertainty(knowledge, [best], DEPLOYMENT)[0, 1]
    rows += runs.measure([best], 10.0, 0)
    after = learn(rows, "token-work")
    assert after is not None
    assert uncertainty(after, [best], DEPLOYMENT)[0, 1] < before or math.isnan(before)


def test_too_few_rows_tell_nothing() -> None:
    runs = SimulatedRuns(PLANTED)
    point = OperatingPoint(128, 32, LoadKind.CONCURRENCY, 1.0)
    assert learn(runs.measure([point], 1.0, 0), "token-work") is None
    assert learn([], "overlap") is None
