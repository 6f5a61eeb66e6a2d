from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import StepPatch

from queueing.concurrency import smallest_near_peak_batch
from queueing.replica import state_distribution
from queueing.sizing import size
from queueing.targets import LatencyTargets
from stoker.cli.plots import (
    PlannedReplica,
    batch_figure,
    costliest_replica,
    load_figure,
    planned_replica,
    states_figure,
)
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import Analysis
from tests.support.figures import check_figure, title_of, xs, ys
from tests.support.plans import mixed_fleet, mixed_plan

Planned = tuple[Fleet, Plan]


@pytest.fixture(scope="module")
def replica(scarce: Planned) -> PlannedReplica:
    found = costliest_replica(*scarce)
    assert found is not None
    return found


def test_costliest_replica_is_of_the_costliest_server(scarce: Planned) -> None:
    fleet, plan = scarce
    costliest = max(plan.allocations, key=lambda item: item.cost_per_hour)
    found = costliest_replica(fleet, plan)
    assert found is not None
    assert found.server == costliest.server
    assert found.accelerator == costliest.accelerator
    assert found.max_batch == costliest.max_batch
    assert found.max_queue == costliest.max_queue
    share = costliest.arrival_rate_rps / costliest.replicas
    assert found.arrival_rate_rps == pytest.approx(share)


def test_part_of_a_mix_has_its_own_rate(mixed: Planned) -> None:
    fleet, plan = mixed
    item = next(item for item in plan.allocations if item.mix)
    found = planned_replica(fleet, plan, item.server)
    assert found is not None
    part = next(part for part in item.mix if part.accelerator == item.accelerator)
    assert found.arrival_rate_rps == part.arrival_rate_rps


def test_replicas_that_cannot_be_redrawn(small: Planned, cardless: Planned) -> None:
    fleet, plan = small
    name = plan.allocations[0].server
    assert planned_replica(fleet, plan, name) is not None
    assert planned_replica(fleet, plan, "nobody") is None
    assert planned_replica(fleet, replace(plan, analysis=Analysis.FULL), name) is None
    assert planned_replica(replace(fleet, profiles=()), plan, name) is None
    items = tuple(replace(item, max_queue=None) for item in plan.allocations)
    assert costliest_replica(fleet, replace(plan, allocations=items)) is None
    assert costliest_replica(*cardless) is None
    assert planned_replica(mixed_fleet(), mixed_plan(), "Premium-idle") is None


def test_states_are_drawn_in_two_parts_that_add_up(replica: PlannedReplica) -> None:
    figure = states_figure(replica)
    check_figure(figure)
    (axes,) = figure.axes
    steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    assert len(steps) == 2
    inside, waiting = (patch.get_data()[0] for patch in steps)
    shares = state_distribution(replica.case, 0, replica.arrival_rate_rps)
    assert len(inside) == replica.max_batch + 1
    drawn = np.concatenate([inside, waiting])
    assert drawn == pytest.approx(shares[: len(drawn)])
    assert drawn.sum() == pytest.approx(1.0, abs=0.01)
    assert f"of {replica.max_batch} slots busy" in title_of(figure)


def test_idle_replica_has_no_waiting_part(replica: PlannedReplica) -> None:
    figure = states_figure(replace(replica, arrival_rate_rps=replica.arrival_rate_rps / 1000))
    check_figure(figure)
    assert len(figure.axes[0].patches) == 1


def test_states_of_a_replica_without_queue(replica: PlannedReplica) -> None:
    case = replace(replica.case, max_queue=np.array([0.0]))
    figure = states_figure(replace(replica, case=case))
    check_figure(figure)
    assert len(figure.axes[0].patches) == 1


def test_endless_queue_is_not_drawn(replica: PlannedReplica) -> None:
    case = replace(replica.case, max_queue=np.array([1e12]))
    figure = states_figure(replace(replica, case=case))
    check_figure(figure)
    assert not figure.axes


def test_senseless_case_is_said_to_be_unknown(replica: PlannedReplica) -> None:
    case = replace(replica.case, output_tokens=np.array([np.nan]))
    senseless = replace(replica, case=case)
    for figure in (
        states_figure(senseless),
        batch_figure(senseless),
        load_figure(senseless, np.array([0.1, 0.2])),
    ):
        check_figure(figure)
        assert not figure.axes


def test_batch_curve_marks_the_chosen_limit_within_the_band(small: Planned) -> None:
    found = planned_replica(*small, "Premium-llama_13b")
    assert found is not None
    figure = batch_figure(found)
    check_figure(figure)
    (axes,) = figure.axes
    answer = smallest_near_peak_batch(found.case, found.targets, 0.02)
    curve, planned, chosen = axes.get_lines()
    assert len(xs(curve)) == found.max_batch
    assert xs(chosen).tolist() == [answer.max_batch[0]]
    assert xs(planned).tolist() == [found.max_batch]
    (band,) = axes.patches
    low, high = band.get_extents().transformed(axes.transData.inverted()).intervaly
    assert low == pytest.approx(0.98 * high)
    assert low <= ys(chosen)[0] <= high
    assert "[req/s]" in axes.get_ylabel()


def test_batch_curve_of_unreachable_targets(replica: PlannedReplica) -> None:
    figure = batch_figure(replace(replica, targets=LatencyTargets.of(1, itl_ms=1e-6)))
    check_figure(figure)
    assert not figure.axes
    assert "No batch limit" in figure.texts[-1].get_text()


def test_batch_limit_of_one(replica: PlannedReplica) -> None:
    case = replace(replica.case, max_batch=np.array([1.0]))
    figure = batch_figure(replace(replica, case=case))
    check_figure(figure)


def test_load_curves_cross_the_target_at_the_largest_rate(replica: PlannedReplica) -> None:
    largest = float(size(replica.case, replica.targets).arrival_rate_rps[0])
    figure = load_figure(replica, np.linspace(largest / 50, largest * 1.3, 65))
    check_figure(figure)
    ttft, itl, throughput = figure.axes
    for axes in figure.axes:
        marks = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
        assert [xs(line)[0] for line in marks] == pytest.approx([largest])
    curve = ys(ttft.get_lines()[0])
    assert np.all(np.diff(curve) > 0)
    offered, completed = (ys(line) for line in throughput.get_lines()[:2])
    assert np.all(completed <= offered * (1 + 1e-9))
    assert "[req/s]" in throughput.get_xlabel()
    assert "[ms]" in itl.get_ylabel()


def test_load_curves_without_targets_or_out_of_reach(replica: PlannedReplica) -> None:
    rates = np.linspace(0.01, 0.1, 10)
    free = load_figure(replace(replica, targets=LatencyTargets.of(1)), rates)
    check_figure(free)
    assert not any(line.get_linestyle() == "--" for line in free.axes[0].get_lines())
    strict = load_figure(replace(replica, targets=LatencyTargets.of(1, itl_ms=1e-6)), rates)
    check_figure(strict)
    assert "no rate keeps its targets" in title_of(strict)
