"""What requests pay for engine time, batch slots and KV memory, at given prices.

Time is cut into moments. Engine time has a price in each of them; a batch slot, and a token of KV
memory, have one at each boundary between them. Beyond the last moment everything is free. A request
pays for its prompt in the cheapest moment of a window. For its further tokens it pays in the moment
that is the cheapest in all: whoever is not completed when a boundary comes holds a slot and memory
there. One that misses its targets pays likewise, in longer windows; who misses is chosen so that
the least is paid.

What is paid is a concave function of the prices, and linear as long as nobody changes its choice:
`Cuts` are that linear function, above the true one everywhere (`studies.traces.prices`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from studies.traces.requests import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A way in which requests may be served; arrays (requests,).

    Attributes:
        prompt_ms: Engine time of the prompt.
        decode_ms: Engine time of further tokens.
        prompt_by: Last moment in which the prompt may be computed.
        decode_by: Last moment in which further tokens may be, not before the one above.
        held_from: First boundary at which the request is in service if it is not completed;
            boundary k is at the beginning of moment k, from 1 on; moments + 1 for none.
        completed_from: First moment in which it can be completed.
    """

    prompt_ms: FloatArray
    decode_ms: FloatArray
    prompt_by: IntArray
    decode_by: IntArray
    held_from: IntArray
    completed_from: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What requests pay the least for; arrays (requests,).

    Attributes:
        cost: What each pays.
        prompt_at: Moment of its prompt.
        decode_at: Moment of its further tokens.
        held_until: Last boundary at which it is in service.
    """

    cost: FloatArray
    prompt_at: IntArray
    decode_at: IntArray
    held_until: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """What is paid, as a linear function of the prices, for requests by the moment they arrive in.

    Attributes:
        paid: What is paid in all.
        miss_price: What the last request that may miss saves by it: a price of missing.
        amounts: Engine time, slots and tokens paid for, (moments, 3 * moments).
        missing: Requests that miss by choice, (moments,).
    """

    paid: float
    miss_price: float
    amounts: FloatArray
    missing: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Requests, in the order of their arrival, and what replicas have to sell.

    Attributes:
        first: Moment in which each arrives, (requests,).
        kept: How it is served within its targets.
        late: How it is served otherwise; None where that takes nothing.
        tokens: KV memory that it holds in service, at least, (requests,).
        lost: Requests that miss anyway, (requests,).
        may_miss: Requests that may miss, those among them.
        moments: Moments that have a price.
        moment_ms: Engine time that a replica has in each of them.
        slots: Requests that a replica can have in service.
        kv_tokens: Its KV memory; infinite where that is not known.
    """

    first: IntArray
    kept: Service
    late: Service | None
    tokens: FloatArray
    lost: BoolArray = field(kw_only=True)
    may_miss: int = field(kw_only=True)
    moments: int = field(kw_only=True)
    moment_ms: float = field(kw_only=True)
    slots: float = field(kw_only=True)
    kv_tokens: float = field(kw_only=True)

    @property
    def by_choice(self) -> int:
        """Requests that may miss besides those that miss anyway."""
        return max(self.may_miss - int(self.lost.sum()), 0)

    @property
    def sold(self) -> FloatArray:
        """What a replica has of everything that has a price, (3 * moments,)."""
        return np.repeat([self.moment_ms, self.slots, self.kv_tokens], self.moments)

    def paid(self, prices: FloatArray) -> Cuts:
        """Return what requests pay at some prices, (3 * moments,): of engine, slots, memory."""
        kept = self.cheapest(self.kept, prices)
        late = None if self.late is None else self.cheapest(self.late, prices)
        otherwise = np.zeros(len(self.first)) if late is None else late.cost
        missing = self.lost.copy()
        miss_price = 0.0
        if self.by_choice:
            saved = np.where(self.lost, -np.inf, kept.cost - otherwise)
            most = np.argpartition(-saved, self.by_choice - 1)[: self.by_choice]
            missing[most] = True
            miss_price = max(float(saved[most].min()), 0.0)
        amounts = self._amounts(self.kept, kept, ~missing)
        if self.late is not None and late is not None:
            amounts += self._amounts(self.late, late, missing)
        return Cuts(
            float(kept.cost[~missing].sum() + otherwise[missing].sum()),
            miss_price,
            amounts,
            np.bincount(self.first[missing & ~self.lost], minlength=self.moments).astype(float),
        )

    def cheapest(self, service: Service, prices: FloatArray) -> Choice:
        """Return what requests pay the least for where they are served in some way."""
        count, end = len(self.first), self.moments
        engine = np.append(prices[:end], 0.0)
        # Sums over the boundaries 1 to k; boundary 0, before everything, has no price.
        slot = np.concatenate([[0.0], np.cumsum(prices[end : 2 * end])])
        memory = np.concatenate([[0.0], np.cumsum(prices[2 * end :])])
        before = np.minimum(service.held_from - 1, end)
        prompt, prompt_at = np.full(count, np.inf), self.first.copy()
        decode, decode_at = np.full(count, np.inf), self.first.copy()
        held_until = self.first.copy()
        rows = np.arange(count)
        for ahead in range(int((service.decode_by - self.first).max()) + 1):
            rows = rows[self.first[rows] + ahead <= service.decode_by[rows]]
            moment = self.first[rows] + ahead
            price = engine[moment]
            better = (price < prompt[rows]) & (moment <= service.prompt_by[rows])
            prompt[rows[better]] = price[better]
            prompt_at[rows[better]] = moment[better]
            until = np.minimum(np.maximum(moment, service.completed_from[rows]), end)
            since = np.minimum(before[rows], until)
            cost = service.decode_ms[rows] * price + (slot[until] - slot[since])
            cost += self.tokens[rows] * (memory[until] - memory[since])
            better = cost < decode[rows]
            decode[rows[better]] = cost[better]
            decode_at[rows[better]] = moment[better]
            held_until[rows[better]] = until[better]
        return Choice(service.prompt_ms * prompt + decode, prompt_at, decode_at, held_until)

    def _amounts(self, service: Service, choice: Choice, rows: BoolArray) -> FloatArray:
        """Return what some requests pay for, by the moment in which they arrive."""
        end = self.moments
        width = end + 2

        def added(at: IntArray, values: FloatArray) -> FloatArray:
            places = (self.first * width + at)[rows]
            sums = np.bincount(places, values[rows], end * width).astype(np.float64)
            return sums.reshape(end, width)

        engine = added(choice.prompt_at, service.prompt_ms)
        engine += added(choice.decode_at, service.decode_ms)
        holds = choice.held_until >= service.held_from

        def over_time(values: FloatArray) -> FloatArray:
            held = np.where(holds, values, 0.0)
            steps = added(service.held_from, held) - added(choice.held_until + 1, held)
            return np.asarray(np.cumsum(steps, axis=1)[:, 1 : end + 1])

        slots, memory = over_time(np.ones(len(self.first))), over_time(self.tokens)
        return np.hstack([engine[:, :end], slots, np.round(memory)])
