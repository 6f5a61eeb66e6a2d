"""A load change: what moves, what only grows or shrinks, and what staying put is worth.

A plan runs; then the load shifts between classes. Planned from what runs, a server changes its
accelerator only where that saves more than the change costs; planned from scratch more servers
would move for a little less money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import allocation_of, hardware, running, with_load
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import count_of, money
from stoker.cli.plots import Change, changes_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

FACTORS = {"Premium": 2.0, "Bronze": 1.0, "Free": 0.5}
"""How the arrival rate of each class changes."""


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = read_fleet("large")
    before = plan_fleet(fleet)
    shifted = _after_the_change(fleet, before)
    after = plan_fleet(shifted)
    anew = plan_fleet(replace(shifted, rules=replace(fleet.rules, transition_penalty=0.0)))
    changes = _changes(fleet, before, after)
    moved, moved_anew = _moved(before, after), _moved(before, anew)
    report = Report(
        title=f"The {fleet.name} fleet when its load shifts: {_shift_words()}",
        data={
            "currency": fleet.currency,
            "factors": FACTORS,
            "transition_penalty": fleet.rules.transition_penalty,
            "cost_before_per_hour": before.cost_per_hour,
            "cost_after_per_hour": after.cost_per_hour,
            "cost_after_anew_per_hour": anew.cost_per_hour,
            "objective": after.objective,
            "moved": moved,
            "moved_anew": moved_anew,
            "changes": [
                {
                    "server": item.server,
                    "before": item.before,
                    "after": item.after,
                    "cost_difference_per_hour": item.cost_after_per_hour
                    - item.cost_before_per_hour,
                }
                for item in changes
            ],
        },
        tables=[_table(changes, fleet.currency)],
        findings=_findings(fleet, (before, after, anew), changes, (moved, moved_anew)),
        figures={"changes.png": changes_figure(changes, fleet.currency)},
    )
    return publish(report, output, format)


def _shift_words() -> str:
    return ", ".join(f"{name} × {factor:g}" for name, factor in FACTORS.items() if factor != 1.0)


def _after_the_change(fleet: Fleet, plan: Plan) -> Fleet:
    """Return the fleet with the new load, running what was planned for the old one."""
    servers = (running(server, plan) for server in fleet.servers)
    return replace(
        fleet,
        servers=tuple(
            with_load(server, FACTORS.get(server.service_class, 1.0)) for server in servers
        ),
    )


def _changes(fleet: Fleet, before: Plan, after: Plan) -> list[Change]:
    changes = []
    for server in fleet.servers:
        old, new = allocation_of(before, server.name), allocation_of(after, server.name)
        if hardware(old) != hardware(new):
            changes.append(
                Change(
                    server=server.name,
                    before=hardware(old),
                    after=hardware(new),
                    cost_before_per_hour=old.cost_per_hour if old else 0.0,
                    cost_after_per_hour=new.cost_per_hour if new else 0.0,
                )
            )
    return changes


def _moved(before: Plan, after: Plan) -> list[str]:
    """Return the servers whose accelerator changes."""
    old = {item.server: item.accelerator for item in before.allocations}
    return [item.server for item in after.allocations if old.get(item.server) != item.accelerator]


def _table(changes: Sequence[Change], currency: str) -> Table:
    rows = [
        (
            item.server,
            item.before,
            item.after,
            f"{item.cost_after_per_hour - item.cost_before_per_hour:+,.2f}",
        )
        for item in changes
    ]
    return numbers_table(("server", "before", "after", f"{currency}/h"), rows)


def _findings(
    fleet: Fleet,
    plans: tuple[Plan, Plan, Plan],
    changes: Sequence[Change],
    moved: tuple[Sequence[str], Sequence[str]],
) -> list[str]:
    before, after, anew = plans
    difference = after.cost_per_hour - before.cost_per_hour
    verb = "more" if difference >= 0 else "less"
    extra = after.cost_per_hour - anew.cost_per_hour
    return [
        f"{len(changes)} of {count_of(len(fleet.servers), 'server')} change: "
        f"{len(moved[0])} to another accelerator, {len(changes) - len(moved[0])} in replicas "
        f"alone. The fleet costs {money(abs(difference))} {fleet.currency} per hour {verb}.",
        f"A change of accelerator counts as {fleet.rules.transition_penalty:.0%} of what is torn "
        f"down and set up. Without that, {len(moved[1])} would move, to save another "
        f"{money(extra)} {fleet.currency} per hour ({extra / anew.cost_per_hour:.1%}).",
    ]


if __name__ == "__main__":
    run(main, "04-load-change")
