"""What a replica costs, by the profiles of a document, where an allocation does not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from data.stoker_schema import AcceleratorEntry, AllocationEntry, ProfileEntry


class ReplicaCosts:
    """Costs of allocations of a fleet's models."""

    def __init__(
        self, accelerators: Iterable[AcceleratorEntry], profiles: Iterable[ProfileEntry]
    ) -> None:
        """Take the hardware with its prices, and what replicas take of it."""
        self._unit = {item.name: item for item in accelerators}
        self._profiles: dict[tuple[str, str], list[ProfileEntry]] = {}
        for item in profiles:
            self._profiles.setdefault((item.model, item.accelerator), []).append(item)

    def of(self, model: str, allocation: AllocationEntry) -> float:
        """Return the cost per hour of all replicas; of an empty allocation 0.

        Args:
            model: The model that they serve.
            allocation: An allocation whose profile the document has.
        """
        if allocation.accelerator is None:
            return 0.0
        own = self._profiles[model, allocation.accelerator]
        name = allocation.configuration
        profile = next((item for item in own if item.configuration == name), own[0])
        price = self._unit[allocation.accelerator].cost_per_hour
        cost = price * units_of(profile, self._unit)
        if not allocation.prefill_replicas or profile.disaggregated is None:
            return cost * allocation.replicas
        named = profile.disaggregated.prefill_configuration
        first = next((item for item in own if named and item.configuration == named), profile)
        decode = allocation.replicas - allocation.prefill_replicas
        return cost * decode + price * units_of(first, self._unit) * allocation.prefill_replicas


def units_of(entry: ProfileEntry, accelerators: Mapping[str, AcceleratorEntry]) -> int:
    """Return the units of its accelerator that one replica of a profile takes.

    What is told, or what its degrees take, or 1. A unit of an accelerator that is not among those
    given has one card.
    """
    if entry.accelerators_per_replica is not None:
        return entry.accelerators_per_replica
    if entry.parallel is None:
        return 1
    hardware = accelerators.get(entry.accelerator)
    return entry.parallel.to_domain().cards // (1 if hardware is None else hardware.cards)
