"""Explains one plan, step by step: prices of cards, who is not served, every allocation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from optimizer.explaining.alone import AloneOverPools
from optimizer.explaining.alternatives import (
    choice_limit,
    least_changing,
    options_of,
    options_over_pools,
    planned_without,
    preferred_of,
    settled_without,
)
from optimizer.explaining.confidence import Confidence, ProfileError
from optimizer.explaining.decision import Decision
from optimizer.explaining.edits import ProfileKey
from optimizer.explaining.margins import explained_alone, surge_notes
from optimizer.explaining.progress import Progress, Report
from optimizer.explaining.relaxation import LABEL, NO_PRICES, can_relax, relaxed_prices
from optimizer.explaining.shadow import change_with, questions
from optimizer.explaining.shared import forbidden_set, planned_without_set
from optimizer.explaining.situation import Situation
from optimizer.explaining.spare import spare_rules
from optimizer.explaining.unserved import explain_unserved
from optimizer.preparation import Clock
from stoker.domain.explanation import (
    AllocationExplanation,
    Explanation,
    Forbidden,
    Option,
    ShadowMethod,
    ShadowPrice,
)
from stoker.domain.plan import Plan
from stoker.domain.plan_change import PlanChange

DEFAULT_TIME_LIMIT_S = 60.0
_CANDIDATES, _PRICES = 0.2, 0.4
"""Shares of the time that may be over before candidates over pools, and prices, are left open."""


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


class Explainer:
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
        steps = len(plan.allocations) + len(plan.usage) + 2 * len(plan.unplaced)
        self._progress = Progress(steps, options.time_limit_s, clock, report)
        self._without_sets: dict[frozenset[int], tuple[Decision, PlanChange]] = {}
        problem = situation.problem
        pooled = not problem.fleet.is_plain
        self._over_pools = AloneOverPools(problem, plan) if pooled else None
        self._index = {name: server for server, name in enumerate(situation.table.servers)}

    def explanation(self, *, predictable: bool) -> Explanation:
        """Return the explanation.

        Args:
            predictable: Whether the predictions are Stoker's own, so that others can be made.
        """
        plan = self._plan
        confidence = None
        if predictable and self._options.errors:
            confidence = Confidence(self._situation, self._options.errors)
        options = self._candidates()
        prices = self._shadow_prices()
        unplaced = explain_unserved(
            self._situation, plan, self._options.servers, self._progress, predictable=predictable
        )
        rules = spare_rules(self._situation.problem.fleet, plan)
        allocations = tuple(
            replace(
                self._allocation(item, options.get(item.server, ()), confidence),
                spare_for=rules.get(item.server, ()),
            )
            for item in explained_alone(plan)
        )
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
        self,
        item: AllocationExplanation,
        options: tuple[Option, ...],
        confidence: Confidence | None,
    ) -> AllocationExplanation:
        situation = self._situation
        server = self._index[item.server]
        self._progress.step()
        if situation.problem.fleet.servers[server].load is None or item.accelerator is None:
            return item
        own = situation.base.own[server]
        alone = len(own.parts) <= 1 and not own.shared_with
        pooled = self._over_pools is not None
        asked = situation.problem.fleet.servers[server]
        kept = asked.keep_accelerator and asked.current is not None
        choice = choice_limit(options, own, over_pools=pooled) if alone and options else None
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
        preferred = preferred_of(options, own) if own.served and alone else None
        return replace(
            item,
            choice_limit=choice,
            keep_accelerator=kept,
            preferred=preferred,
            options=options,
            forbidden=items,
            runner_up=least_changing(items),
            replica_range=None if confidence is None else confidence.replica_range(server),
        )

    def _candidates(self) -> dict[str, tuple[Option, ...]]:
        """Return the candidates of each allocated server by value.

        Over pools each is a small plan of its own. They come first, since planning the whole fleet
        again may take all the time there is, and have a part of it alone for the same reason.
        """
        found: dict[str, tuple[Option, ...]] = {}
        for item in self._plan.allocations:
            server = self._index[item.server]
            load = self._situation.problem.fleet.servers[server].load
            if load is None or item.accelerator is None:
                continue
            if self._over_pools is None:
                found[item.server] = options_of(self._situation, server)
            elif not self._asked(item.server):
                continue
            elif self._progress.past(_CANDIDATES):
                self._progress.skip()
            else:
                priced = self._over_pools.of(server)
                found[item.server] = options_over_pools(self._situation.table, priced)
        return found

    def _shadow_prices(self) -> tuple[ShadowPrice, ...]:
        problem = self._situation.problem
        prices: list[ShadowPrice] = []
        if problem.settings.unlimited:
            return ()
        if self._options.shadow is ShadowMethod.LP:
            relaxable = can_relax(self._situation)
            return tuple(relaxed_prices(self._situation, self._plan)) if relaxable else ()
        for item in questions(problem, self._plan):
            self._progress.step()
            if self._progress.past(_PRICES):
                self._progress.skip()
                continue
            change = change_with(self._situation, item.edited(problem))
            prices.append(
                ShadowPrice(item.kind, item.of, item.amount, item.used, item.available, change)
            )
        return tuple(prices)

    def _asked(self, name: str) -> bool:
        return self._options.servers is None or name in self._options.servers

    def _without(self, server: int, name: str) -> Forbidden | None:
        """Return the plan without an accelerator; None where the time is over to plan again."""
        accelerator = self._situation.table.accelerators.index(name)
        known = settled_without(self._situation, server, accelerator)
        if known is None and self._progress.late:
            self._progress.skip()
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
            if self._progress.late:
                self._progress.skip()
                return None
            self._without_sets[members] = planned_without_set(self._situation, members)
        return forbidden_set(self._situation, server, *self._without_sets[members])

    def _notes(self) -> tuple[str, ...]:
        notes = list(surge_notes(self._plan))
        if self._options.shadow is ShadowMethod.LP:
            notes.append(LABEL if can_relax(self._situation) else NO_PRICES)
        if self._progress.skipped:
            notes.append(
                f"the time limit passed: {self._progress.skipped:,} of the questions that need "
                "planning again are left open"
            )
        if not self._situation.problem.proves:
            notes.append(
                "the greedy method proves nothing: differences are between two of its plans, and "
                "may be of either sign"
            )
        return tuple(notes)
