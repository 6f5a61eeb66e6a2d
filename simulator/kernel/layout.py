"""The state of a simulation as arrays, and the names of their columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

UNLIMITED = 1 << 60
"""A limit that nothing reaches."""

NOBODY = -1
"""In place of a request: none."""

# Kinds of iteration time.
TOKEN_WORK, LINEAR, TABLE, OVERLAP = 0, 1, 2, 3

# Routers.
RANDOM, ROUND_ROBIN, SHORTEST_QUEUE, LEAST_KV = 0, 1, 2, 3

# Columns of `engine_i`, a row for each pool.
KIND = 0
MAX_BATCH = 1
SYSTEM_LIMIT = 2  # requests in a replica at most
TOKEN_BUDGET = 3
KV_BLOCKS = 4
BLOCK_TOKENS = 5
ROUTER = 6
FIRST_REPLICA = 7
REPLICAS = 8
BATCH_KNOTS = 9
CONTEXT_KNOTS = 10
PREFILL_KNOTS = 11
READ_KNOTS = 12
ENGINE_I = 13

# Columns of `engine_f`: parameters of the iteration time, or shared_ms of a table first.
PARAMETERS = 10

# Columns of `request_i`.
INPUT = 0
OUTPUT = 1
CACHED = 2
STATUS = 3
PREEMPTIONS = 4
REPLICA = 5
PRODUCED = 6  # output tokens so far; not kept up while decoding
TO_COMPUTE = 7  # tokens to compute before the next output token
LEFT = 8  # those of them still to compute
ORDER = 9  # place in the line of its replica
BASE = 10  # context at its decode iteration number c of the replica, less c
FINISH = 11  # number of the decode iteration after which it leaves
NEXT = 12  # behind it in the waiting line
CARRIED = 13  # its KV comes with it
STAGE = 14  # pool
REQUEST_I = 15

# Values of STATUS.
IN_SYSTEM, DONE, TURNED_AWAY, TOO_LARGE = 0, 1, 2, 3

# Columns of `request_f`, milliseconds.
ARRIVAL = 0  # in a closed loop the thinking time before it arrives
ADMITTED = 1
FIRST_TOKEN = 2
COMPLETION = 3
LAST_TOKEN = 4
TRANSFER = 5
DELAY = 6  # of its tokens outside the engine, known with the first
REQUEST_F = 7

# Columns of `replica_i`.
POOL = 0
DECODING = 1
COUNTER = 2  # decode iterations so far
CONTEXT = 3  # tokens that the next or running iteration reads in decode
PARTIAL = 4  # request whose prompt is computed in part
ENDING = 5  # requests whose prefill ends with the running iteration
JOINING = 6  # requests that came with their KV and decode for the first time
WAIT_HEAD = 7
WAIT_TAIL = 8
WAITING = 9
WAIT_BLOCKS = 10
FREE = 11
ITERATIONS = 12  # of the running stretch; 0 where none runs
READY = 13  # at a boundary with an iteration to start
SYSTEM = 14  # requests here, waiting and in service
BATCH = 15  # requests in service during the running stretch
PEAK_BLOCKS = 16
TOTAL_ITERATIONS = 17
REPLICA_I = 18

# Columns of `replica_f`.
START = 0
END = 1
FIRST_MS = 2  # first iteration of the stretch
STEP_MS = 3  # each further one takes longer by this
BATCH_TIME = 4  # integrals over time
WAITING_TIME = 5
BLOCK_TIME = 6
BUSY_TIME = 7
WAITING_SINCE = 8
REPLICA_F = 9

# Entries of `counts`.
NEXT_REQUEST = 0
ARRIVED = 1
SEQUENCE = 2
PENDING = 3
CLOSED = 4
COMPLETED = 5
PREEMPTED = 6
LINE = 7
TURN = 8  # two entries: round robin of each pool
MEASURE_FROM = 10
MEASURE_TO = 11
SNAPSHOT_STRIDE = 12
SNAPSHOTS = 13
BLOCKED = 14
STREAMED = 15
OPENING = 16  # entry of the openings that holds now
COUNTS = 17

# Columns of `snapshots`.
AT_MS = 0
S_BATCH_TIME = 1
S_WAITING_TIME = 2
S_BLOCK_TIME = 3
S_BUSY_TIME = 4
S_COMPLETED = 5
S_PREEMPTED = 6
S_BATCH = 7
S_WAITING = 8
S_BLOCKS = 9
S_ITERATIONS = 10
S_BLOCKED = 11
S_STREAMED = 12
SNAPSHOT = 13


class World(NamedTuple):
    """All state of a simulation.

    Attributes:
        engine_i: Whole numbers of each pool's engine, shape (2, ENGINE_I).
        engine_f: Parameters of each pool, shape (2, PARAMETERS).
        table: Knots and grids of each pool's table, one after the other, shape (2, size).
        replica_i: Shape (replicas, REPLICA_I).
        replica_f: Shape (replicas, REPLICA_F).
        decoding: Heap of the decoding requests by their end, shape (replicas, batch).
        ending: Requests whose prefill ends with the running iteration from the front, those that
            join decode with it from the back, shape (replicas, batch).
        phases: Decoding requests by the iteration, modulo the block, in which they need their
            next block, shape (replicas, block).
        request_i: Shape (requests, REQUEST_I).
        request_f: Shape (requests, REQUEST_F).
        routing: Random numbers from 0 to 1, shape (requests, 2), or (1, 2) where none are drawn.
        pending_f: Times of the heap of arrivals to come.
        pending_i: Sequence number and request of each of them, shape (capacity, 2).
        edges: Edges of the histogram of token gaps in milliseconds.
        gaps: Tokens by the gap before them, shape (len(edges) - 1,).
        gap_sum: Sum of gaps, number of tokens.
        snapshots: Shape (number, SNAPSHOT).
        counts: Shape (COUNTS,).
        openings: Times at which the number of replicas that take requests changes, ascending.
        opened: From each of them on, how many of the first pool's replicas do, the first ones.
    """

    engine_i: IntArray
    engine_f: FloatArray
    table: FloatArray
    replica_i: IntArray
    replica_f: FloatArray
    decoding: IntArray
    ending: IntArray
    phases: IntArray
    request_i: IntArray
    request_f: FloatArray
    routing: FloatArray
    pending_f: FloatArray
    pending_i: IntArray
    edges: FloatArray
    gaps: IntArray
    gap_sum: FloatArray
    snapshots: FloatArray
    counts: IntArray
    openings: FloatArray
    opened: IntArray
