"""Four saturation policies: who gets the cards left over when not everybody can be served.

Too few cards for the fleet: some servers cannot keep their targets for the whole load. What is
left over may still carry part of their requests; the policy says whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import (
    allocation_of,
    carried_by_class,
    hardware,
    served_vector,
    served_words,
)
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.cli.plots import Carried, carried_figure, comparison_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy, SolverKind

SCALE = 0.25
"""Share of the cards that are left."""


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = scale_capacity(read_fleet("small"), SCALE)
    plans = {policy.value: _plan(fleet, policy, delayed=True) for policy in SaturationPolicy}
    early = {policy.value: _plan(fleet, policy, delayed=False) for policy in SaturationPolicy}
    carried = {name: carried_by_class(fleet, plan) for name, plan in plans.items()}
    report = Report(
        title=f"The {fleet.name} fleet with {SCALE:.0%} of its cards, under four policies",
        data={
            "currency": fleet.currency,
            "capacity_scale": SCALE,
            "usage": {
                name: {item.card_type: [item.used, item.available] for item in plan.usage}
                for name, plan in plans.items()
            },
            "served": {name: list(served_vector(plan)) for name, plan in plans.items()},
            "served_not_delayed": {name: list(served_vector(plan)) for name, plan in early.items()},
            "cost_per_hour": {name: plan.cost_per_hour for name, plan in plans.items()},
            "carried": carried,
            "best_effort": {name: _best_effort(plan) for name, plan in plans.items()},
        },
        tables=[_policy_table(plans, carried), _server_table(plans)],
        findings=_findings(plans, early, carried),
        figures={
            "carried.png": carried_figure(
                "Requests carried by class, under four policies",
                [Carried(name, tuple(shares.items())) for name, shares in carried.items()],
            ),
            "comparison.png": comparison_figure(
                _headline(plans),
                list(plans.items()),
            ),
        },
    )
    return publish(report, output, format)


def _plan(fleet: Fleet, policy: SaturationPolicy, *, delayed: bool) -> Plan:
    settings = replace(
        fleet.settings,
        solver=SolverKind.GREEDY,
        saturation_policy=policy,
        delayed_best_effort=delayed,
    )
    return plan_fleet(fleet, settings)


def _best_effort(plan: Plan) -> dict[str, str]:
    return {item.server: hardware(item) for item in plan.allocations if not item.fully_served}


def _policy_table(plans: Mapping[str, Plan], carried: Mapping[str, Mapping[str, float]]) -> Table:
    classes = list(next(iter(carried.values())))
    currency = next(iter(plans.values())).currency
    rows = [
        (
            name,
            served_words(plan),
            *(f"{carried[name].get(item, 0.0):.1%}" for item in classes),
            money(plan.cost_per_hour),
        )
        for name, plan in plans.items()
    ]
    heads = [f"{item} carried" for item in classes]
    return numbers_table(("policy", "served in full", *heads, f"{currency}/h"), rows)


def _server_table(plans: Mapping[str, Plan]) -> Table:
    servers = dict.fromkeys(item.server for plan in plans.values() for item in plan.unplaced)
    rows = [
        (server, *(hardware(allocation_of(plan, server)) for plan in plans.values()))
        for server in servers
    ]
    return numbers_table(("not served in full", *plans), rows)


def _headline(plans: Mapping[str, Plan]) -> str:
    costs = [plan.cost_per_hour for plan in plans.values()]
    same = len({served_vector(plan) for plan in plans.values()}) == 1
    return (
        f"{'As many' if same else 'Not as many'} servers are served in full under each policy; "
        f"best effort costs up to {money(max(costs) - min(costs))} more per hour"
    )


def _findings(
    plans: Mapping[str, Plan],
    early: Mapping[str, Plan],
    carried: Mapping[str, Mapping[str, float]],
) -> list[str]:
    none = SaturationPolicy.NONE.value
    left = {
        item.card_type: item.available - item.used
        for item in plans[none].usage
        if item.available is not None and item.available > item.used
    }
    found = [
        f"After the servers that fit, {sum(left.values()):,} cards are left over ("
        + ", ".join(f"{count:,} {name}" for name, count in left.items())
        + "): under the policy None they stay idle."
    ]
    for name in list(next(iter(carried.values()))):
        shares = {policy: values[name] for policy, values in carried.items()}
        best = max(shares, key=lambda policy: shares[policy])
        if max(shares.values()) - min(shares.values()) > 0.0005:
            found.append(
                f"{name} is carried best under {best}: {shares[best]:.1%} of its requests, "
                f"against {shares[none]:.1%} under None."
            )
    for policy, plan in plans.items():
        now, then = sum(served_vector(early[policy])), sum(served_vector(plan))
        if now != then:
            found.append(
                f"Here best effort waits until every priority had its turn. Given out after each "
                f"priority instead, {policy} would serve {now} servers in full in place of {then}."
            )
    return found


if __name__ == "__main__":
    run(main, "06-saturation-policies")
