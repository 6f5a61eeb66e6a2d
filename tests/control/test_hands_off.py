"""Hands off on a real API server: somebody else reads the loop's metrics, and sets the scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from demos.cluster.prometheus import Prometheus
from tests.support.real_cluster import RealCluster, eventually
from tests.support.running_loop import PATIENCE_S, RunningLoop, running_loop

# It waits for a cluster, a Prometheus and a loop to start.
pytestmark = pytest.mark.timeout(600)


@dataclass
class Follower:
    """Stands in for HPA and KEDA: they read a gauge and set replicas, whenever they come to it."""

    running: RunningLoop
    gauge: str

    def read(self, name: str, **labels: str) -> float:
        """The one series of a name at the loop's address with these labels."""
        page = httpx.get(f"{self.running.url}/metrics", timeout=60.0, trust_env=False).text
        (found,) = (
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
        return found

    def desired(self) -> int:
        return int(self.read(self.gauge, variant_name="chat"))

    def scale(self, replicas: int) -> None:
        setup = self.running.setup
        setup.cluster.apps.patch_namespaced_deployment_scale(
            "chat", setup.namespace, {"spec": {"replicas": replicas}}
        )

    def outstanding(self) -> bool:
        """Whether the loop has seen that the deployment is not as desired."""
        workloads = self.running.cycle()["cluster"]["workloads"]
        (chat,) = (each for each in workloads if each["server"] == "chat")
        return bool(chat["desired"] != chat["replicas_wanted"])


def test_what_is_emitted_stays_until_somebody_follows(
    real_cluster: RealCluster, steady: Prometheus, tmp_path: Path
) -> None:
    with running_loop(real_cluster, steady, tmp_path, "act", "emit") as running:
        follower = Follower(running, "wva_desired_replicas")

        def asks_for_more() -> bool:
            running.cycle()
            return follower.desired() > 1

        eventually(asks_for_more, PATIENCE_S)
        sizes = [follower.desired()]
        for follow in (None, None, sizes[0] - 1, None):  # nobody, then somebody in part
            if follow is not None:
                follower.scale(follow)
            running.cycle()
            sizes.append(follower.desired())
        # The load is measured anew each time: it may ask for more, and for nothing less so soon.
        assert sizes == sorted(sizes)
        assert running.setup.replicas() == sizes[0] - 1
        assert "Emitted, and not followed yet" in running.text("status")

        def followed() -> bool:
            follower.scale(follower.desired())
            return not follower.outstanding()

        eventually(followed, PATIENCE_S)
        assert running.setup.replicas() >= sizes[-1]
        for prefix in ("inferno", "wva"):
            name = f"{prefix}_replica_scaling_total"
            assert follower.read(name, variant_name="chat", direction="up") >= 1
        assert follower.read("stoker_changes_total", outcome="applied") == 0
        setup = running.setup
        events = setup.cluster.core.list_namespaced_event(setup.namespace).items
        told = [each for each in events if each.reason == "Emitted"]
        assert told
        assert {each.involved_object.name for each in told} == {"chat"}
        assert "chat: 1 to " in told[0].message
