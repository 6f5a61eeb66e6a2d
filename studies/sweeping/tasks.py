"""Tasks: a few points that share their predictions, planned together wherever there is room."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from functools import lru_cache

from studies.sweeping.grid import Point, Study
from studies.sweeping.planning import PointResult, Predictions, in_groups, plan_points
from studies.sweeping.rows import Layout

Task = tuple[Point, ...]
"""Points planned one after the other by one process."""

_LARGEST = 16
"""Most points of a task: what is lost when its process is."""

_ROUNDS = 8
"""Tasks for each process, at least, so that all of them are busy to the end."""


def make_tasks(study: Study, points: Iterable[Point], jobs: int) -> list[Task]:
    """Return points as tasks; those of a task share their predictions.

    Args:
        study: The study.
        points: Points that are to be planned.
        jobs: Processes that will plan them.
    """
    groups = in_groups(study, points)
    count = sum(map(len, groups))
    size = max(1, min(_LARGEST, count // (jobs * _ROUNDS)))
    return [
        tuple(group[start : start + size])
        for group in groups
        for start in range(0, len(group), size)
    ]


def plan_task(shared: bytes, task: Task) -> list[PointResult]:
    """Return the results of a task, planned in this process.

    Args:
        shared: The study without its points and the layout, pickled.
        task: The points.
    """
    study, layout, predictions = _unpacked(shared)
    return list(plan_points(study, task, layout, predictions))


@lru_cache(maxsize=1)
def _unpacked(shared: bytes) -> tuple[Study, Layout, Predictions]:
    """Return what the tasks of a sweep share, unpacked once in each process.

    Predictions only spare work: a task gives the same whatever was planned before it.
    """
    study: Study
    layout: Layout
    study, layout = pickle.loads(shared)
    return study, layout, Predictions()
