"""What becomes of replicas that servers share if their profile is off by its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.explaining.margins import margins_of
from optimizer.explaining.rule_totals import RuleTotals
from optimizer.sharing.allocations import shared_allocations
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.candidates import SharedFleet, fewest_replicas
from optimizer.sharing.sets import shared_ways
from stoker.domain.explanation import LatencyMargin, ReplicaRange
from stoker.domain.fleet import Fleet

MISSED = 1.0 + 1e-6
"""Use of a target from which on it counts as missed."""


@dataclass(frozen=True, slots=True)
class SharedMiss:
    """What the replicas planned do for one of those who share them, if everything is slower.

    Attributes:
        missed: Targets that are missed.
        blocking: Fraction of requests turned away; None where unknown.
    """

    missed: tuple[LatencyMargin, ...]
    blocking: float | None


class SharedConfidence:
    """Answers what common replicas would do, and how many it would take, with other times."""

    def __init__(
        self, choices: tuple[SharedChoice, ...], slower: Fleet, faster: Fleet, rules: RuleTotals
    ) -> None:
        """Predict common replicas with profiles slower and faster.

        Args:
            choices: Who shares what.
            slower: The fleet with slower profiles.
            faster: The fleet with faster profiles.
            rules: What the fleet asks for beside what loads need.
        """
        self._choices = {member: choice for choice in choices for member in choice.members}
        self._most = _asked(_needed(slower, choices), rules)
        self._fewest = _asked(_needed(faster, choices), rules)
        self._misses = {
            item.server: SharedMiss(
                tuple(
                    margin
                    for margin in margins_of(item)
                    if margin.predicted_ms is not None
                    and margin.predicted_ms > margin.target_ms * MISSED
                ),
                item.blocking,
            )
            for item in shared_allocations(slower, choices)
        }
        self._names = [server.name for server in slower.servers]

    def choice(self, server: int) -> SharedChoice | None:
        """Return what a server shares; None where it shares nothing."""
        return self._choices.get(server)

    def missed(self, server: int) -> tuple[LatencyMargin, ...]:
        """Return the targets of a server that the replicas planned miss if everything is slower."""
        return self._misses[self._names[server]].missed

    def replica_range(self, server: int, error: float, source: str) -> ReplicaRange:
        """Return the common replicas of a server with other times; money is for all who share.

        Args:
            server: A server that shares replicas.
            error: Relative error of their profile.
            source: Where that is from, in words.
        """
        choice = self._choices[server]
        fewest, most = self._fewest[choice], self._most[choice]
        unit = choice.cost_per_hour / choice.replicas
        miss = self._misses[self._names[server]]
        return ReplicaRange(
            error=error,
            source=source,
            fewest=fewest,
            most=most,
            missed=miss.missed,
            blocking=miss.blocking,
            short_cost_per_hour=None if most is None else unit * max(0, most - choice.replicas),
            spare_cost_per_hour=None if fewest is None else unit * max(0, choice.replicas - fewest),
        )


def _asked(
    needed: Mapping[SharedChoice, int | None], rules: RuleTotals
) -> dict[SharedChoice, int | None]:
    """Return the replicas that rules ask for where loads need so many."""
    return {
        choice: None if need is None else rules.of_choice(choice, need)
        for choice, need in needed.items()
    }


def _needed(fleet: Fleet, choices: tuple[SharedChoice, ...]) -> dict[SharedChoice, int | None]:
    """Return the replicas that each set of servers needs where it is; None where no number does."""
    if not choices:
        return {}
    shared = SharedFleet(fleet)
    wanted = {(item.members, item.profile, item.max_batch): item for item in choices}
    ways = [
        way
        for way in shared_ways(fleet, shared.arrays)
        if (way.members, way.profile, way.max_batch) in wanted
    ]
    found: dict[SharedChoice, int | None] = dict.fromkeys(choices)
    for way, count in zip(ways, fewest_replicas(shared, ways).tolist(), strict=True):
        choice = wanted[way.members, way.profile, way.max_batch]
        found[choice] = int(count) if np.isfinite(count) else None
    return found
