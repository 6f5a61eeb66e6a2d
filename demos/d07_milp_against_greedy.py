"""MILP against greedy: what a proof buys when cards are scarce.

Greedy gives each server in turn its best accelerator that is still free, and never looks back.
The MILP weighs all servers together and proves that no plan serves more of the highest priorities,
or the same for less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import served_vector, served_words
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.cli.plots import comparison_figure
from stoker.domain.plan import Plan
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy, SolverKind

SCALES = (1.0, 0.75, 0.5, 0.35)

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Match:
    """Both plans at one share of the cards."""

    scale: float
    greedy: Plan
    milp: Plan

    @property
    def gained(self) -> tuple[int, ...]:
        """Servers that the MILP serves in full beyond greedy's, by priority."""
        pairs = zip(served_vector(self.milp), served_vector(self.greedy), strict=True)
        return tuple(ours - theirs for ours, theirs in pairs)


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    matches = [_match(scale) for scale in SCALES]
    named = [
        (f"{match.scale:.0%} of the cards, {name}", plan)
        for match in matches
        for name, plan in (("greedy", match.greedy), ("MILP", match.milp))
    ]
    findings = [_finding(match) for match in matches]
    report = Report(
        title="The large fleet planned by MILP and by greedy",
        data={
            "currency": matches[0].milp.currency,
            "matches": [
                {
                    "capacity_scale": match.scale,
                    "greedy": _figures(match.greedy),
                    "milp": _figures(match.milp),
                }
                for match in matches
            ],
        },
        tables=[_table(named)],
        findings=findings,
        figures={"comparison.png": comparison_figure(_headline(matches), named)},
    )
    return publish(report, output, format)


def _match(scale: float) -> _Match:
    fleet = scale_capacity(read_fleet("large"), scale)
    settings = replace(fleet.settings, saturation_policy=SaturationPolicy.NONE)
    return _Match(
        scale=scale,
        greedy=plan_fleet(fleet, replace(settings, solver=SolverKind.GREEDY)),
        milp=plan_fleet(fleet, replace(settings, solver=SolverKind.MILP)),
    )


def _figures(plan: Plan) -> dict[str, object]:
    return {
        "status": plan.status.value,
        "gap": plan.gap,
        "served": list(served_vector(plan)),
        "objective": plan.objective,
        "cost_per_hour": plan.cost_per_hour,
    }


def _table(named: Sequence[tuple[str, Plan]]) -> Table:
    rows = [
        (
            name,
            served_words(plan),
            money(plan.cost_per_hour),
            plan.status.value,
            _gap_words(plan),
        )
        for name, plan in named
    ]
    currency = named[0][1].currency
    return numbers_table(("plan", "served by priority", f"{currency}/h", "status", "gap"), rows)


def _gap_words(plan: Plan) -> str:
    """Return the gap; what is left of one by rounding counts as none."""
    if plan.gap is None:
        return "unknown"
    return "0" if plan.gap < _ROUNDING else f"{plan.gap:.1e}"


def _headline(matches: Sequence[_Match]) -> str:
    more = sum(any(match.gained) for match in matches)
    cheaper = len(matches) - more
    return (
        f"MILP serves more, or higher priorities, in {more} of {len(matches)} cases; "
        f"as many for no more in {cheaper}"
    )


def _finding(match: _Match) -> str:
    cards = f"With {match.scale:.0%} of the cards"
    ours, theirs = match.milp.cost_per_hour, match.greedy.cost_per_hour
    if not any(match.gained):
        return (
            f"{cards} both serve the same, and the MILP's plan costs {1 - ours / theirs:.1%} less."
        )
    total = sum(match.gained)
    priorities = [
        f"{gain:+d} of priority {service.priority}"
        for gain, service in zip(match.gained, match.milp.services, strict=True)
        if gain
    ]
    return (
        f"{cards} the MILP serves {', '.join(priorities)} ({total:+d} in all), for "
        f"{money(ours)} against {money(theirs)} per hour."
    )


if __name__ == "__main__":
    run(main, "07-milp-against-greedy")
