"""What runs now, with its configuration and its pools, as a plan tells it."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.configurations.current import profile_of_allocation, profiles_by_pair
from optimizer.configurations.described import pool_parts
from stoker.domain.accelerator import Accelerator
from stoker.domain.allocation import PoolPart
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Allocation, Server


@dataclass(frozen=True, slots=True)
class Running:
    """What runs for a server.

    Attributes:
        profile: Its profile; None where there is none.
        configuration: Its configuration; empty where it has no name.
        units: Units of the accelerator that all of its replicas take; without a profile one each.
        pools: Its prefill and decode pool; empty where it has none.
    """

    profile: ModelProfile | None
    configuration: str
    units: int
    pools: tuple[PoolPart, ...]


class RunningAllocations:
    """Looks up what runs for the servers of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the fleet."""
        self._profiles = profiles_by_pair(fleet)
        self._accelerators: dict[str, Accelerator] = {
            item.name: item for item in fleet.accelerators
        }

    def of(self, server: Server, now: Allocation) -> Running:
        """Return what an allocation of a server is."""
        profile = profile_of_allocation(self._profiles, server.model, now)
        if profile is None:
            return Running(None, now.configuration or "", now.replicas, ())
        pools = self._pools(profile, now)
        units = (
            sum(pool.cards for pool in pools) // self._cards(profile)
            if pools
            else (now.replicas * max(1, profile.accelerators_per_replica))
        )
        return Running(profile, profile.configuration, units, pools)

    def _pools(self, decode: ModelProfile, now: Allocation) -> tuple[PoolPart, ...]:
        how = decode.disaggregated
        if how is None or not 0 < now.prefill_replicas < now.replicas:
            return ()
        name = how.prefill_configuration
        own = decode.configuration if name is None else name
        found = [
            item
            for item in self._profiles[decode.model, decode.accelerator]
            if item.configuration == own
        ]
        if not found:
            return ()
        counts = now.prefill_replicas, now.replicas - now.prefill_replicas
        limits = found[0].max_batch, now.max_batch or decode.max_batch
        return pool_parts(found[0], decode, self._accelerators, counts, limits)

    def _cards(self, profile: ModelProfile) -> int:
        return self._accelerators[profile.accelerator].cards
