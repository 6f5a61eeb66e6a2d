"""MIG instances: parts of NVIDIA cards that nodes offer as resources of their own.

Where all cards of a node are cut alike (the strategy `single`), the usual resource counts
instances, and the node's product label ends in ``-MIG-1g.10gb``. Where they are not (`mixed`), each
size is a resource of its own, such as ``nvidia.com/mig-1g.10gb``, beside the label of the card.
Either way an instance is told here by the product that it would have under `single`.

Sources: NVIDIA device plugin and GPU feature discovery, "MIG Support in Kubernetes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_RESOURCE = "nvidia.com/mig-"
_MARK = "-MIG-"
_WORD = re.compile(r"[a-z0-9]+")


def counting(names: Iterable[str], resource: str) -> tuple[str, ...]:
    """Return the names of resources that count cards or instances, whole cards first."""
    found = {name for name in names if name == resource or name.startswith(_RESOURCE)}
    return tuple(sorted(found, key=lambda name: (name != resource, name)))


def product_with(product: str, resource: str, labels: Mapping[str, str]) -> str:
    """Return the product that a resource counts on a node whose cards are of a product.

    Args:
        product: Product of the whole cards; empty where unknown.
        resource: Name of the resource.
        labels: Labels of the node, which may name it.
    """
    if not resource.startswith(_RESOURCE):
        return product
    named = labels.get(f"{resource}.product")
    return named or f"{product}{_MARK}{resource.removeprefix(_RESOURCE)}"


def size_words(product: str) -> frozenset[str]:
    """Return the words of an instance's size, ``1g`` and ``10gb`` say; none for whole cards."""
    _, mark, size = product.partition(_MARK)
    return frozenset(_WORD.findall(size.lower())) if mark else frozenset()
