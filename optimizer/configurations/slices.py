"""Cards cut into slices: which slices one card holds together, and how few cards hold many.

Two ways of cutting a card are known, and a card is cut in one of them:

* NVIDIA's MIG, by compute slices (sevenths of a card). An instance stands at one of the memory
  slices that its profile may begin at, and covers some of the eight; instances do not overlap
  (NVIDIA Multi-Instance GPU User Guide, "Supported MIG Profiles"; the placements are those that
  ``nvidia-smi mig -lgipp`` prints for A100, H100 and their like).
* Equal parts: a card cut into n parts holds n of them, and no other slices.

A *pattern* is how many slices of each kind one card holds, where no further one fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from optimizer.linear_model import LinearModel, SolveLimits
from optimizer.solver import default_backend, solve
from optimizer.table import IntArray
from stoker.domain.accelerator import Slice

_PLACEMENTS: Mapping[int, tuple[tuple[int, ...], int]] = {
    1: ((0, 1, 2, 3, 4, 5, 6), 1),
    2: ((0, 2, 4), 2),
    3: ((0, 4), 4),
    4: ((0,), 4),
    7: ((0,), 8),
}
"""By sevenths of a card: memory slices that an instance may begin at, and how many it covers."""

SEVENTHS = tuple(_PLACEMENTS)
"""Sizes of MIG instances, in sevenths of a card."""


def slicing_patterns(kinds: Sequence[Slice]) -> IntArray:
    """Return how a card can be cut: slices of each kind that it holds, (patterns, kinds).

    Only patterns to which no further slice of these kinds can be added are returned, the ones with
    more of the first kind first.

    Args:
        kinds: Different kinds of slices.
    """
    found: set[tuple[int, ...]] = set()
    for index, kind in enumerate(kinds):
        if kind.parts:
            found.add(tuple(kind.parts if k == index else 0 for k in range(len(kinds))))
    own = {kind.sevenths: index for index, kind in enumerate(kinds) if kind.sevenths}
    for layout in _layouts():
        counts = [0] * len(kinds)
        for sevenths in layout:
            if sevenths in own:
                counts[own[sevenths]] += 1
        found.add(tuple(counts))
    most = [item for item in found if any(item) and not _within_another(item, found)]
    return np.array(sorted(most, reverse=True), dtype=np.int64).reshape(-1, len(kinds))


def slices_per_card(kind: Slice) -> int:
    """Return the most slices of a kind that one card holds."""
    return int(slicing_patterns([kind]).max())


def fewest_cards(slices: Mapping[Slice, int], backend: str = "highs") -> int:
    """Return the fewest cards of one type that hold numbers of slices, whoever uses them.

    Args:
        slices: Number of slices of each kind.
        backend: Solver, as settings name it; see `optimizer.solver.default_backend`.

    Raises:
        SolverUnavailableError: The solver cannot be used.
    """
    return len(fewest_cutting(slices, backend))


def fewest_cutting(
    slices: Mapping[Slice, int], backend: str = "highs"
) -> tuple[dict[Slice, int], ...]:
    """Return how the fewest cards are cut that hold numbers of slices: what each card holds.

    Args:
        slices: Number of slices of each kind.
        backend: Solver, as settings name it; see `optimizer.solver.default_backend`.

    Raises:
        SolverUnavailableError: The solver cannot be used.
    """
    kinds = [kind for kind, count in slices.items() if count > 0]
    if not kinds:
        return ()
    count = np.array([slices[kind] for kind in kinds], dtype=np.float64)
    model = LinearModel(
        cost=np.zeros(len(kinds)),
        lower=count,
        upper=count,
        integer=np.ones(len(kinds), dtype=np.bool_),
        entry_row=np.zeros(0, dtype=np.int64),
        entry_column=np.zeros(0, dtype=np.int64),
        entry_value=np.zeros(0),
        row_lower=np.full(1, -np.inf),
        row_upper=np.full(1, np.inf),
    )
    uses = [SliceUse(kind, np.array([k]), np.ones(1)) for k, kind in enumerate(kinds)]
    cut = with_cut_cards(model, uses, card_row=0, cards=int(count.sum()))
    cost = cut.cost.copy()
    cost[len(kinds) :] = 1.0
    result = solve(replace(cut, cost=cost), default_backend(backend)[0], SolveLimits())
    assert result.x is not None  # a card for each slice is always enough
    times = np.rint(result.x[len(kinds) :]).astype(np.int64)
    patterns = np.repeat(slicing_patterns(kinds), times, axis=0).tolist()
    return tuple(dict(zip(kinds, pattern, strict=True)) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class SliceUse:
    """What columns of a model take of one kind of slice.

    Attributes:
        kind: The kind.
        columns: Columns that take slices.
        slices: Slices that one unit of each takes.
    """

    kind: Slice
    columns: IntArray
    slices: np.typing.NDArray[np.float64]


def with_cut_cards(
    model: LinearModel, uses: Sequence[SliceUse], *, card_row: int, cards: int
) -> LinearModel:
    """Return a model in which slices of a card type come from whole cards, however shared.

    A column is added for each pattern, behind those that there are: how many cards are cut so, at
    no cost. A row is added for each kind of slice: no more of it is taken than the cut cards hold.
    Cards that are cut count in the row of whole cards of the type.

    Args:
        model: The model.
        uses: What its columns take of each kind of slice of the type, one entry a kind.
        card_row: The row that bounds whole cards of the type.
        cards: Cards of the type.
    """
    patterns = slicing_patterns([use.kind for use in uses])
    columns, rows, count = model.cost.size, model.row_lower.size, len(patterns)
    added = columns + np.arange(count)
    kind_row = rows + np.arange(len(uses))
    pattern, kind = np.nonzero(patterns)
    return replace(
        model,
        cost=np.concatenate([model.cost, np.zeros(count)]),
        lower=np.concatenate([model.lower, np.zeros(count)]),
        upper=np.concatenate([model.upper, np.full(count, float(cards))]),
        integer=np.concatenate([model.integer, np.ones(count, dtype=np.bool_)]),
        entry_row=np.concatenate(
            [
                model.entry_row,
                *(np.full(use.columns.size, row) for use, row in zip(uses, kind_row, strict=True)),
                kind_row[kind],
                np.full(count, card_row),
            ]
        ).astype(np.int64),
        entry_column=np.concatenate(
            [model.entry_column, *(use.columns for use in uses), added[pattern], added]
        ).astype(np.int64),
        entry_value=np.concatenate(
            [
                model.entry_value,
                *(use.slices for use in uses),
                -patterns[pattern, kind].astype(np.float64),
                np.ones(count),
            ]
        ),
        row_lower=np.concatenate([model.row_lower, np.full(len(uses), -np.inf)]),
        row_upper=np.concatenate([model.row_upper, np.zeros(len(uses))]),
    )


@cache
def _layouts() -> frozenset[tuple[int, ...]]:
    """Return the sizes of every set of MIG instances that one card holds, sorted."""
    found: set[tuple[int, ...]] = set()

    def place(free: frozenset[int], sizes: tuple[int, ...], least: int) -> None:
        found.add(tuple(sorted(sizes)))
        for start in sorted(free):
            if start < least:
                continue
            for sevenths, (starts, width) in _PLACEMENTS.items():
                taken = frozenset(range(start, start + width))
                if start in starts and taken <= free:
                    place(free - taken, (*sizes, sevenths), start + 1)

    place(frozenset(range(8)), (), 0)
    return frozenset(found)


def _within_another(counts: tuple[int, ...], found: set[tuple[int, ...]]) -> bool:
    return any(
        other != counts and all(a <= b for a, b in zip(counts, other, strict=True))
        for other in found
    )
