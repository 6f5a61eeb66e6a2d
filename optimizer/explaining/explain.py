"""From a plan and its fleet to the explanation: everything put together, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.explaining.alternatives import (
    choice_limit,
    least_changing,
    options_of,
    planned_without,
    settled_without,
)
from optimizer.explaining.confidence import Confidence, ProfileError
from optimizer.explaining.decision import Decision
from optimizer.explaining.edits import ProfileKey
from optimizer.explaining.margins import explained_alone
from optimizer.explaining.matching import matched_decision
from optimizer.explaining.problem import problem_of
from optimizer.explaining.reach import Reach
from optimizer.explaining.relaxation import LABEL, NO_PRICES, can_relax, relaxed_prices
from optimizer.explaining.shadow import change_with, questions
from optimizer.explaining.shared import forbidden_set, matched_sharing, planned_without_set
from optimizer.explaining.situation import Situation, situation_of
from optimizer.preparation import Clock, Prepared, prepare
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.explanation import (
    AllocationExplanation,
    Explanation,
    Forbidden,
    ShadowMethod,
    ShadowPrice,
)
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan, PlanStatus, UnplacedReason
from stoker.domain.plan_change import PlanChange
from stoker.domain.settings import OptimizerSettings, SolverKind
from stoker.domain.unplaced_explanation import (
    FittingLoad,
    Purchase,
    ReachableTargets,
    Scope,
    UnplacedExplanation,
)

Report = Callable[[int, int], None]
"""Is told how many steps are done, of how many."""

DEFAULT_TIME_LIMIT_S = 60.0

_AT_ONCE = 8
"""Servers whose searches go side by side: the time limit is looked at between them."""


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What to explain, and for how long.

    Attributes:
        servers: Names of the servers to explain by planning again; None for all.
        time_limit_s: Time after which nothing further is planned again; None for no limit.
        shadow: How prices of cards are found.
        errors: How far off profiles are, by model, accelerator and configuration.
    """

    servers: Collection[str] | None = None
    time_limit_s: float | None = DEFAULT_TIME_LIMIT_S
    shadow: ShadowMethod = ShadowMethod.EXACT
    errors: Mapping[ProfileKey, ProfileError] = field(default_factory=dict)


def explain_alone(plan: Plan) -> Explanation:
    """Return what a plan tells of itself, without its fleet."""
    return Explanation(
        currency=plan.currency,
        cost_per_hour=plan.cost_per_hour,
        objective=plan.objective,
        method=plan.method,
        allocations=explained_alone(plan),
        unplaced=tuple(
            UnplacedExplanation(item.server, item.reason, item.detail, item.remedy)
            for item in plan.unplaced
        ),
        notes=(
            "without the fleet, runners-up, prices of cards and what would serve further servers "
            "are unknown",
        ),
    )


def explain_plan(
    fleet: Fleet,
    plan: Plan,
    settings: OptimizerSettings | None = None,
    options: ExplainOptions | None = None,
    *,
    estimates: Sequence[CandidateEstimate] | None = None,
    clock: Clock = time.perf_counter,
    report: Report | None = None,
) -> Explanation:
    """Return why a plan is as it is, by planning the fleet again under edits.

    Args:
        fleet: The fleet that the plan was made for.
        plan: The plan.
        settings: How it was made; None for what the plan tells and the fleet's own settings.
        options: What to explain, and for how long.
        estimates: The predictions that it was made from, where they were not Stoker's own.
        clock: Seconds, for the time limit.
        report: Is told how many steps are done, of how many.

    Raises:
        InvalidInputError: The plan is not of this fleet.
        SolverUnavailableError: The solver cannot be used.
    """
    chosen = settings or settings_of(plan, fleet.settings)
    planned = with_planned_capacity(fleet, plan)
    prepared = prepare(planned, chosen, estimates=estimates, clock=clock)
    return explain_prepared(prepared, plan, options, clock=clock, report=report)


def explain_prepared(
    prepared: Prepared,
    plan: Plan,
    options: ExplainOptions | None = None,
    *,
    clock: Clock = time.perf_counter,
    report: Report | None = None,
) -> Explanation:
    """Return why a plan is as it is, from what it was made from: nothing of it is predicted again.

    Args:
        prepared: What the plan was made from.
        plan: The plan.
        options: What to explain, and for how long.
        clock: Seconds, for the time limit.
        report: Is told how many steps are done, of how many.

    Raises:
        InvalidInputError: The plan was not made from that.
        SolverUnavailableError: The solver cannot be used.
    """
    problem = problem_of(prepared, clock)
    base = matched_decision(problem.fleet, problem.table, plan)
    if problem.fleet.sharing:
        base = matched_sharing(problem, base, plan)
    situation = situation_of(problem, base)
    explainer = _Explainer(situation, plan, options or ExplainOptions(), clock, report)
    return explainer.explanation(predictable=prepared.own_predictions)


def prepared_of(
    fleet: Fleet, plan: Plan, *, heterogeneous: bool | None = None, clock: Clock = time.perf_counter
) -> Prepared:
    """Return what a plan was made from, as far as it and its fleet tell.

    Args:
        fleet: The fleet that it was made for.
        plan: The plan.
        heterogeneous: Whether it was allowed to mix accelerators; None for what it tells.
        clock: Seconds, for timings.

    Raises:
        InvalidInputError: What the fleet promises is beyond the plan's analysis.
    """
    settings = settings_of(plan, fleet.settings)
    if heterogeneous is not None:
        settings = replace(settings, heterogeneous=heterogeneous)
    return prepare(with_planned_capacity(fleet, plan), settings, clock=clock)


def settings_of(plan: Plan, own: OptimizerSettings) -> OptimizerSettings:
    """Return how a plan was made, as far as it tells, and otherwise the fleet's own settings."""
    milp = plan.method.startswith("milp")
    return replace(
        own,
        unlimited=plan.method == "unlimited",
        solver=SolverKind.GREEDY if plan.method == "greedy" else SolverKind.MILP,
        heterogeneous=milp and (own.heterogeneous or any(item.mix for item in plan.allocations)),
        analysis=plan.analysis,
    )


def with_planned_capacity(fleet: Fleet, plan: Plan) -> Fleet:
    """Return a fleet with the cards that a plan was made with; pools stay as they are."""
    if not fleet.is_plain:
        return fleet
    told = {item.card_type: item.available for item in plan.usage}
    counts: dict[str, int] = {}
    for item in fleet.capacity:
        counts[item.card_type] = counts.get(item.card_type, 0) + item.count
    for name, available in told.items():
        if available is not None and (available or name in counts):
            counts[name] = available
    return replace(fleet, capacity=tuple(Capacity(name, n) for name, n in counts.items()))


class _Explainer:
    """Explains one plan, step by step."""

    def __init__(
        self,
        situation: Situation,
        plan: Plan,
        options: ExplainOptions,
        clock: Clock,
        report: Report | None,
    ) -> None:
        self._situation = situation
        self._plan = plan
        self._options = options
        self._clock = clock
        limit = options.time_limit_s
        self._deadline = None if limit is None else clock() + limit
        self._report = report
        self._skipped = 0
        self._done = 0
        self._steps = len(plan.allocations) + len(plan.usage) + 2 * len(plan.unplaced)
        self._sharing = bool(situation.problem.fleet.sharing)
        self._without_sets: dict[frozenset[int], tuple[Decision, PlanChange]] = {}
        self._index = {name: server for server, name in enumerate(situation.table.servers)}

    def explanation(self, *, predictable: bool) -> Explanation:
        """Return the explanation.

        Args:
            predictable: Whether the predictions are Stoker's own, so that others can be made.
        """
        plan = self._plan
        confidence = None
        if predictable and self._options.errors and not (self._sharing or self._situation.sliced):
            confidence = Confidence(self._situation, self._options.errors)
        prices = self._shadow_prices()
        unplaced = self._unplaced(predictable=predictable)
        allocations = tuple(self._allocation(item, confidence) for item in explained_alone(plan))
        return Explanation(
            currency=plan.currency,
            cost_per_hour=plan.cost_per_hour,
            objective=plan.objective,
            method=plan.method,
            allocations=allocations,
            unplaced=unplaced,
            shadow_prices=prices,
            regret=None if confidence is None else confidence.regret(),
            notes=self._notes(),
        )

    def _allocation(
        self, item: AllocationExplanation, confidence: Confidence | None
    ) -> AllocationExplanation:
        situation = self._situation
        server = self._index[item.server]
        self._step()
        if situation.problem.fleet.servers[server].load is None or item.accelerator is None:
            return item
        own = situation.base.own[server]
        options = options_of(situation, server)
        alone = len(own.parts) <= 1 and not own.shared_with
        choice = choice_limit(options, own) if alone and options else None
        names = dict.fromkeys(part.accelerator for part in own.parts)
        items: tuple[Forbidden, ...] = ()
        if own.served and self._asked(item.server):
            items = tuple(
                found
                for name in names
                if name is not None and (found := self._without(server, name)) is not None
            )
            apart = self._without_set(server) if own.shared_with else None
            items = (apart, *items) if apart is not None else items
        dearer = own.served and alone and options[0].accelerator not in names
        preferred = options[0] if dearer else None
        return replace(
            item,
            choice_limit=choice,
            preferred=preferred,
            options=options,
            forbidden=items,
            runner_up=least_changing(items),
            replica_range=None if confidence is None else confidence.replica_range(server),
        )

    def _shadow_prices(self) -> tuple[ShadowPrice, ...]:
        problem = self._situation.problem
        prices: list[ShadowPrice] = []
        if problem.settings.unlimited:
            return ()
        if self._options.shadow is ShadowMethod.LP:
            relaxable = can_relax(self._situation)
            return tuple(relaxed_prices(self._situation, self._plan)) if relaxable else ()
        for item in questions(problem, self._plan):
            self._step()
            if self._late():
                self._skipped += 1
                continue
            change = change_with(self._situation, item.edited(problem))
            prices.append(
                ShadowPrice(item.kind, item.of, item.amount, item.used, item.available, change)
            )
        return tuple(prices)

    def _unplaced(self, *, predictable: bool) -> tuple[UnplacedExplanation, ...]:
        """Return what would serve each server that is not; searches go side by side."""
        named = {item.server: item for item in self._plan.unplaced}
        wanted = [
            name
            for name, item in named.items()
            if item.reason is not UnplacedReason.LOAD_UNKNOWN
            and self._plan.status is not PlanStatus.TIME_LIMIT
            and self._asked(name)
        ]
        servers = [self._index[name] for name in wanted]
        targets: dict[str, tuple[ReachableTargets, ...]] = dict.fromkeys(named, ())
        loads: dict[str, tuple[FittingLoad, ...]] = dict.fromkeys(named, ())
        purchases: dict[str, tuple[Purchase, ...]] = dict.fromkeys(named, ())
        if not servers or self._sharing:
            return self._put_together(targets, loads, purchases)
        reach = Reach(self._situation)
        if predictable:
            whole = self._situation.problem
            left = whole.counts_cards
            scopes = tuple(Scope) if left else (Scope.REPLANNED,)
            for start in range(0, len(servers), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                if self._late():
                    self._skipped += len(servers[some])
                    continue
                found = reach.nearest(servers[some], scopes)
                for name, server in zip(wanted[some], servers[some], strict=True):
                    targets[name], loads[name] = found[server]
                self._step(len(servers[some]))
        for name, server in zip(wanted, servers, strict=True):
            self._step()
            if not self._situation.problem.fleet.is_plain or (
                self._situation.problem.settings.placement
            ):
                continue
            if self._late():
                self._skipped += 1
            else:
                purchases[name] = reach.purchases(server)
        return self._put_together(targets, loads, purchases)

    def _put_together(
        self,
        targets: Mapping[str, tuple[ReachableTargets, ...]],
        loads: Mapping[str, tuple[FittingLoad, ...]],
        purchases: Mapping[str, tuple[Purchase, ...]],
    ) -> tuple[UnplacedExplanation, ...]:
        return tuple(
            UnplacedExplanation(
                server=item.server,
                reason=item.reason,
                detail=item.detail,
                remedy=item.remedy,
                reachable=targets[item.server],
                loads=loads[item.server],
                purchases=purchases[item.server],
            )
            for item in self._plan.unplaced
        )

    def _asked(self, name: str) -> bool:
        return self._options.servers is None or name in self._options.servers

    def _without(self, server: int, name: str) -> Forbidden | None:
        """Return the plan without an accelerator; None where the time is over to plan again."""
        accelerator = self._situation.table.accelerators.index(name)
        known = settled_without(self._situation, server, accelerator)
        if known is None and self._late():
            self._skipped += 1
            return None
        return known or planned_without(self._situation, server, accelerator)

    def _without_set(self, server: int) -> Forbidden | None:
        """Return the plan in which those who share a server's replicas may not; None if late."""
        names = (
            *self._situation.base.own[server].shared_with,
            self._situation.table.servers[server],
        )
        members = frozenset(self._index[name] for name in names)
        if members not in self._without_sets:
            if self._late():
                self._skipped += 1
                return None
            self._without_sets[members] = planned_without_set(self._situation, members)
        return forbidden_set(self._situation, server, *self._without_sets[members])

    def _late(self) -> bool:
        return self._deadline is not None and self._clock() > self._deadline

    def _step(self, steps: int = 1) -> None:
        self._done += steps
        if self._report is not None:
            self._report(min(self._done, self._steps), self._steps)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self._options.shadow is ShadowMethod.LP:
            notes.append(LABEL if can_relax(self._situation) else NO_PRICES)
        if self._skipped:
            notes.append(
                f"the time limit passed: {self._skipped:,} of the questions that need planning "
                "again are left open"
            )
        if self._sharing and (self._plan.unplaced or self._options.errors):
            notes.append(
                "where servers may share replicas, neither what would serve further servers nor "
                "the error of profiles is looked into"
            )
        if self._situation.sliced and self._options.errors:
            notes.append(
                "where cards are cut into slices, the error of profiles is not looked into"
            )
        if not self._situation.problem.proves:
            notes.append(
                "the greedy method proves nothing: differences are between two of its plans, and "
                "may be of either sign"
            )
        return tuple(notes)
