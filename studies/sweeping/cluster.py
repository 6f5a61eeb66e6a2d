"""Points planned by a Dask cluster, found by the address of its scheduler.

Workers hold nothing that cannot be made again: a task carries its points, and what is common to all
is a task too. A worker that dies therefore costs no more than the work it had in hand; a task that
several workers die of is recorded as failed.
"""

from __future__ import annotations

import importlib.util
import logging
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stoker import __version__
from stoker.domain.errors import InvalidInputError, Problem, StokerError
from studies.sweeping.grid import Study
from studies.sweeping.planning import PointResult
from studies.sweeping.rows import Layout
from studies.sweeping.tables import MissingExtraError
from studies.sweeping.tasks import Task, plan_task

if TYPE_CHECKING:
    from distributed import Client

_LOGGERS = ("distributed", "distributed.client", "distributed.comm")
_CONNECT_S = 10.0
_WORKERS_S = 30.0


class ClusterLostError(StokerError):
    """The cluster went away during a sweep."""


def worker_version() -> str:
    """Return the version of Stoker on a worker; it fails where there is none."""
    return __version__


def run_cluster(
    study: Study, layout: Layout, tasks: Sequence[Task], address: str
) -> Iterator[list[PointResult]]:
    """Yield the results of tasks as they come from a cluster's workers.

    Args:
        study: The study; its points are not sent along.
        layout: Columns of the results.
        tasks: The tasks.
        address: Address of the scheduler, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingExtraError: Dask is not installed here.
        InvalidInputError: Nobody answers at the address, the cluster has no workers, or they have
            another Stoker or none.
        ClusterLostError: The scheduler went away.
    """
    if importlib.util.find_spec("distributed") is None:
        raise MissingExtraError("--scheduler", "Dask (distributed)")
    with _told_once():
        yield from _run(study, layout, tasks, address)


@contextmanager
def _told_once() -> Iterator[None]:
    """Keep Dask's client from logging what the errors raised here say already."""
    importlib.import_module("distributed")  # which sets the levels of its loggers
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _run(
    study: Study, layout: Layout, tasks: Sequence[Task], address: str
) -> Iterator[list[PointResult]]:
    from distributed import CancelledError, Client, as_completed
    from distributed.scheduler import KilledWorker

    try:
        connect: Any = Client  # published without type information
        client = connect(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise _refused(f"no scheduler answers at {address}: {error}") from error
    with client:
        _check_workers(client)
        shared = client.submit(bytes, pickle.dumps((study.without_points(), layout)))
        futures: dict[Any, Task] = {
            client.submit(plan_task, shared, task, pure=False): task for task in tasks
        }
        completed: Any = as_completed
        for future in completed(list(futures), loop=client.loop):
            task = futures.pop(future)
            try:
                yield future.result()
            except KilledWorker as error:
                reason = f"every worker that planned this point died: {error}"
                yield [PointResult(p.index, layout.failed_row(p, reason)) for p in task]
            except (CancelledError, OSError) as error:
                raise ClusterLostError(f"the scheduler at {address} went away: {error}") from error
            except Exception as error:  # noqa: BLE001  (a worker's trouble is not the sweep's)
                reason = f"the worker failed: {type(error).__name__}: {error}"
                yield [PointResult(p.index, layout.failed_row(p, reason)) for p in task]
            future.release()


def _check_workers(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        raise _refused(f"the cluster has had no worker for {_WORKERS_S:g} s") from error
    versions = client.run(worker_version, on_error="return")
    for worker, version in versions.items():
        if isinstance(version, BaseException):
            raise _refused(f"the worker {worker} cannot run Stoker: {version}")
        if version != __version__:
            raise _refused(
                f"the worker {worker} has Stoker {version}, and here it is {__version__}"
            )


def _refused(message: str) -> InvalidInputError:
    allowed = "a Dask scheduler whose workers have this version of Stoker installed"
    return InvalidInputError([Problem("--scheduler", message, allowed)])
