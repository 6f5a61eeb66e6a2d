"""What a server would get instead: its own candidates, and the plan without its accelerator.

To forbid what a plan does not use changes nothing: the plan is still allowed, and what was proven
of it still holds. To forbid what it uses means to plan again, except where everybody else has
already the candidate of least value (`settled_without`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from optimizer.explaining.alone import Alone
from optimizer.explaining.decision import (
    difference,
    own_allocation,
    part_of,
)
from optimizer.explaining.problem import rows_of
from optimizer.explaining.situation import Situation, fits
from optimizer.table import EMPTY, CandidateTable
from stoker.domain.explanation import ChoiceLimit, Forbidden, Option
from stoker.domain.plan_change import Evidence, OwnAllocation, PlanChange

_ROUNDING = 1e-9

_Changed = TypeVar("_Changed")


def options_of(situation: Situation, server: int) -> tuple[Option, ...]:
    """Return the candidates of a server by value, where cards by type are all that bounds them."""
    table = situation.table
    return tuple(
        _option(
            table,
            Alone(
                row=row,
                count=int(table.replicas[row]),
                cost_per_hour=float(table.cost_per_hour[row]),
                value=float(table.value[row]),
                fits=situation.has_room(server, row),
            ),
            enough=situation.has_cards(row),
        )
        for row in accepted_rows(table, server)
    )


def options_over_pools(table: CandidateTable, found: Sequence[Alone]) -> tuple[Option, ...]:
    """Return the candidates of a server that pools have room for, as they are there."""
    return tuple(_option(table, each, enough=True) for each in found)


def _option(table: CandidateTable, alone: Alone, *, enough: bool) -> Option:
    row, count = alone.row, alone.count
    part = part_of(table, row, count)
    whole = count == table.replicas[row]
    return Option(
        accelerator=part.accelerator,
        replicas=part.replicas,
        max_batch=part.max_batch,
        configuration=part.configuration,
        prefill_replicas=part.prefill_replicas,
        cost_per_hour=alone.cost_per_hour,
        value=alone.value,
        cards=int(table.cards[row]) if whole else count * int(table.cards_per_replica[row]),
        card_type=_card_type(table, row),
        fits=alone.fits,
        enough_cards=enough,
    )


def accepted_rows(table: CandidateTable, server: int, but: int | None = None) -> list[int]:
    """Return the candidates of a server by value, then cards, then place in the table.

    Args:
        table: Candidates.
        server: The server.
        but: An accelerator whose candidates are left out.
    """
    rows = rows_of(table, server)
    wanted = table.accepted[rows]
    if but is not None:
        wanted = wanted & (table.accelerator[rows] != but)
    found = np.flatnonzero(wanted) + rows.start
    order = np.lexsort((found, table.cards[found], table.value[found]))
    ordered: list[int] = found[order].tolist()
    return ordered


def choice_limit(
    options: Sequence[Option], own: OwnAllocation, *, over_pools: bool = False
) -> ChoiceLimit:
    """Return why a server has the accelerator that it has.

    Args:
        options: Its candidates by value.
        own: What it has.
        over_pools: Whether it stands in pools, each with prices of its own.
    """
    if len({item.accelerator for item in options}) == 1:
        return ChoiceLimit.ONLY_ONE
    ways = {(part.accelerator, part.configuration, part.prefill_replicas) for part in own.parts}
    cheaper = any(
        own.value > item.value + _ROUNDING * abs(item.value)
        for item in options
        # Over pools a server may stand in dearer ones than it would by itself.
        if not (
            over_pools and (item.accelerator, item.configuration, item.prefill_replicas) in ways
        )
    )
    return ChoiceLimit.OTHERS if cheaper or not own.served else ChoiceLimit.LEAST_VALUE


def preferred_of(options: Sequence[Option], own: OwnAllocation) -> Option | None:
    """Return the candidate of least value on another accelerator, if it has less than what is."""
    names = {part.accelerator for part in own.parts}
    return next(
        (
            item
            for item in options
            if item.accelerator not in names
            and own.value > item.value + _ROUNDING * abs(item.value)
        ),
        None,
    )


def without(situation: Situation, server: int, accelerator: str) -> Forbidden:
    """Return the plan in which a server may not use an accelerator that it uses."""
    index = situation.table.accelerators.index(accelerator)
    return settled_without(situation, server, index) or planned_without(situation, server, index)


def planned_without(situation: Situation, server: int, accelerator: int) -> Forbidden:
    """Return the plan without an accelerator for a server, by planning again."""
    problem, base = situation.problem, situation.base
    after, change = situation.change_under(problem.without(server, accelerator), server)
    old, new = base.own[server], after.own[server]
    both = old.served and new.served and not (old.shared_with or new.shared_with)
    return Forbidden(
        accelerator=problem.table.accelerators[accelerator],
        own=new,
        own_cost_change=difference(old.cost_per_hour, new.cost_per_hour) if both else None,
        change=change,
    )


def settled_without(situation: Situation, server: int, accelerator: int) -> Forbidden | None:
    """Return the plan without an accelerator for a server where it is known, else None.

    It is known where (1) every server that has a candidate is served, (2) every other server has
    its candidate of least value, (3) the next candidate of this one fits into the cards left, or it
    has none, and (4) replicas need no place on nodes. For then no plan under the edit serves more,
    every plan that serves as many serves the same servers, and none has less value than the sum of
    what is least for each, which the next candidate attains.
    """
    old = situation.base.own[server]
    if not (situation.settled_but(server) and old.served) or situation.problem.settings.placement:
        return None
    table = situation.table
    rows = accepted_rows(table, server, accelerator)
    if rows and not fits(table, rows[0], situation.free_for(server)):
        return None
    name = table.accelerators[accelerator]
    if not rows:
        lost = PlanChange(
            evidence=Evidence.PROVEN,
            served_change={situation.base.priority[server]: -1},
            value_change=-old.value,
            cost_change=-old.cost_per_hour,
            no_longer_served=(table.servers[server],),
        )
        return Forbidden(name, OwnAllocation((), 0.0, 0.0, False), None, lost)
    new = own_allocation(table, server, [(rows[0], int(table.replicas[rows[0]]))], served=True)
    cost_change = difference(old.cost_per_hour, new.cost_per_hour)
    change = PlanChange(
        evidence=Evidence.PROVEN,
        value_change=difference(old.value, new.value),
        cost_change=cost_change,
    )
    return Forbidden(name, new, cost_change, change)


def least_changing(items: Sequence[Forbidden]) -> Forbidden | None:
    """Return the plan that loses least: servers by priority, then objectives, then value."""
    return least_loss(items, lambda item: item.change) if items else None


def least_loss(items: Sequence[_Changed], change_of: Callable[[_Changed], PlanChange]) -> _Changed:
    """Return what loses least: servers by priority, then objectives in order, then value."""
    changes = [change_of(item) for item in items]
    priorities = sorted({priority for change in changes for priority in change.served_change})

    def loss(at: int) -> tuple[list[int], list[float], float]:
        served = changes[at].served_change
        objectives = [item.change for item in changes[at].objectives]
        lost = [-served.get(priority, 0) for priority in priorities]
        return lost, objectives, changes[at].value_change

    return items[min(range(len(items)), key=loss)]


def _card_type(table: CandidateTable, row: int) -> str | None:
    index = int(table.card_type[row])
    return None if index == EMPTY else table.card_types[index]
