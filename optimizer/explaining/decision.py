"""A placement read server by server: what each gets, what it costs, and how two of them differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.placement import Outcome, Placement
from optimizer.pooled.answer import PooledAnswer, PooledEntry
from optimizer.sharing.answer import SharedChoice
from optimizer.table import EMPTY, NO_NAME, CandidateTable, IntArray
from optimizer.transition import mix_value
from stoker.domain.plan import ObjectiveValue
from stoker.domain.plan_change import (
    Evidence,
    ObjectiveChange,
    OwnAllocation,
    OwnPart,
    PlanChange,
)

_NOTHING = OwnAllocation((), 0.0, 0.0, False)
_PROVEN = 1e-6
"""Share within which objectives are proven: less is no difference."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a plan gives each server, and what is proven about it.

    Attributes:
        servers: Names of the servers.
        priority: Priority of each.
        own: What each gets.
        entries: The same as rows of the table and replicas of each.
        cards: Cards used by type of the table.
        slack: How far the objective may be from the best for the same served counts; None where
            nothing is proven.
        shared: Replicas that several servers share.
        objectives: What was minimized below the priorities, in order; empty for cost alone without
            pools and limits.
    """

    servers: tuple[str, ...]
    priority: tuple[int, ...]
    own: tuple[OwnAllocation, ...]
    entries: tuple[tuple[tuple[int, int], ...], ...]
    cards: IntArray
    slack: float | None
    shared: tuple[SharedChoice, ...] = ()
    objectives: tuple[ObjectiveValue, ...] = ()

    @property
    def value(self) -> float:
        """The objective: total value of the servers served in full."""
        return math.fsum(item.value for item in self.own if item.served)

    @property
    def cost_per_hour(self) -> float:
        """Cost of all that is given."""
        return math.fsum(item.cost_per_hour for item in self.own)


def decision_of(table: CandidateTable, outcome: Outcome) -> Decision:
    """Return the decision of an outcome."""
    slack = None if outcome.bound is None else max(0.0, outcome.objective - outcome.bound)
    decision = placed_decision(table, outcome.placement, slack)
    if outcome.shared:
        decision = with_shared(decision, table, outcome.shared)
    if outcome.pooled is None:
        return decision
    return replace(
        decision,
        own=tuple(
            _pooled(own, outcome.pooled, outcome.pooled.entries.get(server))
            for server, own in enumerate(decision.own)
        ),
        objectives=outcome.pooled.objectives,
    )


def with_shared(
    decision: Decision, table: CandidateTable, choices: Sequence[SharedChoice]
) -> Decision:
    """Return the decision with the replicas that servers share, counted with the first of them."""
    own, cards = list(decision.own), decision.cards.copy()
    for choice in choices:
        names = [decision.servers[member] for member in choice.members]
        part = OwnPart(
            table.accelerators[choice.accelerator],
            choice.replicas,
            choice.max_batch,
            choice.configuration,
        )
        for place, member in enumerate(choice.members):
            own[member] = OwnAllocation(
                (part,),
                choice.cost_per_hour if place == 0 else 0.0,
                choice.value if place == 0 else 0.0,
                served=True,
                shared_with=tuple(name for name in names if name != names[place]),
            )
        cards[table.card_types.index(choice.card_type)] += choice.cards
    return replace(decision, own=tuple(own), cards=cards, shared=tuple(choices))


def _pooled(own: OwnAllocation, answer: PooledAnswer, entry: PooledEntry | None) -> OwnAllocation:
    """Return what a server gets at what its pools cost."""
    if entry is None:
        return own
    return replace(
        own,
        cost_per_hour=entry.cost_per_hour,
        value=entry.value if own.served else 0.0,
        placements=tuple(
            (answer.pools[pool].name, count) for pool, count in entry.counted().items()
        ),
    )


def placed_decision(table: CandidateTable, placement: Placement, slack: float | None) -> Decision:
    """Return the decision of a placement."""
    parts: list[list[tuple[int, int]]] = [[] for _ in table.servers]
    for row, count in zip(placement.row.tolist(), placement.replicas.tolist(), strict=True):
        parts[int(table.server[row])].append((row, count))
    served: list[bool] = placement.served.tolist()
    return Decision(
        servers=table.servers,
        priority=tuple(table.priority.tolist()),
        own=tuple(
            own_allocation(table, server, entries, served=served[server])
            for server, entries in enumerate(parts)
        ),
        entries=tuple(map(tuple, parts)),
        cards=cards_of(table, [entry for entries in parts for entry in entries]),
        slack=slack,
    )


def cards_of(table: CandidateTable, entries: Sequence[tuple[int, int]]) -> IntArray:
    """Return the cards by type of rows and replicas of each."""
    used = np.zeros(len(table.card_types), dtype=np.int64)
    for row, count in entries:
        if table.card_type[row] != EMPTY:
            used[table.card_type[row]] += count * table.cards_per_replica[row]
    return used


def own_allocation(
    table: CandidateTable, server: int, entries: Sequence[tuple[int, int]], *, served: bool
) -> OwnAllocation:
    """Return what rows and replicas of each are to a server."""
    if not entries:
        return OwnAllocation((), 0.0, 0.0, True) if served else _NOTHING
    costs = [
        float(table.cost_per_hour[row])
        if count == table.replicas[row]
        else float(table.unit_cost_per_hour[row]) * count
        for row, count in entries
    ]
    if not served:
        value = 0.0
    elif len(entries) == 1 and entries[0][1] == table.replicas[entries[0][0]]:
        value = float(table.value[entries[0][0]])
    else:
        accelerators = [int(table.accelerator[row]) for row, _ in entries]
        value = mix_value(table.transitions, server, accelerators, costs)
    return OwnAllocation(
        parts=tuple(part_of(table, row, count) for row, count in entries),
        cost_per_hour=math.fsum(costs),
        value=value,
        served=served,
    )


def part_of(table: CandidateTable, row: int, count: int) -> OwnPart:
    """Return so many of a row; one of two pools, or on slices, counts all its replicas."""
    prefill, _ = pools_of(table, row)
    return OwnPart(
        accelerator=accelerator_name(table, row),
        replicas=count * replicas_each(table, row),
        max_batch=int(table.max_batch[row]),
        configuration=configuration_name(table, row),
        prefill_replicas=count * prefill,
    )


def replicas_each(table: CandidateTable, row: int) -> int:
    """Return the replicas that one of a row is: of two pools those of both, on slices all."""
    if table.bundled is not None and table.bundled[row] > 0:
        return int(table.bundled[row])
    prefill, decode = pools_of(table, row)
    return prefill + decode if prefill else 1


def pools_of(table: CandidateTable, row: int) -> tuple[int, int]:
    """Return the replicas of the prefill and the decode pool of a row; 0 and 0 without them."""
    if table.prefill_replicas is None or table.decode_replicas is None:
        return 0, 0
    return int(table.prefill_replicas[row]), int(table.decode_replicas[row])


def configuration_name(table: CandidateTable, row: int) -> str:
    """Return the configuration of a row; empty where it has no name."""
    index = NO_NAME if table.configuration is None else int(table.configuration[row])
    return "" if index == NO_NAME else table.configurations[index]


def accelerator_name(table: CandidateTable, row: int) -> str | None:
    """Return the accelerator of a row; None for an empty allocation."""
    index = int(table.accelerator[row])
    return None if index == EMPTY else table.accelerators[index]


def change_between(
    before: Decision,
    after: Decision,
    evidence: Evidence,
    *,
    but: Collection[int] = (),
) -> PlanChange:
    """Return what becomes of a plan.

    Args:
        before: The plan.
        after: The plan under an edit, of the same servers.
        evidence: How it is known.
        but: The servers that the edit is about, which are not among those moved.
    """
    pairs = list(zip(before.own, after.own, strict=True))
    served: dict[int, int] = {}
    for priority, (old, new) in zip(before.priority, pairs, strict=True):
        served[priority] = served.get(priority, 0) + int(new.served) - int(old.served)
    names = before.servers
    return PlanChange(
        evidence=evidence,
        served_change={item: by for item, by in sorted(served.items()) if by},
        value_change=difference(before.value, after.value),
        cost_change=difference(before.cost_per_hour, after.cost_per_hour),
        no_longer_served=tuple(
            name
            for name, (old, new) in zip(names, pairs, strict=True)
            if old.served and not new.served
        ),
        newly_served=tuple(
            name
            for name, (old, new) in zip(names, pairs, strict=True)
            if new.served and not old.served
        ),
        moved=tuple(
            name
            for index, (name, (old, new)) in enumerate(zip(names, pairs, strict=True))
            if index not in but and old.served == new.served and _moved(old, new)
        ),
        below=after.slack,
        above=before.slack,
        objectives=tuple(_objective_changes(before.objectives, after.objectives)),
    )


def _objective_changes(
    before: Sequence[ObjectiveValue], after: Sequence[ObjectiveValue]
) -> Iterator[ObjectiveChange]:
    """Yield the change of each thing minimized that both plans tell."""
    found = {item.name: item.value for item in after}
    for item in before:
        if item.name in found:
            change = difference(item.value, found[item.name], _PROVEN)
            yield ObjectiveChange(item.name, change, item.unit)


def _moved(old: OwnAllocation, new: OwnAllocation) -> bool:
    if old.placements and new.placements and old.placements != new.placements:
        return True
    return (old.parts, old.shared_with) != (new.parts, new.shared_with)


def difference(before: float, after: float, rounding: float = 1e-9) -> float:
    """Return after less before, 0 where they differ by a share of them that is rounding alone."""
    change = after - before
    return 0.0 if abs(change) <= rounding * max(abs(before), abs(after)) else change
