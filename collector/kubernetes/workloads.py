"""The managed workloads of a cluster, as variants of the servers of a fleet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from collector.kubernetes import labels as names
from collector.kubernetes.api import RawObject
from collector.kubernetes.hardware import (
    CardNames,
    accelerator_on,
    cards_requested,
    products_wanted,
    resource_of,
)
from collector.kubernetes.labels import Selector, first
from collector.kubernetes.replicas import replicas_of
from stoker.domain.control.cluster import (
    BATCH_ARGUMENTS,
    VariantState,
    WorkloadKind,
    WorkloadRef,
)
from stoker.domain.control.settings import ClusterSettings, ServerControl
from stoker.domain.fleet import Fleet

_NUMBER = re.compile(r"\d+")


def ref_of(item: RawObject, kind: WorkloadKind) -> WorkloadRef:
    """Return the name of an object."""
    meta = item["metadata"]
    return WorkloadRef(meta.get("namespace") or "", meta["name"], kind)


def managed_workloads(
    items: Mapping[WorkloadKind, Sequence[RawObject]],
    selector: Selector,
    servers: Mapping[str, ServerControl],
) -> tuple[tuple[RawObject, WorkloadKind], ...]:
    """Return the workloads that the selector, the label of the field, or the settings name."""
    named = {ref for server in servers.values() for ref in server.workloads.values()}
    return tuple(
        (item, kind)
        for kind, found in items.items()
        for item in found
        if selector(_labels(item))
        or _labels(item).get(names.MANAGED) == "true"
        or ref_of(item, kind) in named
    )


def variant(
    workload: RawObject,
    kind: WorkloadKind,
    pods: Sequence[RawObject],
    fleet: Fleet,
    card_names: CardNames,
    settings: ClusterSettings,
    servers: Mapping[str, ServerControl],
) -> VariantState:
    """Return what a workload is to the fleet. What keeps it from being managed is told in it."""
    ref = ref_of(workload, kind)
    labels = {**_labels(_template(workload, kind)), **_labels(workload)}
    spec = _template(workload, kind).get("spec") or {}
    others, size = _workers(workload, kind)
    resource = resource_of(spec, settings.resource)
    if size and not cards_requested(spec, resource):
        resource = resource_of(others, settings.resource)  # its leader only leads
    cards = cards_requested(spec, resource) + size * cards_requested(others, resource)
    server, accelerator, problem = "", "", ""
    for control in servers.values():
        for name, named in control.workloads.items():
            if named == ref:
                server, accelerator = control.server, name
    if not server:
        server, problem = _server_of(labels, fleet)
    products = products_wanted(spec, resource) or products_wanted(others, resource)
    told = accelerator or first(labels, names.ACCELERATOR)
    card_type = _card_type(products, card_names, fleet, told)
    if not accelerator and not problem:
        accelerator, problem = _accelerator_of(labels, fleet, card_type, cards or None)
    annotations = {
        key: str(text)
        for key, text in (workload["metadata"].get("annotations") or {}).items()
        if key.startswith(f"{names.DOMAIN}/")
    }
    return VariantState(
        ref,
        server,
        accelerator,
        _replicas_wanted(workload),
        replicas_of(pods, kind, 1 + size),
        first(labels, names.CONFIGURATION),
        _max_batch(labels, spec, settings),
        cards or None,
        card_type,
        str(workload["metadata"].get("resourceVersion") or ""),
        annotations.get(names.PAUSED, "").lower() == "true",
        _number(annotations.get(names.MIN_REPLICAS)),
        _number(annotations.get(names.MAX_REPLICAS)),
        annotations,
        f"{ref}: {problem}" if problem else "",
    )


def _server_of(labels: Mapping[str, str], fleet: Fleet) -> tuple[str, str]:
    """Return the server that labels name, or why none."""
    known = [server.name for server in fleet.servers]
    name = first(labels, names.SERVER)
    if name:
        if name in known:
            return name, ""
        return "", f"its label names the server {name!r}, which the fleet does not have"
    service_class, model = first(labels, names.SERVICE_CLASS), first(labels, names.MODEL)
    if not model:
        return "", f"no label names its server; add {names.SERVER[0]}"
    fits = [
        server.name
        for server in fleet.servers
        if _as_label(server.model) == model
        and (not service_class or _as_label(server.service_class) == service_class)
    ]
    if len(fits) == 1:
        return fits[0], ""
    words = f"class {service_class!r} and model {model!r}" if service_class else f"model {model!r}"
    if not fits:
        return "", f"its labels name {words}, for which the fleet has no server"
    return "", f"its labels name {words}, which fits {', '.join(fits)}; add {names.SERVER[0]}"


def _as_label(text: str) -> str:
    """Return a name as it may stand in a label, which takes no slash."""
    return text.replace("/", "_")[:63] if "/" in text else text


def _accelerator_of(
    labels: Mapping[str, str], fleet: Fleet, card_type: str, cards: int | None
) -> tuple[str, str]:
    name = first(labels, names.ACCELERATOR)
    known = [each.name for each in fleet.accelerators]
    if name:
        if name in known:
            return name, ""
        return "", f"its label names the accelerator {name!r}, which the fleet does not have"
    if not card_type:
        return "", (
            "its accelerator cannot be told: no label names it, and its node selector tells no "
            f"product of a card type of the fleet; add {names.ACCELERATOR[0]}"
        )
    fits = accelerator_on(fleet.accelerators, card_type, cards)
    if len(fits) == 1:
        return fits[0], ""
    if not fits:
        return "", f"no accelerator of the fleet is made of {cards} cards of type {card_type}"
    return "", f"{card_type} fits the accelerators {', '.join(fits)}; add {names.ACCELERATOR[0]}"


def _card_type(
    products: Sequence[str], card_names: CardNames, fleet: Fleet, accelerator: str
) -> str:
    for each in fleet.accelerators:
        if each.name == accelerator:
            return each.card_type
    types = {card_names.type_of(product) for product in products}
    return types.pop() if len(types) == 1 else ""


def _max_batch(
    labels: Mapping[str, str], spec: Mapping[str, Any], settings: ClusterSettings
) -> int | None:
    """Return what the pods are told; a label counts where their containers do not say."""
    for container in spec.get("containers") or ():
        if settings.set_batch_limit_by != "argument":
            for variable in container.get("env") or ():
                if variable.get("name") == settings.set_batch_limit_by:
                    return _number(variable.get("value"))
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        for here, after in zip(words, [*words, ""][1:], strict=True):
            name, _, value = str(here).partition("=")
            if name in BATCH_ARGUMENTS:
                return _number(value or after)
    return _number(first(labels, names.MAX_BATCH))


def _replicas_wanted(workload: RawObject) -> int:
    wanted = (workload.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)  # the API server's own default


def _template(workload: RawObject, kind: WorkloadKind) -> Mapping[str, Any]:
    spec = workload.get("spec") or {}
    if kind is WorkloadKind.LEADER_WORKER_SET:
        group = spec.get("leaderWorkerTemplate") or {}
        return group.get("leaderTemplate") or group.get("workerTemplate") or {}
    return spec.get("template") or {}


def _workers(workload: RawObject, kind: WorkloadKind) -> tuple[Mapping[str, Any], int]:
    """Return the specification of the pods of a replica beside its first, and how many they are."""
    if kind is not WorkloadKind.LEADER_WORKER_SET:
        return {}, 0
    group = (workload.get("spec") or {}).get("leaderWorkerTemplate") or {}
    spec = (group.get("workerTemplate") or {}).get("spec") or {}
    return spec, int(group.get("size") or 1) - 1


def _labels(item: Mapping[str, Any]) -> Mapping[str, str]:
    return (item.get("metadata") or {}).get("labels") or {}


def _number(text: object) -> int | None:
    match = _NUMBER.fullmatch(str(text).strip()) if text is not None else None
    return int(match[0]) if match else None
