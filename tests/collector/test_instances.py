"""MIG instances: counted like cards of a type of their own, whichever way nodes offer them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from collector.kubernetes.api import ApiServer
from collector.kubernetes.hardware import CardNames, products_wanted, resource_of, stock
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS, cluster_state
from demos.cluster.nodes import GPU_RESOURCE, PRODUCT_LABEL, GpuNode
from stoker.domain.accelerator import Accelerator
from stoker.domain.control.cluster import CardStock, ClusterState, ReplicaPhase
from stoker.domain.control.settings import ClusterSettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.real_cluster import RealCluster, deployment, eventually

CARD = "NVIDIA-A100-SXM4-80GB"
SMALL, HALF = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"
NAMES = CardNames(("A100", "A100-1g.10gb", "A100-3g.40gb"), {})
SETTINGS = ClusterSettings()


@pytest.mark.parametrize(
    ("product", "card_type"),
    [
        (CARD, "A100"),
        (f"{CARD}-MIG-1g.10gb", "A100-1g.10gb"),
        (f"{CARD}-MIG-3g.40gb", "A100-3g.40gb"),
        (f"{CARD}-MIG-7g.80gb", ""),
        ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", ""),
        ("-MIG-1g.10gb", "A100-1g.10gb"),
    ],
)
def test_a_size_of_instances_is_a_type_of_its_own(product: str, card_type: str) -> None:
    assert NAMES.type_of(product) == card_type


def test_a_size_alone_that_two_types_have_fits_none() -> None:
    names = CardNames(("A100-1g.10gb", "H100-1g.10gb"), {})
    assert names.type_of("-MIG-1g.10gb") == ""
    assert names.type_of(f"{CARD}-MIG-1g.10gb") == "A100-1g.10gb"


def node(name: str, product: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {PRODUCT_LABEL: product, **labels}},
        "status": {"allocatable": {"cpu": "8"}},
    }


def pod(uid: str, at: str, **limits: int) -> dict[str, Any]:
    container = {"resources": {"limits": {name: str(n) for name, n in limits.items()}}}
    return {"metadata": {"uid": uid}, "spec": {"nodeName": at, "containers": [container]}}


def test_both_ways_to_offer_them_are_counted() -> None:
    mixed, single = node("mixed", CARD), node("single", f"{CARD}-MIG-1g.10gb")
    mixed["status"]["allocatable"] |= {GPU_RESOURCE: "4", SMALL: "14", HALF: "2"}
    single["status"]["allocatable"] |= {GPU_RESOURCE: "7"}
    pods = [
        pod("ours", "mixed", **{SMALL: 1}),
        pod("theirs", "mixed", **{SMALL: 2, HALF: 1}),
        pod("card", "mixed", **{GPU_RESOURCE: 3}),
        pod("alone", "single", **{GPU_RESOURCE: 1}),
    ]
    found, problems = stock([mixed, single], pods, frozenset({"ours", "alone"}), NAMES, SETTINGS)
    assert problems == ()
    assert found["A100"] == CardStock("A100", 4, 0, 3)
    assert found["A100-1g.10gb"] == CardStock("A100-1g.10gb", 21, 2, 2)
    assert found["A100-3g.40gb"] == CardStock("A100-3g.40gb", 2, 0, 1)


def test_sizes_that_no_type_fits_are_told() -> None:
    mixed = node("mixed", CARD)
    mixed["status"]["allocatable"] |= {SMALL: "7"}
    found, problems = stock([mixed], [], frozenset(), CardNames(("A100",), {}), SETTINGS)
    assert found["A100"].total == 0
    assert len(problems) == 1
    assert f"'{CARD}-MIG-1g.10gb'" in problems[0]
    assert "cluster.product_labels" in problems[0]


def test_the_name_that_the_node_gives_a_size_counts() -> None:
    mixed = node("mixed", CARD, **{f"{SMALL}.product": "own-name"})
    mixed["status"]["allocatable"] |= {SMALL: "7"}
    names = CardNames(("small",), {"own-name": "small"})
    found, _ = stock([mixed], [], frozenset(), names, SETTINGS)
    assert found["small"].total == 7


def test_what_a_pod_asks_for_tells_its_product() -> None:
    spec: dict[str, Any] = pod("one", "", **{HALF: 1, GPU_RESOURCE: 0})["spec"]
    assert resource_of(spec, GPU_RESOURCE) == HALF
    assert products_wanted(spec, HALF) == ("-MIG-3g.40gb",)
    spec["nodeSelector"] = {PRODUCT_LABEL: CARD}
    assert products_wanted(spec, HALF) == (f"{CARD}-MIG-3g.40gb",)
    assert resource_of({"containers": [{}]}, GPU_RESOURCE) == GPU_RESOURCE


def test_a_workload_on_instances_is_found_and_counted(real_cluster: RealCluster) -> None:
    namespace = real_cluster.namespace()
    fleet = controlled_fleet()
    slice_ = Accelerator("A100-small", "A100-1g.10gb", 1, 0.4, 10.0)
    fleet = replace(fleet, accelerators=(*fleet.accelerators, slice_))
    body = deployment("sliced", replicas=2, product=CARD, gpus=1)
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {SMALL: "1"}}
    body["metadata"]["labels"] = {"stoker.dev/managed": "true", "stoker.dev/server": "chat"}
    real_cluster.kubelet.add_node(GpuNode("mig-node", CARD, 0, resources={SMALL: 7}))
    try:
        real_cluster.apps.create_namespaced_deployment(namespace, body)
        with Mirror(ApiServer(real_cluster.admin), KINDS, [namespace], time.monotonic) as mirror:

            def state() -> ClusterState:
                found = cluster_state(mirror, fleet, SETTINGS, {}, time.time())
                assert found is not None
                return found

            assert mirror.wait_listed(60)
            eventually(
                lambda: any(each.count(ReplicaPhase.READY) == 2 for each in state().variants)
            )
            (found,) = state().variants
            assert (found.accelerator, found.card_type) == ("A100-small", "A100-1g.10gb")
            assert (found.cards_per_replica, found.problem) == (1, "")
            eventually(lambda: (state().cards or {})["A100-1g.10gb"].managed == 2)
            assert (state().cards or {})["A100-1g.10gb"].total == 7
    finally:
        real_cluster.vacate(namespace)
        real_cluster.kubelet.remove_node("mig-node")
