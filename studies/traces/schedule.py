"""Replicas over time: what decisions with a start-up delay give, and what has to be paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from simulator import Pool, Router, Run
from studies.traces.playing import run_whole, scenario_of
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many replicas take requests, and how many are paid for, over time.

    Attributes:
        steps: Time in ms and number of replicas that take requests from then on, ascending.
        starting_ms: Time that replicas spent starting, all together.
    """

    steps: tuple[tuple[float, int], ...]
    starting_ms: float

    @property
    def most(self) -> int:
        """Most replicas that take requests at a time."""
        return max(count for _, count in self.steps)

    def open_ms(self, end_ms: float) -> float:
        """Return the time that replicas take requests until an end, all together."""
        times = [min(time, end_ms) for time, _ in self.steps] + [end_ms]
        return float(
            sum(
                count * (until - since)
                for (_, count), since, until in zip(self.steps, times, times[1:], strict=False)
            )
        )


def constant(replicas: int) -> Schedule:
    """Return replicas that are there all the time."""
    return Schedule(((0.0, replicas),), 0.0)


def decided(
    targets: Sequence[int],
    interval_ms: float,
    startup_ms: float,
    *,
    in_time: bool,
    end_ms: float | None = None,
) -> Schedule:
    """Return what decisions at the beginnings of intervals give.

    What is too much is closed at once: what was started last and does not serve yet, first. What
    is missing takes its time to start; the first interval has what it wants.

    Args:
        targets: Replicas wanted in each interval.
        interval_ms: Length of an interval.
        startup_ms: Time from the decision until a new replica takes requests.
        in_time: Whether each decision is made that much earlier, so that replicas are there when
            their interval begins.
        end_ms: Time, in the last interval, until which starting is paid for; None for its end.
    """
    if in_time:
        rises = [max(b - a, 0) for a, b in pairwise(targets)]
        steps = [(k * interval_ms, count) for k, count in enumerate(targets)]
        return Schedule(_merged(steps), startup_ms * sum(rises))
    serving, starting_ms = targets[0], 0.0
    steps = [(0.0, serving)]
    waiting: list[tuple[float, float]] = []  # since when, and from when on it serves
    for k, target in enumerate(targets):
        now = k * interval_ms
        for since, ready in [one for one in waiting if one[1] <= now]:
            serving += 1
            steps.append((ready, serving))
            starting_ms += ready - since
        waiting = [one for one in waiting if one[1] > now]
        while waiting and serving + len(waiting) > target:
            starting_ms += now - waiting.pop()[0]
        if serving > target:
            serving = target
            steps.append((now, serving))
        waiting += [(now, now + startup_ms)] * (target - serving - len(waiting))
    end = len(targets) * interval_ms if end_ms is None else end_ms
    for since, ready in waiting:
        if ready < end:
            serving += 1
            steps.append((ready, serving))
        starting_ms += min(ready, end) - since
    return Schedule(_merged(steps), starting_ms)


def _merged(steps: Sequence[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """Return steps of which each has a time of its own and changes something."""
    last = dict(steps)
    merged: list[tuple[float, int]] = []
    for time, count in last.items():
        if not merged or merged[-1][1] != count:
            merged.append((time, count))
    return tuple(merged)


def play_schedule(
    option: ReplicaOption, trace: RequestTrace, schedule: Schedule, router: Router, seed: int = 0
) -> Run:
    """Play a trace on replicas that come and go."""
    scenario = scenario_of(option, trace, schedule.most, router, seed)
    pool = Pool(option.engine, schedule.most, router, schedule.steps)
    return run_whole(replace(scenario, system=pool))


def paid_ms(schedule: Schedule, run: Run) -> float:
    """Return the time that replicas are paid for until the last arrival, all together.

    That is while they start, while they take requests, and while they finish what they have.
    """
    records = run.records
    end = float(records.arrival_ms[-1])
    total = schedule.open_ms(end) + schedule.starting_ms
    steps = [*schedule.steps, (end, 0)]
    for index, (closing, count) in enumerate(steps[:-1]):
        before = steps[index - 1][1] if index else count
        for slot in range(count, before):
            again = next((t for t, more in steps[index + 1 : -1] if more > slot), end)
            mine = (records.replica == slot) & (records.arrival_ms < closing)
            last = float(np.max(records.completion_ms[mine], initial=closing))
            total += min(max(last, closing), again, end) - min(closing, end)
    return total
