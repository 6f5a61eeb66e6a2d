"""What a cycle does without: workloads at zero beside others that are clear, and words for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.places import untold_words
from controller.world import variants_of
from stoker.domain.control.aside import Aside, left_aside
from stoker.domain.control.cluster import ClusterState
from stoker.domain.control.configurations import LABEL, Configurations, configurations_of
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server

_UNMANAGED = "take the label stoker.dev/managed off it (and its entry under servers)"


def aside_of(fleet: Fleet, cluster: ClusterState | None) -> dict[str, tuple[Aside, ...]]:
    """Return the workloads that are left aside, of the servers that have any."""
    variants, configurations = variants_of(cluster), configurations_of(fleet)
    found = {
        server.name: left_aside(variants.get(server.name, ()), server.model, configurations)
        for server in fleet.servers
    }
    return {name: each for name, each in found.items() if each}


def without(
    cluster: ClusterState, fleet: Fleet, aside: Mapping[str, tuple[Aside, ...]]
) -> tuple[ClusterState, tuple[str, ...]]:
    """Return the cluster in which these cannot be managed, and what there is to say of them."""
    configurations = configurations_of(fleet)
    told = {
        each.variant.ref: _words(server, each, configurations)
        for server in fleet.servers
        for each in aside.get(server.name, ())
    }
    variants = tuple(
        replace(each, problem=told[each.ref]) if each.ref in told else each
        for each in cluster.variants
    )
    return replace(cluster, variants=variants), tuple(told.values())


def _words(server: Server, aside: Aside, configurations: Configurations) -> str:
    one, twin = aside.variant, aside.twin
    if twin is None:
        why = untold_words(server, one, configurations)
        return f"{server.name}: {one.ref} stays at zero: {why}; or {_UNMANAGED}"
    return (
        f"{server.name}: {one.ref} stays at zero: {twin.ref} runs the same on {twin.accelerator}, "
        "and meanwhile neither goes elsewhere nor to zero, since it could not be told then which "
        f"of them to start: {_UNMANAGED}, or tell them apart by stoker.dev/accelerator or {LABEL}"
    )
