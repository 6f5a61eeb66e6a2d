"""The election of a leader, on a real API server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kubernetes

from actuator.kubernetes.lease import Leadership
from stoker.domain.control.settings import LeaseSettings
from tests.support.real_cluster import RealCluster, eventually

HOLDER = """
import sys, time
import kubernetes
from actuator.kubernetes.lease import Leadership
from stoker.domain.control.settings import LeaseSettings
client = kubernetes.config.new_client_from_config(sys.argv[1])
settings = LeaseSettings(namespace=sys.argv[2], duration_s=3.0, renew_s=0.5)
with Leadership(client, settings, "first", time.monotonic, lambda leads: print(leads, flush=True)):
    time.sleep(120)
"""


def settings_in(namespace: str, duration_s: float = 3.0) -> LeaseSettings:
    return LeaseSettings(namespace=namespace, duration_s=duration_s, renew_s=0.5)


def holder_of(cluster: RealCluster, namespace: str) -> str:
    api: Any = kubernetes.client.CoordinationV1Api(cluster.admin)
    return str(api.read_namespaced_lease("stoker", namespace).spec.holder_identity)


@contextmanager
def other_process(cluster: RealCluster, namespace: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(cluster.plane.kubeconfig()), namespace],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_one_of_two_leads_and_gives_the_right_back(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    first = Leadership(real_cluster.admin, settings_in(namespace), "a", time.monotonic)
    second = Leadership(real_cluster.admin, settings_in(namespace), "b", time.monotonic)
    with first:
        eventually(first.holds)
        with second:
            time.sleep(1.5)
            assert first.holds()
            assert not second.holds()
            first.__exit__()
            assert not first.holds()
            eventually(second.holds, patience_s=20.0)
            assert holder_of(real_cluster, namespace) == "b"


def test_a_leader_that_is_killed_is_replaced_after_the_duration(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    told: list[bool] = []
    with other_process(real_cluster, namespace) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "True"
        second = Leadership(
            real_cluster.admin, settings_in(namespace), "second", time.monotonic, told.append
        )
        with second:
            time.sleep(4.5)
            assert not second.holds()
            process.send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
            eventually(second.holds)
            assert time.monotonic() - killed_at > 2.0  # its last renewal was honoured
            assert holder_of(real_cluster, namespace) == "second"
    assert told == [True, False]


def test_a_leader_that_is_frozen_stops_being_one_before_another_begins(
    real_cluster: RealCluster,
) -> None:
    namespace = real_cluster.namespace()
    clock = [100.0]
    frozen = Leadership(real_cluster.admin, settings_in(namespace), "frozen", lambda: clock[0])
    other = Leadership(real_cluster.admin, settings_in(namespace), "other", lambda: clock[0])
    frozen.step()
    assert frozen.holds()
    other.step()  # sees the Lease for the first time
    clock[0] += 2.4
    assert frozen.holds()
    clock[0] += 0.2
    assert not frozen.holds()
    other.step()
    assert not other.holds()
    clock[0] += 0.5
    other.step()
    assert other.holds()
    frozen.step()  # wakes up, and sees that it is no leader any more
    assert not frozen.holds()


def test_a_renewal_starts_the_wait_of_others_again(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    clock = [0.0]
    leader = Leadership(real_cluster.admin, settings_in(namespace), "leader", lambda: clock[0])
    other = Leadership(real_cluster.admin, settings_in(namespace), "other", lambda: clock[0])
    leader.step()
    for _ in range(5):
        other.step()
        clock[0] += 2.0
        leader.step()
        assert leader.holds()
        assert not other.holds()


def test_without_leave_there_is_no_leader_and_a_reason(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    leadership = Leadership(
        real_cluster.client("nobody"), settings_in(namespace), "nobody", time.monotonic
    )
    leadership.step()
    assert not leadership.holds()
    assert "leases" in leadership.problem
