"""Computations beside the event loop: few at a time, few waiting, none for ever.

Threads, not processes: most of a solve is spent in array and solver libraries, and the
interpreter shares itself out between threads every few milliseconds, so that short requests are
answered meanwhile.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from threading import Lock
from typing import TypeVar

from api.problems import ProblemType, RequestRefusedError

_Answer = TypeVar("_Answer")


class WorkGate:
    """Runs computations in threads, within bounds.

    A computation that outlives its limit is answered for, but goes on in its thread (a thread
    cannot be stopped) and keeps its place until it ends: the bound on threads always holds.
    """

    def __init__(self, name: str, *, at_once: int, waiting: int, limit_s: float) -> None:
        """Set the bounds.

        Args:
            name: What is computed, for messages and thread names, e.g. ``solve``.
            at_once: Most computations at a time.
            waiting: Most computations waiting for their turn.
            limit_s: Longest wait for a turn, and longest computation, in seconds.
        """
        self.name = name
        self.at_once = at_once
        self.waiting = waiting
        self.limit_s = limit_s
        self._executor: ThreadPoolExecutor | None = None
        self._lock = Lock()
        self._held = 0

    @property
    def held(self) -> int:
        """Number of computations running or waiting."""
        return self._held

    async def run(self, work: Callable[[], _Answer]) -> _Answer:
        """Return what a computation returns, or raise what it raises.

        Raises:
            RequestRefusedError: 503 when too many are waiting, or its turn does not come in time;
                504 when it takes too long itself.
        """
        loop = asyncio.get_running_loop()
        started = asyncio.Event()

        def job() -> _Answer:
            loop.call_soon_threadsafe(started.set)
            return work()

        future = self._submit(job)
        try:
            await asyncio.wait_for(started.wait(), self.limit_s)
        except TimeoutError:
            if future.cancel():
                raise self._overloaded() from None
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limit_s)
        except TimeoutError:
            raise self._too_long() from None

    def close(self) -> None:
        """Start nothing more; what runs is left to end by itself."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, job: Callable[[], _Answer]) -> Future[_Answer]:
        with self._lock:
            if self._held >= self.at_once + self.waiting:
                raise self._overloaded()
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.at_once, thread_name_prefix=self.name)
            self._held += 1
            future = self._executor.submit(job)
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: Future[_Answer]) -> None:
        with self._lock:
            self._held -= 1

    def _overloaded(self) -> RequestRefusedError:
        return RequestRefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            ProblemType.OVERLOADED,
            f"{self.at_once} computations of kind {self.name!r} are running and {self.waiting} may "
            "wait; try again later",
            headers={"Retry-After": str(max(1, math.ceil(self.limit_s / 10)))},
        )

    def _too_long(self) -> RequestRefusedError:
        return RequestRefusedError(
            HTTPStatus.GATEWAY_TIMEOUT,
            ProblemType.TIME_LIMIT,
            f"the computation took more than {self.limit_s:g} s, the limit of this service; ask "
            "for less at a time, or raise the limit",
        )
