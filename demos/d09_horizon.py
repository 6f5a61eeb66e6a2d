"""A week planned at once: what to commit to, what to leave to on-demand and spot cards.

Three servers of the small fleet are busy by day and quiet by night and on the weekend. Their week
is planned four times: on demand alone, with commitments, with spot cards, and with both. Replicas
are started an hour before they serve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.report import Report, numbers_table, publish, run
from optimizer.horizon.plan import plan_horizon
from stoker.cli.figures import money
from stoker.cli.plots.horizon import horizon_figure
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import (
    CardTerms,
    HorizonPlan,
    HorizonTerms,
    HourlyDemand,
    ReservedTerms,
    SpotTerms,
)
from stoker.domain.workload import Load

SERVERS = ("Premium-llama_13b", "Bronze-granite_13b", "Free-llama_13b")
HOURS = 168
GAP = 0.02
RESERVED = ReservedTerms(price_factor=0.6)
SPOT = SpotTerms(price_factor=0.35, interruptions_per_hour=0.05, most_share=0.5)
WAYS = {
    "on demand": CardTerms(),
    "with commitments": CardTerms(RESERVED),
    "with spot": CardTerms(None, SPOT),
    "with both": CardTerms(RESERVED, SPOT),
}


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = _fleet()
    demand = _week(fleet)
    plans = {
        name: plan_horizon(fleet, demand, _terms(told), gap=GAP) for name, told in WAYS.items()
    }
    best = plans["with both"]
    report = Report(
        title=f"A week of {len(SERVERS)} servers, hour by hour",
        data={
            "currency": fleet.currency,
            "hours": HOURS,
            "ways": {name: _figures(plan) for name, plan in plans.items()},
            "static": best.static_cost,
            "hour_by_hour": best.hour_by_hour_cost,
        },
        tables=[_table(list(plans.items()), fleet.currency)],
        findings=_findings(plans, fleet.currency),
        figures={"horizon.png": horizon_figure(best)},
    )
    return publish(report, output, format)


def _fleet() -> Fleet:
    fleet = read_fleet("small")
    kept = tuple(server for server in fleet.servers if server.name in SERVERS)
    return replace(fleet, servers=kept)


def _week(fleet: Fleet) -> HourlyDemand:
    loads = []
    for shift, server in enumerate(fleet.servers):
        load = server.load or Load(0.0, 0.0, 0.0)
        shape = [
            (1.0 + 0.7 * math.sin(2.0 * math.pi * (hour - 9 - 2 * shift) / 24))
            * (0.6 if hour // 24 >= 5 else 1.0)
            for hour in range(HOURS)
        ]
        loads.append(
            tuple(replace(load, arrival_rate_rps=load.arrival_rate_rps * part) for part in shape)
        )
    return HourlyDemand(tuple(server.name for server in fleet.servers), tuple(loads))


def _terms(told: CardTerms) -> HorizonTerms:
    return HorizonTerms(default=told, start_up_hours=1, min_up_hours=2, confidence=0.99)


def _figures(plan: HorizonPlan) -> dict[str, object]:
    return {
        "cost": plan.cost,
        "bound": plan.bound,
        "gap": plan.gap,
        "reserved": plan.reserved_cost,
        "on_demand": plan.on_demand_cost,
        "spot": plan.spot_cost,
    }


def _table(plans: Sequence[tuple[str, HorizonPlan]], currency: str) -> Table:
    rows = [
        (
            name,
            money(plan.cost),
            money(plan.reserved_cost),
            money(plan.on_demand_cost),
            money(plan.spot_cost),
            "?" if plan.gap is None else f"{plan.gap:.2%}",
        )
        for name, plan in plans
    ]
    columns = ("way", f"{currency} a week", "reserved", "on demand", "spot", "gap proven")
    return numbers_table(columns, rows)


def _findings(plans: dict[str, HorizonPlan], currency: str) -> list[str]:
    alone, best = plans["on demand"], plans["with both"]
    found = [
        f"Commitments and spot cards together take the week from {money(alone.cost)} to "
        f"{money(best.cost)} {currency}, {1 - best.cost / alone.cost:.0%} less."
    ]
    if alone.static_cost is not None:
        found.append(
            f"Running the peak all the time on demand would cost {money(alone.static_cost)}: "
            f"starting and stopping by the hour alone saves "
            f"{1 - alone.cost / alone.static_cost:.0%}."
        )
    committed = {item.card_type: item for item in best.cards if item.reserved}
    for name, item in committed.items():
        share = sum(item.reserved_used) / (item.reserved * best.hours)
        found.append(
            f"{item.reserved} cards of {name} are committed, and in use {share:.0%} of it."
        )
    return found


if __name__ == "__main__":
    run(main, "09-horizon")
