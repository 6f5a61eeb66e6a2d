"""Backtests: a trace served by a plan for every interval, by hindsight, and by a fixed fleet.

Planning sees the load of the intervals before and orders replicas that take their time to start.
Two things are held against it: the smallest fleet that is never changed, and the best replicas
found in hindsight, by a search that knows every interval and starts replicas in time. It begins
with the better of the fixed fleet and what analysis gives to each interval's true load, and takes
replicas away, interval by interval, as long as that saves money and enough requests keep their
targets. It is a local search, not an optimum: what any way takes at least is proven beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

import numpy as np

from simulator import Router
from stoker.domain.latency import Latency
from stoker.domain.workload import Load
from studies.traces.goal import TraceGoal
from studies.traces.needs import least_replica_ms
from studies.traces.playing import measured
from studies.traces.proposal import planned_replicas
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace
from studies.traces.schedule import Schedule, constant, decided, paid_ms, play_schedule
from studies.traces.search import MinimumFleet, SearchSettings, minimum_fleet

MOST_INTERVALS = 2000
"""Intervals of a backtest at most."""
_PASSES = 3
"""Rounds over all intervals in which replicas are taken away."""


class Forecast(StrEnum):
    """What planning takes the next interval's load for."""

    LAST = "last"
    """That of the last interval."""
    PEAK = "peak"
    """The largest rate of the last three, the lengths of the last."""
    TREND = "trend"
    """The rate of the last, and again what it rose by; its lengths."""


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """How to plan in a backtest.

    Attributes:
        interval_ms: Time between plans.
        startup_ms: Time from a decision until a new replica takes requests.
        forecast: What the next interval's load is taken for.
        headroom: Factor on the rate that is planned for.
        router: How a request finds its replica.
    """

    interval_ms: float
    startup_ms: float
    forecast: Forecast = Forecast.LAST
    headroom: float = 1.0
    router: Router = Router.SHORTEST_QUEUE


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What came of a way to provide replicas.

    Attributes:
        name: Which way.
        schedule: Replicas over time.
        attainment: Share of the requests that keep all targets.
        by_latency: The same of each target alone.
        replica_hours: What is paid for: starting, serving and finishing.
        cost: Price of it all, in the fleet's currency.
    """

    name: str
    schedule: Schedule
    attainment: float
    by_latency: Mapping[Latency, float]
    replica_hours: float
    cost: float


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """A finished backtest.

    Attributes:
        option: The replica.
        trace: The requests.
        goal: What they are to keep.
        settings: How was planned.
        wanted: Replicas that analysis gives to the true load of each interval.
        planned: Planning every interval from what was seen.
        hindsight: The best replicas found in hindsight, which need not be the least there are; None
            where no fleet keeps the targets.
        static: The smallest fleet that is never changed; None likewise.
        minimum: The search for it.
        least_hours: Replica hours that no way to provide replicas goes below, whatever its router;
            infinite where no number keeps the targets.
    """

    option: ReplicaOption
    trace: RequestTrace
    goal: TraceGoal
    settings: BacktestSettings
    wanted: tuple[int, ...]
    planned: PolicyResult
    hindsight: PolicyResult | None
    static: PolicyResult | None
    minimum: MinimumFleet
    least_hours: float

    @property
    def least_cost(self) -> float:
        """What no way to provide replicas costs less than, in the fleet's currency."""
        return self.least_hours * self.option.cost_per_hour

    @property
    def policies(self) -> tuple[PolicyResult, ...]:
        """All ways that there are, planning first."""
        return tuple(
            item for item in (self.planned, self.hindsight, self.static) if item is not None
        )


def backtest(
    option: ReplicaOption,
    trace: RequestTrace,
    goal: TraceGoal,
    settings: BacktestSettings,
    on_played: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Replay a trace with a plan for every interval, and against hindsight and a fixed fleet.

    Where a load has no plan that keeps the targets, the replicas of before are kept.

    Args:
        option: The replica.
        trace: The requests.
        goal: What they are to keep.
        settings: How to plan.
        on_played: Called with the number of runs of the search by hindsight so far.

    Raises:
        ValueError: There are too many intervals.
    """
    loads = interval_loads(trace, settings.interval_ms)
    plans: dict[Load, int | None] = {}

    def plan(load: Load | None) -> int | None:
        if load is None:
            return 1
        if load not in plans:
            plans[load] = planned_replicas(option, load, goal, settings.router)
        return plans[load]

    wanted = _filled([plan(load) for load in loads])
    seen = _filled([plan(expected_load(loads, k, settings)) for k in range(len(loads))])
    player = _Player(option, trace, goal, settings)
    planned = player.result(
        "planned",
        decided(
            seen,
            settings.interval_ms,
            settings.startup_ms,
            in_time=False,
            end_ms=trace.span_ms,
        ),
    )
    minimum = minimum_fleet(option, trace, goal, SearchSettings(settings.router))
    static = hindsight = None
    if minimum.replicas is not None:
        static = player.result("static", constant(minimum.replicas))
        hindsight = _by_hindsight(player, wanted, minimum.replicas, on_played)
    # One replica is there all the time.
    least_ms = max(least_replica_ms(option, trace, goal), trace.span_ms)
    return Backtest(
        option,
        trace,
        goal,
        settings,
        tuple(wanted),
        planned,
        hindsight,
        static,
        minimum,
        least_ms / 3.6e6,
    )


def interval_loads(trace: RequestTrace, interval_ms: float) -> list[Load | None]:
    """Return the load of each interval; None where nothing arrives.

    Raises:
        ValueError: There are too many intervals.
    """
    count = int(trace.span_ms // interval_ms) + 1
    if count > MOST_INTERVALS:
        raise ValueError(f"the trace has {count:,} intervals (allowed: {MOST_INTERVALS:,})")
    edges = np.searchsorted(trace.arrival_ms, interval_ms * np.arange(count + 1), side="left")
    edges[-1] = len(trace)
    last_ms = max(trace.span_ms - interval_ms * (count - 1), 1000.0)
    loads: list[Load | None] = []
    for k, (start, stop) in enumerate(pairwise(edges.tolist())):
        if start == stop:
            loads.append(None)
            continue
        load = trace.take(slice(start, stop)).load(
            interval_ms if k < count - 1 else min(last_ms, interval_ms)
        )
        loads.append(replace(load, arrival_cv=min(load.arrival_cv, 1.5)))
    return loads


def expected_load(loads: Sequence[Load | None], k: int, settings: BacktestSettings) -> Load | None:
    """Return the load that is planned for in an interval; that of the first is known."""
    last = loads[max(k - 1, 0)]
    recent = loads[max(k - 3, 0) : k]
    if last is None and settings.forecast is Forecast.PEAK:
        # What arrived before a pause may arrive after it.
        last = next((load for load in reversed(recent) if load is not None), None)
    if last is None:
        return None
    before = [0.0 if load is None else load.arrival_rate_rps for load in recent]
    rate = last.arrival_rate_rps
    if settings.forecast is Forecast.PEAK:
        rate = max([rate, *before])
    elif settings.forecast is Forecast.TREND and len(before) > 1:
        rate = max(2 * before[-1] - before[-2], 0.1 * rate)
    return replace(last, arrival_rate_rps=settings.headroom * rate)


def _filled(plans: Sequence[int | None]) -> list[int]:
    """Return plans with those of before in place of none."""
    found: list[int] = []
    for item in plans:
        found.append(max(item, 1) if item is not None else (found[-1] if found else 1))
    return found


@dataclass(frozen=True, slots=True)
class _Player:
    option: ReplicaOption
    trace: RequestTrace
    goal: TraceGoal
    settings: BacktestSettings

    def result(self, name: str, schedule: Schedule) -> PolicyResult:
        """Play replicas that come and go, and add up what they cost."""
        run = play_schedule(self.option, self.trace, schedule, self.settings.router)
        played = measured(run, schedule.most, self.goal)
        hours = paid_ms(schedule, run) / 3.6e6
        return PolicyResult(
            name,
            schedule,
            played.attainment,
            played.by_latency,
            hours,
            hours * self.option.cost_per_hour,
        )

    def meets(self, result: PolicyResult) -> bool:
        """Tell whether enough requests keep their targets."""
        missed = round((1 - result.attainment) * len(self.trace))
        return missed <= self.goal.may_miss(len(self.trace))


def _by_hindsight(
    player: _Player, wanted: Sequence[int], static: int, on_played: Callable[[int], None]
) -> PolicyResult:
    played = 0

    def of(targets: Sequence[int]) -> PolicyResult:
        nonlocal played
        played += 1
        on_played(played)
        settings = player.settings
        schedule = decided(targets, settings.interval_ms, settings.startup_ms, in_time=True)
        return player.result("hindsight", schedule)

    best_targets = [static] * len(wanted)
    best = of(best_targets)
    for more in range(max(wanted) + 1):
        targets = [count + more for count in wanted]
        found = of(targets)
        if player.meets(found):
            if found.cost < best.cost:
                best_targets, best = targets, found
            break
    for _ in range(_PASSES):
        before = best.cost
        # Where most is paid for, there is most to be had.
        for k in sorted(range(len(wanted)), key=lambda k: -best_targets[k]):
            while best_targets[k] > 1:
                fewer = [*best_targets[:k], best_targets[k] - 1, *best_targets[k + 1 :]]
                found = of(fewer)
                if found.cost >= best.cost or not player.meets(found):
                    break
                best_targets, best = fewer, found
        if best.cost >= before:
            break
    return best
