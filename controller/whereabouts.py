"""Where a server is, where it may go, and which batch limits its pods keep there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stoker.domain.control.cluster import VariantState, WorkloadKind
from stoker.domain.control.configurations import Configurations, configuration_of
from stoker.domain.server import Server

Place = tuple[str, str]
"""An accelerator, and a configuration on it."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The workloads of a server, and what is known of them now.

    Attributes:
        variants: Its workloads.
        at: The one that it is on, or headed to; None for none.
        stays: Whether it has to stay there.
        writable: Whether the batch limit of that one may be written now.
        full: Places that have no free card for it.
        chosen: The batch limit that a plan of its own chooses where it is; None where unknown.
    """

    variants: Sequence[VariantState]
    at: VariantState | None
    stays: bool = False
    writable: bool = False
    full: frozenset[Place] = frozenset()
    chosen: int | None = None

    def places(self, server: Server, configurations: Configurations) -> dict[Place, VariantState]:
        """Return the workloads that the server may be planned on, by place."""
        found = {}
        for each in self.variants:
            name = configuration_of(each, server.model, configurations)
            if name is None or is_out_of_reach(server, each.accelerator):
                continue
            place = each.accelerator, name
            if each is self.at if self.stays else place not in self.full:
                found[place] = each
        return found

    def told(self, places: Mapping[Place, VariantState]) -> dict[Place, int]:
        """Return the batch limits that pods keep, by place.

        A limit to be written counts where the server is, and nowhere else: a move that counted on
        one would be taken back as soon as it is seen that the pods there have another.
        """
        return {
            place: each.max_batch
            for place, each in places.items()
            if each.max_batch and not (self.writable and each is self.at and _takes_limits(each))
        }


def is_out_of_reach(server: Server, accelerator: str) -> bool:
    """Return whether a server may not leave its accelerator for this one."""
    now = server.current
    return server.keep_accelerator and now is not None and now.accelerator != accelerator


def _takes_limits(variant: VariantState) -> bool:
    """Return whether batch limits are ever written to a workload."""
    return variant.ref.kind is not WorkloadKind.LEADER_WORKER_SET
