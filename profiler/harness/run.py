"""A whole run of the harness: from settings to timings, alone or with other devices."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from profiler.harness.adaptive import Chooser
from profiler.harness.communicator import Alone
from profiler.harness.gauges import Gauges, NoGauges, idle_power_w, nvml_gauges
from profiler.harness.journal import Journal
from profiler.harness.measure import Bench
from profiler.harness.memory import largest_batches
from profiler.harness.opening import Opened, open_run
from profiler.harness.parallel import Group, GroupBench, follow, free_address
from profiler.harness.provenance import code_hash, device_name, device_uuid, runtime, timed_device
from profiler.harness.scaling import typical_bend
from profiler.harness.session import Report, run_cases
from profiler.harness.settings import HarnessSettings
from profiler.harness.stability import SamplingRules
from stoker.domain.timing import TimedMemory, TimingRun

_PATIENCE_S = 30.0
_SLOWEST_CASE_S = 3.0
_QUICKEST_CASE_S = 0.02
_FIRST_SHARE = 0.5
"""Share of the budget that the first cases may take, as far as their runs are concerned."""

WrapBench = Callable[[Bench], Bench]


@dataclass(frozen=True, slots=True)
class HarnessRun:
    """What came of a run.

    Attributes:
        run: The timings, with where and how.
        notes: What a reader of them should know, a sentence each.
        doubt: Doubt about the time that is known least (see `Choice`); None where nobody knows.
        scaling_error: Typical relative deviation of times from a straight line over layers; None
            where fewer than three numbers of layers were timed.
        spent_s: Time that all cases took.
        kv_tokens: Tokens of KV cache that there is room for beside the whole model; None where it
            does not fit.
    """

    run: TimingRun
    notes: tuple[str, ...]
    doubt: float | None
    scaling_error: float | None
    spent_s: float
    kv_tokens: int | None


@dataclass(frozen=True, slots=True)
class Ports:
    """What a run meets of the world.

    Attributes:
        clock: Monotonic seconds, for budgets and for what a CPU computes.
        now: The time of day.
        wrap: Put around the bench; for tests that plant faults.
    """

    clock: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wrap: WrapBench = lambda bench: bench


def devices_there(kind: str) -> int:
    """Return how many devices of a kind (`cpu`, `cuda`) there are; of CPUs as many as wanted."""
    return torch.cuda.device_count() if kind == "cuda" else 64


def best_device() -> str:
    """Return `cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def first_device(kind: str) -> torch.device:
    """Return the first device of a kind."""
    return _device(kind, 0)


def name_of_device(kind: str) -> str:
    """Return the name of the first device of a kind."""
    return device_name(_device(kind, 0))


def header_of(settings: HarnessSettings) -> dict[str, object]:
    """Return what the journal of a run with these settings says of it."""
    device = _device(settings.device, 0)
    return settings.header(code_hash(), device_name(device), runtime(device, settings.threads))


def time_model(
    settings: HarnessSettings,
    journal_path: Path,
    budget_s: float,
    accelerator: str,
    report: Report,
    ports: Ports,
) -> HarnessRun:
    """Time the iterations of a model, or go on where a run of the same settings was cut off.

    Args:
        settings: What to time, and how.
        journal_path: File that keeps every result as it comes.
        budget_s: Seconds that the cases may take in all.
        accelerator: Name of the device in the catalogue, or the one that its profile has.
        report: Told after every case.
        ports: Clock and the like.

    Raises:
        JournalError: The journal is that of another run.
        UnbuildableError: The model cannot be built.
        torch.OutOfMemoryError: Memory does not hold even the weights.
        DeviceLostError: The device does not answer any more; the same call in a new process goes
            on.
    """
    torch.set_num_threads(settings.threads)
    device = _device(settings.device, 0)
    gauges = _gauges(device)
    with Journal(journal_path, header_of(settings)) as journal:
        idle = idle_power_w(gauges)
        with _opened(settings, device, gauges, ports.clock) as (opened, bench):
            journal.begin(ports.now().isoformat(timespec="seconds"))
            chooser = Chooser(opened.limits, settings.seed, settings.tolerance)
            rules = sampling_rules(budget_s, len(chooser.first))
            wrapped = ports.wrap(bench)
            doubt = run_cases(wrapped, chooser, journal, rules, budget_s, ports.clock, report)
        timings = tuple(sorted(journal.timings.values(), key=lambda timing: timing.case))
        sizes = opened.memory
        run = TimingRun(
            model=opened.model,
            device=timed_device(
                device,
                accelerator,
                settings.tensor_parallel,
                gauges.driver,
                settings.threads,
                idle,
            ),
            memory=TimedMemory(
                sizes.weight_bytes, sizes.kv_bytes_per_token, largest_batches(timings)
            ),
            timings=timings,
            code=code_hash(),
            started_at=journal.started_at,
            seed=settings.seed,
        )
        bent = typical_bend(list(journal.bends.values()))
        spent = journal.spent_s
    return HarnessRun(run, opened.notes, doubt, bent, spent, opened.kv_tokens)


def sampling_rules(budget_s: float, first: int) -> SamplingRules:
    """Return how often a case is run, so that the first cases take half of the budget at most.

    As far as runs can be saved: each case has some at least, however slow they are.
    """
    usual = SamplingRules()
    each = _FIRST_SHARE * budget_s / max(first, 1)
    return replace(usual, seconds=min(max(each, _QUICKEST_CASE_S), _SLOWEST_CASE_S))


def _device(kind: str, index: int) -> torch.device:
    return torch.device("cuda", index) if kind == "cuda" else torch.device("cpu")


def _gauges(device: torch.device) -> Gauges:
    if device.type != "cuda":
        return NoGauges()
    return nvml_gauges(device_uuid(device), device.index or 0)


@contextmanager
def _opened(
    settings: HarnessSettings, device: torch.device, gauges: Gauges, clock: Callable[[], float]
) -> Iterator[tuple[Opened, Bench]]:
    """Open a run; with several devices, start the others and send them home in the end."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if settings.tensor_parallel == 1:
        opened = open_run(settings, device, Alone(), gauges, clock)
        yield opened, opened.bench
        return
    address = free_address()
    others = _start_others(settings, address)
    group = None
    try:
        group = Group(0, settings.tensor_parallel, address, device)
        opened = open_run(settings, device, group, gauges, clock)
        bench = GroupBench(opened.bench, group)
        yield opened, bench
        bench.end()
        group.leave()
    finally:
        for other in others:
            other.join(_PATIENCE_S if group is not None else 0.0)
            if other.is_alive():
                other.kill()
                other.join()


def _start_others(settings: HarnessSettings, address: str) -> list[BaseProcess]:
    spawn = multiprocessing.get_context("spawn")
    others: list[BaseProcess] = []
    for rank in range(1, settings.tensor_parallel):
        other = spawn.Process(target=_other_device, args=(settings, rank, address), daemon=True)
        other.start()
        others.append(other)
    return others


def _other_device(settings: HarnessSettings, rank: int, address: str) -> None:
    """Be one of the other devices, until the first one ends or is gone."""
    torch.set_num_threads(settings.threads)
    device = _device(settings.device, rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    group = Group(rank, settings.tensor_parallel, address, device)
    opened = open_run(settings, device, group, NoGauges())
    try:
        follow(opened.bench, group)
        group.leave()
    except RuntimeError:
        os._exit(1)  # the first device is gone, and says itself why
