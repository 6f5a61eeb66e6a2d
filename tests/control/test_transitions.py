"""Moves on a real API server with its controllers: at no moment is too little ready.

The loop, the copies of the cluster and the writes are the real ones; loads are told. Cycles are run
one after another without waiting for anything, with a clock that leaps, so that each sees the
cluster in whatever state the one before left it.
"""

from __future__ import annotations

import time

import pytest

from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.cluster import ReplicaPhase
from stoker.domain.control.signals import Signal, SignalName
from tests.support.moving import BEFORE, LEAP_S, MOVED, NEW, OLD, STAYED, WANTED, moving
from tests.support.moving_fleet import SMALL
from tests.support.real_cluster import RealCluster, eventually


@pytest.mark.parametrize("kind", [TransitionKind.ROLLING, TransitionKind.BLUE_GREEN])
def test_the_new_ones_are_ready_before_the_old_ones_go(
    real_cluster: RealCluster, kind: TransitionKind
) -> None:
    with moving(real_cluster, kind=kind) as world:
        world.until(lambda: world.arrived(MOVED))
        world.cycle()
        # Once it is there it stays there, and nothing more is written.
        written = len(world.outcomes())
        world.cycle()
        assert (world.sizes(), len(world.outcomes())) == (MOVED, written)
        assert set(world.outcomes()) <= {"applied", "conflict", "unchanged"}


def test_a_surge_that_cannot_be_scheduled_waits_for_a_node(real_cluster: RealCluster) -> None:
    # Four free cards, but on four nodes: no replica of two cards fits any of them.
    with moving(real_cluster, small_nodes=(1, 1, 1, 1)) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)
        for _ in range(5):
            world.cycle(leap_s=1.0)
            assert world.sizes() == (BEFORE, WANTED)
        assert world.decision()["held"] == ["in_transition"]
        assert "0 of 2 new replicas are ready" in world.decision()["reason"]
        # In the scheduler's own words, once it has tried.
        world.until(lambda: "nodes are available" in world.decision()["reason"])
        assert world.sizes() == (BEFORE, WANTED)
        world.add_node(SMALL, 4)
        world.until(lambda: world.arrived(MOVED))


def test_a_surge_that_is_never_scheduled_is_taken_back(real_cluster: RealCluster) -> None:
    with moving(real_cluster, small_nodes=(1, 1, 1, 1), ready_timeout_s=300.0) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)

        def pending() -> bool:
            cluster = world.told.observe(world.document.fleet, time.monotonic() + 60).cluster
            assert cluster is not None
            return any(
                replica.phase is ReplicaPhase.PENDING and "nodes are available" in replica.reason
                for each in cluster.variants
                for replica in each.replicas
            )

        eventually(pending)
        world.leapt_s += 301.0
        record = world.cycle()
        reason = record["servers"]["chat"]["decision"]["reason"]
        assert "not ready after 300 s" in reason
        assert "nodes are available" in reason  # in the scheduler's own words
        world.until(lambda: world.sizes() == STAYED)


def test_a_canary_that_breaks_a_target_goes_back(real_cluster: RealCluster) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    ) as world:
        world.until(lambda: bool(world.records) and "watched" in world.decision()["reason"])
        world.until(lambda: world.ready() == (2, 1))
        world.told.signals[SignalName.TTFT_MEAN] = Signal.known(2000.0, 1.0, "gateway")
        world.until(lambda: world.arrived(STAYED))
        assert any(
            "2.50 of its target" in each.document["servers"]["chat"]["decision"]["reason"]
            for each in world.records
        )


def test_a_canary_that_does_well_goes_all_the_way(real_cluster: RealCluster) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=90.0
    ) as world:
        world.told.signals[SignalName.TTFT_MEAN] = Signal.known(100.0, 1.0, "gateway")
        world.until(
            lambda: world.sizes() == MOVED and world.ready() == MOVED,
            after=lambda: setattr(world, "leapt_s", world.leapt_s + LEAP_S),
        )


def test_somebody_else_who_scales_meanwhile_is_not_overwritten(real_cluster: RealCluster) -> None:
    with moving(real_cluster) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)
        eventually(lambda: world.ready() == (BEFORE, WANTED))

        def meddle() -> None:
            world.cluster.apps.patch_namespaced_deployment_scale(
                OLD, world.namespace, {"spec": {"replicas": BEFORE + 1}}
            )

        world.hands.meddle = meddle
        record = world.cycle()
        assert [each["outcome"] for each in record["changes"]] == ["conflict"]
        assert world.wanted(OLD) == BEFORE + 1
        world.until(lambda: world.arrived(MOVED))
