"""Rows of a candidate table as a plan tells them: configuration, degrees, pools."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import UNKNOWN, FleetArrays
from optimizer.pairs import prefill_limits
from optimizer.table import CandidateTable
from stoker.domain.accelerator import Accelerator
from stoker.domain.allocation import PoolPart
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.serving import Disaggregation


class Described:
    """Describes rows of the candidate table of a fleet."""

    def __init__(self, fleet: Fleet, table: CandidateTable) -> None:
        """Take what was planned for, and its candidates."""
        self._fleet = fleet
        self._table = table

    def profile(self, row: int) -> ModelProfile | None:
        """Return the profile of a row; None where it has none, or the table does not tell."""
        if self._table.profile is None:
            return None
        index = int(self._table.profile[row])
        return None if index == UNKNOWN else self._fleet.profiles[index]

    def pools(self, row: int, deployments: int = 1) -> tuple[PoolPart, ...]:
        """Return the prefill and the decode pool of a row; nothing where it has none.

        Args:
            row: Row of the table.
            deployments: How many times both pools are there.
        """
        table = self._table
        if table.prefill_replicas is None or table.decode_replicas is None or table.profile is None:
            return ()
        counts = int(table.prefill_replicas[row]), int(table.decode_replicas[row])
        if not counts[0]:
            return ()
        arrays = self._arrays
        index = table.profile[[row]]
        first = arrays.profiles.prefill[index]
        limit, _ = prefill_limits(arrays, table.server[[row]], first)
        return pool_parts(
            self._fleet.profiles[int(first[0])],
            self._fleet.profiles[int(index[0])],
            self._accelerators,
            (counts[0] * deployments, counts[1] * deployments),
            (int(limit[0]), int(table.max_batch[row])),
        )

    @cached_property
    def _arrays(self) -> FleetArrays:
        return fleet_arrays(self._fleet)

    @cached_property
    def _accelerators(self) -> dict[str, Accelerator]:
        return {item.name: item for item in self._fleet.accelerators}


def pool_parts(
    prefill: ModelProfile,
    decode: ModelProfile,
    accelerators: Mapping[str, Accelerator],
    replicas: tuple[int, int],
    max_batch: tuple[int, int],
) -> tuple[PoolPart, PoolPart]:
    """Return a prefill and a decode pool.

    Args:
        prefill: Profile of the prefill replicas.
        decode: Profile of the decode replicas, which tells the routers.
        accelerators: Accelerators by name.
        replicas: Replicas of both.
        max_batch: Batch limits of a replica of each.
    """
    how = decode.disaggregated or Disaggregation()

    def part(role: str, index: int) -> PoolPart:
        item = (prefill, decode)[index]
        unit = accelerators[item.accelerator]
        units = replicas[index] * max(1, item.accelerators_per_replica)
        return PoolPart(
            role=role,
            configuration=item.configuration,
            parallel=item.parallel,
            replicas=replicas[index],
            max_batch=max_batch[index],
            cards=units * unit.cards,
            cost_per_hour=units * unit.cost_per_hour,
            router=(how.prefill_router, how.decode_router)[index],
        )

    return part("prefill", 0), part("decode", 1)
