"""The objective of slack: the share of its tightest target that a plan itself prints."""

from __future__ import annotations

import pytest

from optimizer.explaining.margins import margins_of
from optimizer.planner import plan_fleet
from stoker.domain.plan import Plan
from tests.support.page_fleets import page_fleet

SLACK = [{"name": "slo_slack"}]


def printed(plan: Plan) -> float:
    """Return the ratios of the plan's own latencies to their targets, the largest by server."""
    return sum(
        max(
            (margin.predicted_ms / margin.target_ms)
            for margin in margins_of(item)
            if margin.predicted_ms is not None
        )
        for item in plan.allocations
        if item.fully_served
    )


def test_what_percentiles_use_of_their_targets_is_what_is_printed() -> None:
    plan = plan_fleet(page_fleet("configurations.md", {"objectives": SLACK}))
    assert plan.allocations
    assert plan.objectives[0].value == pytest.approx(printed(plan), rel=1e-6)
    assert plan.objectives[0].value > 0.5


@pytest.mark.parametrize("sharing", [True, False])
def test_on_slices_and_on_common_replicas_too(sharing: bool) -> None:
    changes: dict[str, object] = {"objectives": SLACK, "limits": {}}
    if not sharing:
        changes["sharing"] = []
    plan = plan_fleet(page_fleet("pools.md", changes))
    assert len(plan.allocations) == 3
    assert plan.objectives[0].value == pytest.approx(printed(plan), rel=1e-6)


def test_a_mean_uses_what_it_did() -> None:
    classes = [
        {
            "name": name,
            "priority": 1,
            "targets": [{"model": "llama-70b", "ttft_ms": 900, "itl_ms": 20}],
        }
        for name in ("interactive", "documents")
    ]
    plan = plan_fleet(
        page_fleet("configurations.md", {"objectives": SLACK, "service_classes": classes})
    )
    assert plan.objectives[0].value == pytest.approx(printed(plan), rel=1e-6)
