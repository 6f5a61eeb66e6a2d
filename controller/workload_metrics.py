"""Metrics of workloads: what they are to have, under Stoker's names and those of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import Metric

from controller.families import counter, gauge
from controller.proposals import JsonObject

_VARIANT = ("variant_name", "namespace", "accelerator_type")
_UP, _DOWN = "up", "down"
_MADE = ("applied", "emitted")

Scaling = tuple[str, str, str, str, str]
"""Variant, namespace, accelerator, direction and reason of a change."""


def workload_metrics(document: JsonObject) -> Iterator[Metric]:
    """Yield what workloads are to have, ask for, and have ready."""
    labels = ("workload", "namespace", "server", "accelerator")
    desired, current, ready = {}, {}, {}
    for workload in _each_workload(document):
        key = (
            workload["name"],
            workload["namespace"],
            workload["server"],
            workload["accelerator"],
        )
        desired[key] = float(workload["desired"])
        current[key] = float(workload["replicas_wanted"])
        ready[key] = float(workload["ready"])
    yield gauge(
        "stoker_workload_desired_replicas",
        "Replicas that a workload is to have: those carried out or emitted, or those it has.",
        labels,
        desired,
    )
    yield gauge(
        "stoker_workload_replicas", "Replicas that a workload asks for now.", labels, current
    )
    yield gauge("stoker_workload_ready_replicas", "Replicas that are ready.", labels, ready)


def metrics_of_others(
    prefix: str, document: JsonObject, scalings: Mapping[Scaling, int]
) -> Iterator[Metric]:
    """Yield the same under the names of another autoscaler."""
    desired, current, ratio = {}, {}, {}
    for workload in _each_workload(document):
        key = (workload["name"], workload["namespace"], workload["accelerator"])
        now, then = float(workload["replicas_wanted"]), float(workload["desired"])
        desired[key], current[key] = then, now
        ratio[key] = then / now if now else then  # their own rule for a workload without replicas
    yield gauge(f"{prefix}_desired_replicas", "Replicas to have.", _VARIANT, desired)
    yield gauge(f"{prefix}_current_replicas", "Replicas now.", _VARIANT, current)
    yield gauge(f"{prefix}_desired_ratio", "Replicas to have, over those now.", _VARIANT, ratio)
    yield counter(
        f"{prefix}_replica_scaling",
        "Changes of replicas.",
        (*_VARIANT, "direction", "reason"),
        {key: float(count) for key, count in scalings.items()},
    )


def scalings_of(document: JsonObject) -> Iterator[Scaling]:
    """Yield the changes that were made, or emitted for somebody else to make."""
    accelerators = {each["workload"]: each["accelerator"] for each in _each_workload(document)}
    for change in document["changes"]:
        before = change["replicas_before"]
        if change["outcome"] not in _MADE or before is None or before == change["replicas"]:
            continue
        namespace, _, name = change["workload"].partition(" ")[2].partition("/")
        direction = _UP if change["replicas"] > before else _DOWN
        yield name, namespace, accelerators.get(change["workload"], ""), direction, "optimization"


def _each_workload(document: JsonObject) -> Iterator[dict[str, Any]]:
    cluster = document["cluster"]
    for workload in () if cluster is None else cluster["workloads"]:
        namespace, _, name = workload["workload"].partition(" ")[2].partition("/")
        yield {**workload, "namespace": namespace, "name": name}
