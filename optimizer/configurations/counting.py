"""Cards and prices of planned allocations, counted from the fleet and its profiles alone."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet


class UnitCounts:
    """Counts units of accelerators from the profiles of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the fleet whose profiles tell what a replica takes."""
        self._units = {
            (item.model, item.accelerator, item.configuration): max(
                1, item.accelerators_per_replica
            )
            for item in fleet.profiles
        }

    def parts(self, allocation: PlannedAllocation) -> Iterator[tuple[str, int]]:
        """Yield accelerator and units of each part of an allocation; nothing for an empty one.

        A configuration without a profile counts as one unit a replica. Replicas that several
        servers share are counted once.
        """
        if allocation.counted_with is not None:
            return
        if allocation.mix:
            for part in allocation.mix:
                units = self._of(allocation.model, part.accelerator, part.configuration)
                yield part.accelerator, units * part.replicas
        elif allocation.accelerator is not None:
            name = allocation.accelerator
            for pool in allocation.pools:
                yield name, self._of(allocation.model, name, pool.configuration) * pool.replicas
            if not allocation.pools:
                units = self._of(allocation.model, name, allocation.configuration)
                yield name, units * allocation.replicas

    def _of(self, model: str, accelerator: str, configuration: str) -> int:
        return self._units.get((model, accelerator, configuration), 1)
