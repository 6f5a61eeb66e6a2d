"""Devices that share a model: one process each, led by the first."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from profiler.harness.bench import ModelBench
from profiler.harness.gauges import Reading
from profiler.harness.measure import DeviceLostError, lacks_memory
from stoker.domain.timing import IterationCase

PATIENCE = timedelta(seconds=180)
"""Time that a device waits for the others before it gives up."""


class Group:
    """A device of a group (see `Communicator`): NCCL between GPUs, gloo between processes."""

    def __init__(self, rank: int, size: int, address: str, device: torch.device) -> None:
        """Join the group; returns when all have.

        Args:
            rank: Which one this is.
            size: How many there are.
            address: Where they meet, e.g. ``tcp://127.0.0.1:29500``.
            device: Device of this one.
        """
        self.rank, self.size, self._device = rank, size, device
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, init_method=address, rank=rank, world_size=size, timeout=PATIENCE
        )
        # Orders go beside the data, so that no kernel waits for them.
        self._orders = dist.new_group(backend="gloo", timeout=PATIENCE)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over devices, in place."""
        dist.all_reduce(values)
        return values

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Return what every device has, joined along the last axis."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts, dim=-1)

    def least(self, value: int) -> int:
        """Return the least of what devices tell."""
        return int(min(self.collect(value)))

    def tell(self, order: object) -> None:
        """Give the others an order; for the first device."""
        dist.broadcast_object_list([order], src=0, group=self._orders)

    def hear(self) -> Any:
        """Return the next order of the first device; for the others."""
        orders: list[Any] = [None]
        dist.broadcast_object_list(orders, src=0, group=self._orders)
        return orders[0]

    def collect(self, answer: object) -> list[Any]:
        """Return the answers of all devices."""
        answers: list[Any] = [None] * self.size
        dist.all_gather_object(answers, answer, group=self._orders)
        return answers

    def wait(self) -> None:
        """Wait until all devices are here."""
        dist.barrier(group=self._orders)

    def leave(self) -> None:
        """Leave the group."""
        dist.destroy_process_group()


@dataclass(frozen=True, slots=True)
class _Order:
    """What the first device has the others do: ``prepare``, ``time``, ``release`` or ``end``."""

    verb: str
    case: IterationCase | None = None
    series: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a device says: a time, or what went wrong."""

    time_ms: float = 0.0
    problem: str = ""
    no_memory: bool = False
    lost: bool = False


class GroupBench:
    """The bench of the first device, which has all of them run each iteration together.

    An iteration takes as long as on the device that is last.
    """

    def __init__(self, bench: ModelBench, group: Group) -> None:
        """Lead a group.

        Args:
            bench: The first device's own bench.
            group: The group.
        """
        self._bench, self._group, self._worker = bench, group, _Worker(bench, group)
        self.layers, self.counts = bench.layers, bench.counts

    def prepare(self, case: IterationCase) -> Sequence[Callable[[], float]]:
        """Have all prepare a case (see `Bench`)."""
        self._together(_Order("prepare", case))
        return [self._timer(series) for series in range(len(self.counts))]

    def _timer(self, series: int) -> Callable[[], float]:
        def timed() -> float:
            return max(each.time_ms for each in self._together(_Order("time", None, series)))

        return timed

    def _together(self, order: _Order) -> list[_Answer]:
        self._group.tell(order)
        answers = self._group.collect(self._worker.carry_out(order))
        for rank, each in enumerate(answers):
            if each.problem:
                words = f"device {rank}: {each.problem}"
                if each.lost:
                    raise DeviceLostError(words)
                raise (torch.OutOfMemoryError if each.no_memory else RuntimeError)(words)
        return answers

    def read(self) -> Reading:
        """Return what the gauges of the first device show."""
        return self._bench.read()

    def peak_bytes(self) -> int | None:
        """Return the most memory in use on the first device."""
        return self._bench.peak_bytes()

    def release(self) -> None:
        """Have all free what the last case took (see `Bench`)."""
        self._together(_Order("release"))

    def end(self) -> None:
        """Send the others home."""
        self._group.tell(_Order("end"))


def follow(bench: ModelBench, group: Group) -> None:
    """Carry out the orders of the first device until it ends; for the others."""
    worker = _Worker(bench, group)
    while True:
        order = group.hear()
        if order.verb == "end":
            return
        group.collect(worker.carry_out(order))


class _Worker:
    """A device that carries out orders."""

    def __init__(self, bench: ModelBench, group: Group) -> None:
        self._bench, self._group = bench, group
        self._timers: Sequence[Callable[[], float]] = ()

    def carry_out(self, order: _Order) -> _Answer:
        """Carry an order out, and return what to say of it."""
        try:
            return _Answer(self._done(order))
        except (RuntimeError, MemoryError, ValueError, NotImplementedError) as error:
            words = " ".join(str(error).split())[:200] or type(error).__name__
            return _Answer(0.0, words, lacks_memory(error), isinstance(error, DeviceLostError))

    def _done(self, order: _Order) -> float:
        match order:
            case _Order("prepare", IterationCase() as case):
                self._timers = self._bench.prepare(case)
            case _Order("time", series=series):
                self._group.wait()
                return self._timers[series]()
            case _:
                self._timers = ()
                self._bench.release()
        return 0.0


def free_address() -> str:
    """Return an address on this machine where devices can meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"
