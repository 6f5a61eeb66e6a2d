"""Common replicas as a plan tells them: an allocation for each server, its own latencies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.fleet_arrays import fleet_arrays
from optimizer.predictions import binding_names
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.candidates import Asked, SharedFleet
from optimizer.sharing.sets import SharedWay, untried_sizes
from optimizer.table import FloatArray
from queueing.engine import EngineTargets
from queueing.engine.sharing_point import ClassPoint, SharedPoint, analyze_shared, shared_excess
from queueing.engine.sharing_sizing import largest_shared_rps
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.latency import DEFAULT_PERCENTILES, Latency, LatencyStatistics, Statistic
from stoker.domain.routing import Router
from stoker.domain.slo import SloTarget

_NEAR = 0.999
"""Share of the largest load from which on the throughput, and no target, is what binds."""


def shared_allocations(
    fleet: Fleet, choices: Sequence[SharedChoice]
) -> tuple[PlannedAllocation, ...]:
    """Return the allocations of all servers on common replicas.

    The first member's allocation counts cards, cost and value of all replicas; those of the others
    have none, and say with whom they are counted.

    Args:
        fleet: The fleet, its loads as they were planned.
        choices: Who shares what.
    """
    if not choices:
        return ()
    shared = SharedFleet(fleet)
    percentiles = tuple(
        sorted(
            {
                *DEFAULT_PERCENTILES,
                *(
                    item.percentile
                    for item in shared.arrays.servers.statistics
                    if item.percentile is not None
                ),
            }
        )
    )
    return tuple(
        allocation
        for choice in choices
        for allocation in _Told.of(shared, choice, percentiles).allocations()
    )


def sharing_notes(fleet: Fleet, choices: Sequence[SharedChoice]) -> tuple[str, ...]:
    """Return what a reader should know of common replicas, one sentence a set of servers."""
    notes = []
    for choice in choices:
        names = [fleet.servers[index].name for index in choice.members]
        told = f"{', '.join(names[:-1])} and {names[-1]}"
        if fleet.sharing[choice.group].priorities:
            order = "their engines must admit by priority"
        else:
            order = "first come, first served"
        notes.append(
            f"{told} share {choice.replicas} × {fleet.accelerators[choice.accelerator].name}, "
            f"counted with {names[0]}; {order}"
        )
    return (*notes, *_untried_notes(fleet))


def _untried_notes(fleet: Fleet) -> Iterator[str]:
    """Yield, of groups too large to try all sets of, what the proof of a plan leaves out."""
    if not fleet.sharing:
        return
    arrays = fleet_arrays(fleet)
    for group in fleet.sharing:
        sizes = untried_sizes(group, arrays)
        if sizes:
            least, most = sizes[0], sizes[-1]
            told = f"{least}" if least == most else f"{least} to {most}"
            yield (
                f"sharing {group.name}: sets of {told} of its servers were not tried, and what is "
                "proven is among the sets that were"
            )


@dataclass(frozen=True, slots=True)
class _Told:
    """Common replicas, and what each member gets there."""

    shared: SharedFleet
    choice: SharedChoice
    way: SharedWay
    asked: Asked
    point: SharedPoint
    percentiles: tuple[float, ...]
    max_rate_rps: float
    binding: str | None

    @classmethod
    def of(cls, shared: SharedFleet, choice: SharedChoice, percentiles: tuple[float, ...]) -> _Told:
        way = SharedWay(
            choice.group,
            choice.members,
            choice.profile,
            choice.accelerator,
            choice.max_batch,
            choice.max_queue,
            choice.replicas,
            choice.replicas,
        )
        asked = shared.asked([way])
        router = shared.router(way)
        count = choice.replicas * asked.engines
        point = analyze_shared(
            asked.shared, asked.rate_rps, percentiles, replicas=count, router=router
        )
        most = largest_shared_rps(asked.shared, asked.targets, asked.rate_rps, count, router)
        return cls(
            shared,
            choice,
            way,
            asked,
            point,
            percentiles,
            float(most[0]),
            _binding(shared, asked, most, count, router, point),
        )

    def allocations(self) -> list[PlannedAllocation]:
        """Return the allocations of the members."""
        priorities = self.shared.engine_priorities(self.way)
        return [
            self._allocation(place, member, None if priorities is None else priorities[place])
            for place, member in enumerate(self.choice.members)
        ]

    def _allocation(self, place: int, member: int, priority: int | None) -> PlannedAllocation:
        fleet, choice = self.shared.fleet, self.choice
        server, profile = fleet.servers[member], fleet.profiles[choice.profile]
        accelerator = fleet.accelerators[choice.accelerator]
        names = [fleet.servers[index].name for index in choice.members]
        target = _target(fleet, server.service_class, server.model)
        host = place == 0
        rate = float(self.shared.rate_rps[member])
        mine = self.point.classes[place]
        share = rate / float(self.asked.rate_rps[0])
        itl = mine.itl.mean_ms[0]
        bounded = profile.kv_tokens is not None
        return PlannedAllocation(
            server=server.name,
            service_class=server.service_class,
            model=server.model,
            accelerator=accelerator.name,
            replicas=choice.replicas,
            max_batch=choice.max_batch,
            max_queue=choice.max_queue,
            cost_per_hour=choice.cost_per_hour if host else 0.0,
            value=choice.value if host else 0.0,
            arrival_rate_rps=rate,
            ttft_ms=_known(mine.ttft.mean_ms[0]),
            # Requests of one token have no time between tokens.
            itl_ms=0.0 if math.isnan(itl) else _known(itl),
            utilization=_known(self.point.utilization[0]),
            blocking=_known(self.point.blocking[0]),
            max_rate_rps=share * self.max_rate_rps / choice.replicas,
            ttft_target_ms=target.ttft_ms if target else None,
            itl_target_ms=target.itl_ms if target else None,
            tps_target=target.tps if target else None,
            cards=choice.cards if host else 0,
            card_type=accelerator.card_type,
            fully_served=True,
            estimate=profile.provenance.kind,
            targets=target,
            latencies=_latencies(mine, self.percentiles),
            binding=self.binding,
            kv_use=_known(self.point.kv_use[0]) if bounded else None,
            preemptions_per_request=_known(self.point.preemption_rate[0]),
            router=server.router,
            configuration=profile.configuration,
            parallel=profile.parallel,
            sliced=accelerator.slice is not None,
            shared_with=tuple(name for name in names if name != server.name),
            counted_with=None if host else names[0],
            engine_priority=priority,
        )


def _target(fleet: Fleet, service_class: str, model: str) -> SloTarget | None:
    own = next((item for item in fleet.service_classes if item.name == service_class), None)
    return None if own is None else own.target_for(model)


def _latencies(
    point: ClassPoint, percentiles: tuple[float, ...]
) -> dict[Latency, LatencyStatistics]:
    return {
        latency: LatencyStatistics(
            _known(figures.mean_ms[0]),
            {
                percentile: _known(figures.at_ms[index, 0])
                for index, percentile in enumerate(percentiles)
            },
        )
        for latency, figures in zip(Latency, (point.ttft, point.itl, point.e2e), strict=True)
    }


def _binding(
    shared: SharedFleet,
    asked: Asked,
    most: FloatArray,
    count: FloatArray,
    router: Router,
    point: SharedPoint,
) -> str | None:
    """Return what keeps the replicas from carrying more: a target of any member, or the rest."""
    statistics = shared.arrays.servers.statistics
    names = binding_names(statistics)
    if most[0] >= _NEAR * _NEAR * point.saturation_rps[0] * count[0]:
        return names[-1]
    found: dict[str, float] = {}
    for place, targets in enumerate(asked.targets):
        for statistic, alone in _single(targets):
            others = [EngineTargets.of(1) for _ in asked.targets]
            others[place] = alone
            excess = float(shared_excess(asked.shared, others, most, count, router)[0])
            found[statistic.path] = max(found.get(statistic.path, -math.inf), excess)
    lost = [EngineTargets.of(1) for _ in asked.targets]
    lost[0] = EngineTargets.of(1, max_blocking=asked.targets[0].max_blocking)
    found[names[-2]] = float(shared_excess(asked.shared, lost, most, count, router)[0])
    return max(found, key=found.__getitem__)


def _single(targets: EngineTargets) -> list[tuple[Statistic, EngineTargets]]:
    """Return each target that a server has, alone."""
    found = []
    for latency, several in zip(Latency, (targets.ttft, targets.itl, targets.e2e), strict=True):
        for target in several:
            if np.isnan(target.at_most_ms[0]):
                continue
            percentile = float(target.percentile[0])
            statistic = Statistic(latency, None if math.isnan(percentile) else percentile)
            only = {latency: (target,)}
            found.append(
                (
                    statistic,
                    EngineTargets.of(
                        1,
                        ttft=only.get(Latency.TTFT, ()),
                        itl=only.get(Latency.ITL, ()),
                        e2e=only.get(Latency.E2E, ()),
                    ),
                )
            )
    return found


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
