"""A planning problem that can be edited and placed again, without predicting everything again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from optimizer.configurations.cut_cards import on_slices
from optimizer.explaining.more_nodes import nodes_with_more
from optimizer.kept import kept_cards
from optimizer.milp import can_serve
from optimizer.placement import Outcome
from optimizer.planner import capacity_left, place
from optimizer.preparation import Clock, Prepared, may_mix
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.table import ACCEPTED, BoolArray, CandidateTable, rejection_code
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Limits
from stoker.domain.reasons import Rejection
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind

_OF_SERVERS = frozenset({"priority", "total_rate_rps", "row_start", "best_ms"})
"""Arrays of a table that are not by row alone; all others are."""

_COUNTS = frozenset({"largest_batch", "prefill_replicas", "decode_replicas", "spare_replicas"})
"""Columns that a table may do without, of counts; the others are of indices."""


_ANY = 0.5
"""Gap of a plan of which only whom it serves is asked."""


@dataclass(frozen=True, slots=True)
class PlanningProblem:
    """What a plan is made from, its candidates predicted.

    Attributes:
        fleet: The fleet.
        table: Its candidates.
        settings: How to plan, nothing left open.
        taken: Cards that are nobody's to give, by type.
        clock: Seconds.
        barred: Ways to share replicas that are not tried.
    """

    fleet: Fleet
    table: CandidateTable
    settings: OptimizerSettings
    taken: Mapping[str, int]
    clock: Clock
    barred: Barred = NOTHING_BARRED

    def placed(self) -> Outcome:
        """Return what each server gets."""
        return place(self.fleet, self.table, self.settings, self.taken, self.clock, self.barred)

    @property
    def mixes(self) -> bool:
        """Whether a server may mix accelerators."""
        return may_mix(self.settings)

    @property
    def proves(self) -> bool:
        """Whether the method finds the best plan, within its gap, and not just a good one."""
        return self.settings.unlimited or self.settings.solver is SolverKind.MILP

    @property
    def counts_cards(self) -> bool:
        """Whether cards by type are all that bounds a plan, so that those left can be counted.

        Of cards that are cut, parts may be left.
        """
        settings = self.settings
        counted = self.fleet.is_plain and not settings.unlimited and not settings.placement
        return counted and not np.any(on_slices(self.table))

    def without(self, server: int, accelerator: int) -> PlanningProblem:
        """Return the problem in which a server has no profile on an accelerator.

        What runs there may not stay either: without a profile nothing is known of it.
        """
        table = self.table
        rows = (table.server == server) & (table.accelerator == accelerator)
        problem = self._rejecting(rows)
        unknown = replace(
            problem.table, cards_per_replica=np.where(rows, 0, table.cards_per_replica)
        )
        return replace(problem, table=unknown, barred=self.barred.and_use(server, accelerator))

    def without_set(self, members: frozenset[int]) -> PlanningProblem:
        """Return the problem in which servers may not share replicas in just that set."""
        return replace(self, barred=self.barred.and_set(members))

    def among(self, servers: BoolArray) -> PlanningProblem:
        """Return the problem in which only these servers have candidates, without best effort."""
        problem = self._rejecting(~servers[self.table.server])
        settings = replace(self.settings, saturation_policy=SaturationPolicy.NONE)
        barred = self.barred.only(frozenset(np.flatnonzero(servers).tolist()))
        return replace(problem, settings=settings, barred=barred)

    def apart(self) -> PlanningProblem:
        """Return the problem in which every server has replicas of its own."""
        return replace(self, fleet=replace(self.fleet, sharing=()))

    def serves(self, servers: BoolArray, time_limit_s: float | None = None) -> bool:
        """Whether some plan serves these servers, who are all that have candidates.

        Args:
            servers: The servers, (servers,).
            time_limit_s: Seconds after which no counts for the answer; None for the plan's own.
        """
        if self.proves and self.counts_cards and not (self.mixes or self.fleet.sharing):
            capacity = capacity_left(self.fleet, self.table, self.taken)
            limit = self.settings.time_limit_s if time_limit_s is None else time_limit_s
            settings = replace(self.settings, time_limit_s=limit)
            return can_serve(self.table, capacity, settings, servers, clock=self.clock)
        return bool(np.all(self._roughly().placed().placement.served[servers]))

    def _roughly(self) -> PlanningProblem:
        """Return the problem for which any plan will do that serves all servers."""
        table = replace(self.table, priority=np.ones_like(self.table.priority))
        return replace(self, table=table, settings=replace(self.settings, relative_gap=_ANY))

    def with_cards(self, card_type: str, more: int) -> PlanningProblem:
        """Return the problem with more cards of a type, or fewer."""
        return replace(self, fleet=with_cards(self.fleet, card_type, more))

    def with_pool_cards(self, pool: str, more: int) -> PlanningProblem:
        """Return the problem with more cards in a pool; a quota stays as it is."""
        pools = tuple(
            replace(item, cards=item.cards + more) if item.name == pool else item
            for item in self.fleet.pools
        )
        card_type = next(item.card_type for item in self.fleet.pools if item.name == pool)
        fleet = self.fleet
        if any(item.card_type == card_type for item in fleet.capacity):
            fleet = with_cards(fleet, card_type, more)  # the sum of the pools, told too
        return replace(self, fleet=replace(fleet, pools=pools))

    def with_more_cards(
        self, card_type: str, pool: str | None = None
    ) -> tuple[PlanningProblem, ...]:
        """Return the problems with one more card of a type: one for each place that it may have.

        Where replicas must have a place on the nodes, that is a link group of each kind of node
        that has such cards, or a node of its own; otherwise there is one problem.

        Args:
            card_type: The type.
            pool: Pool that the card comes to; None for cards that are counted by type.
        """
        more = self.with_cards(card_type, 1) if pool is None else self.with_pool_cards(pool, 1)
        if not (self.settings.placement and self.fleet.nodes):
            return (more,)
        ways = nodes_with_more(self.fleet.nodes, card_type, pool)
        return tuple(replace(more, fleet=replace(more.fleet, nodes=nodes)) for nodes in ways)

    def with_limits(self, limits: Limits) -> PlanningProblem:
        """Return the problem with other limits."""
        return replace(self, fleet=replace(self.fleet, limits=limits))

    def with_capacity(self, counts: Mapping[str, int]) -> PlanningProblem:
        """Return the problem with these cards by type and nothing taken of them."""
        capacity = tuple(Capacity(name, count) for name, count in counts.items())
        return replace(self, fleet=replace(self.fleet, capacity=capacity), taken={})

    def with_rows(
        self, fleet: Fleet, server: int, other: CandidateTable, row: int
    ) -> PlanningProblem:
        """Return the problem in which a server has the candidates of another table's server.

        Args:
            fleet: The fleet in which the server is so.
            server: The server.
            other: A table of the same accelerators.
            row: Index of the server in that table.
        """
        return replace(self, fleet=fleet, table=_spliced(self.table, server, other, row))

    def _rejecting(self, rows: BoolArray) -> PlanningProblem:
        table = self.table
        code = rejection_code(Rejection.NO_PROFILE)
        rejection = np.where(rows & (table.rejection == ACCEPTED), code, table.rejection)
        return replace(self, table=replace(table, rejection=rejection))


def problem_of(prepared: Prepared, clock: Clock) -> PlanningProblem:
    """Return the problem that `optimizer.planner.plan_prepared` places.

    Args:
        prepared: The fleet and its candidates.
        clock: Seconds.
    """
    taken = kept_cards(prepared.kept)
    return PlanningProblem(prepared.fleet, prepared.table, prepared.settings, taken, clock)


def with_cards(fleet: Fleet, card_type: str, more: int) -> Fleet:
    """Return a fleet with more cards of a type, or fewer (never less than none)."""
    capacity = list(fleet.capacity)
    for index, item in enumerate(capacity):
        if item.card_type == card_type:
            capacity[index] = replace(item, count=max(0, item.count + more))
            break
    else:
        capacity.append(Capacity(card_type, max(0, more)))
    return replace(fleet, capacity=tuple(capacity))


def rows_of(table: CandidateTable, server: int) -> slice:
    """Return the rows of a server."""
    return slice(int(table.row_start[server]), int(table.row_start[server + 1]))


def _by_row(column: object) -> bool:
    return isinstance(column, np.ndarray)


def _spliced(
    table: CandidateTable, server: int, other: CandidateTable, other_server: int
) -> CandidateTable:
    """Return a table in which one server's rows are those of a server of another table."""
    old, new = rows_of(table, server), rows_of(other, other_server)
    changed: dict[str, object] = {}
    for item in fields(table):
        ours, theirs = getattr(table, item.name), getattr(other, item.name)
        if item.name in _OF_SERVERS or not (_by_row(ours) or _by_row(theirs)):
            continue
        # A column that one of the tables can do without says there that nothing is so.
        blank = 0 if item.name in _COUNTS else -1
        ours = ours if _by_row(ours) else np.full(len(table.server), blank, dtype=np.int64)
        theirs = theirs if _by_row(theirs) else np.full(len(other.server), blank, dtype=np.int64)
        changed[item.name] = np.concatenate([ours[: old.start], theirs[new], ours[old.stop :]])
    added = (new.stop - new.start) - (old.stop - old.start)
    size = len(table.server) + added
    changed["server"] = np.concatenate(
        [
            table.server[: old.start],
            np.full(new.stop - new.start, server, dtype=np.int64),
            table.server[old.stop :],
        ]
    )
    row_start = table.row_start.copy()
    row_start[server + 1 :] += added
    rate = table.total_rate_rps.copy()
    rate[server] = other.total_rate_rps[other_server]
    return replace(
        table,
        **changed,  # type: ignore[arg-type]
        row_start=row_start,
        total_rate_rps=rate,
        best_ms=np.full((len(table.statistics), size), np.nan),
    )
