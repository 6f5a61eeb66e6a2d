"""Metrics of the loop, as Prometheus would read them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controller.metrics import ControlMetrics
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

Series = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def series(metrics: ControlMetrics) -> Series:
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Series, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def played(metrics: ControlMetrics, cycles: int, rate: float | None = 150.0) -> PlayedWorld:
    world = PlayedWorld(
        controlled_fleet(),
        ControlSettings(loop=LoopSettings(mode=Mode.ACT)),
        [workload("chat", "H100", 1), workload("code", "H100", 2)],
        {"chat": lambda _: rate},
    )
    loop = world.loop()
    for _ in range(cycles):
        metrics.told(loop.cycle())
        world.advance(30.0)
    return world


def test_names_and_figures() -> None:
    metrics = ControlMetrics()
    assert value(series(metrics), "stoker_cycles_total") == 0
    world = played(metrics, 2)
    found = series(metrics)
    chat = {"workload": "chat-h100", "namespace": "models", "server": "chat", "accelerator": "H100"}
    assert value(found, "stoker_cycles_total") == 2
    assert value(found, "stoker_leader") == 1
    assert value(found, "stoker_server_arrival_rate_rps", server="chat") == 150
    assert value(found, "stoker_server_arrival_rate_rps", server="code") is None
    assert value(found, "stoker_server_held", server="code", reason="load_unknown") == 1
    size = float(world.wanted(workload("chat", "H100", 1).ref))
    assert size > 1
    assert value(found, "stoker_workload_desired_replicas", **chat) == size
    assert value(found, "stoker_changes_total", outcome="applied") == 1
    assert (
        value(found, "stoker_plan_cost_per_hour")
        == world.records[-1].document["plan"]["cost_per_hour"]
    )


def test_names_of_other_autoscalers_are_a_switch() -> None:
    plain, both = ControlMetrics(), ControlMetrics(compatible=True)
    played(plain, 1)
    assert not any(name.startswith(("inferno", "wva")) for name, _ in series(plain))
    world = played(both, 1)
    found = series(both)
    size = float(world.wanted(workload("chat", "H100", 1).ref))
    labels = {"variant_name": "chat-h100", "namespace": "models", "accelerator_type": "H100"}
    for prefix in ("inferno", "wva"):
        assert value(found, f"{prefix}_desired_replicas", **labels) == size
        assert value(found, f"{prefix}_current_replicas", **labels) == 1
        assert value(found, f"{prefix}_desired_ratio", **labels) == size
        assert (
            value(
                found,
                f"{prefix}_replica_scaling_total",
                direction="up",
                reason="optimization",
                **labels,
            )
            == 1
        )


def test_a_workload_that_is_held_is_to_have_what_it_has() -> None:
    metrics = ControlMetrics(compatible=True)
    played(metrics, 1, rate=None)
    found = series(metrics)
    labels = {"variant_name": "code-h100", "namespace": "models", "accelerator_type": "H100"}
    assert value(found, "wva_desired_replicas", **labels) == 2
    assert value(found, "wva_desired_ratio", **labels) == 1


@pytest.mark.parametrize(
    ("settings", "leads", "acts"),
    [
        (LoopSettings(mode=Mode.ACT), True, 1),
        (LoopSettings(mode=Mode.ACT), False, 0),
        (LoopSettings(mode=Mode.ADVISE), True, 1),
        (LoopSettings(mode=Mode.OBSERVE), True, None),
        (LoopSettings(mode=Mode.ACT, dry_run=True), True, None),
    ],
)
def test_a_loop_that_is_not_to_write_does_not_count_as_one_that_acts(
    settings: LoopSettings, leads: bool, acts: float | None
) -> None:
    metrics = ControlMetrics()
    world = PlayedWorld(controlled_fleet(), ControlSettings(loop=settings), [], {})
    world.leads = leads
    metrics.told(world.loop().cycle())
    assert value(series(metrics), "stoker_acts") == acts


def test_cycles_that_fail_are_told_before_one_is_over_again() -> None:
    metrics = ControlMetrics()
    assert value(series(metrics), "stoker_failed_cycles") == 0
    metrics.failing(3, withdrawn=False)
    assert value(series(metrics), "stoker_failed_cycles") == 3
    played(metrics, 1)
    metrics.failing(5, withdrawn=True)
    found = series(metrics)
    assert value(found, "stoker_failed_cycles") == 5
    # What it told last does not count any more: another loop leads.
    assert value(found, "stoker_leader") == value(found, "stoker_acts") == 0
    metrics.failing(0, withdrawn=False)
    assert value(series(metrics), "stoker_acts") == 1
