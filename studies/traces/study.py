"""The smallest fleets of several kinds of replicas, searched side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from studies.traces.goal import TraceGoal
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace
from studies.traces.search import MinimumFleet, SearchSettings, minimum_fleet

WORTH_PROCESSES = 20_000
"""Requests times kinds of replicas from which on processes of their own pay."""


@dataclass(frozen=True, slots=True, eq=False)
class TraceStudy:
    """What was asked of a trace, and what came out.

    Attributes:
        trace: The requests, at the pace at which they were played.
        goal: What they are to keep.
        settings: How the fleets were searched.
        currency: Of all costs.
        fleets: The smallest fleet of each kind of replicas, in the order asked.
    """

    trace: RequestTrace
    goal: TraceGoal
    settings: SearchSettings
    currency: str
    fleets: tuple[MinimumFleet, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, each once."""
        return tuple(dict.fromkeys(item.option.profile.model for item in self.fleets))

    def of_model(self, model: str) -> tuple[MinimumFleet, ...]:
        """Return the fleets of a model, the cheapest first and those that found none last."""
        own = [item for item in self.fleets if item.option.profile.model == model]
        return tuple(
            sorted(
                own,
                key=lambda item: (
                    item.cost_per_hour is None,
                    item.cost_per_hour or 0.0,
                    item.option.cost_per_hour,
                ),
            )
        )

    def best(self, model: str) -> MinimumFleet | None:
        """Return the cheapest fleet of a model; None where none keeps the targets."""
        first = self.of_model(model)[0]
        return first if first.replicas is not None else None


def search_fleets(
    options: Sequence[ReplicaOption],
    trace: RequestTrace,
    goal: TraceGoal,
    settings: SearchSettings,
    *,
    currency: str = "USD",
    jobs: int = 1,
    report: Callable[[int], None] = lambda _: None,
) -> TraceStudy:
    """Search the smallest fleet of each kind of replicas.

    Args:
        options: The kinds of replicas.
        trace: The requests.
        goal: What they are to keep.
        settings: How to search.
        currency: Of the prices.
        jobs: Processes that search; those of a small question are not worth starting.
        report: Called with the number of kinds that are done.
    """
    fleets: dict[int, MinimumFleet] = {}
    workers = min(jobs, len(options))
    if workers > 1 and len(options) * len(trace) >= WORTH_PROCESSES:
        # Not forked: the solvers and the compiler keep threads.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = {
                pool.submit(minimum_fleet, option, trace, goal, settings): index
                for index, option in enumerate(options)
            }
            for done in as_completed(waiting):
                fleets[waiting[done]] = done.result()
                report(len(fleets))
    else:
        for index, option in enumerate(options):
            fleets[index] = minimum_fleet(option, trace, goal, settings)
            report(len(fleets))
    return TraceStudy(
        trace, goal, settings, currency, tuple(fleets[index] for index in range(len(options)))
    )
