"""The smallest number of replicas: proposed, played, bracketed, and every smaller one refuted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

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

ROUTERS = (Router.SHORTEST_QUEUE, Router.LEAST_KV, Router.ROUND_ROBIN)
"""Routers of which the best one is looked for: those that need no luck."""

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
        refuted_below: The lower bound for this router: every smaller number is refuted, by the
            bound for any router or by being played. Where it is `replicas`, that is the minimum.
        patient: What no fleet can go below in which no request waits longer for its first token,
            nor has slower tokens, than the worst one in the answer; None where there is no answer.
        reach: What a request can keep on a replica of its own; None where nobody asked.
        router: How requests find their replicas; of several that were tried, the one that takes
            the fewest. `refuted_below` then holds for each of them.
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
    router: Router = Router.SHORTEST_QUEUE

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
        """Return the price of a million tokens that are served, in and out, over the trace."""
        answer = self.answer
        if self.cost_per_hour is None or answer is None or not answer.tokens:
            return None
        if trace.span_ms <= 0:
            return None
        return self.cost_per_hour * trace.span_ms / 3.6e6 / (answer.tokens / 1e6)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search.

    Attributes:
        router: How a request finds its replica; None for the best of `ROUTERS`.
        seeds: Seeds of a router that draws at random; the targets are to be kept with all.
        most_replicas: Largest number of replicas to try.
    """

    router: Router | None = Router.SHORTEST_QUEUE
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
    settings = settings or SearchSettings()
    bound = lower_bound(option, trace, goal)
    if bound.replicas is None:
        known = reach(option, trace, goal)
        return MinimumFleet(option, TraceStatus.UNREACHABLE, (), None, None, bound, 1, reach=known)
    found = [
        _Search(option, trace, goal, settings, router, on_played).run(bound, bound.replicas)
        for router in (ROUTERS if settings.router is None else (settings.router,))
    ]
    best = min(found, key=lambda item: math.inf if item.replicas is None else item.replicas)
    best = replace(best, refuted_below=min(item.refuted_below for item in found))
    if best.answer is None:
        return best
    patience = Patience(best.answer.worst_ttft_ms, best.answer.worst_itl_ms)
    return replace(best, patient=lower_bound(option, trace, goal, patience))


class _Search:
    """One search; remembers what was played."""

    def __init__(
        self,
        option: ReplicaOption,
        trace: RequestTrace,
        goal: TraceGoal,
        settings: SearchSettings,
        router: Router,
        on_played: OnPlayed,
    ) -> None:
        self._option, self._trace, self._goal = option, trace, goal
        self._settings, self._router, self._on_played = settings, router, on_played
        self._runs: dict[int, Played] = {}

    def run(self, bound: FleetBound, least: int) -> MinimumFleet:
        """Propose, bracket, bisect, refute, from a bound on."""
        alone = reach(self._option, self._trace, self._goal)

        def ended(
            status: TraceStatus, replicas: int | None, proposed: int | None, refuted: int
        ) -> MinimumFleet:
            return MinimumFleet(
                self._option,
                status,
                tuple(self._runs[number] for number in sorted(self._runs)),
                replicas,
                proposed,
                bound,
                refuted,
                reach=alone,
                router=self._router,
            )

        if alone.missing.size > self._goal.may_miss(len(self._trace)):
            return ended(TraceStatus.UNREACHABLE, None, None, least)
        proposed = self._propose()
        most = self._settings.most_replicas
        found = self._bracketed(least, proposed, most)
        if found is None:
            return ended(TraceStatus.NOT_FOUND, None, proposed, least)
        smallest, refuted = self._refute(least, found)
        for more in range(smallest + 1, min(smallest + _BEYOND, most) + 1):
            self._kept(more)
        if smallest > 1:
            self._kept(smallest - 1)
        return ended(TraceStatus.MET, smallest, proposed, refuted)

    def _propose(self) -> int | None:
        """Return what the analysis gives to the busiest window that has to be served well.

        None where it finds nothing, or no rate is known.
        """
        trace, mean = self._trace, self._trace.rate_rps
        if mean is None:
            return None
        load = trace.load()
        window = min(BUSY_WINDOW_MS, max(trace.span_ms / 10, 1000.0))
        rate = max(mean, trace.busy_rate_rps(window, self._goal.share))
        return planned_replicas(
            self._option,
            # Slow changes, which make up most of a large variation, are in the rate already.
            replace(load, arrival_rate_rps=rate, arrival_cv=min(load.arrival_cv, 1.0)),
            self._goal,
            self._router,
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
                self._router,
                self._goal,
                self._settings.seeds,
            )
            self._on_played(len(self._runs))
        return self._runs[replicas].meets(self._goal, len(self._trace))
