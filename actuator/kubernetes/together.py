"""Several writes at once, as far as their order allows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from stoker.domain.control.changes import ChangeResult, VariantTarget

MOST_AT_ONCE = 8
"""Fewer than the client keeps connections, and little for an API server that serves a cluster."""


def shrinks(target: VariantTarget) -> bool:
    """Return whether a workload is known to get smaller."""
    return target.replicas_before is not None and target.replicas < target.replicas_before


def written_together(
    targets: Sequence[VariantTarget],
    write: Callable[[VariantTarget], ChangeResult],
    most_at_once: int = MOST_AT_ONCE,
) -> tuple[ChangeResult, ...]:
    """Return the result of each write, in the order of the targets.

    Targets that grow, or shrink, in a row are written at once; none of the next row begins before
    all of the row are answered, so that what grows first is there before anything shrinks.

    Args:
        targets: What to write, the first first.
        write: Writes one; called from several threads.
        most_at_once: Most writes at once.
    """
    results: list[ChangeResult] = []
    for _, row in itertools.groupby(targets, key=shrinks):
        together = list(row)
        if len(together) == 1:
            results.append(write(together[0]))
            continue
        with ThreadPoolExecutor(min(most_at_once, len(together)), "write") as threads:
            results += threads.map(write, together)
    return tuple(results)
