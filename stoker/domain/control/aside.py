"""Workloads without a replica that are left aside: it is clear without them what a server runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stoker.domain.control.cluster import VariantState
from stoker.domain.control.configurations import Configurations, configuration_of


@dataclass(frozen=True, slots=True)
class Aside:
    """A workload that is neither started nor counted.

    Attributes:
        variant: The workload.
        twin: The one of the server that runs the same on the same; None where it is left aside
            because its configuration cannot be told.
    """

    variant: VariantState
    twin: VariantState | None = None


def left_aside(
    variants: Sequence[VariantState], model: str, configurations: Configurations
) -> tuple[Aside, ...]:
    """Return the workloads of a server that are left aside.

    All of them ask for no replica, and have no pod that ends. No plan can ask for one whose
    configuration cannot be told: it is in nobody's way where another one's can. Of several that run
    the same on the same, one alone runs: that one is the server's. A pause is heeded wherever it is
    written.

    Args:
        variants: Workloads of the server.
        model: Its model.
        configurations: Those of the fleet.
    """
    runs = {each.ref: configuration_of(each, model, configurations) for each in variants}
    clear = any(name is not None for name in runs.values())
    found = []
    for one in variants:
        if one.replicas_wanted or one.replicas or one.paused:
            continue
        if clear and runs[one.ref] is None:
            found.append(Aside(one))
            continue
        place = one.accelerator, one.configuration or runs[one.ref]
        running = [
            each
            for each in variants
            if each.replicas_wanted
            and (each.accelerator, each.configuration or runs[each.ref]) == place
        ]
        if len(running) == 1:
            found.append(Aside(one, running[0]))
    return tuple(found)
