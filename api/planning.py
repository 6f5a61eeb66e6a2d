"""One plan, within the service's time limit and counted in its metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol

from api.metrics import Metrics
from api.problems import ProblemType, RequestRefusedError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import OptimizerSettings


class Planner(Protocol):
    """Plans a fleet; `optimizer.planner.plan_fleet` is one."""

    def __call__(self, fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        """Return the plan of a fleet.

        Raises:
            StokerError: What was asked for is not available.
        """


@dataclass(frozen=True, slots=True)
class Planning:
    """A planner with its limit.

    Attributes:
        planner: Plans a fleet.
        time_limit_s: Longest solve in seconds; a shorter limit in the settings holds.
        metrics: Counts plans and times them.
        clock: Monotonic seconds.
    """

    planner: Planner
    time_limit_s: float
    metrics: Metrics
    clock: Callable[[], float]

    def plan(
        self, fleet: Fleet, settings: OptimizerSettings, planner: Planner | None = None
    ) -> Plan:
        """Return the plan of a fleet.

        Args:
            fleet: The fleet.
            settings: How to plan.
            planner: Plans it; None for the service's own planner.

        Raises:
            RequestRefusedError: When the time limit passed before there was any plan: 422 where
                the request set the limit, 504 where the service did.
            StokerError: What was asked for is not available.
        """
        asked = settings.time_limit_s
        limit_s = self.time_limit_s if asked is None else min(asked, self.time_limit_s)
        start = self.clock()
        plan = (planner or self.planner)(fleet, replace(settings, time_limit_s=limit_s))
        self.metrics.planned(plan, self.clock() - start)
        if plan.status is PlanStatus.TIME_LIMIT:
            own_limit = limit_s < self.time_limit_s
            status = HTTPStatus.UNPROCESSABLE_ENTITY if own_limit else HTTPStatus.GATEWAY_TIMEOUT
            raise RequestRefusedError(
                status,
                ProblemType.TIME_LIMIT,
                f"no plan was found within {limit_s:g} s; allow more time, or choose the greedy "
                "solver",
            )
        return plan
