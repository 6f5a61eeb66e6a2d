"""The closed loop while the world breaks: nothing shrinks, and afterwards it goes on.

One cluster with a server of five replicas under a load that two can carry: whatever the loop is not
kept from, it would do. Each fault lasts longer than the window of scaling down.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from benchmarks.soak.scenario import SERVER, Soak
from controller.loop import Loop
from demos.cluster.closed_loop import NAMESPACE, ClosedLoop, cluster, missing_programs
from demos.cluster.processes import ServerProcess
from emulator.faults import FaultOrder
from emulator.load_phases import Constant, Load
from stoker.cli.control_wiring import wired
from tests.support.real_cluster import eventually

REPLICAS, NEEDED = 5, 2
PERIOD_S, DOWN_WINDOW_S = 1.0, 5.0
RECOVERY_S = 60.0
"""Two cycles of the period that the loop has where nobody says otherwise."""

TURNS = int(os.environ.get("STOKER_FAULT_TURNS", "1"))
"""How often each fault is caused; more often in `make soak`."""

_CONTROL: dict[str, Any] = {
    "loop": {"mode": "act", "period_s": PERIOD_S, "deadline_s": PERIOD_S},
    "metrics": {"window_s": 4, "stale_s": 3, "fresh_replica_s": 2, "timeout_s": 1},
    "forecast": {"method": "last", "quantile": 0.5, "startup_s": 1},
    "stability": {"scale_down_window_s": DOWN_WINDOW_S, "cooldown_down_s": 0},
    "records": {"events": False},
    "lease": {"enabled": False},
}


@dataclass
class Driven:
    """A loop whose cycles the test runs one by one."""

    found: ClosedLoop
    loop: Loop

    def cycles(self, seconds: float) -> list[dict[str, Any]]:
        """Run cycles for so long, and return their records."""
        records = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            records.append(self.loop.cycle().document)
            time.sleep(max(0.0, PERIOD_S - (time.monotonic() - began)))
        return records

    def recovers(self) -> None:
        """Run cycles until the server shrinks, as it has wanted to all along."""

        def shrinks() -> bool:
            (record,) = self.cycles(PERIOD_S / 2)
            return bool(record["changes"]) and self.found.replicas(SERVER) < REPLICAS

        eventually(shrinks, RECOVERY_S + DOWN_WINDOW_S)
        assert self.found.replicas(SERVER) >= NEEDED


def held(records: list[dict[str, Any]]) -> set[str]:
    """What kept the server back, over all cycles."""
    return {reason for each in records for reason in each["servers"][SERVER]["decision"]["held"]}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClosedLoop]:
    missing = missing_programs()
    if missing:
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(missing)
        pytest.skip(missing)
    setup = Soak(10.0).setup()
    (deployed,) = setup.deployed
    steady = replace(deployed.workload, load=Load((Constant(10.0, 3600.0),)))
    setup = replace(
        setup,
        control=_CONTROL,
        deployed=(replace(deployed, replicas=REPLICAS, workload=steady),),
        startup_s=0.5,
        scrape_s=0.5,
    )
    with cluster(setup, tmp_path_factory.mktemp("closed")) as found:
        yield found


@pytest.fixture(params=range(TURNS))
def turn(request: pytest.FixtureRequest) -> int:
    """How often the fault was caused before."""
    return int(request.param)


@pytest.fixture
def driven(closed: ClosedLoop, turn: int) -> Iterator[Driven]:
    """The loop with all five replicas there and measured, and no memory of a smaller size."""
    with wired(closed.document, None, lambda _: None) as running:
        driven = Driven(closed, running.loop)
        closed.emulated.order(SERVER, FaultOrder({"drop_metrics": True}))
        eventually(lambda: "load_unknown" in held(driven.cycles(PERIOD_S / 2)))
        restore(closed)  # it may have remembered a smaller size
        closed.emulated.order(SERVER, FaultOrder({}, clear=True))
        yield driven


def restore(closed: ClosedLoop) -> None:
    apps: Any = kubernetes.client.AppsV1Api(closed.plane.client())
    scale = {"spec": {"replicas": REPLICAS}}
    apps.patch_namespaced_deployment_scale(SERVER, NAMESPACE, scale)
    eventually(lambda: closed.emulated.ready(SERVER) == REPLICAS)


@pytest.mark.parametrize("fault", ["paused", "killed"])
def test_without_prometheus_nothing_shrinks(driven: Driven, fault: str) -> None:
    server = driven.found.prometheus.server
    assert server is not None
    if fault == "paused":
        server.pause()
    else:
        server.kill()
    try:
        records = driven.cycles(DOWN_WINDOW_S + 2 * PERIOD_S)
        assert driven.found.replicas(SERVER) == REPLICAS
        assert not any(record["changes"] for record in records)
        assert "load_unknown" in held(records)
        assert records[-1]["problems"]
    finally:
        if fault == "paused":
            server.resume()
        else:
            server.start()
            driven.found.prometheus.wait_ready()
    driven.recovers()


def test_while_the_api_server_stands_still_nothing_shrinks(driven: Driven) -> None:
    server = driven.found.plane.api_server
    assert server is not None
    server.pause()
    try:
        records = driven.cycles(DOWN_WINDOW_S + 2 * PERIOD_S)
    finally:
        server.resume()
    assert not any(record["changes"] for record in records)
    assert "state_unknown" in held(records)
    driven.found.plane.wait_ready()
    assert driven.found.replicas(SERVER) == REPLICAS
    driven.recovers()


def test_while_most_replicas_are_silent_nothing_shrinks(driven: Driven) -> None:
    names = [pod.name for pod in driven.found.pods(SERVER) if pod.stopping_s is None]
    silent = FaultOrder({"drop_metrics": True}, replicas=tuple(names[: REPLICAS - 2]))
    driven.found.emulated.order(SERVER, silent)
    try:
        records = driven.cycles(DOWN_WINDOW_S + 4 * PERIOD_S)
        assert driven.found.replicas(SERVER) == REPLICAS
        assert not any(record["changes"] for record in records)
        assert "partial_reports" in held(records)
    finally:
        driven.found.emulated.order(SERVER, FaultOrder({}, clear=True))
    driven.recovers()


def test_when_the_leader_is_killed_another_one_goes_on(
    closed: ClosedLoop, turn: int, tmp_path: Path
) -> None:
    lease = f"soak-{turn}"
    restore(closed)
    leases: Any = kubernetes.client.CoordinationV1Api(closed.plane.client())

    def holder() -> str:
        try:
            found = leases.read_namespaced_lease(lease, "default")
        except kubernetes.client.ApiException:
            return ""
        return str(found.spec.holder_identity or "")

    loops = []
    for name in ("first", "second"):
        document = json.loads(closed.document.read_text())
        document["fleet"] = str(closed.document.parent / "fleet.yaml")
        document["records"] = {"folder": str(tmp_path / name), "events": False}
        document["lease"] = {"name": lease, "duration_s": 4, "renew_s": 1}
        # The one that is killed would shrink it only after the test.
        document["stability"]["scale_down_window_s"] = 600 if name == "first" else DOWN_WINDOW_S
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps(document))
        command = [sys.executable, "-m", "stoker.cli.main", "control", "run", str(path)]
        loops.append(ServerProcess(name, command, tmp_path / f"{name}.log"))
    first, second = loops
    try:
        first.start()
        eventually(lambda: holder().endswith(f"-{first.pid}"))
        second.start()
        time.sleep(2 * PERIOD_S)
        assert holder().endswith(f"-{first.pid}")
        assert closed.replicas(SERVER) == REPLICAS
        first.kill()
        eventually(lambda: holder().endswith(f"-{second.pid}"))
        eventually(lambda: closed.replicas(SERVER) < REPLICAS, RECOVERY_S + DOWN_WINDOW_S)
        assert closed.replicas(SERVER) >= NEEDED
    finally:
        for each in loops:
            each.kill()
