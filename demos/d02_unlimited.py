"""The large sample fleet without limits: what each server would choose.

With all the cards in the world each server takes its cheapest candidate, independently of the
others: the floor under the cost of every plan with limits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from data.fleets import read_fleet
from demos.measures import allocation_of, hardware
from demos.report import Report, numbers_table, publish, run
from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from optimizer.table import CandidateTable
from stoker.cli.figures import count_of, money
from stoker.cli.plots import cards_figure, latencies_figure, matrix_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = read_fleet("large")
    plan = plan_fleet(fleet, replace(fleet.settings, unlimited=True))
    table = build_candidates(fleet, plan.analysis)
    dearest = _dearest(table)
    used = {item.card_type: item.used for item in plan.usage if item.used}
    report = Report(
        title=f"The {fleet.name} fleet with as many cards as it takes",
        data={
            "servers": len(fleet.servers),
            "pairs": len(table.server),
            "candidates": int(np.count_nonzero(table.accepted)),
            "cost_per_hour": plan.cost_per_hour,
            "dearest_cost_per_hour": dearest,
            "currency": plan.currency,
            "cards": used,
            "allocations": {
                item.server: {
                    "accelerator": item.accelerator,
                    "replicas": item.replicas,
                    "cost_per_hour": item.cost_per_hour,
                }
                for item in plan.allocations
            },
        },
        tables=[_table(fleet, plan)],
        findings=_findings(plan, table, used, dearest),
        figures={
            "cost-and-cards.png": cards_figure(plan),
            "allocation-matrix.png": matrix_figure(fleet, plan),
            "latency-against-targets.png": latencies_figure(fleet, plan),
        },
    )
    return publish(report, output, format)


def _table(fleet: Fleet, plan: Plan) -> Table:
    """Return what each class gets for each model."""
    classes = list(dict.fromkeys(server.service_class for server in fleet.servers))
    cells: dict[str, dict[str, str]] = {}
    for server in fleet.servers:
        row = cells.setdefault(server.model, {})
        row[server.service_class] = hardware(allocation_of(plan, server.name))
    rows = [(model, *(row.get(name, "") for name in classes)) for model, row in cells.items()]
    return numbers_table(("model", *classes), rows)


def _dearest(table: CandidateTable) -> float:
    """Return the cost of all servers, each on the dearest accelerator that keeps its targets."""
    cost = np.where(table.accepted, table.cost_per_hour, -np.inf)
    most = np.full(len(table.servers), -np.inf)
    np.maximum.at(most, table.server, cost)
    return float(most[np.isfinite(most)].sum())


def _findings(plan: Plan, table: CandidateTable, used: dict[str, int], dearest: float) -> list[str]:
    costliest = max(plan.allocations, key=lambda item: item.cost_per_hour)
    accepted = int(np.count_nonzero(table.accepted))
    return [
        f"{accepted} of {len(table.server)} pairs of server and accelerator can keep the targets, "
        f"{accepted / len(table.servers):.1f} a server.",
        f"The best of them need {count_of(len(used), 'type')} of card out of "
        f"{len(table.card_types)} and {money(plan.cost_per_hour)} {plan.currency} per hour; the "
        f"dearest that keep the same targets would cost {dearest / plan.cost_per_hour:.1f} times "
        f"as much.",
        f"{costliest.server} alone takes {costliest.cost_per_hour / plan.cost_per_hour:.0%} of the "
        f"cost, on {costliest.replicas} × {costliest.accelerator}.",
    ]


if __name__ == "__main__":
    run(main, "02-unlimited")
