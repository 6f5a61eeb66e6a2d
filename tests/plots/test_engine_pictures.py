"""Pictures of one replica by the analysis of the engine."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from queueing.engine import analyze_engine, size_engine
from stoker.cli.plots import (
    EngineReplica,
    costliest_engine_replica,
    engine_batch_figure,
    engine_load_figure,
    engine_states_figure,
    planned_engine_replica,
)
from stoker.cli.plots.engine_states import state_shares
from stoker.domain.fleet import Fleet
from stoker.domain.latency import MEAN_TTFT, Latency, Statistic
from stoker.domain.plan import Plan
from stoker.domain.settings import Analysis
from tests.support.figures import check_figure, draw, title_of, words_of, xs, ys

Planned = tuple[Fleet, Plan]
P99 = Statistic(Latency.TTFT, 99.0)


@pytest.fixture(scope="module")
def replica(engine_planned: Planned) -> EngineReplica:
    found = costliest_engine_replica(*engine_planned)
    assert found is not None
    return found


def test_replica_is_the_one_of_the_plan(engine_planned: Planned, replica: EngineReplica) -> None:
    _, plan = engine_planned
    costliest = max(plan.allocations, key=lambda item: item.cost_per_hour)
    assert (replica.server, replica.accelerator) == (costliest.server, costliest.accelerator)
    point = analyze_engine(replica.case, replica.arrival_rate_rps, (95.0,))
    assert point.ttft.mean_ms[0] == pytest.approx(costliest.ttft_ms)
    assert point.itl.mean_ms[0] == pytest.approx(costliest.itl_ms)
    assert point.ttft.at_ms[0, 0] == pytest.approx(costliest.latencies[Latency.TTFT].at(95.0))
    sized = size_engine(replica.case, replica.targets())
    assert sized.throughput_rps[0] == pytest.approx(costliest.max_rate_rps, rel=1e-3)


def test_replicas_that_cannot_be_redrawn(engine_planned: Planned) -> None:
    fleet, plan = engine_planned
    name = plan.allocations[0].server
    assert planned_engine_replica(fleet, plan, name) is not None
    assert planned_engine_replica(fleet, plan, "nobody") is None
    reference = replace(plan, analysis=Analysis.REFERENCE)
    assert planned_engine_replica(fleet, reference, name) is None
    assert planned_engine_replica(replace(fleet, profiles=()), plan, name) is None
    items = tuple(replace(item, max_queue=None) for item in plan.allocations)
    assert costliest_engine_replica(fleet, replace(plan, allocations=items)) is None


def test_load_curves_are_below_the_target_by_a_margin_at_the_largest_rate(
    replica: EngineReplica,
) -> None:
    figure = engine_load_figure(replica)
    check_figure(figure)
    ttft, itl = figure.axes
    for axes in (ttft, itl):
        mean, median, high = axes.get_lines()[:3]
        assert [line.get_label() for line in (mean, median, high)] == ["mean", "p50", "p95"]
        assert np.all(ys(median) <= ys(high) * (1 + 1e-9))
    named = {str(line.get_label()): line for line in ttft.get_lines()}
    limit = dict(replica.limits_ms)[MEAN_TTFT]
    assert ys(named[f"target: mean ≤ {limit:,.0f} ms"])[0] == limit
    largest = xs(named["targets kept up to"])[0]
    reached, beyond = np.interp([largest, 1.15 * largest], xs(named["mean"]), ys(named["mean"]))
    assert 0.5 * limit < reached < 1.02 * limit < beyond
    assert xs(named["in the plan"])[0] == replica.arrival_rate_rps
    saturated = analyze_engine(replica.case, 0.1, ()).saturation_rps[0]
    assert xs(named["saturation"])[0] == saturated > xs(named["mean"])[-1]


def test_promised_percentiles_and_e2e_are_drawn(replica: EngineReplica) -> None:
    promised = replace(
        replica, limits_ms=((P99, 5000.0), (Statistic(Latency.E2E), 60_000.0)), tps=None
    )
    figure = engine_load_figure(promised)
    check_figure(figure)
    ttft, _, e2e = figure.axes
    labels = [str(line.get_label()) for line in ttft.get_lines()]
    assert labels[:5] == ["mean", "p50", "p95", "p99", "target: p99 ≤ 5,000 ms"]
    assert "E2E" in e2e.get_ylabel()


def test_load_without_targets_or_out_of_reach(replica: EngineReplica) -> None:
    free = engine_load_figure(replace(replica, limits_ms=()))
    assert "no targets" in title_of(free)
    strict = engine_load_figure(replace(replica, limits_ms=((MEAN_TTFT, 1e-6),)))
    assert "no rate keeps its targets" in title_of(strict)
    for figure in (free, strict):
        check_figure(figure)
        labels = [str(line.get_label()) for line in figure.axes[0].get_lines()]
        assert "targets kept up to" not in labels


def test_requests_of_one_token_have_no_itl(replica: EngineReplica) -> None:
    case = replace(replica.case, output_tokens=np.array([1.0]))
    figure = engine_load_figure(replace(replica, case=case))
    draw(figure)
    assert words_of(figure.axes[1]) == ["none: one output token"]


def test_states_add_up_and_the_last_is_full(replica: EngineReplica) -> None:
    shares = state_shares(replica)
    assert len(shares) == replica.max_batch + 1
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0.0).all()
    figure = engine_states_figure(replica)
    check_figure(figure)
    free, filled = (p for p in figure.axes[0].patches if isinstance(p, StepPatch))
    assert np.concatenate([free.get_data()[0], filled.get_data()[0]]) == pytest.approx(shares)
    assert f"all {replica.max_batch} slots" in title_of(figure)


def test_idle_replica_has_no_full_bar(replica: EngineReplica) -> None:
    figure = engine_states_figure(replace(replica, arrival_rate_rps=1e-3))
    check_figure(figure)
    assert len(figure.axes[0].patches) == 1
    assert "beyond" in figure.axes[0].get_xlabel()


def test_large_batch_is_interpolated(replica: EngineReplica) -> None:
    case = replica.case.with_batch(512.0)
    rate = 0.7 * float(analyze_engine(case, 0.1, ()).saturation_rps[0])
    large = replace(replica, case=case, arrival_rate_rps=rate)
    shares = state_shares(large)
    assert len(shares) == 513
    assert shares.sum() == pytest.approx(1.0)
    check_figure(engine_states_figure(large))


def test_full_memory_stands_in_for_full_slots(replica: EngineReplica) -> None:
    each = float(replica.case.input_tokens[0] + replica.case.output_tokens[0])
    case = replace(replica.case.with_batch(64.0), kv_tokens=np.array([6.0 * each]))
    bound = replace(replica, case=case)
    assert len(state_shares(bound)) < 64
    figure = engine_states_figure(bound)
    check_figure(figure)
    assert "KV memory is full" in title_of(figure)


def test_batch_curve_ends_at_what_the_plan_says(
    engine_planned: Planned, replica: EngineReplica
) -> None:
    _, plan = engine_planned
    item = next(item for item in plan.allocations if item.server == replica.server)
    figure = engine_batch_figure(replica)
    check_figure(figure)
    curve = figure.axes[0].get_lines()[0]
    assert xs(curve).tolist() == list(range(1, replica.max_batch + 1))
    assert ys(curve)[-1] == pytest.approx(item.max_rate_rps, rel=1e-3)
    strict = engine_batch_figure(replace(replica, limits_ms=((MEAN_TTFT, 1e-6),)))
    check_figure(strict)
    assert not strict.axes


def test_senseless_case_is_said_to_be_unknown(replica: EngineReplica) -> None:
    senseless = replace(replica, case=replace(replica.case, output_tokens=np.array([np.nan])))
    for draws in (engine_load_figure, engine_states_figure, engine_batch_figure):
        figure = draws(senseless)
        check_figure(figure)
        assert not figure.axes
