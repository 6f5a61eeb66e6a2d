"""The smallest number of replicas: proposed, played, bracketed, and every smaller one refuted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from stoker.domain.routing import Router
from studies.traces.alone import Reach, reach
from studies.traces.bound import FleetBound, Patience, lower_bound
from studies.traces.goal import TraceGoal
from studies.traces.playing import DEFAULT_SEEDS, Played, play
from studies.traces.proposal import planned_replicas
from studies.traces.replica import ReplicaOption
from studies.traces.requests import BUSY_WINDOW_MS, RequestTrace

MOST_REPLICAS = 10_000
"""Replicas beyond which nothing is tried."""
MOST_PLAYED = 2_000_000_000
"""Requests times replicas beyond which smaller numbers are not refuted one by one."""
_BEYOND = 2
"""Replicas more than the answer that are played too, to see whether they keep the targets."""
_NEAR = 8
"""Replicas less than the answer that are played in any case."""

OnPlayed = Callable[[int], None]


class TraceStatus(StrEnum):
    """What came of a search."""

    MET = "met"
    """A number of replicas keeps the targets."""
    UNREACHABLE = "unreachable"
    """No number does: too many requests miss a target on a replica of their own."""
    NOT_FOUND = "not_found"
    """None was found within the number of replicas allowed."""


@dataclass(frozen=True, slots=True)
class MinimumFleet:
    """The smallest fleet of one kind of replicas for a trace.

    Attributes:
        option: The replica.
        status: Whether there is one.
        played: All numbers of replicas that were played, ascending.
        replicas: The smallest number that keeps the targets; None where there is none.
        proposed: What the analysis proposed; None where it knew none.
        bound: What no fleet can go below, whatever its router.
        refuted_below: Every smaller number than this is refuted, by the bound or by being played
            with this router: where it is `replicas`, that is the minimum.
        patient: What no fleet can go below in which no request waits longer for its first token,
            nor has slower tokens, than the worst one in the answer; None where there is no answer.
        reach: What a request can keep on a replica of its own; None where nobody asked.
    """

    option: ReplicaOption
    status: TraceStatus
    played: tuple[Played, ...]
    replicas: int | None
    proposed: int | None
    bound: FleetBound
    refuted_below: int
    patient: FleetBound | None = None
    reach: Reach | None = None

    @property
    def answer(self) -> Played | None:
        """The run on the smallest number of replicas."""
        return self.run_of(self.replicas)

    @property
    def one_less(self) -> Played | None:
        """The run with one replica less; None where that was not played, or is none."""
        return self.run_of(None if self.replicas is None else self.replicas - 1)

    @property
    def cost_per_hour(self) -> float | None:
        """Price of the fleet, in its currency per hour."""
        return None if self.replicas is None else self.replicas * self.option.cost_per_hour

    def run_of(self, replicas: int | None) -> Played | None:
        """Return the run on a number of replicas; None where it was not played."""
        return next((item for item in self.played if item.replicas == replicas), None)

    def cost_per_million_tokens(self, trace: RequestTrace) -> float | None:
        """Return the price of a million tokens, input and output, while the trace lasts."""
        if self.cost_per_hour is None or trace.span_ms <= 0:
            return None
        return self.cost_per_hour * trace.span_ms / 3.6e6 / (trace.tokens / 1e6)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search.

    Attributes:
        router: How a request finds its replica.
        seeds: Seeds of a router that draws at random; the targets are to be kept with all.
        most_replicas: Largest number of replicas to try.
    """

    router: Router = Router.SHORTEST_QUEUE
    seeds: tuple[int, ...] = tuple(range(DEFAULT_SEEDS))
    most_replicas: int = MOST_REPLICAS


def minimum_fleet(
    option: ReplicaOption,
    trace: RequestTrace,
    goal: TraceGoal,
    settings: SearchSettings | None = None,
    on_played: OnPlayed = lambda _: None,
) -> MinimumFleet:
    """Return the smallest number of replicas that keeps the targets of a trace.

    More replicas mostly keep what fewer do, but not always, so that after bisection every number
    from the bound on is played: the answer keeps the targets and no smaller number does.

    Args:
        option: The replica.
        trace: The requests.
        goal: What they are to keep.
        settings: How to search; the usual way for None.
        on_played: Called with the number of runs so far, after each of them.
    """
    search = _Search(option, trace, goal, settings or SearchSettings(), on_played)
    return search.run()


class _Search:
    """One search; remembers what was played."""

    def __init__(
        self,
        option: ReplicaOption,
        trace: RequestTrace,
        goal: TraceGoal,
        settings: SearchSettings,
        on_played: OnPlayed,
    ) -> None:
        self._option, self._trace, self._goal = option, trace, goal
        self._settings, self._on_played = settings, on_played
        self._runs: dict[int, Played] = {}

    def run(self) -> MinimumFleet:
        """Bound, propose, bracket, bisect, refute."""
        bound = lower_bound(self._option, self._trace, self._goal)
        if bound.replicas is None:
            return self._without(TraceStatus.UNREACHABLE, bound, None)
        alone = reach(self._option, self._trace, self._goal)
        if alone.missing.size > self._goal.may_miss(len(self._trace)):
            return self._without(TraceStatus.UNREACHABLE, bound, None, alone)
        proposed = self._propose()
        most = self._settings.most_replicas
        found = self._bracketed(bound.replicas, proposed, most)
        if found is None:
            return self._without(TraceStatus.NOT_FOUND, bound, proposed, alone)
        smallest, refuted = self._refute(bound.replicas, found)
        for more in range(smallest + 1, min(smallest + _BEYOND, most) + 1):
            self._kept(more)
        if smallest > 1:
            self._kept(smallest - 1)
        answer = self._runs[smallest]
        return MinimumFleet(
            self._option,
            TraceStatus.MET,
            self._played(),
            smallest,
            proposed,
            bound,
            refuted,
            lower_bound(
                self._option,
                self._trace,
                self._goal,
                Patience(answer.worst_ttft_ms, answer.worst_itl_ms),
            ),
            alone,
        )

    def _propose(self) -> int | None:
        """Return what the analysis gives to the busiest window that has to be served well."""
        trace = self._trace
        load = trace.load()
        window = min(BUSY_WINDOW_MS, max(trace.span_ms / 10, 1000.0))
        busy = float(np.quantile(trace.rates_rps(window), self._goal.share))
        rate = max(load.arrival_rate_rps, busy)
        return planned_replicas(
            self._option,
            # Slow changes, which make up most of a large variation, are in the rate already.
            replace(load, arrival_rate_rps=rate, arrival_cv=min(load.arrival_cv, 1.0)),
            self._goal,
            self._settings.router,
        )

    def _bracketed(self, least: int, proposed: int | None, most: int) -> int | None:
        """Return a number that keeps the targets while the one below does not, or the least."""
        start = min(max(least, proposed or least), most)
        low, high = least - 1, start
        step = max(1, start // 8)
        while not self._kept(high):
            if high >= most:
                return None
            low, high, step = high, min(high + step, most), 2 * step
        step = max(1, high // 8)
        while high - low > 1:
            if low == least - 1:
                # Nothing below has failed yet: the answer is mostly near the proposal.
                middle, step = max(high - step, least), 2 * step
                middle = min(middle, high - 1)
            else:
                middle = (low + high) // 2
            if self._kept(middle):
                high = middle
            else:
                low = middle
        return high

    def _refute(self, least: int, found: int) -> tuple[int, int]:
        """Play every smaller number, the largest first.

        Returns:
            The smallest number that keeps the targets, and the largest one below which every
            number is refuted; the latter is less where the trace is too long to play them all.
        """
        affordable = MOST_PLAYED // max(len(self._trace) * found, 1)
        lowest = max(least, found - max(affordable, _NEAR))
        smallest = min(
            (number for number in range(found, lowest - 1, -1) if self._kept(number)),
            default=found,
        )
        return smallest, smallest if lowest == least else least

    def _kept(self, replicas: int) -> bool:
        if replicas not in self._runs:
            self._runs[replicas] = play(
                self._option,
                self._trace,
                replicas,
                self._settings.router,
                self._goal,
                self._settings.seeds,
            )
            self._on_played(len(self._runs))
        return self._runs[replicas].meets(self._goal, len(self._trace))

    def _without(
        self,
        status: TraceStatus,
        bound: FleetBound,
        proposed: int | None,
        alone: Reach | None = None,
    ) -> MinimumFleet:
        known = alone or reach(self._option, self._trace, self._goal)
        return MinimumFleet(
            self._option,
            status,
            self._played(),
            None,
            proposed,
            bound,
            bound.replicas or 1,
            reach=known,
        )

    def _played(self) -> tuple[Played, ...]:
        return tuple(self._runs[number] for number in sorted(self._runs))
