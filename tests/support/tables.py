"""Small candidate tables made by hand or by Hypothesis, and plans for them by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from optimizer.table import EMPTY, CandidateTable, IntArray, Transitions
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT


@dataclass(frozen=True)
class Option:
    """One candidate: an accelerator of a type, its cards and cost per replica, and its rate."""

    accelerator: int
    card_type: int
    cards: int
    unit_cost: float
    rate: float


@dataclass(frozen=True)
class Case:
    """Servers as (priority, total rate, minimum replicas, options), and cards by type."""

    servers: tuple[tuple[int, float, int, tuple[Option, ...]], ...]
    capacity: tuple[int, ...]
    current: tuple[tuple[int, float], ...]
    penalty: float = 0.1

    def replicas(self, server: int, option: Option) -> int:
        """Replicas that carry the whole load of a server on one option."""
        _, total, least, _ = self.servers[server]
        return max(least, math.ceil(total / option.rate), 1)

    def value(self, server: int, counts: dict[Option, int]) -> float:
        """Value of a mix, seen from the current allocation."""
        now, cost_now = self.current[server]
        cost = sum(option.unit_cost * n for option, n in counts.items())
        moved = sum(
            option.unit_cost * n for option, n in counts.items() if option.accelerator != now
        )
        stays = any(option.accelerator == now for option, n in counts.items() if n)
        return cost - cost_now + self.penalty * (moved + (0.0 if stays else cost_now))


def make_table(case: Case) -> tuple[CandidateTable, IntArray]:
    """Return the candidate table and the capacity of a case."""
    rows = []
    starts = [0]
    for server, (_, total, least, options) in enumerate(case.servers):
        if total == 0 and least == 0:
            cost_now = case.current[server][1]
            rows.append((server, EMPTY, -1, 0, 0, 0, 0.0, 0.0, (case.penalty - 1) * cost_now, 0.0))
        else:
            for option in options:
                n = case.replicas(server, option)
                value = case.value(server, {option: n})
                whole = (server, option.accelerator, option.card_type, n, least, option.cards)
                money = (option.unit_cost, option.unit_cost * n, value)
                rows.append((*whole, *money, option.rate))
        starts.append(len(rows))
    data = np.array(rows, dtype=np.float64).reshape(-1, 10)
    integers = data[:, :6].astype(np.int64)
    unknown = np.full(len(rows), np.nan)
    accelerators = 1 + max((o.accelerator for s in case.servers for o in s[3]), default=0)
    table = CandidateTable(
        servers=tuple(f"s{k}" for k in range(len(case.servers))),
        accelerators=tuple(f"a{k}" for k in range(accelerators)),
        card_types=tuple(f"t{k}" for k in range(len(case.capacity))),
        priority=np.array([s[0] for s in case.servers], dtype=np.int64),
        total_rate_rps=np.array([s[1] for s in case.servers], dtype=np.float64),
        row_start=np.array(starts, dtype=np.int64),
        server=integers[:, 0],
        accelerator=integers[:, 1],
        card_type=integers[:, 2],
        rejection=np.zeros(len(rows), dtype=np.int64),
        replicas=integers[:, 3],
        min_replicas=integers[:, 4],
        max_replicas=np.full(len(rows), 10_000, dtype=np.int64),
        max_batch=np.ones(len(rows), dtype=np.int64),
        max_queue=np.zeros(len(rows), dtype=np.int64),
        cards_per_replica=integers[:, 5],
        unit_cost_per_hour=data[:, 6],
        cost_per_hour=data[:, 7],
        value=data[:, 8],
        ttft_ms=unknown,
        itl_ms=unknown,
        utilization=unknown,
        blocking=unknown,
        max_rate_rps=data[:, 9],
        estimate=np.full(len(rows), -1, dtype=np.int64),
        statistics=(MEAN_TTFT, MEAN_ITL),
        best_ms=np.full((2, len(rows)), np.nan),
        transitions=Transitions(
            accelerator=np.array([c[0] for c in case.current], dtype=np.int64),
            cost_per_hour=np.array([c[1] for c in case.current], dtype=np.float64),
            penalty=case.penalty,
        ),
    )
    return table, np.array(case.capacity, dtype=np.int64)


@dataclass(frozen=True)
class Best:
    """Served vector, value and cards of the best plan."""

    served: tuple[int, ...]
    value: float
    cards: int


def brute_force(
    case: Case,
    *,
    mixed: bool,
    fits: Callable[[Sequence[dict[Option, int]]], bool] = lambda _: True,
) -> Best:
    """Return the best plan by trying every combination of choices of every server.

    Args:
        case: The case.
        mixed: Whether a server may have several options.
        fits: Whether the replicas of all servers may stand together, beside cards by type.
    """
    priorities = sorted({s[0] for s in case.servers})
    per_server = [list(_choices(case, server, mixed=mixed)) for server in range(len(case.servers))]
    best: tuple[tuple[int, ...], float, int] | None = None
    for combination in itertools.product(*per_server):
        used = [0] * len(case.capacity)
        for choice in combination:
            for option, n in (choice or {}).items():
                used[option.card_type] += option.cards * n
        if any(u > c for u, c in zip(used, case.capacity, strict=True)):
            continue
        if not fits([choice for choice in combination if choice]):
            continue
        served = [0] * len(priorities)
        value = 0.0
        for server, choice in enumerate(combination):
            if choice is not None:
                served[priorities.index(case.servers[server][0])] += 1
                value += case.value(server, choice)
        key = (tuple(-n for n in served), round(value, 9), sum(used))
        if best is None or key < best:
            best = key
    assert best is not None
    return Best(tuple(-n for n in best[0]), best[1], best[2])


def _choices(case: Case, server: int, *, mixed: bool) -> Iterator[dict[Option, int] | None]:
    """Yield every way to treat a server: nothing, or replicas by option that serve it."""
    yield None
    _, total, least, options = case.servers[server]
    if total == 0 and least == 0:
        yield {}
        return
    if not mixed:
        for option in options:
            yield {option: case.replicas(server, option)}
        return
    most = [range(case.replicas(server, option) + 1) for option in options]
    for counts in itertools.product(*most):
        rate = math.fsum(n * option.rate for n, option in zip(counts, options, strict=True))
        if sum(counts) >= max(least, 1) and rate >= total * (1 - 1e-12):
            yield {option: n for option, n in zip(options, counts, strict=True) if n}


@st.composite
def cases(draw: st.DrawFn, servers: int = 4, options: int = 3) -> Case:
    """Draw a small fleet with few cards, several priorities and, at times, running servers."""
    types = draw(st.integers(1, 2))
    built = []
    current = []
    for _ in range(draw(st.integers(1, servers))):
        listed = draw(
            st.lists(
                st.builds(
                    Option,
                    accelerator=st.integers(0, 4),
                    card_type=st.integers(0, types - 1),
                    cards=st.integers(1, 3),
                    unit_cost=st.sampled_from([0.5, 1.0, 1.25, 2.0, 3.5]),
                    rate=st.sampled_from([0.4, 1.0, 1.5, 2.2]),
                ),
                max_size=options,
                unique_by=lambda option: option.accelerator,
            )
        )
        total = draw(st.sampled_from([0.0, 0.7, 2.0, 3.1]))
        built.append((draw(st.integers(1, 3)), total, draw(st.integers(0, 2)), tuple(listed)))
        running: Sequence[tuple[int, float]] = [(EMPTY, 0.0), (0, 2.0), (1, 1.5)]
        current.append(draw(st.sampled_from(running)))
    capacity = tuple(draw(st.integers(0, 9)) for _ in range(types))
    return Case(tuple(built), capacity, tuple(current))
