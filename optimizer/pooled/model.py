"""The mixed-integer model of a question, as arrays.

Columns are those of `optimizer.pooled.columns`: y takes an option, x counts its replicas in a pool.
Some rules need more: u says that replicas of an option stand in a zone, w that a pool may be lost
whole, s counts replicas to start, t is the largest shortfall of a class.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.pooled.columns import Columns
from optimizer.pooled.question import Question
from optimizer.pooled.rows import ModelRow, Rows
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import ObjectiveName, Survival

ROW_SCALE = 1e3
"""Right-hand side that limits are scaled to, so that a solver's tolerance is a millionth of a
thousandth of them."""


@dataclass(frozen=True, slots=True)
class PooledModel:
    """A model without objective, and what there is to minimize.

    Attributes:
        question: What it is the model of.
        columns: Its first columns.
        count: Number of all columns.
        upper: Upper bounds; lower ones are 0, (count,).
        integer: Which columns are integer, (count,).
        entry_row: Row of each coefficient.
        entry_column: Column of each coefficient.
        entry_value: Value of each coefficient.
        row_lower: Lower bounds of rows.
        row_upper: Upper bounds of rows.
        serve_row: Row of each server with options, that it takes at most one.
        marks: Server that a column serves in full when 1; -1 for none, (count,).
        goals: Each objective as coefficients, (count,), and a constant.
        spill: Cards in pools that are not preferred, by how far down they stand, (count,).
        cards: Cards of a unit of each column, (count,).
    """

    question: Question
    columns: Columns
    count: int
    upper: FloatArray
    integer: BoolArray
    entry_row: IntArray
    entry_column: IntArray
    entry_value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    serve_row: IntArray
    marks: IntArray
    goals: dict[ObjectiveName, tuple[FloatArray, float]]
    spill: FloatArray
    cards: FloatArray

    def linear(self, cost: FloatArray, rows: tuple[ModelRow, ...] = ()) -> LinearModel:
        """Return the model that minimizes a cost, with further rows."""
        base = self.row_lower.size
        return LinearModel(
            cost=cost,
            lower=np.zeros(self.count),
            upper=self.upper,
            integer=self.integer,
            entry_row=np.concatenate(
                [self.entry_row, *(np.full(r.columns.size, base + k) for k, r in enumerate(rows))]
            ).astype(np.int64),
            entry_column=np.concatenate([self.entry_column, *(r.columns for r in rows)]),
            entry_value=np.concatenate([self.entry_value, *(r.values for r in rows)]),
            row_lower=np.concatenate([self.row_lower, [r.lower for r in rows]]),
            row_upper=np.concatenate([self.row_upper, [r.upper for r in rows]]),
        )

    @property
    def whole(self) -> BoolArray:
        """Columns that take an option with all its replicas."""
        found = np.zeros(self.count, dtype=np.bool_)
        found[: self.columns.count] = self.columns.takes & ~self.columns.split[self.columns.option]
        return found

    def served_columns(self, servers: BoolArray) -> IntArray:
        """Return the columns that serve any of the masked servers in full."""
        marked = self.marks >= 0
        return np.flatnonzero(marked & servers[np.where(marked, self.marks, 0)])


def build_model(question: Question, columns: Columns) -> PooledModel:
    """Return the model of a question over the columns given."""
    return _Builder(question, columns).build()


def changes_row(model: PooledModel, most: int) -> ModelRow:
    """Return the row that lets something else run than now for so many servers at most."""
    cost, constant = model.goals[ObjectiveName.CHANGES]
    used = np.flatnonzero(cost)
    return ModelRow(used, cost[used], -np.inf, most - constant)


@dataclass(slots=True)
class _Builder:
    """Builds a model block by block."""

    question: Question
    columns: Columns
    rows: Rows = field(default_factory=Rows)
    extra: int = 0
    continuous: list[int] = field(default_factory=list)
    extra_upper: list[FloatArray] = field(default_factory=list)

    def build(self) -> PooledModel:
        question, columns = self.question, self.columns
        options = question.options
        serve_row = self._choices()
        self._totals()
        self._pools()
        self._limits()
        self._spot_by_server()
        self._zones()
        self._survival()
        starts = self._starts()
        fairness = self._fairness()
        count = columns.count + self.extra
        integer = np.ones(count, dtype=np.bool_)
        integer[self.continuous] = False
        row, column, value, lower, upper = self.rows.finished()
        marks = np.full(count, -1, dtype=np.int64)
        serving = columns.takes & options.serves[columns.option]
        marks[: columns.count][serving] = options.server[columns.option[serving]]
        return PooledModel(
            question=question,
            columns=columns,
            count=count,
            upper=np.concatenate([columns.upper, *self.extra_upper]),
            integer=integer,
            entry_row=row,
            entry_column=column,
            entry_value=value,
            row_lower=lower,
            row_upper=upper,
            serve_row=serve_row,
            marks=marks,
            goals=self._goals(count, fairness, starts),
            spill=self._by_entry(self._ranks(), count),
            cards=self._by_entry(self._entry_cards(), count),
        )

    def _new_columns(self, upper: FloatArray, *, continuous: bool = False) -> IntArray:
        first = self.columns.count + self.extra
        fresh = np.arange(first, first + upper.size)
        self.extra += upper.size
        self.extra_upper.append(upper)
        if continuous:
            self.continuous += fresh.tolist()
        return fresh

    # What columns hold ---------------------------------------------------------------------------

    def _entry_option(self) -> IntArray:
        return self.columns.option[self.columns.entry_column]

    def _entry_cards(self) -> FloatArray:
        cards = self.question.options.cards_per_replica[self._entry_option()]
        return (cards * self.columns.entry_replicas).astype(np.float64)

    def _ranks(self) -> FloatArray:
        server = self.question.options.server[self._entry_option()]
        rank = self.question.wishes.rank[server, self.columns.entry_pool]
        return rank * self._entry_cards()

    def _by_entry(self, values: FloatArray, count: int) -> FloatArray:
        found = np.bincount(self.columns.entry_column, weights=values, minlength=count)
        return found.astype(np.float64)

    def _parts(self) -> tuple[IntArray, IntArray]:
        """Return entries of split options, and their options."""
        option = self._entry_option()
        entries = np.flatnonzero(self.columns.split[option])
        return entries, option[entries]

    def _choosing(self) -> IntArray:
        """Return the column that takes each option, which every split option has one of."""
        chooser = np.full(self.question.options.count, -1, dtype=np.int64)
        takes = np.flatnonzero(self.columns.takes)
        chooser[self.columns.option[takes]] = takes
        return chooser

    # Rows ----------------------------------------------------------------------------------------

    def _choices(self) -> IntArray:
        """A server takes one option at most."""
        takes = np.flatnonzero(self.columns.takes)
        server = self.question.options.server[self.columns.option[takes]]
        known, position = np.unique(server, return_inverse=True)
        first = self.rows.block(-np.inf, 1.0, known.size)
        self.rows.add(first + position, takes, 1.0)
        return np.arange(first, first + known.size)

    def _totals(self) -> None:
        """The replicas of an option, over its pools, are as many as it asks for."""
        options, columns = self.question.options, self.columns
        split = np.flatnonzero(columns.split)
        if not split.size:
            return
        position = np.full(options.count, -1, dtype=np.int64)
        position[split] = np.arange(split.size)
        entries, option = self._parts()
        column = columns.entry_column[entries]
        chooser = self._choosing()[split]
        fixed = options.least[split] == options.most[split]
        first = self.rows.block(0.0, np.where(fixed, 0.0, np.inf), split.size)
        self.rows.add(first + position[option], column, 1.0)
        self.rows.add(first + np.arange(split.size), chooser, -options.least[split])
        growing = np.flatnonzero(~fixed)
        if growing.size:
            position[:] = -1
            position[split[growing]] = np.arange(growing.size)
            grown = position[option] >= 0
            room = np.bincount(option, weights=columns.upper[column], minlength=options.count)
            most = np.minimum(options.most, room)[split[growing]]
            first = self.rows.block(-np.inf, 0.0, growing.size)
            self.rows.add(first + position[option[grown]], column[grown], 1.0)
            self.rows.add(first + np.arange(growing.size), chooser[growing], -most)

    def _pools(self) -> None:
        """Cards of pools, quotas, and types of which some are taken nobody knows where."""
        pools, columns = self.question.pools, self.columns
        cards = self._entry_cards()
        first = self.rows.block(-np.inf, pools.cards, pools.count)
        self.rows.add(first + columns.entry_pool, columns.entry_column, cards)
        shared = pools.quota[columns.entry_pool] >= 0
        first = self.rows.block(-np.inf, pools.quota_cards, pools.quota_cards.size)
        self.rows.add(
            first + pools.quota[columns.entry_pool[shared]],
            columns.entry_column[shared],
            cards[shared],
        )
        types = np.flatnonzero(pools.type_taken > 0)
        position = np.full(pools.type_taken.size, -1, dtype=np.int64)
        position[types] = np.arange(types.size)
        of_type = position[pools.card_type[columns.entry_pool]]
        held = of_type >= 0
        first = self.rows.block(-np.inf, pools.type_left[types], types.size)
        self.rows.add(first + of_type[held], columns.entry_column[held], cards[held])

    def _limits(self) -> None:
        """Limits over the whole plan."""
        limits, options, columns = self.question.limits, self.question.options, self.columns
        option = self._entry_option()
        self._limit(columns.entry_price, limits.budget_per_hour)
        power = options.power_w[option] * columns.entry_replicas
        self._limit(power, limits.power_w)
        self._limit(options.idle_power_w[option] * columns.entry_replicas, limits.idle_power_w)
        replicas = columns.entry_replicas.astype(np.float64)
        self._limit(replicas, limits.max_replicas)
        if limits.max_spot_share is not None:
            spot = self.question.pools.spot[columns.entry_pool].astype(np.float64)
            self._limit(self._entry_cards() * (spot - limits.max_spot_share), 0.0)

    def _limit(self, values: FloatArray, limit: float | None) -> None:
        if limit is None:
            return
        largest = float(np.max(np.abs(values), initial=0.0))
        scale = ROW_SCALE / (limit if limit > 0 else largest or 1.0)
        first = self.rows.block(-np.inf, limit * scale, 1)
        row = np.full(values.size, first, dtype=np.int64)
        self.rows.add(row, self.columns.entry_column, values * scale)

    def _spot_by_server(self) -> None:
        """Of the replicas of a server no more than a share are on spot cards."""
        entries, option = self._parts()
        share = self.question.wishes.spot_share[self.question.options.server[option]]
        bound = np.unique(option[(share < 1) & self._limited(option)])
        if not bound.size:
            return
        position = np.full(self.question.options.count, -1, dtype=np.int64)
        position[bound] = np.arange(bound.size)
        here = position[option] >= 0
        spot = self.question.pools.spot[self.columns.entry_pool[entries[here]]].astype(np.float64)
        first = self.rows.block(-np.inf, 0.0, bound.size)
        self.rows.add(
            first + position[option[here]],
            self.columns.entry_column[entries[here]],
            spot - share[here],
        )

    def _limited(self, option: IntArray) -> BoolArray:
        """Return the options that are new: what is left as it runs is left where it runs."""
        options = self.question.options
        return np.asarray(options.ruled[option] | options.changed[option], dtype=np.bool_)

    def _zones(self) -> None:
        """Replicas stand in enough zones, and no zone has more than its share."""
        options, wishes, pools = self.question.options, self.question.wishes, self.question.pools
        entries, option = self._parts()
        ruled = options.ruled[option]
        entries, option = entries[ruled], option[ruled]
        column = self.columns.entry_column[entries]
        zone = pools.zone[self.columns.entry_pool[entries]]
        share = wishes.zone_share[options.server[option]]
        self._zone_shares(option, column, zone, share)
        many = wishes.zones[options.server[option]] > 1
        if not np.any(many):
            return
        option, column, zone = option[many], column[many], zone[many]
        cells, position = np.unique(option * pools.zones + zone, return_inverse=True)
        mark = self._new_columns(np.ones(cells.size))
        first = self.rows.block(-np.inf, 0.0, cells.size)
        self.rows.add(first + np.arange(cells.size), mark, 1.0)
        self.rows.add(first + position, column, -1.0)
        owner = cells // pools.zones
        known, place = np.unique(owner, return_inverse=True)
        first = self.rows.block(0.0, np.inf, known.size)
        self.rows.add(first + place, mark, 1.0)
        asked = wishes.zones[options.server[known]]
        self.rows.add(first + np.arange(known.size), self._choosing()[known], -asked)

    def _zone_shares(
        self, option: IntArray, column: IntArray, zone: IntArray, share: FloatArray
    ) -> None:
        bound = share < 1
        if not np.any(bound):
            return
        zones = self.question.pools.zones
        option, column, zone, share = option[bound], column[bound], zone[bound], share[bound]
        cells, position = np.unique(option * zones + zone, return_inverse=True)
        first = self.rows.block(-np.inf, 0.0, cells.size)
        self.rows.add(first + position, column, 1.0)
        self._each_of_option(first, cells // zones, option, column, -share)

    def _each_of_option(
        self,
        first: int,
        owner: IntArray,
        option: IntArray,
        column: IntArray,
        value: FloatArray,
    ) -> None:
        """Add, to each row of a block, all parts of the option that owns the row."""
        order = np.argsort(option, kind="stable")
        option, column, value = option[order], column[order], value[order]
        start = np.searchsorted(option, owner)
        stop = np.searchsorted(option, owner, side="right")
        counts = stop - start
        row = np.repeat(np.arange(owner.size), counts)
        offset = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        part = np.repeat(start, counts) + offset
        self.rows.add(first + row, column[part], value[part])

    def _survival(self) -> None:
        """After the loss of any one zone or node, the replicas left are enough.

        That of a replica is a number of replicas, which the options hold already.
        """
        survive = self.question.limits.headroom.survive
        if survive not in (Survival.ZONE, Survival.NODE):
            return
        options, pools = self.question.options, self.question.pools
        entries, option = self._parts()
        ruled = options.remain[option] > 0
        entries, option = entries[ruled], option[ruled]
        column = self.columns.entry_column[entries]
        pool = self.columns.entry_pool[entries]
        if survive is Survival.ZONE:
            zone = pools.zone[pool]
            cells, position = np.unique(option * pools.zones + zone, return_inverse=True)
            owner = cells // pools.zones
            first = self.rows.block(0.0, np.inf, cells.size)
            self._each_of_option(first, owner, option, column, np.ones(option.size))
            self.rows.add(first + position, column, -1.0)
            chooser = self._choosing()[owner]
            self.rows.add(first + np.arange(cells.size), chooser, -options.remain[owner])
            return
        self._node_survival(option, column, pool)

    def _node_survival(self, option: IntArray, column: IntArray, pool: IntArray) -> None:
        """A node takes with it as many replicas as fit it, or all that the pool has.

        w = 1 says that all replicas in the pool may go; otherwise those that fit a node may.
        """
        options, pools = self.question.options, self.question.pools
        whole = self._new_columns(np.ones(option.size))
        rows = np.arange(option.size)
        chooser = self._choosing()[option]
        remain = options.remain[option].astype(np.float64)
        on_node = np.maximum(1, pools.node_cards[pool] // options.cards_per_replica[option])
        # All of the pool gone: total - x >= remain y - remain (1 - w).
        first = self.rows.block(-remain, np.inf, option.size)
        self._each_of_option(first, option, option, column, np.ones(option.size))
        self.rows.add(first + rows, column, -1.0)
        self.rows.add(first + rows, chooser, -remain)
        self.rows.add(first + rows, whole, -remain)
        # A full node gone: total >= (remain + on_node) y - on_node w.
        first = self.rows.block(0.0, np.inf, option.size)
        self._each_of_option(first, option, option, column, np.ones(option.size))
        self.rows.add(first + rows, chooser, -(remain + on_node))
        self.rows.add(first + rows, whole, on_node)

    def _starts(self) -> tuple[IntArray, IntArray]:
        """Replicas to start of options that may grow, beyond those that run; with their options."""
        options = self.question.options
        growing = np.flatnonzero(options.grows & (options.start_cost > 0) & self.columns.split)
        if not growing.size:
            return growing, growing
        started = self._new_columns(options.most[growing].astype(np.float64), continuous=True)
        entries, option = self._parts()
        first = self.rows.block(0.0, np.inf, growing.size)
        self.rows.add(first + np.arange(growing.size), started, 1.0)
        column = self.columns.entry_column[entries]
        self._each_of_option(first, growing, option, column, -np.ones(option.size))
        self.rows.add(
            first + np.arange(growing.size), self._choosing()[growing], options.running[growing]
        )
        return started, growing

    def _known_starts(self) -> FloatArray:
        """Return the value of starts of each column that holds a known number of replicas."""
        options, columns = self.question.options.take(self.columns.option), self.columns
        held = np.bincount(
            columns.entry_column, weights=columns.entry_replicas, minlength=columns.count
        )
        whole = ~columns.split[columns.option]
        total = np.where(whole, np.rint(held).astype(np.int64), options.least)
        return np.where(whole | ~options.grows, options.starts(total), 0.0)

    def _fairness(self) -> IntArray:
        """The largest shortfall, t, is no less than the share that each class goes without."""
        question = self.question
        if not question.objectives.includes(ObjectiveName.FAIRNESS):
            return np.zeros(0, dtype=np.int64)
        options, columns = question.options, self.columns
        total = np.bincount(
            question.class_index, weights=question.rates, minlength=question.classes
        )
        share = np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), 0.0)
        worth = question.rates * share[question.class_index]
        largest = self._new_columns(np.ones(1), continuous=True)
        first = self.rows.block(np.where(total > 0, 1.0, -np.inf), np.inf, question.classes)
        self.rows.add(
            first + np.arange(question.classes), np.repeat(largest, question.classes), 1.0
        )
        serving = np.flatnonzero(columns.takes & options.serves[columns.option])
        server = options.server[columns.option[serving]]
        self.rows.add(first + question.class_index[server], serving, worth[server])
        option = self._entry_option()
        partly = np.flatnonzero(~options.serves[option] & (options.share_per_replica[option] > 0))
        server = options.server[option[partly]]
        carried = options.share_per_replica[option[partly]] * columns.entry_replicas[partly]
        self.rows.add(
            first + question.class_index[server],
            columns.entry_column[partly],
            worth[server] * carried,
        )
        return largest

    # Objectives ----------------------------------------------------------------------------------

    def _goals(
        self, count: int, fairness: IntArray, starts: tuple[IntArray, IntArray]
    ) -> dict[ObjectiveName, tuple[FloatArray, float]]:
        question, options, columns = self.question, self.question.options, self.columns
        takes, option = columns.takes, columns.option
        value = self._by_entry(columns.entry_value, count)
        value[: columns.count] += np.where(
            takes, options.constant[option] + self._known_starts(), 0
        )
        value[starts[0]] = options.start_cost[starts[1]]
        watts = np.nan_to_num(options.power_w[self._entry_option()]) * columns.entry_replicas
        slack = np.zeros(count)
        slack[: columns.count] = np.where(
            takes & options.serves[option], options.target_use[option], 0.0
        )
        # A server with something running that takes no option stops, which is a change.
        running = question.running[options.server[option]]
        changes = np.zeros(count)
        changes[: columns.count] = np.where(takes, options.changed[option] - running, 0.0)
        largest = np.zeros(count)
        largest[fairness] = 1.0
        return {
            ObjectiveName.COST: (value, 0.0),
            ObjectiveName.ENERGY: (self._by_entry(watts, count), 0.0),
            ObjectiveName.SLO_SLACK: (slack, 0.0),
            ObjectiveName.CHANGES: (changes, float(question.running.sum())),
            ObjectiveName.FAIRNESS: (largest, 0.0),
        }
