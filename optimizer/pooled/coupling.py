"""What ties servers to each other, by replica: cards of pools, quotas, and limits on the plan.

The same rows as those of `optimizer.pooled.model`, as prices see them: with a price on each row,
every server can be planned by itself, and what that adds up to is a bound on all plans.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from optimizer.pooled.goals import SPILL, WEIGHTED
from optimizer.pooled.question import Question
from optimizer.table import FloatArray, IntArray
from stoker.domain.limits import Combination, ObjectiveName


@dataclass(frozen=True, slots=True)
class Goal:
    """The first stage by replica and option.

    Attributes:
        name: Name of the stage.
        pair: What a replica adds, (pairs,).
        option: What taking an option adds, starts left out, (options,).
        start_weight: What the start of a replica counts for, in its value.
    """

    name: str
    pair: FloatArray
    option: FloatArray
    start_weight: float

    def plus(self, other: Goal, weight: float) -> Goal:
        """Return this goal with some of another one added."""
        return Goal(
            self.name,
            self.pair + weight * other.pair,
            self.option + weight * other.option,
            self.start_weight + weight * other.start_weight,
        )

    def times(self, weight: float) -> Goal:
        """Return a multiple of this goal."""
        return Goal(self.name, weight * self.pair, weight * self.option, weight * self.start_weight)

    @property
    def size(self) -> float:
        """Amount that it is about, to compare goals by."""
        return float(np.abs(self.pair).sum() + np.abs(self.option).sum())


def first_goal(question: Question) -> Goal:
    """Return what the first stage of `optimizer.pooled.goals` minimizes."""
    return _goals(question)[0]


def later_goals(question: Question) -> tuple[Goal, ...]:
    """Return what the stages after the first minimize."""
    return _goals(question)[1:]


def _goals(question: Question) -> tuple[Goal, ...]:
    options, pairs = question.options, question.pairs
    objectives = question.objectives
    rank = question.wishes.rank[options.wisher[pairs.option], pairs.pool]
    spill = rank * options.card_share[pairs.option]
    goals = [Goal(SPILL, spill, np.zeros(options.count), 0.0)] if np.any(spill) else []
    terms = [(_goal(question, term.name), term.weight) for term in objectives.terms]
    if objectives.combine is Combination.WEIGHTED:
        (only, weight), *others = terms
        alone = not others and weight == 1.0
        total = replace(only.times(weight), name=only.name if alone else WEIGHTED)
        for goal, share in others:
            total = total.plus(goal, share)
        goals.append(total)
    else:
        goals += [goal for goal, _ in terms]
    if not objectives.includes(ObjectiveName.COST):
        goals.append(_goal(question, ObjectiveName.COST))
    return tuple(goals)


def _goal(question: Question, name: ObjectiveName) -> Goal:
    options, pairs = question.options, question.pairs
    pair, option = np.zeros(pairs.option.size), np.zeros(options.count)
    if name is ObjectiveName.COST:
        return Goal(name.value, pairs.value, options.constant, 1.0)
    if name is ObjectiveName.ENERGY:
        pair = np.nan_to_num(options.power_w)[pairs.option]
    elif name is ObjectiveName.SLO_SLACK:
        option = np.where(options.serves, options.target_use, 0.0)
    elif name is ObjectiveName.CHANGES:
        option = options.changed - question.running[options.server].astype(np.float64)
    else:
        raise AssertionError(f"{name} is not told by replica")
    return Goal(name.value, pair, option, 0.0)


@dataclass(slots=True)
class Coupling:
    """Rows over all servers, each ``sum <= bound``.

    Attributes:
        bound: Right-hand sides.
        by_pair: Row and coefficient of a replica of each pair, row -1 for none.
        by_option: Row and coefficient of taking an option.
    """

    bound: list[float] = field(default_factory=list)
    by_pair: list[tuple[IntArray, FloatArray]] = field(default_factory=list)
    by_option: list[tuple[int, FloatArray]] = field(default_factory=list)

    @classmethod
    def of(cls, question: Question) -> Coupling:
        """Return the rows of a question."""
        options, pairs, pools = question.options, question.pairs, question.pools
        limits = question.limits
        rows = cls()
        cards = options.cards_per_replica[pairs.option].astype(np.float64)
        rows._block(pools.cards, pairs.pool, cards)
        rows._block(pools.quota_cards, pools.quota[pairs.pool], cards)
        held = np.flatnonzero(pools.type_taken > 0)
        place = np.full(pools.type_taken.size, -1, dtype=np.int64)
        place[held] = np.arange(held.size)
        rows._block(pools.type_left[held], place[pools.card_type[pairs.pool]], cards)
        rows._limit(limits.budget_per_hour, pairs.price)
        rows._limit(limits.power_w, options.power_w[pairs.option])
        rows._limit(limits.idle_power_w, options.idle_power_w[pairs.option])
        counted = options.counts_as[pairs.option].astype(np.float64)
        rows._limit(limits.max_replicas, counted)
        if limits.max_spot_share is not None:
            spot = question.pools.spot[pairs.pool].astype(np.float64)
            rows._limit(0.0, cards * (spot - limits.max_spot_share))
        if limits.max_changes is not None:
            running = float(question.running.sum())
            rows.limit_options(
                limits.max_changes - running, _goal(question, ObjectiveName.CHANGES).option
            )
        return rows

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.bound)

    def limit_options(self, bound: float, value: FloatArray) -> None:
        """Add a row over what taking an option counts for."""
        self.by_option.append((self.count, value))
        self.bound.append(bound)

    def pair_prices(self, price: FloatArray, pairs: int) -> FloatArray:
        """Return what a replica of each pair uses of all rows, at these prices."""
        worth = np.zeros(pairs)
        for row, value in self.by_pair:
            worth += np.where(row >= 0, price[row], 0.0) * value
        return worth

    def option_prices(self, price: FloatArray, options: int) -> FloatArray:
        """Return what taking each option uses of all rows, at these prices."""
        worth = np.zeros(options)
        for row, value in self.by_option:
            worth += price[row] * value
        return worth

    def _block(self, bound: IntArray, row: IntArray, value: FloatArray) -> None:
        self.by_pair.append((np.where(row >= 0, self.count + row, -1), value))
        self.bound += bound.astype(np.float64).tolist()

    def _limit(self, bound: float | None, value: FloatArray) -> None:
        if bound is None:
            return
        self.by_pair.append((np.full(value.size, self.count, dtype=np.int64), value))
        self.bound.append(float(bound))
