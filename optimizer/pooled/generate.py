"""Columns of large fleets by pricing: only patterns that the relaxation asks for are made.

The relaxation of a large fleet has one row a server and a few dozen that tie servers together.
Given prices of the latter, each server is planned by itself (`optimizer.pooled.patterns`): its best
pattern joins the relaxation where that would gain by it, and the sum over all servers is a bound on
every plan, whatever the prices (Lagrangian relaxation). So there is a bound whenever time is up.
Sources: Dantzig and Wolfe, Decomposition principle for linear programs, 1960; Geoffrion, Lagrangean
relaxation for integer programming, 1974.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from optimizer.highs import GrowingProgram
from optimizer.pooled.columns import Columns
from optimizer.pooled.coupling import Coupling, Goal
from optimizer.pooled.pattern_pricer import PatternPricer
from optimizer.pooled.patterns import Patterns
from optimizer.pooled.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray

MOST_ROUNDS = 200
_NEGATIVE = 1e-7
"""What a column gains at least, relative to the largest price of a server."""
_ARTIFICIAL = 10.0
"""Cost of breaking a row by one, in units of what all servers are worth together."""
_SMOOTHING = 0.5
"""Share of the prices of the best bound in those that columns are looked for at."""
_CLOSEST = 4
"""Patterns of a server, beside its best, that are kept for the search after the relaxation."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What pricing found.

    Attributes:
        patterns: Patterns that were made.
        bound: What the goal, less the prices of servers served, is at least in every plan.
        share: Shares of patterns in the relaxation, (patterns,); None if it was never solved.
        reach: Its objective; infinite if it was never solved.
        prices: Prices of rows that prove the bound.
        reduced: What patterns cost at the prices that prove the bound, (patterns,).
    """

    patterns: Patterns
    bound: float
    share: FloatArray | None
    reach: float
    prices: FloatArray
    reduced: FloatArray


@dataclass(slots=True)
class Generator:
    """Makes columns for a question.

    Attributes:
        question: The question.
        goal: What is minimized.
        served_price: Price of leaving each server unserved, (servers,).
        coupling: Rows over all servers.
        scale: What all servers together are worth, as a measure of what breaking a row costs.
    """

    question: Question
    goal: Goal
    served_price: FloatArray
    coupling: Coupling
    scale: float
    _pricer: PatternPricer = field(init=False)
    _marked: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        options = self.question.options
        self._pricer = PatternPricer(self.question)
        self._marked = np.where(options.serves, self.served_price[options.server], 0.0)

    def run(self, time_left: Callable[[], float], gap: float) -> Generated:
        """Return patterns whose relaxation is within a gap of the bound, or as far as time allows.

        Args:
            time_left: Seconds that are left.
            gap: What may be left between the relaxation over the patterns and the bound.
        """
        rows = _Prices(np.zeros(self.coupling.count), np.zeros(self._servers))
        priced, bound = self._price(rows.limits)
        best = rows.limits
        made = self._made(self._best_by_type(priced, np.full(self._servers, np.inf)), priced)
        program = GrowingProgram(np.concatenate([np.ones(self._servers), self.coupling.bound]))
        self._add_artificial(program)
        self._add(program, made)
        artificial = int(np.sum(self._broken))
        share: FloatArray | None = None
        reach = np.inf
        known = 0
        for _ in range(MOST_ROUNDS):
            left = time_left()
            solved = program.solve(left) if left > 0 else None
            if solved is None:
                break
            x, price, reach = solved
            share, known = x[artificial:], made.count
            if reach - bound <= gap:
                break
            rows = _Prices(price[self._servers :], price[: self._servers])
            # Halfway between the prices of the best bound and those of the last relaxation the
            # bound rises faster; where that finds no column, the latter decide.
            for prices in (_SMOOTHING * best + (1 - _SMOOTHING) * rows.limits, rows.limits):
                priced, own = self._price(prices)
                if own > bound:
                    bound, best = own, prices
                fresh = self._gaining(self._made(self._wanted(priced, rows), priced), rows)
                if fresh.count or reach - bound <= gap:
                    break
            if not fresh.count:
                break
            self._add(program, fresh)
            made = made.joined(fresh)
        whole = np.zeros(made.count)
        if share is None:
            made = made.joined(self._by_pool())
            whole = np.zeros(made.count)
        else:
            whole[:known] = share
        priced, _ = self._price(best)
        close = self._made(self._closest(priced), priced)
        made = made.joined(close)
        whole = np.concatenate([whole, np.zeros(close.count)])
        return Generated(
            patterns=made,
            bound=bound,
            share=None if share is None else whole,
            reach=reach,
            prices=best,
            reduced=self.reduced(made, best),
        )

    @property
    def _servers(self) -> int:
        return self.served_price.size

    @property
    def _broken(self) -> BoolArray:
        return np.asarray(np.array(self.coupling.bound) < 0, dtype=np.bool_)

    def _price(self, limits: FloatArray) -> tuple[_Best, float]:
        """Return what options cost at prices of limits, and the bound that they prove."""
        question = self.question
        options, pairs = question.options, question.pairs
        pair = self.goal.pair + self.coupling.pair_prices(limits, pairs.option.size)
        option = self.goal.option + self.coupling.option_prices(limits, options.count)
        priced = self._pricer.priced(pair, self.goal.start_weight)
        option = option - self._marked
        least = np.zeros(self._servers)
        np.minimum.at(least, options.server, option + priced.bound)
        bound = float(least.sum() - limits @ np.array(self.coupling.bound))
        return _Best(option + priced.cost, priced.total, pair), bound

    def _best_by_type(self, priced: _Best, most: FloatArray) -> IntArray:
        """Return the cheapest option of each server and card type that costs less than this."""
        options = self.question.options
        types = int(options.card_type.max(initial=0)) + 2
        key = options.server * types + options.card_type + 1
        order = np.lexsort((priced.cost, key))
        first = np.ones(order.size, dtype=np.bool_)
        first[1:] = key[order[1:]] != key[order[:-1]]
        chosen = np.sort(order[first])
        fine = np.isfinite(priced.cost[chosen])
        fine &= priced.cost[chosen] < most[options.server[chosen]]
        return chosen[fine]

    def _wanted(self, priced: _Best, rows: _Prices) -> IntArray:
        return self._best_by_type(priced, self._tolerance - rows.servers)

    @property
    def _tolerance(self) -> float:
        return -_NEGATIVE * float(np.max(self.served_price, initial=1.0))

    def _by_pool(self) -> Patterns:
        """Return the best patterns where any one pool is out of reach: for plans made in turn."""
        pairs, none = self.question.pairs, np.zeros(self.coupling.count)
        made = []
        for pool in range(self.question.pools.count):
            priced, _ = self._price(none)
            dear = priced.pair + np.where(pairs.pool == pool, np.abs(priced.pair).max(), 0.0)
            again = self._pricer.priced(dear, self.goal.start_weight)
            option = self.goal.option - self._marked
            best = _Best(option + again.cost, again.total, dear)
            touched = self._best_by_type(best, np.full(self._servers, np.inf))
            held = self.question.options.card_type[touched] == self.question.pools.card_type[pool]
            made.append(self._made(touched[held], best))
        found = made[0]
        for more in made[1:]:
            found = found.joined(more)
        return found

    def _closest(self, priced: _Best) -> IntArray:
        """Return the few cheapest options of each server."""
        options = self.question.options
        order = np.lexsort((priced.cost, options.server))
        server = options.server[order]
        start = np.searchsorted(server, np.arange(self._servers))
        near = order[np.arange(order.size) - start[server] < _CLOSEST]
        return np.sort(near[np.isfinite(priced.cost[near])])

    def _made(self, chosen: IntArray, priced: _Best) -> Patterns:
        return self._pricer.patterns(chosen, priced.total[chosen], priced.pair)

    def _worth(self, patterns: Patterns) -> FloatArray:
        """Return the goal of patterns less the prices of the servers that they serve."""
        options = self.question.options
        replicas = np.bincount(
            patterns.entry_pattern, weights=patterns.entry_replicas, minlength=patterns.count
        )
        worth = np.bincount(
            patterns.entry_pattern,
            weights=patterns.entry_replicas * self.goal.pair[patterns.entry_pair],
            minlength=patterns.count,
        )
        chosen = options.take(patterns.option)
        starts = chosen.starts(np.rint(replicas).astype(np.int64))
        option = (self.goal.option - self._marked)[patterns.option]
        total: FloatArray = worth + option + self.goal.start_weight * starts
        return total

    def reduced(self, patterns: Patterns, limits: FloatArray) -> FloatArray:
        """Return what patterns cost at prices of limits."""
        pair = self.coupling.pair_prices(limits, self.question.pairs.option.size)
        option = self.coupling.option_prices(limits, self.question.options.count)
        used = np.bincount(
            patterns.entry_pattern,
            weights=patterns.entry_replicas * pair[patterns.entry_pair],
            minlength=patterns.count,
        )
        reduced: FloatArray = self._worth(patterns) + used + option[patterns.option]
        return reduced

    def _gaining(self, patterns: Patterns, rows: _Prices) -> Patterns:
        """Return the patterns that the relaxation with these prices gains by."""
        server = self.question.options.server[patterns.option]
        reduced = self.reduced(patterns, rows.limits) + rows.servers[server]
        return patterns.take(np.flatnonzero(reduced < self._tolerance))

    def _add(self, program: GrowingProgram, patterns: Patterns) -> None:
        """Add patterns to the relaxation."""
        options, first = self.question.options, self._servers
        every = np.arange(patterns.count)
        column = [every]
        row = [options.server[patterns.option]]
        value = [np.ones(patterns.count)]
        for at, use in self.coupling.by_pair:
            held = np.flatnonzero(at[patterns.entry_pair] >= 0)
            pair = patterns.entry_pair[held]
            column.append(patterns.entry_pattern[held])
            row.append(first + at[pair])
            value.append(use[pair] * patterns.entry_replicas[held])
        for number, use in self.coupling.by_option:
            column.append(every)
            row.append(np.full(patterns.count, first + number))
            value.append(use[patterns.option])
        size = first + self.coupling.count
        key = np.concatenate(column) * size + np.concatenate(row)
        cells, place = np.unique(key, return_inverse=True)
        summed = np.bincount(place, weights=np.concatenate(value)).astype(np.float64)
        start = np.searchsorted(cells, every * size)
        program.add(self._worth(patterns), start, cells % size, summed)

    def _add_artificial(self, program: GrowingProgram) -> None:
        """Add columns that break rows at a price, where taking nothing does not keep them."""
        broken = np.flatnonzero(self._broken)
        if broken.size:
            cost = np.full(broken.size, _ARTIFICIAL * max(self.scale, 1.0))
            program.add(cost, np.arange(broken.size), self._servers + broken, -np.ones(broken.size))


@dataclass(frozen=True, slots=True)
class _Prices:
    """Prices of rows: those over all servers, and of each server's choice."""

    limits: FloatArray
    servers: FloatArray


@dataclass(frozen=True, slots=True)
class _Best:
    """Options at prices: what each costs, its replicas, and the prices of pairs that it is at."""

    cost: FloatArray
    total: IntArray
    pair: FloatArray


def pattern_columns(question: Question, patterns: Patterns) -> Columns:
    """Return the columns of a model, one for each pattern."""
    pairs = question.pairs
    pair, count = patterns.entry_pair, patterns.entry_replicas
    return Columns(
        option=patterns.option,
        takes=np.ones(patterns.count, dtype=np.bool_),
        upper=np.ones(patterns.count),
        split=np.zeros(question.options.count, dtype=np.bool_),
        entry_column=patterns.entry_pattern,
        entry_pool=pairs.pool[pair],
        entry_replicas=count,
        entry_price=count * pairs.price[pair],
        entry_value=count * pairs.value[pair],
    )
