"""Which accelerator a pod runs on, and how many cards of which type a cluster has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.kubernetes.api import RawObject
from collector.kubernetes.instances import counting, product_with, size_words
from stoker.domain.accelerator import Accelerator
from stoker.domain.control.cluster import CardStock
from stoker.domain.control.settings import ClusterSettings

PRODUCT_LABELS = (
    "nvidia.com/gpu.product",
    "cloud.google.com/gke-accelerator",
    "amd.com/gpu.product-name",
    "gpu.nvidia.com/model",
)
"""Labels of nodes that tell the product of their cards, the first that is there counts."""

_FINISHED = ("Succeeded", "Failed")
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class CardNames:
    """Finds the card type of a fleet behind the product label of a node.

    Attributes:
        types: Card types of the fleet.
        given: Card type by product label, as the settings say; they go before any guess.
    """

    types: tuple[str, ...]
    given: Mapping[str, str]

    def type_of(self, product: str) -> str:
        """Return the card type; empty where none, or more than one, fits.

        Without a setting a type fits a product that contains all its words: ``H100`` fits
        ``NVIDIA-H100-80GB-HBM3``. Of several that fit, the one with the most words counts, if it is
        alone. A type that fits an instance of a card tells its size: ``A100-1g.10gb`` fits
        ``NVIDIA-A100-SXM4-80GB-MIG-1g.10gb``, and ``A100`` does not. Where nothing is told of an
        instance but its size, that decides.
        """
        if product in self.given:
            return self.given[product]
        if product in self.types:
            return product
        words = set(_WORD.findall(product.lower()))
        size = size_words(product)
        unnamed = size and words == size | {"mig"}
        fits: dict[int, list[str]] = defaultdict(list)
        for name in self.types:
            own = set(_WORD.findall(name.lower()))
            if own and size <= own and (unnamed or own <= words):
                fits[0 if unnamed else len(own)].append(name)
        best = fits[max(fits)] if fits else []
        return best[0] if len(best) == 1 else ""


def product_of(labels: Mapping[str, str]) -> str:
    """Return the product that a node's labels tell; empty for none."""
    return next((labels[name] for name in PRODUCT_LABELS if labels.get(name)), "")


def cards_requested(pod_spec: Mapping[str, Any], resource: str) -> int:
    """Return the cards that a pod holds: those of its containers, or of a larger first step."""

    def asked(container: Mapping[str, Any]) -> int:
        return whole(_quantities(container).get(resource))

    together = sum(asked(container) for container in pod_spec.get("containers") or ())
    before = max((asked(each) for each in pod_spec.get("initContainers") or ()), default=0)
    return max(together, before)


def holding(pod: RawObject) -> RawObject:
    """Return of a pod what tells the cards that it holds, and nothing else.

    Pods of others are looked at for their cards alone: what else they say is not kept.
    """
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    kept: RawObject = {
        "metadata": {key: meta[key] for key in ("uid", "namespace") if key in meta},
        "spec": {
            kind: [{"resources": each.get("resources") or {}} for each in spec.get(kind) or ()]
            for kind in ("containers", "initContainers")
        },
        "status": {"phase": (pod.get("status") or {}).get("phase")},
    }
    if spec.get("nodeName"):
        kept["spec"]["nodeName"] = spec["nodeName"]
    return kept


def resource_of(pod_spec: Mapping[str, Any], resource: str) -> str:
    """Return the name of what a pod asks for: whole cards, or the size of an instance.

    Where it asks for none, or for zero, the name of whole cards.
    """
    names = {
        name for container in pod_spec.get("containers") or () for name in _quantities(container)
    }
    asked = (name for name in counting(names, resource) if cards_requested(pod_spec, name))
    return next(asked, resource)


def _quantities(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the resources of a container: limits, which count before requests."""
    resources = container.get("resources") or {}
    return {**(resources.get("requests") or {}), **(resources.get("limits") or {})}


def whole(quantity: object) -> int:
    """Return a count of cards as Kubernetes writes it; what is no number counts as none."""
    text = str(quantity or "0")
    factor = 1000 if text.endswith("k") else 1
    try:
        return int(float(text.removesuffix("k")) * factor)
    except ValueError:
        return 0


def products_wanted(pod_spec: Mapping[str, Any], resource: str) -> tuple[str, ...]:
    """Return the products that a pod may run on, by its node selector or its required affinity.

    Of a pod that asks for instances of a size, the products of these instances; the size alone
    where nothing tells the card.

    Args:
        pod_spec: Its specification.
        resource: Name of what it asks for, as `resource_of` returns it.
    """
    chosen = product_of(pod_spec.get("nodeSelector") or {})
    found = [chosen] if chosen else _products_of_affinity(pod_spec)
    if not found:
        size = product_with("", resource, {})
        return (size,) if size else ()
    return tuple(dict.fromkeys(product_with(product, resource, {}) for product in found))


def _products_of_affinity(pod_spec: Mapping[str, Any]) -> list[str]:
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    found: list[str] = []
    for term in required.get("nodeSelectorTerms") or ():
        for expression in term.get("matchExpressions") or ():
            if expression.get("key") in PRODUCT_LABELS and expression.get("operator") == "In":
                found += expression.get("values") or ()
    return found


def accelerator_on(
    accelerators: Sequence[Accelerator], card_type: str, cards: int | None
) -> tuple[str, ...]:
    """Return the names of the configurations made of so many cards of that type.

    Where no configuration has just that many, those of which it is a multiple: their replicas take
    several units.
    """
    of_type = [each for each in accelerators if each.card_type == card_type]
    if cards is None:
        return tuple(each.name for each in of_type)
    exact = tuple(each.name for each in of_type if each.cards == cards)
    if exact:
        return exact
    return tuple(each.name for each in of_type if each.cards and cards % each.cards == 0)


def stock(
    nodes: Sequence[RawObject],
    pods: Sequence[RawObject],
    managed_pods: frozenset[str],
    names: CardNames,
    settings: ClusterSettings,
) -> tuple[dict[str, CardStock], tuple[str, ...]]:
    """Return the cards by type, and what could not be counted.

    A node counts where it is ready and takes pods; cards on nodes that take none any more count
    as far as managed replicas still hold them. Instances of cards are counted like cards of a type
    of their own.

    Args:
        nodes: All nodes.
        pods: All pods that are seen.
        managed_pods: Identities (``metadata.uid``) of the pods of managed workloads.
        names: Finds card types.
        settings: Name of the resource.
    """
    total: dict[str, int] = defaultdict(int)
    types_at: dict[str, dict[str, str]] = defaultdict(dict)
    open_nodes: set[str] = set()
    unknown: dict[str, int] = defaultdict(int)
    for node in nodes:
        meta, status = node["metadata"], node.get("status") or {}
        allocatable = status.get("allocatable") or {}
        labels = meta.get("labels") or {}
        for resource in counting(allocatable, settings.resource):
            count = whole(allocatable[resource])
            if not count:
                continue
            product = product_of(labels)
            product = product_with(product, resource, labels) if product else ""
            card_type = names.type_of(product) if product else ""
            if not card_type:
                unknown[product] += count
                continue
            types_at[meta["name"]][resource] = card_type
            if _takes_pods(node):
                open_nodes.add(meta["name"])
                total[card_type] += count
    held: dict[bool, dict[str, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for pod in pods:
        spec = pod.get("spec") or {}
        types = types_at.get(spec.get("nodeName") or "")
        if not types or (pod.get("status") or {}).get("phase") in _FINISHED:
            continue
        managed = pod["metadata"].get("uid") in managed_pods
        for resource, card_type in types.items():
            cards = cards_requested(spec, resource)
            if spec["nodeName"] not in open_nodes:
                if not managed:
                    continue
                total[card_type] += cards
            held[managed][card_type] += cards
    stocks = {
        name: CardStock(name, total[name], held[True][name], held[False][name])
        for name in {*names.types, *total}
    }
    problems = tuple(
        f"{count} cards of nodes with product {product!r} are of no card type of the fleet; name "
        "it under cluster.product_labels"
        if product
        else f"{count} cards stand in nodes without a product label ({PRODUCT_LABELS[0]}, ...); "
        "install GPU feature discovery, or label them"
        for product, count in sorted(unknown.items())
    )
    return stocks, problems


def _takes_pods(node: RawObject) -> bool:
    if (node.get("spec") or {}).get("unschedulable"):
        return False
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = [each.get("status") for each in conditions if each.get("type") == "Ready"]
    return not ready or ready[0] == "True"
