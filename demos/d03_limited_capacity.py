"""Limited capacity: fewer cards first cost money, then service, lowest priority first.

The same fleet is planned with fewer and fewer cards of every type. Servers move to their second
choices while anything fits; when nothing more does, those of the lowest priority go without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import served_vector, served_words
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import count_of, money
from stoker.cli.plots import cards_figure, comparison_figure, matrix_figure
from stoker.domain.plan import Plan
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy, SolverKind

SCALES = (1.0, 0.75, 0.5, 0.4)


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = read_fleet("large")
    settings = replace(
        fleet.settings, solver=SolverKind.MILP, saturation_policy=SaturationPolicy.NONE
    )
    free = plan_fleet(fleet, replace(settings, unlimited=True))
    plans = [plan_fleet(scale_capacity(fleet, scale), settings) for scale in SCALES]
    named = [
        ("unlimited", free),
        *zip((f"{s:.0%} of the cards" for s in SCALES), plans, strict=True),
    ]
    report = Report(
        title=f"The {fleet.name} fleet with fewer and fewer cards",
        data={
            "currency": free.currency,
            "unlimited_cost_per_hour": free.cost_per_hour,
            "plans": [
                {
                    "capacity_scale": scale,
                    "cost_per_hour": plan.cost_per_hour,
                    "served": list(served_vector(plan)),
                    "card_types": [item.card_type for item in plan.usage if item.used],
                    "used_up": _used_up(plan),
                    "unplaced": [item.server for item in plan.unplaced],
                }
                for scale, plan in zip(SCALES, plans, strict=True)
            ],
        },
        tables=[_table(named)],
        findings=_findings(free, plans),
        figures={
            "comparison.png": comparison_figure(_headline(free, plans), named),
            "cost-and-cards.png": cards_figure(plans[-1]),
            "allocation-matrix.png": matrix_figure(fleet, plans[-1]),
        },
    )
    return publish(report, output, format)


def _used_up(plan: Plan) -> list[str]:
    return [item.card_type for item in plan.usage if item.used and item.used == item.available]


def _table(named: Sequence[tuple[str, Plan]]) -> Table:
    rows = [
        (
            name,
            money(plan.cost_per_hour),
            served_words(plan),
            str(sum(1 for item in plan.usage if item.used)),
            ", ".join(_used_up(plan)) or "-",
        )
        for name, plan in named
    ]
    currency = named[0][1].currency
    return numbers_table(
        ("cards", f"{currency}/h", "served by priority", "types used", "used up"), rows
    )


def _headline(free: Plan, plans: Sequence[Plan]) -> str:
    lost = len(plans[-1].unplaced)
    dearest = max(plan.cost_per_hour for plan in plans)
    return (
        f"Fewer cards: up to {dearest / free.cost_per_hour - 1:.0%} dearer than unlimited, "
        f"then {lost} of {sum(item.servers for item in free.services)} servers go without"
    )


def _findings(free: Plan, plans: Sequence[Plan]) -> list[str]:
    complete = [
        (scale, plan) for scale, plan in zip(SCALES, plans, strict=True) if not plan.unplaced
    ]
    found = [
        f"With {scale:.0%} of the cards every server is still served, for "
        f"{plan.cost_per_hour / free.cost_per_hour - 1:.0%} more than without limits."
        for scale, plan in complete
    ]
    for scale, plan in zip(SCALES, plans, strict=True):
        if plan.unplaced:
            first = plan.unplaced[0]
            found.append(
                f"With {scale:.0%} of the cards {count_of(len(plan.unplaced), 'server')} cannot be "
                f"served; by priority it is {served_words(plan)}. {first.server}: {first.remedy}."
            )
    return found


if __name__ == "__main__":
    run(main, "03-limited-capacity")
