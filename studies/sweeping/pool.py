"""Points planned here: one after the other in this process, or by a pool of processes.

A process that dies (out of memory, a crash in a library) takes its whole pool down, and nobody
tells which point did it. So the tasks that were under way are planned again one at a time, each
alone in a pool of its own, and a point whose process dies again is recorded as failed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_end
from multiprocessing.process import BaseProcess

from studies.sweeping.grid import Point, Study
from studies.sweeping.planning import PointResult, Predictions, plan_points
from studies.sweeping.rows import Layout
from studies.sweeping.tasks import Task, plan_task

_AHEAD = 2
"""Tasks handed out for each process, so that none waits for work."""

DIED = "the process that planned this point died (out of memory, or a crash in a library)"


def run_here(study: Study, layout: Layout, tasks: Sequence[Task]) -> Iterator[list[PointResult]]:
    """Yield the results of tasks, planned in this process, point by point."""
    predictions = Predictions()
    for task in tasks:
        for result in plan_points(study, task, layout, predictions):
            yield [result]


def run_pool(
    study: Study, layout: Layout, tasks: Sequence[Task], jobs: int
) -> Iterator[list[PointResult]]:
    """Yield the results of tasks as they come, planned by a pool of processes.

    Args:
        study: The study; its points are not sent along.
        layout: Columns of the results.
        tasks: The tasks.
        jobs: Number of processes.
    """
    shared = pickle.dumps((study.without_points(), layout))
    pending = deque(tasks)
    while pending:
        with _Pool(jobs) as pool:
            yield from pool.run(shared, layout, pending, jobs * _AHEAD)
        yield from _one_by_one(shared, layout, [(point,) for task in pool.lost for point in task])


def _one_by_one(
    shared: bytes, layout: Layout, tasks: Sequence[tuple[Point]]
) -> Iterator[list[PointResult]]:
    """Plan points that some process may have died of, each with nothing beside it."""
    waiting = deque(tasks)
    while waiting:
        with _Pool(1) as pool:
            pending: deque[Task] = deque(waiting)
            yield from pool.run(shared, layout, pending, 1)
        for (point,) in pool.lost:
            yield [PointResult(point.index, layout.failed_row(point, DIED))]
        waiting = deque((point,) for task in pending for point in task)


class _Pool:
    """A pool of processes that is gone, processes and all, when its context is left."""

    def __init__(self, jobs: int) -> None:
        self.lost: list[Task] = []
        before = set(multiprocessing.active_children())
        self._before: set[BaseProcess] = before
        self._executor = ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
        )

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._executor.shutdown()
            return
        # Interrupted: a solve may have minutes to go, and nobody wants its answer any more.
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - self._before:
            process.kill()
            process.join()

    def run(
        self, shared: bytes, layout: Layout, pending: deque[Task], ahead: int
    ) -> Iterator[list[PointResult]]:
        """Yield results until nothing is pending or the pool broke; `lost` then has the tasks."""
        running: dict[Future[list[PointResult]], Task] = {}
        broken = False
        while (pending and not broken) or running:
            while pending and not broken and len(running) < ahead:
                task = pending.popleft()
                try:
                    running[self._executor.submit(plan_task, shared, task)] = task
                except BrokenProcessPool:
                    pending.appendleft(task)
                    broken = True
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken = True
                    self.lost.append(task)
                except Exception as error:  # noqa: BLE001  (one task's trouble is not the sweep's)
                    reason = f"the process failed: {type(error).__name__}: {error}"
                    yield [PointResult(p.index, layout.failed_row(p, reason)) for p in task]


def _begin() -> None:
    """Prepare a process of the pool: interrupts are its parent's, and it ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for_end([sentinel])
    os._exit(1)


def usable_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
