"""What would serve a server that is not: looser targets, less load, more cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.explaining.decision import decision_of, difference
from optimizer.explaining.edits import scaled_target, with_scaled_load, with_scaled_targets
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.search import smallest_factors
from optimizer.explaining.situation import Situation
from optimizer.fleet_columns import MOST_CARDS
from optimizer.preparation import candidate_table
from optimizer.table import EMPTY, BoolArray, CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.plan_change import OwnAllocation
from stoker.domain.unplaced_explanation import FittingLoad, Purchase, ReachableTargets, Scope

MANY_TIMES = 5
"""Times the fewest cards of any type from which on cards of another type are no remedy."""

_LARGE_S = 2.0
"""Seconds after which a large fleet counts as not served, where moving few servers is not enough
and the linear relaxation does not tell."""

Edit = Callable[[Fleet, int, float], Fleet]
"""A fleet in which one server asks less by a factor."""


def less_load(fleet: Fleet, server: int, factor: float) -> Fleet:
    """Return the fleet in which a server's arrival rate is divided by a factor."""
    return with_scaled_load(fleet, server, 1.0 / factor)


@dataclass(frozen=True, slots=True)
class _Case:
    """A server that asks less in some way, and the cards that it may count on."""

    server: int
    scope: Scope
    edit: Edit


@dataclass(frozen=True, slots=True)
class _Predicted:
    """A fleet in which a server asks less, and where its candidates are."""

    fleet: Fleet
    table: CandidateTable
    place: int


class OutOfTimeError(Exception):
    """The time passed before a search was at its end."""


class Reach:
    """Finds what would serve servers that are not served.

    A server can be served *with the cards left* if a plan for it alone, with the cards that nobody
    else uses, serves it; *replanned*, if a plan among it and all servers served now serves all of
    them.
    """

    def __init__(self, situation: Situation, late: Callable[[], bool] = lambda: False) -> None:
        """Take the plan.

        Args:
            situation: The plan with its problem.
            late: Whether the time is over, upon which a search raises `OutOfTimeError`.
        """
        self._situation = situation
        self._late = late
        self._problem = situation.problem
        self._table = situation.table
        self._served: BoolArray = np.array([own.served for own in situation.base.own])
        self._served_cost = self._planned_cost()

    def nearest(
        self, servers: Sequence[int], scopes: Sequence[Scope]
    ) -> dict[int, tuple[tuple[ReachableTargets, ...], tuple[FittingLoad, ...]]]:
        """Return the nearest targets and the largest loads with which servers can be served.

        One for each scope in which there are any. All searches go side by side, because many
        predictions at once cost little more than one.

        Raises:
            OutOfTimeError: The time passed before all were at their ends.
        """
        cases = [
            _Case(server, scope, edit)
            for server in servers
            for scope in scopes
            for edit in (with_scaled_targets, less_load)
        ]
        targets: dict[int, list[ReachableTargets]] = {server: [] for server in servers}
        loads: dict[int, list[FittingLoad]] = {server: [] for server in servers}
        for case, (factor, own) in zip(cases, self._smallest(cases), strict=True):
            if factor is None or own is None:
                continue
            load = self._problem.fleet.servers[case.server].load
            if case.edit is with_scaled_targets:
                limits = self._limits(case.server, factor)
                if limits:
                    found = ReachableTargets(case.scope, factor, limits, own)
                    targets[case.server].append(found)
            elif load is not None:
                rate = load.arrival_rate_rps / factor
                loads[case.server].append(FittingLoad(case.scope, 1.0 / factor, rate, own))
        return {server: (tuple(targets[server]), tuple(loads[server])) for server in servers}

    def purchases(self, server: int) -> tuple[Purchase, ...]:
        """Return the cards of each type that would serve a server, the fewest first.

        Types of which many times the fewest would be needed are left out.
        """
        table = self._table
        rows = np.flatnonzero(
            table.accepted & (table.server == server) & (table.card_type != EMPTY)
        )
        order = rows[np.argsort(table.cards[rows], kind="stable")]
        types = dict.fromkeys(table.card_types[kind] for kind in table.card_type[order].tolist())
        found: list[Purchase] = []
        for card_type in types:
            fewest = min((item.cards for item in found), default=None)
            most = MOST_CARDS if fewest is None else MANY_TIMES * fewest
            bought = self.purchase(server, card_type, most)
            found += [bought] if bought is not None else []
        return tuple(sorted(found, key=lambda item: (item.cards, item.cost_change)))

    def purchase(self, server: int, card_type: str, most: float = MOST_CARDS) -> Purchase | None:
        """Return the fewest cards of a type with which a server can be served beside all others.

        None where no number of cards of the type does, where none are lacking, and where what the
        server would take by itself is more than `most`.
        """
        table = self._table
        kind = table.card_types.index(card_type)
        rows = np.flatnonzero(table.accepted & (table.server == server) & (table.card_type == kind))
        free = self._situation.free_for(server)
        if free is None or not len(rows):
            return None
        problem = self._problem.among(self._with(server))

        def enough(more: int) -> bool:
            if self._late():
                raise OutOfTimeError
            return self._serves(problem.with_cards(card_type, more), server)

        # With this many, it fits beside what the others have.
        high = max(0, int(np.min(table.cards[rows])) - int(free[kind])) + self._overdrawn(card_type)
        if high > most or not enough(high):
            return None
        low = -1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        if high == 0:
            return None
        known = decision_of(table, problem.with_cards(card_type, high).placed())
        return Purchase(
            card_type=card_type,
            cards=high,
            own=known.own[server],
            cost_change=difference(self._served_cost, known.cost_per_hour),
        )

    def _overdrawn(self, card_type: str) -> int:
        """Return how many cards what is kept for unknown loads takes beyond what there are."""
        count = sum(
            item.count for item in self._problem.fleet.capacity if item.card_type == card_type
        )
        return max(0, self._problem.taken.get(card_type, 0) - count)

    def _planned_cost(self) -> float:
        """Return what the servers served in full cost."""
        return sum(own.cost_per_hour for own in self._situation.base.own if own.served)

    def _smallest(self, cases: Sequence[_Case]) -> list[tuple[float | None, OwnAllocation | None]]:
        """Return the smallest factors by which servers must ask less, and what they would get."""
        got: dict[tuple[int, float], OwnAllocation | None] = {}

        predicted: dict[tuple[int, float], _Predicted] = {}

        def possible(
            pairs: Sequence[tuple[int, float]], later: Sequence[tuple[int, float]]
        ) -> list[bool]:
            if any(pair not in predicted for pair in pairs):
                wanted = [*dict.fromkeys((*pairs, *later)).keys() - predicted.keys()]
                predicted.update(self._predicted(cases, sorted(wanted)))
            for index, factor in pairs:
                if self._late():
                    raise OutOfTimeError
                case, own = cases[index], predicted[index, factor]
                problem = self._problem.with_rows(own.fleet, case.server, own.table, own.place)
                got[index, factor] = self._served_own(problem, case.server, case.scope)
            return [got[pair] is not None for pair in pairs]

        factors = smallest_factors(len(cases), possible)
        return [
            (factor, None if factor is None else got[index, factor])
            for index, factor in enumerate(factors)
        ]

    def _predicted(
        self, cases: Sequence[_Case], pairs: Sequence[tuple[int, float]]
    ) -> dict[tuple[int, float], _Predicted]:
        """Return the candidates of servers that ask less; many at once take hardly longer."""
        fleets = [
            cases[index].edit(self._problem.fleet, cases[index].server, factor)
            for index, factor in pairs
        ]
        servers = [cases[index].server for index, _ in pairs]
        table = candidate_table(_alone(fleets, servers), self._problem.settings)
        return {pair: _Predicted(fleets[place], table, place) for place, pair in enumerate(pairs)}

    def _served_own(
        self, problem: PlanningProblem, server: int, scope: Scope
    ) -> OwnAllocation | None:
        """Return what a server gets where it can be served, else None."""
        if not bool(np.any(problem.table.accepted & (problem.table.server == server))):
            return None
        alone = self._alone(problem, server) if self._problem.fleet.is_plain else None
        if alone is not None or scope is Scope.CARDS_LEFT:
            # What fits beside all others as they are, fits with them moving, too.
            return alone
        among = problem.among(self._with(server))
        if not self._serves(among, server):
            return None
        after = decision_of(problem.table, among.placed())
        return after.own[server]

    def _alone(self, problem: PlanningProblem, server: int) -> OwnAllocation | None:
        """Return what a server gets with the cards left, everybody else as it is."""
        only = np.zeros(len(self._served), dtype=np.bool_)
        only[server] = True
        free = self._situation.free_for(server)
        edited = problem.among(only).apart()
        if free is not None:
            edited = edited.with_capacity(
                {
                    name: max(0, int(count))
                    for name, count in zip(self._table.card_types, free, strict=True)
                }
            )
        own = decision_of(problem.table, edited.placed()).own[server]
        return own if own.served else None

    def _with(self, server: int) -> BoolArray:
        both = self._served.copy()
        both[server] = True
        return both

    def _serves(self, problem: PlanningProblem, server: int) -> bool:
        """Whether a server can be served together with all that are served now."""
        wanted, large = self._with(server), self._situation.large
        if large is None:
            return problem.serves(wanted)
        return large.serves(problem, server, wanted) or problem.serves(wanted, _LARGE_S)

    def _limits(self, server: int, factor: float) -> dict[str, float]:
        edited = self._problem.fleet.servers[server]
        for item in self._problem.fleet.service_classes:
            target = item.target_for(edited.model)
            if item.name == edited.service_class and target is not None:
                return {
                    statistic.path: limit
                    for statistic, limit in scaled_target(target, factor).limits()
                }
        return {}


def _alone(fleets: Sequence[Fleet], servers: Sequence[int]) -> Fleet:
    """Return a fleet of one server of each fleet, in order; they may be one server, edited."""
    chosen, classes = [], []
    for place, (fleet, server) in enumerate(zip(fleets, servers, strict=True)):
        asked = fleet.servers[server]
        own = next(
            (item for item in fleet.service_classes if item.name == asked.service_class), None
        )
        name = f"{place}"
        chosen.append(replace(asked, name=name, service_class=name))
        if own is not None:
            classes.append(replace(own, name=name))
    return replace(fleets[0], servers=tuple(chosen), service_classes=tuple(classes), sharing=())
