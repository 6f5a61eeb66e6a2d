"""What the service tells Prometheus about itself: its own registry for each application."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from stoker.domain.plan import Plan

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""The classic text format, which every version of Prometheus reads."""

_SOLVE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0)


class Metrics:
    """Counters and times of one application."""

    def __init__(self, solves_in_flight: Callable[[], float]) -> None:
        """Register the metrics.

        Args:
            solves_in_flight: Returns the number of solves running or waiting.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "stoker_http_requests",
            "Requests answered, by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._solve_seconds = Histogram(
            "stoker_solve_seconds",
            "Time to plan a fleet, from the validated fleet to the plan, in seconds.",
            ("method",),
            buckets=_SOLVE_BUCKETS_S,
            registry=self._registry,
        )
        self._plans = Counter(
            "stoker_plans",
            "Plans made, by status.",
            ("status",),
            registry=self._registry,
        )
        in_flight = Gauge(
            "stoker_solves_in_flight",
            "Solves running or waiting for their turn.",
            registry=self._registry,
        )
        in_flight.set_function(solves_in_flight)

    def answered(self, route: str, method: str, status: int) -> None:
        """Count an answered request; `route` is the template, never the path that was asked."""
        self._requests.labels(route, method, str(status)).inc()

    def planned(self, plan: Plan, seconds: float) -> None:
        """Count a plan and the time that it took."""
        self._plans.labels(plan.status.value).inc()
        self._solve_seconds.labels(plan.method).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
