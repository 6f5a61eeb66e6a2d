"""From a scenario to the arrays of the kernel: random draws, limits, empty replicas."""

from __future__ import annotations

import numpy as np

from simulator.arrivals import ClosedLoop
from simulator.engine import Engine
from simulator.iteration import IterationTable
from simulator.kernel import layout as at
from simulator.kernel.layout import FloatArray, IntArray, World
from simulator.scenario import Disaggregated, Pool, Scenario
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters
from stoker.domain.routing import Router

SNAPSHOTS = 2000
"""Snapshots of a run at most."""

GAP_FROM_MS, GAP_TO_MS, GAP_RATIO = 1e-4, 1e8, 1.002
"""Range and resolution of the histogram of token gaps; what lies beyond falls into its ends."""


def build_world(scenario: Scenario, warm_up: float, cool_down: float) -> World:
    """Return the state at time 0.

    Args:
        scenario: What is simulated.
        warm_up: Share of the requests, from the first on, that no statistics count.
        cool_down: Share of the requests at the end that none count.
    """
    pools = _pools(scenario.system)
    closed = scenario.arrivals if isinstance(scenario.arrivals, ClosedLoop) else None
    count = scenario.requests
    replicas = sum(pool.replicas for pool in pools)
    batch = max(_batch_limit(pool.engine) for pool in pools)
    block = max(pool.engine.block_tokens for pool in pools)
    bins = int(np.log(GAP_TO_MS / GAP_FROM_MS) / np.log(GAP_RATIO))
    engine_i, engine_f = _engines(pools, closed)
    request_i, request_f, routing = _requests(scenario, pools)
    pending = (closed.clients if closed else 0) + (count if len(pools) == 2 else 0) + 1
    stride = -(-count // SNAPSHOTS)
    openings = pools[0].schedule or ((-np.inf, pools[0].replicas),)
    world = World(
        engine_i=engine_i,
        engine_f=engine_f,
        table=_tables(pools),
        replica_i=_replicas(pools, engine_i),
        replica_f=np.zeros((replicas, at.REPLICA_F)),
        decoding=np.zeros((replicas, batch), dtype=np.int64),
        ending=np.zeros((replicas, batch), dtype=np.int64),
        phases=np.zeros((replicas, block), dtype=np.int64),
        request_i=request_i,
        request_f=request_f,
        routing=routing,
        pending_f=np.zeros(pending),
        pending_i=np.zeros((pending, 2), dtype=np.int64),
        edges=np.geomspace(GAP_FROM_MS, GAP_TO_MS, bins + 1),
        gaps=np.zeros(bins, dtype=np.int64),
        gap_sum=np.zeros(2),
        snapshots=np.zeros((-(-count // stride) + 1, at.SNAPSHOT)),
        counts=np.zeros(at.COUNTS, dtype=np.int64),
        openings=np.array([time for time, _ in openings], dtype=np.float64),
        opened=np.array([number for _, number in openings], dtype=np.int64),
    )
    world.replica_f[:, at.END] = np.inf
    world.counts[at.SNAPSHOT_STRIDE] = stride
    world.counts[at.MEASURE_FROM] = int(warm_up * count)
    world.counts[at.MEASURE_TO] = count - int(cool_down * count)
    if closed is not None:
        _start_clients(world, min(closed.clients, count))
    return world


def _pools(system: Pool | Disaggregated) -> list[Pool]:
    return [system] if isinstance(system, Pool) else [system.prefill, system.decode]


def _batch_limit(engine: Engine) -> int:
    return min(engine.max_batch, engine.token_budget)


def _engines(pools: list[Pool], closed: ClosedLoop | None) -> tuple[IntArray, FloatArray]:
    whole = np.zeros((2, at.ENGINE_I), dtype=np.int64)
    parameters = np.zeros((2, at.PARAMETERS))
    whole[:, at.BLOCK_TOKENS] = 1
    first = 0
    for index, pool in enumerate(pools):
        engine, row = pool.engine, whole[index]
        row[at.MAX_BATCH] = _batch_limit(engine)
        lifted = engine.max_queue is None or closed is not None or index == 1
        row[at.SYSTEM_LIMIT] = (
            at.UNLIMITED if lifted else row[at.MAX_BATCH] + (engine.max_queue or 0)
        )
        row[at.TOKEN_BUDGET] = engine.token_budget
        row[at.BLOCK_TOKENS] = engine.block_tokens
        row[at.KV_BLOCKS] = (
            at.UNLIMITED if engine.kv_tokens is None else engine.kv_tokens // engine.block_tokens
        )
        row[at.ROUTER] = pool.router
        row[at.FIRST_REPLICA], row[at.REPLICAS] = first, pool.replicas
        first += pool.replicas
        match engine.iteration:
            case TokenWorkParameters() as p:
                row[at.KIND] = at.TOKEN_WORK
                parameters[index, :3] = p.alpha_ms, p.beta_ms, p.gamma_ms
            case LinearParameters() as p:
                row[at.KIND] = at.LINEAR
                parameters[index, :4] = p.alpha_ms, p.beta_ms, p.gamma_ms, p.delta_ms
            case OverlapParameters() as p:
                row[at.KIND] = at.OVERLAP
                parameters[index] = *p.engine_times_ms, *p.delays_ms
            case IterationTable() as table:
                row[at.KIND] = at.TABLE
                parameters[index, 0] = table.shared_ms
                parameters[index, -3:] = table.delays_ms
                row[at.BATCH_KNOTS] = len(table.batches)
                row[at.CONTEXT_KNOTS] = len(table.contexts)
                row[at.PREFILL_KNOTS] = len(table.prefill_tokens)
                row[at.READ_KNOTS] = len(table.prefill_contexts)
    return whole, parameters


def _tables(pools: list[Pool]) -> FloatArray:
    flat: list[FloatArray] = [np.zeros(0), np.zeros(0)]
    for index, pool in enumerate(pools):
        table = pool.engine.iteration
        if isinstance(table, IterationTable):
            flat[index] = np.concatenate(
                [
                    np.asarray(part, dtype=np.float64).ravel()
                    for part in (
                        table.batches,
                        table.contexts,
                        table.decode_ms,
                        table.prefill_tokens,
                        table.prefill_contexts,
                        table.prefill_ms,
                    )
                ]
            )
    tables = np.zeros((2, max(len(part) for part in flat)))
    for index, part in enumerate(flat):
        tables[index, : len(part)] = part
    return tables


def _replicas(pools: list[Pool], engine_i: IntArray) -> IntArray:
    state = np.zeros((sum(pool.replicas for pool in pools), at.REPLICA_I), dtype=np.int64)
    state[:, at.POOL] = np.repeat(np.arange(len(pools)), [pool.replicas for pool in pools])
    state[:, [at.PARTIAL, at.WAIT_HEAD, at.WAIT_TAIL]] = at.NOBODY
    state[:, at.FREE] = engine_i[state[:, at.POOL], at.KV_BLOCKS]
    return state


def _requests(scenario: Scenario, pools: list[Pool]) -> tuple[IntArray, FloatArray, FloatArray]:
    count = scenario.requests
    arriving, measuring, routed = np.random.default_rng(scenario.seed).spawn(3)
    whole = np.zeros((count, at.REQUEST_I), dtype=np.int64)
    tokens_in, tokens_out = scenario.lengths.draw(count, measuring)
    whole[:, at.INPUT], whole[:, at.OUTPUT] = tokens_in, tokens_out
    cached = np.floor(tokens_in * scenario.prefix_hit_rate).astype(np.int64)
    whole[:, at.CACHED] = np.minimum(cached, tokens_in - 1)
    whole[:, at.REPLICA] = at.NOBODY
    times = np.full((count, at.REQUEST_F), np.nan)
    if isinstance(scenario.arrivals, ClosedLoop):
        times[:, at.ARRIVAL] = scenario.arrivals.thinking_ms(count, arriving)
    else:
        times[:, at.ARRIVAL] = scenario.arrivals.times_ms(count, arriving)
    if isinstance(scenario.system, Disaggregated):
        system = scenario.system
        times[:, at.TRANSFER] = system.transfer_ms + system.transfer_ms_per_token * tokens_in
    random = any(pool.router is Router.RANDOM and pool.replicas > 1 for pool in pools)
    routing = routed.random((count, 2)) if random else np.zeros((1, 2))
    return whole, times, routing


def _start_clients(world: World, clients: int) -> None:
    """Let the first request of every client come, in the order of their times."""
    starts = world.request_f[:clients, at.ARRIVAL]
    order = np.argsort(starts, kind="stable")
    # An ascending list is a heap.
    world.pending_f[:clients] = starts[order]
    world.pending_i[:clients, 0] = np.arange(clients)
    world.pending_i[:clients, 1] = order
    world.counts[at.PENDING] = world.counts[at.SEQUENCE] = clients
    world.counts[at.CLOSED] = 1
    world.counts[at.NEXT_REQUEST] = clients
