"""A slow and plain simulator of continuous batching: one iteration after the other.

Written from the description of the engine alone, with lists and dictionaries, to be compared with
the event-driven one. It knows nothing of phases, heaps or series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from simulator.arrivals import ClosedLoop
from simulator.engine import Engine
from simulator.iteration import IterationTable
from simulator.kernel import layout as at
from simulator.kernel.layout import World
from simulator.scenario import Disaggregated, Pool, Scenario
from simulator.setup import build_world
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters
from stoker.domain.routing import Router


@dataclass(eq=False)
class Request:
    number: int
    arrival: float
    prompt: int
    output: int
    cached: int
    transfer: float
    draws: tuple[float, float]
    admitted: float = math.nan
    first: float = math.nan
    completion: float = math.nan
    delay: float = 0.0
    status: int = 0
    preemptions: int = 0
    replica: int = -1
    produced: int = 0
    computed: int = 0  # tokens whose KV is there
    goal: int = 0  # tokens to compute before the next output token
    to_compute: int = 0
    blocks: int = 0
    prefilling: bool = False
    carried: bool = False
    stage: int = 0
    token_times: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Replica:
    engine: Engine
    pool: int
    waiting: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)  # the oldest first
    end: float = math.inf
    decoders: list[Request] = field(default_factory=list)
    peak_blocks: int = 0
    busy: float = 0.0
    batch_time: float = 0.0

    @property
    def used(self) -> int:
        return sum(request.blocks for request in self.running)

    def blocks(self, tokens: int) -> int:
        return math.ceil(tokens / self.engine.block_tokens)

    @property
    def capacity(self) -> float:
        if self.engine.kv_tokens is None:
            return math.inf
        return self.engine.kv_tokens // self.engine.block_tokens

    @property
    def batch_limit(self) -> int:
        return min(self.engine.max_batch, self.engine.token_budget)

    def preempt(self) -> Request:
        victim = self.running.pop()
        victim.blocks = 0
        victim.prefilling = False
        victim.carried = False
        victim.preemptions += 1
        self.waiting.insert(0, victim)
        return victim

    def start(self, now: float) -> None:
        """Schedule one iteration."""
        preempted = False
        self.decoders = []
        for request in list(self.running):
            if request not in self.running or request.prefilling:
                continue
            wanted = self.blocks(request.prompt + request.produced)
            while request in self.running and self.used - request.blocks + wanted > self.capacity:
                self.preempt()
                preempted = True
            if request in self.running:
                request.blocks = wanted
                self.decoders.append(request)
        budget = self.engine.token_budget - len(self.decoders)
        chunks: list[tuple[int, int, float]] = []
        for request in self.running:
            if request.prefilling and budget > 0:
                budget -= self.prefill(request, budget, chunks)
        while self.waiting and budget > 0 and not preempted:
            request = self.waiting[0]
            wanted = self.blocks(request.prompt + request.produced)
            if len(self.running) >= self.batch_limit or self.used + wanted > self.capacity:
                break
            self.running.append(self.waiting.pop(0))
            request.blocks = wanted
            if math.isnan(request.admitted):
                request.admitted = now
            if request.carried:
                request.carried = False
                self.decoders.append(request)
                budget -= 1
                continue
            request.prefilling = True
            request.computed = request.cached
            request.goal = request.prompt + request.produced
            request.to_compute = request.goal - request.computed
            budget -= self.prefill(request, budget, chunks)
        self.peak_blocks = max(self.peak_blocks, self.used)
        assert self.used <= self.capacity
        if self.running:
            contexts = [request.prompt + request.produced for request in self.decoders]
            time = iteration_time(self.engine, contexts, chunks, len(self.running))
            self.end = now + time
            self.busy += time
            self.batch_time += time * len(self.running)

    def prefill(self, request: Request, budget: int, chunks: list[tuple[int, int, float]]) -> int:
        chunk = min(budget, request.goal - request.computed)
        request.computed += chunk
        chunks.append((chunk, request.computed, chunk / request.to_compute))
        return chunk

    def complete(self, split: bool) -> list[Request]:
        """End the iteration; return the requests that leave the replica."""
        now, self.end = self.end, math.inf
        leaving = []
        finished = [r for r in self.running if r.prefilling and r.computed == r.goal]
        decoders, self.decoders = self.decoders, []
        for request in decoders + finished:
            request.prefilling = False
            request.produced += 1
            request.token_times.append(now)
            if request.produced == 1:
                request.delay = delay_of(self.engine, len(decoders), request.output)
                request.first = now + request.delay
            if request.produced == request.output or (split and self.pool == 0):
                self.running.remove(request)
                request.blocks = 0
                leaving.append(request)
        return leaving


def interpolate(knots: tuple[float, ...], values: list[float], x: float) -> float:
    """Piecewise linear: constant below, straight on above, or level where it falls."""
    if len(knots) == 1 or x <= knots[0]:
        return values[0]
    if x > knots[-1]:
        slope = (values[-1] - values[-2]) / (knots[-1] - knots[-2])
        return values[-1] + max(slope, 0.0) * (x - knots[-1])
    last = len(knots) - 1
    k = next((k for k in range(last) if x < knots[k + 1]), last - 1)
    share = (x - knots[k]) / (knots[k + 1] - knots[k])
    return values[k] + share * (values[k + 1] - values[k])


def iteration_time(
    engine: Engine, contexts: list[int], chunks: list[tuple[int, int, float]], batch: int
) -> float:
    tokens = sum(chunk for chunk, _, _ in chunks)
    read = sum(end for _, end, _ in chunks)
    match engine.iteration:
        case TokenWorkParameters(alpha, beta, gamma):
            return alpha + beta * (len(contexts) + tokens) + gamma * (sum(contexts) + read)
        case LinearParameters(alpha, beta, gamma, delta):
            time = sum(gamma * share + delta * chunk * batch for chunk, _, share in chunks)
            return time + (alpha + beta * len(contexts) if contexts else 0.0)
        case IterationTable() as table:
            time = 0.0
            if contexts:
                mean = sum(contexts) / len(contexts)
                columns = [
                    interpolate(table.batches, list(column), len(contexts))
                    for column in zip(*table.decode_ms, strict=True)
                ]
                time += interpolate(table.contexts, columns, mean)
            if chunks:
                columns = [
                    interpolate(table.prefill_tokens, list(column), tokens)
                    for column in zip(*table.prefill_ms, strict=True)
                ]
                time += interpolate(table.prefill_contexts, columns, read)
                time -= table.shared_ms if contexts else 0.0
            return time
        case OverlapParameters() as p:
            count = len(contexts)
            hidden, shown = sorted([p.weights_ms, p.token_ms * (count + tokens)])
            if hidden > 0.0:
                shown = (hidden**8 + shown**8) ** (1 / 8)
            time = p.base_ms + shown + p.sequence_ms * count + p.kv_token_ms * sum(contexts)
            if chunks:
                prompts = sum(share for _, _, share in chunks)
                pairs = tokens * (read - tokens / 2) / max(prompts, 1.0)
                time += p.attention_ms * max(pairs, 0.0) + p.prompts_ms * min(prompts, 1.0)
            return time


def delay_of(engine: Engine, decoding: int, output: int) -> float:
    p = engine.iteration
    if not isinstance(p, OverlapParameters | IterationTable):
        return 0.0
    by_load = p.first_token_sequence_ms * decoding + p.first_token_output_ms * output
    return p.first_token_ms + by_load


@dataclass
class NaiveRun:
    requests: list[Request]
    replicas: list[Replica]
    end: float
    peak_in_system: int


def draw_requests(scenario: Scenario) -> list[Request]:
    """The requests that the fast simulator draws: randomness is not what is compared."""
    world: World = build_world(scenario, 0.0, 0.0)
    return [
        Request(
            number=number,
            arrival=float(world.request_f[number, at.ARRIVAL]),
            prompt=int(world.request_i[number, at.INPUT]),
            output=int(world.request_i[number, at.OUTPUT]),
            cached=int(world.request_i[number, at.CACHED]),
            transfer=float(world.request_f[number, at.TRANSFER]),
            draws=(
                float(world.routing[number % len(world.routing), 0]),
                float(world.routing[number % len(world.routing), 1]),
            ),
        )
        for number in range(scenario.requests)
    ]


def naive_simulate(scenario: Scenario) -> NaiveRun:
    requests = draw_requests(scenario)
    system = scenario.system
    pools = [system] if isinstance(system, Pool) else [system.prefill, system.decode]
    split = isinstance(system, Disaggregated)
    replicas = [
        Replica(pool.engine, index)
        for index, pool in enumerate(pools)
        for _ in range(pool.replicas)
    ]
    closed = scenario.arrivals if isinstance(scenario.arrivals, ClosedLoop) else None
    # Arrivals to come: time, kind (stream before others), sequence, request.
    coming: list[tuple[float, int, int, Request]] = []
    sequence = 0
    issued = len(requests)
    if closed is not None:
        issued = min(closed.clients, len(requests))
    for request in requests[:issued]:
        coming.append((request.arrival, 0, sequence, request))
        sequence += 1
    turns = [0, 0]
    end, peak = 0.0, 0

    def think(now: float) -> None:
        nonlocal issued, sequence
        if closed is not None and issued < len(requests):
            following = requests[issued]
            issued += 1
            coming.append((now + following.arrival, 1, sequence, following))
            sequence += 1

    def depart(request: Request, now: float) -> None:
        nonlocal sequence
        if request.produced < request.output:
            request.stage, request.carried = 1, True
            coming.append((now + request.transfer, 1, sequence, request))
            sequence += 1
            return
        request.completion, request.status = now + request.delay, 1
        think(request.completion)

    def fits(request: Request) -> bool:
        last = replicas[-1] if split and request.output > 1 else replicas[0]
        if last.blocks(request.prompt + request.output - 1) > last.capacity:
            return False
        return replicas[0].blocks(request.prompt) <= replicas[0].capacity

    def route(request: Request, now: float) -> Replica:
        pool = pools[request.stage]
        mine = [replica for replica in replicas if replica.pool == request.stage]
        if pool.schedule:
            past = [count for time, count in pool.schedule if time <= now]
            mine = mine[: past[-1] if past else pool.schedule[0][1]]
        if len(mine) == 1:
            return mine[0]
        match pool.router:
            case Router.RANDOM:
                return mine[min(int(request.draws[request.stage] * len(mine)), len(mine) - 1)]
            case Router.ROUND_ROBIN:
                turn = turns[request.stage] % len(mine)
                turns[request.stage] = (turn + 1) % len(mine)
                return mine[turn]
            case Router.SHORTEST_QUEUE:
                return min(mine, key=lambda one: len(one.running) + len(one.waiting))
            case Router.LEAST_KV:
                return min(
                    mine,
                    key=lambda one: (
                        one.used + sum(one.blocks(w.prompt + w.produced) for w in one.waiting)
                    ),
                )

    def arrive(request: Request, now: float) -> None:
        if request.stage == 0:
            request.arrival = now
            if not fits(request):
                request.status = 3
                think(now)
                return
        replica = route(request, now)
        if request.stage == 0:
            request.replica = replicas.index(replica)
            inside = len(replica.running) + len(replica.waiting)
            limit = replica.engine.max_queue
            if closed is None and limit is not None and inside >= replica.batch_limit + limit:
                request.status = 2
                return
        replica.waiting.append(request)

    while True:
        now = min([one[0] for one in coming] + [replica.end for replica in replicas])
        if now == math.inf:
            break
        end = now
        for replica in replicas:
            if replica.end == now:
                for request in replica.complete(split):
                    depart(request, now)
        while coming and min(coming, key=lambda one: one[:3])[0] <= now:
            first = min(coming, key=lambda one: one[:3])
            coming.remove(first)
            arrive(first[3], now)
        for replica in replicas:
            if replica.end == math.inf:
                replica.start(now)
        peak = max(peak, sum(len(r.running) + len(r.waiting) for r in replicas))
        if not coming and all(replica.end == math.inf for replica in replicas):
            break
    return NaiveRun(requests, replicas, end, peak)
