"""Sharing: servers of one model on common replicas cost less than apart, where classes differ.

Three servers of one model with targets of their own: two interactive ones and one that may wait.
They are planned at rising load, each on replicas of its own, or sharing first come, first served,
or with engine priorities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from data.stoker_format import document_to_fleet
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.cli.plots.style import BLUE, ORANGE, VERMILION, blank_figure, dress
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.sharing import SharingGroup
from stoker.domain.workload import Load

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
WAYS = {
    "apart": (),
    "shared": (SharingGroup("all", ("chat", "mail", "reports")),),
    "shared, with priorities": (SharingGroup("all", ("chat", "mail", "reports"), True),),
}
_LOOKS = {
    "apart": (VERMILION, "o", 4.5),
    "shared": (ORANGE, "s", 2.8),
    "shared, with priorities": (BLUE, "^", 1.4),
}
"""Colour, marker and width of each line: where they meet, all of them show."""
_MODEL = "llama-8b"


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = example_fleet()
    plans = {
        name: [plan_fleet(replace(_at(fleet, factor), sharing=groups)) for factor in FACTORS]
        for name, groups in WAYS.items()
    }
    report = Report(
        title="Three servers of one model, on replicas of their own or on common ones",
        data={
            "currency": fleet.currency,
            "factors": list(FACTORS),
            "ways": {name: [_figures(plan) for plan in own] for name, own in plans.items()},
        },
        tables=[_table(plans, fleet.currency)],
        findings=_findings(plans, fleet.currency),
        figures={"sharing.png": _figure(plans, fleet.currency)},
    )
    return publish(report, output, format)


def example_fleet() -> Fleet:
    """Return three servers of a model on one type of card."""
    interactive = {"model": _MODEL, "ttft_ms": {"p95": 1500}, "itl_ms": {"p95": 90}}
    patient = {"model": _MODEL, "ttft_ms": {"p95": 60000}, "itl_ms": {"p95": 120}}
    loads = {
        "chat": ("interactive", 0.4, 500, 200),
        "mail": ("interactive", 0.2, 1200, 150),
        "reports": ("batch", 0.8, 2500, 300),
    }
    return document_to_fleet(
        {
            "version": 1,
            "name": "sharing",
            "currency": "USD",
            "accelerators": [{"name": "L40S", "cost_per_hour": 1.4, "memory_gb": 48}],
            "capacity": {"L40S": 64},
            "profiles": [
                {
                    "model": _MODEL,
                    "accelerator": "L40S",
                    "max_batch": 16,
                    "at_tokens": 512,
                    "kv_tokens": 60_000,
                    "parameters": {
                        "kind": "token-work",
                        "alpha_ms": 14,
                        "beta_ms": 0.05,
                        "gamma_ms": 0.0001,
                    },
                }
            ],
            "service_classes": [
                {"name": "interactive", "priority": 1, "targets": [interactive]},
                {"name": "batch", "priority": 2, "targets": [patient]},
            ],
            "servers": [
                {
                    "name": name,
                    "service_class": service_class,
                    "model": _MODEL,
                    "load": {
                        "arrival_rate_rps": rate,
                        "input_tokens": inputs,
                        "output_tokens": outputs,
                        "input_tokens_cv": 0.7,
                        "output_tokens_cv": 0.7,
                    },
                }
                for name, (service_class, rate, inputs, outputs) in loads.items()
            ],
        }
    )


def _at(fleet: Fleet, factor: float) -> Fleet:
    """Return the fleet at a multiple of its load."""

    def more(load: Load | None) -> Load | None:
        if load is None:
            return None
        return replace(load, arrival_rate_rps=factor * load.arrival_rate_rps)

    servers = tuple(replace(server, load=more(server.load)) for server in fleet.servers)
    return replace(fleet, servers=servers)


def _replicas(plan: Plan) -> int:
    return sum(item.replicas for item in plan.allocations if item.counted_with is None)


def _sets(plan: Plan) -> str:
    """Return who is served together, e.g. ``chat+mail reports``."""
    return " ".join(
        "+".join(sorted((item.server, *item.shared_with)))
        for item in plan.allocations
        if item.counted_with is None
    )


def _figures(plan: Plan) -> dict[str, object]:
    return {
        "cost_per_hour": plan.cost_per_hour,
        "replicas": _replicas(plan),
        "served": sum(item.served for item in plan.services),
        "together": _sets(plan),
    }


def _table(plans: dict[str, list[Plan]], currency: str) -> Table:
    rows = [
        (
            f"× {factor:g}",
            *(
                f"{money(own[index].cost_per_hour)} ({_replicas(own[index])})"
                for own in plans.values()
            ),
            _sets(plans["shared, with priorities"][index]),
        )
        for index, factor in enumerate(FACTORS)
    ]
    heads = [f"{name}: {currency}/h (replicas)" for name in plans]
    return numbers_table(("load", *heads, "together, with priorities"), rows)


def _findings(plans: dict[str, list[Plan]], currency: str) -> list[str]:
    apart, turn = plans["apart"], plans["shared, with priorities"]
    shared = plans["shared"]
    saved = [
        1.0 - own.cost_per_hour / other.cost_per_hour
        for own, other in zip(turn, apart, strict=True)
    ]
    most = max(range(len(FACTORS)), key=saved.__getitem__)
    gained = [
        f"{FACTORS[index]:g}"
        for index, (own, other) in enumerate(zip(turn, shared, strict=True))
        if own.cost_per_hour < other.cost_per_hour - 1e-9
    ]
    return [
        f"At {FACTORS[most]:g} times the load common replicas cost "
        f"{money(turn[most].cost_per_hour)} {currency}/h in place of "
        f"{money(apart[most].cost_per_hour)}: {saved[most]:.0%} less.",
        f"At {FACTORS[-1]:g} times the load it is {saved[-1]:.0%}: what is saved are the parts of "
        "replicas that each server leaves idle, and those are fewer the more replicas there are.",
        "Priorities save more at "
        + (f"{_listed(gained)} times the load." if gained else "none of these loads.")
        + " No plan that may share costs more than the one that may not.",
    ]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _figure(plans: dict[str, list[Plan]], currency: str) -> Figure:
    figure = blank_figure(7.0, 4.0, "Cost of three servers of one model against their load")
    axes = figure.add_subplot()
    for name, own in plans.items():
        color, marker, width = _LOOKS[name]
        costs = [plan.cost_per_hour for plan in own]
        axes.plot(
            FACTORS,
            costs,
            color=color,
            marker=marker,
            linewidth=width,
            markersize=3.0 + 2.2 * width,
            label=name,
        )
    dress(axes, xlabel="load, times the first", ylabel=f"{currency} per hour", grid="both")
    axes.set_ylim(bottom=0.0)
    axes.set_xlim(left=0.0)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    run(main, "13-sharing")
