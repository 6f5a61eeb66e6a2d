"""The model over pools as a person would write it in PuLP: names, sums, one rule a line.

It takes the same question as `optimizer.pooled.model` and shares none of its code.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pulp

from optimizer.pooled.question import Question
from stoker.domain.limits import Combination, ObjectiveName, Survival
from stoker.domain.nodes import Node
from tests.support.naive_cards import layouts, naive_per_card

_SLACK = 1e-9


class ReadableModel:
    """A question as a PuLP problem."""

    def __init__(self, question: Question, nodes: tuple[Node, ...] = ()) -> None:
        self.q = question
        self.problem = pulp.LpProblem("pools", pulp.LpMinimize)
        o, p = question.options, question.pairs
        self.y = [self._binary(f"take_{k}") for k in range(o.count)]
        self.x: dict[tuple[int, int], Any] = {
            (k, pool): self._whole(f"replicas_{k}_in_{pool}")
            for k, pool in zip(p.option.tolist(), p.pool.tolist(), strict=True)
        }
        self.price = dict(zip(self.x, p.price.tolist(), strict=True))
        self.value = dict(zip(self.x, p.value.tolist(), strict=True))
        self.of = {k: [pool for (j, pool) in self.x if j == k] for k in range(o.count)}
        self.started: dict[int, Any] = {}
        self.cut: dict[int, Any] = {}
        self.servers = len(question.table.servers)
        for k in range(o.count):
            self._option_rules(k)
        for server in range(self.servers):
            own = [self.y[k] for k in range(o.count) if o.server[k] == server]
            self.problem += pulp.lpSum(own) <= 1
        for group in range(len(question.sets)):
            members = [self.y[k] for k in range(o.count) if o.group[k] == group]
            for one in members[1:]:
                self.problem += one == members[0]
        self._pool_rules()
        if question.places is not None:
            self._nodes(nodes)
        self._limits()
        self.nothing = self._whole("nothing")
        self.worst = self._shortfalls()

    def _binary(self, name: str) -> Any:
        return self.problem.add_variable(name, 0, 1, "Integer")

    def _whole(self, name: str, kind: str = "Integer") -> Any:
        return self.problem.add_variable(name, 0, None, kind)

    def replicas(self, k: int, pools: list[int] | None = None) -> Any:
        return pulp.lpSum(self.x[k, p] for p in (self.of[k] if pools is None else pools))

    def _option_rules(self, k: int) -> None:
        q, o, take = self.q, self.q.options, self.y[k]
        wishes, pools = q.wishes, q.pools
        server, total = int(o.wisher[k]), self.replicas(k)
        if o.cards_per_replica[k] == 0:
            return
        room = int(min(o.most[k], 12 * sum(pools.cards[p] for p in self.of[k])))
        self.problem += total >= int(o.least[k]) * take
        self.problem += total <= room * take
        spot = [p for p in self.of[k] if pools.spot[p]]
        if o.ruled[k] or o.changed[k]:
            self.problem += self.replicas(k, spot) <= float(wishes.spot_share[server]) * total
        start = float(o.start_cost[k])
        if start > 0:
            self.started[k] = self._whole(f"started_{k}", "Continuous")
            self.problem += self.started[k] >= total - int(o.running[k]) * take
        if not o.ruled[k]:
            return
        zones = {int(pools.zone[p]) for p in self.of[k]}
        stands = []
        for zone in sorted(zones):
            inside = [p for p in self.of[k] if pools.zone[p] == zone]
            self.problem += self.replicas(k, inside) <= float(wishes.zone_share[server]) * total
            mark = self._binary(f"stands_{k}_{zone}")
            self.problem += mark <= self.replicas(k, inside)
            stands.append(mark)
            if q.limits.headroom.survive is Survival.ZONE:
                left = total - self.replicas(k, inside)
                self.problem += left >= int(o.remain[k]) * take
        self.problem += pulp.lpSum(stands) >= int(wishes.zones[server]) * take
        if q.limits.headroom.survive is Survival.NODE:
            for p in self.of[k]:
                held = int(pools.node_cards[p]) // int(o.cards_per_replica[k])
                if o.kind[k] >= 0:
                    held = int(pools.node_cards[p]) * naive_per_card(q.kinds[int(o.kind[k])])
                node = max(1, held)
                gone = self._binary(f"all_gone_{k}_{p}")
                need = int(o.remain[k])
                self.problem += total - self.x[k, p] >= need * take - need * (1 - gone)
                self.problem += total - node * take >= need * take - node * gone

    def _pool_rules(self) -> None:
        q, o = self.q, self.q.options

        cut = {p: self._cut_cards(p) for p in range(q.pools.count)}

        def cards(members: list[int]) -> Any:
            return pulp.lpSum(
                int(o.cards_per_replica[k]) * x
                for (k, p), x in self.x.items()
                if p in members and o.kind[k] < 0
            ) + pulp.lpSum(cut[p] for p in members)

        for p in range(q.pools.count):
            self.problem += cards([p]) <= int(q.pools.cards[p])
        for quota, most in enumerate(q.pools.quota_cards.tolist()):
            self.problem += cards(np.flatnonzero(q.pools.quota == quota).tolist()) <= most

    def _cut_cards(self, pool: int) -> Any:
        """Return the cards of a pool that are cut, each in one of the ways that there are."""
        o, kinds = self.q.options, self.q.kinds
        ways = layouts(kinds) if kinds else []
        times = [self._whole(f"cut_{pool}_{w}") for w in range(len(ways))]
        for index, kind in enumerate(kinds):
            taken = [x for (k, p), x in self.x.items() if p == pool and o.kind[k] == index]
            held = pulp.lpSum(way[kind] * n for way, n in zip(ways, times, strict=True))
            self.problem += pulp.lpSum(taken) <= held
        self.cut[pool] = pulp.lpSum(times)
        return self.cut[pool]

    def _nodes(self, nodes: tuple[Node, ...]) -> None:
        """A replica stands on a node of its pool, in one link group where any is large enough."""
        o = self.q.options
        for p, pool in enumerate(self.q.pools.pools):
            own = [node for node in nodes if node.pool == pool.name]
            on_pool = [k for (k, q) in self.x if q == p and o.kind[k] < 0]
            standing: dict[int, list[Any]] = {k: [] for k in on_pool}
            places: list[Any] = []
            for n, node in enumerate(own):
                taken: list[list[Any]] = [[] for _ in node.groups]
                for g in range(len(node.groups)):
                    places.append(self._whole(f"cut_on_{p}_{n}_{g}"))
                    taken[g].append(places[-1])
                for k in on_pool:
                    cards = int(o.cards_per_replica[k])
                    if cards <= node.largest_group:
                        for g in range(len(node.groups)):
                            count = self._whole(f"stand_{k}_{p}_{n}_{g}")
                            standing[k].append(count)
                            taken[g].append(cards * count)
                    else:
                        across = self._whole(f"across_{k}_{p}_{n}")
                        parts = [
                            self._whole(f"part_{k}_{p}_{n}_{g}") for g in range(len(node.groups))
                        ]
                        self.problem += pulp.lpSum(parts) == cards * across
                        standing[k].append(across)
                        for g, part in enumerate(parts):
                            taken[g].append(part)
                for group, cards_taken in zip(node.groups, taken, strict=True):
                    self.problem += pulp.lpSum(cards_taken) <= group.free
            for k in on_pool:
                self.problem += self.x[k, p] <= pulp.lpSum(standing[k])
            self.problem += self.cut[p] <= pulp.lpSum(places)

    def _limits(self) -> None:
        limits, o = self.q.limits, self.q.options
        for limit, each in (
            (limits.budget_per_hour, self.price),
            (limits.power_w, {key: float(o.power_w[key[0]]) for key in self.x}),
            (limits.idle_power_w, {key: float(o.idle_power_w[key[0]]) for key in self.x}),
            (limits.max_replicas, dict.fromkeys(self.x, 1.0)),
        ):
            if limit is not None:
                self.problem += pulp.lpSum(each[key] * x for key, x in self.x.items()) <= limit
        if limits.max_spot_share is not None:
            cards = {key: float(o.card_share[key[0]]) for key in self.x}
            spot = [key for key in self.x if self.q.pools.spot[key[1]]]
            every = pulp.lpSum(cards[key] * x for key, x in self.x.items())
            lost = pulp.lpSum(cards[key] * self.x[key] for key in spot)
            self.problem += lost <= limits.max_spot_share * every

    def _shortfalls(self) -> list[Any]:
        """Return, for k = 1, 2, ..., what any k classes go without, added up, at most."""
        q, o = self.q, self.q.options
        short = []
        for group in range(q.classes):
            members = np.flatnonzero(q.class_index == group).tolist()
            total = sum(float(q.rates[s]) for s in members)
            if total > 0:
                carried = []
                for k in range(o.count):
                    rate = float(q.rates[o.server[k]])
                    if int(o.server[k]) in members and o.serves[k]:
                        carried.append(rate * self.y[k])
                    elif int(o.server[k]) in members:
                        share = float(o.share_per_replica[k])
                        carried.append(rate * share * self.replicas(k))
                short.append(1 - pulp.lpSum(carried) / total)
        worst = []
        for count in range(1, len(short) + 1):
            together = self._whole(f"worst_{count}", "Continuous")
            for chosen in itertools.combinations(short, count):
                self.problem += together >= pulp.lpSum(chosen)
            worst.append(together)
        return worst

    # What is minimized ---------------------------------------------------------------------------

    def goal(self, name: ObjectiveName) -> Any:
        o = self.q.options
        if name is ObjectiveName.COST:
            return (
                pulp.lpSum(float(o.constant[k]) * self.y[k] for k in range(o.count))
                + pulp.lpSum(self.value[key] * x for key, x in self.x.items())
                + pulp.lpSum(float(o.start_cost[k]) * s for k, s in self.started.items())
            )
        if name is ObjectiveName.ENERGY:
            return pulp.lpSum(float(o.power_w[k]) * x for (k, _), x in self.x.items())
        if name is ObjectiveName.SLO_SLACK:
            used = o.target_use
            return pulp.lpSum(float(used[k]) * self.y[k] for k in range(o.count) if o.serves[k])
        if name is ObjectiveName.CHANGES:
            changed = pulp.lpSum(self.y[k] for k in range(o.count) if o.changed[k])
            runs = np.flatnonzero(self.q.running).tolist()
            stays = pulp.lpSum(self.y[k] for k in range(o.count) if int(o.server[k]) in runs)
            return changed + len(runs) - stays
        return self.worst[0] if self.worst else 0 * self.nothing

    def spill(self) -> Any:
        o, rank = self.q.options, self.q.wishes.rank
        return pulp.lpSum(
            int(rank[o.wisher[k], p]) * float(o.card_share[k]) * x for (k, p), x in self.x.items()
        )

    def solve(self) -> tuple[tuple[int, ...], list[float]]:
        """Return the served vector, and what each further stage reached."""
        objectives, o = self.q.objectives, self.q.options
        most = self.q.limits.max_changes
        if most is not None:
            changes = self.goal(ObjectiveName.CHANGES)
            self.problem += changes <= max(most, round(self._least(changes)))
        served = []
        for priority in np.unique(self.q.table.priority).tolist():
            members = np.flatnonzero(self.q.table.priority == priority).tolist()
            count = pulp.lpSum(
                self.y[k] for k in range(o.count) if o.serves[k] and int(o.server[k]) in members
            )
            served.append(-round(self._least(-1 * count)))
            self.problem += count >= served[-1]
        stages = [(self.spill(), 0.0)]
        if objectives.combine is Combination.WEIGHTED:
            total = pulp.lpSum(term.weight * self.goal(term.name) for term in objectives.terms)
            stages.append((total, 0.0))
        else:
            for term in objectives.terms:
                stages.append((self.goal(term.name), term.tolerance))
                if term.name is ObjectiveName.FAIRNESS:
                    stages += [(worst, term.tolerance) for worst in self.worst[1:]]
        if not objectives.includes(ObjectiveName.COST):
            stages.append((self.goal(ObjectiveName.COST), 0.0))
        reached = []
        for goal, tolerance in stages:
            least = self._least(goal)
            reached.append(least)
            slack = tolerance * abs(least) + _SLACK * max(1.0, abs(least))
            self.problem += goal <= least + slack
        return tuple(served), reached

    def _least(self, goal: Any) -> float:
        self.problem.setObjective(goal + 0 * self.nothing)
        self.problem.solve(pulp.HiGHS(msg=False, gapRel=1e-9))
        assert self.problem.status == pulp.LpStatusOptimal
        value = pulp.value(goal)
        return 0.0 if value is None or math.isnan(value) else float(value)
