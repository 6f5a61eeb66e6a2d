"""Backtests as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import math
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from stoker.cli.figures import money
from stoker.cli.trace_output import asked_of, figures_table
from stoker.domain.latency import Latency

if TYPE_CHECKING:
    from studies.traces.backtest import Backtest, PolicyResult

_NOTHING = 1e-9
"""Share of a cost that counts as none."""

WORDS = {
    "planned": "planned every interval",
    "hindsight": "best found in hindsight",
    "static": "never changed",
}


def backtest_report(found: Backtest, currency: str) -> RenderableType:
    """Return the report: a row for each way to provide replicas."""
    settings, goal = found.settings, found.goal
    head = (
        f"{found.option.name}: {asked_of(found.trace, goal)}; "
        f"{found.trace.span_ms / 60_000:,.1f} min, a plan every {settings.interval_ms / 1000:g} s "
        f"for the {settings.forecast} load"
        f"{'' if settings.headroom == 1 else f' × {settings.headroom:g}'}, replicas start in "
        f"{settings.startup_ms / 1000:g} s"
    )
    targets = tuple(latency.short for latency, _ in goal.limits())
    table = figures_table(
        ("Replicas",),
        (
            "Attainment",
            *targets,
            "Mean",
            "Most",
            "Replica hours",
            currency,
            "Against best found",
        ),
    )
    for item in found.policies:
        table.add_row(
            WORDS[item.name],
            f"{item.attainment:.2%}",
            *(f"{item.by_latency[latency]:.2%}" for latency, _ in goal.limits()),
            f"{_mean(found, item):.2f}",
            f"{item.schedule.most:,}",
            f"{item.replica_hours:,.2f}",
            money(item.cost),
            _against(found, item.cost),
        )
    if math.isfinite(found.least_hours):
        table.add_row(
            "proven lower bound, any router",
            *["–"] * (len(targets) + 3),
            f"{found.least_hours:,.2f}",
            money(found.least_cost),
            _against(found, found.least_cost),
        )
    parts: list[RenderableType] = [Text(head), Text(""), table]
    below = _below_best_found(found)
    if below is not None:
        parts.append(Text(f"\n{_proven(below)}"))
    if found.static is None:
        parts.append(Text("\nNo number of replicas keeps the targets of the whole trace."))
    return Group(*parts)


def _against(found: Backtest, cost: float) -> str:
    # What costs nothing, as no time passes or cards are free, is no measure.
    if found.hindsight is None or found.hindsight.cost <= 0:
        return "–"
    return f"{cost / found.hindsight.cost - 1:+.1%}"


def _below_best_found(found: Backtest) -> float | None:
    """Return the share by which the least of all is cheaper than the best found, at most."""
    if found.hindsight is None:
        return None
    if found.hindsight.cost <= 0:
        return 0.0
    return max(0.0, 1.0 - found.least_cost / found.hindsight.cost)


def _proven(below: float) -> str:
    """Return in words how far the best found in hindsight is proven to be the least."""
    if below < _NOTHING:
        return "The best found in hindsight is proven to be the least: it costs the lower bound."
    return (
        "The best found in hindsight is the answer of a search, not a proven optimum: with the "
        f"same knowledge it could be {below:.1%} cheaper at most, by the proven lower bound."
    )


def _mean(found: Backtest, item: PolicyResult) -> float:
    """Return the replicas that took requests, on average."""
    span = max(found.trace.span_ms, 1.0)
    return item.schedule.open_ms(span) / span


def backtest_document(found: Backtest, currency: str) -> dict[str, object]:
    """Return a backtest as a JSON document."""
    return {
        "model": found.option.profile.model,
        "accelerator": found.option.accelerator.name,
        "requests": len(found.trace),
        "span_s": found.trace.span_ms / 1000,
        "attainment": found.goal.share,
        "targets": {latency.value: limit for latency, limit in found.goal.limits()},
        "interval_s": found.settings.interval_ms / 1000,
        "startup_s": found.settings.startup_ms / 1000,
        "forecast": found.settings.forecast.value,
        "headroom": found.settings.headroom,
        "router": found.settings.router.label,
        "currency": currency,
        "wanted": list(found.wanted),
        "least_replica_hours": found.least_hours if math.isfinite(found.least_hours) else None,
        "least_cost": found.least_cost if math.isfinite(found.least_hours) else None,
        "least_below_hindsight": _below_best_found(found),
        "policies": {
            item.name: {
                "attainment": item.attainment,
                "by_target": {name.value: share for name, share in item.by_latency.items()},
                "mean_replicas": _mean(found, item),
                "most_replicas": item.schedule.most,
                "replica_hours": item.replica_hours,
                "cost": item.cost,
                "replicas": [
                    {"from_s": time / 1000, "count": count} for time, count in item.schedule.steps
                ],
            }
            for item in found.policies
        },
    }


def backtest_csv(found: Backtest) -> str:
    """Return a backtest as CSV: a row for each way to provide replicas, and the proven bound."""
    stream = StringIO()
    latencies = [latency for latency in Latency if latency in found.planned.by_latency]
    columns = [
        "policy",
        "attainment",
        *(f"attainment_{latency.name.lower()}" for latency in latencies),
        "mean_replicas",
        "most_replicas",
        "replica_hours",
        "cost",
    ]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for item in found.policies:
        writer.writerow(
            [
                item.name,
                item.attainment,
                *(item.by_latency[latency] for latency in latencies),
                _mean(found, item),
                item.schedule.most,
                item.replica_hours,
                item.cost,
            ]
        )
    if math.isfinite(found.least_hours):
        unknown = [""] * (len(latencies) + 3)
        writer.writerow(["lower_bound", *unknown, found.least_hours, found.least_cost])
    return stream.getvalue()
