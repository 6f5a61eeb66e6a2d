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

WORDS = {
    "planned": "planned every interval",
    "clairvoyant": "by hindsight, in time",
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
            "Against hindsight",
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
            "any, with any router, at least",
            *["–"] * (len(targets) + 3),
            f"{found.least_hours:,.2f}",
            money(found.least_cost),
            _against(found, found.least_cost),
        )
    parts: list[RenderableType] = [Text(head), Text(""), table]
    if found.static is None:
        parts.append(Text("\nNo number of replicas keeps the targets of the whole trace."))
    return Group(*parts)


def _against(found: Backtest, cost: float) -> str:
    return "–" if found.clairvoyant is None else f"{cost / found.clairvoyant.cost - 1:+.1%}"


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
    """Return a backtest as CSV: a row for each way to provide replicas."""
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
    return stream.getvalue()
