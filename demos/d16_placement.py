"""Placement: a plan that counts cards may not fit its nodes; one that knows them does, for more.

Six of eight nodes have three cards left each, so that a replica of four finds no place there. A
plan is made by card counts, then one in which every replica has a place. That one is packed on as
few nodes as it takes, and spread over them, and each node is lost in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from data.plan_format import plan_to_document
from data.planned_replicas import planned_replicas
from data.stoker_format import document_to_fleet
from demos.on_nodes import (
    Placed,
    carried_without,
    idle_used,
    losses_of,
    standing_of,
    worst_of,
)
from demos.placement_picture import placement_figure
from demos.report import Report, numbers_table, publish, run
from optimizer.nodes.place import place_replicas
from optimizer.planner import plan_fleet
from stoker.cli.figures import count_of, money
from stoker.domain.fleet import Fleet
from stoker.domain.placement import NodePlacement, PlacementStrategy
from stoker.domain.plan import Plan

SERVERS = {"chat": ("llama-70b", 1, 56.0, 512, 256), "mail": ("llama-8b", 2, 40.0, 1200, 150)}


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    fleet = example_fleet()
    ways = _ways(fleet)
    currency = fleet.currency
    report = Report(
        title=f"Two servers on {len(fleet.nodes)} nodes, most of them half taken",
        data={
            "currency": currency,
            "free_cards": {node.name: node.free for node in fleet.nodes},
            "ways": {name: _figures(fleet, placed) for name, placed in ways.items()},
        },
        tables=[_table(fleet, ways, currency), _lost_table(fleet, ways)],
        findings=_findings(fleet, ways, currency),
        figures={"placement.png": placement_figure(fleet, ways, currency)},
    )
    return publish(report, output, format)


def example_fleet() -> Fleet:
    """Return a large and a small model on nodes of two zones, of which most have three cards left.

    The large one runs on four cards a replica, or on two, which costs more for the same load.
    """
    work = {"kind": "token-work", "gamma_ms": 0.0001}
    profiles = {
        ("llama-70b", "4xA100"): {"alpha_ms": 11, "beta_ms": 0.05},
        ("llama-70b", "2xA100"): {"alpha_ms": 13, "beta_ms": 0.1},
        ("llama-8b", "A100"): {"alpha_ms": 8, "beta_ms": 0.03},
    }
    half = {"card_type": "A100", "cards": 8, "cards_taken": 5}
    return document_to_fleet(
        {
            "version": 1,
            "name": "placement",
            "currency": "USD",
            "accelerators": [
                {"name": "A100", "cost_per_hour": 2.5},
                {"name": "2xA100", "card_type": "A100", "cards": 2, "cost_per_hour": 5},
                {"name": "4xA100", "card_type": "A100", "cards": 4, "cost_per_hour": 8},
            ],
            "profiles": [
                {
                    "model": model,
                    "accelerator": accelerator,
                    "max_batch": 64,
                    "at_tokens": 512,
                    "parameters": work | times,
                }
                for (model, accelerator), times in profiles.items()
            ],
            "service_classes": [
                {
                    "name": name,
                    "priority": priority,
                    "targets": [{"model": model, "ttft_ms": 800, "itl_ms": 40}],
                }
                for name, (model, priority, *_) in SERVERS.items()
            ],
            "servers": [
                {
                    "name": name,
                    "service_class": name,
                    "model": model,
                    "load": {
                        "arrival_rate_rps": rate,
                        "input_tokens": prompt,
                        "output_tokens": answer,
                    },
                }
                for name, (model, _, rate, prompt, answer) in SERVERS.items()
            ],
            "nodes": [
                {"name": "east", "count": 4, "zone": "east", **half},
                {"name": "east-new", "zone": "east", "card_type": "A100", "cards": 8},
                {"name": "west", "count": 2, "zone": "west", **half},
                {"name": "west-new", "zone": "west", "card_type": "A100", "cards": 8},
            ],
        }
    )


def _ways(fleet: Fleet) -> dict[str, Placed]:
    """Return a plan by card counts, and one that fits the nodes, packed and spread."""
    counted = plan_fleet(fleet)
    fitting = plan_fleet(fleet, replace(fleet.settings, placement=True))
    pack, spread = PlacementStrategy.PACK, PlacementStrategy.SPREAD
    return {
        "by card counts": Placed(counted, _placed(fleet, counted, pack)),
        "fitting, packed": Placed(fitting, _placed(fleet, fitting, pack)),
        "fitting, spread": Placed(fitting, _placed(fleet, fitting, spread)),
    }


def _placed(fleet: Fleet, plan: Plan, strategy: PlacementStrategy) -> NodePlacement:
    asked = planned_replicas(plan_to_document(plan), fleet.priorities)
    return place_replicas(asked.demands, fleet.nodes, strategy)


def _figures(fleet: Fleet, placed: Placed) -> dict[str, object]:
    return {
        "status": placed.plan.status.value,
        "cost_per_hour": placed.plan.cost_per_hour,
        "cards": sum(item.cards for item in placed.plan.allocations),
        "allocations": {
            item.server: {"accelerator": item.accelerator, "replicas": item.replicas}
            for item in placed.plan.allocations
        },
        "standing": {name: dict(nodes) for name, nodes in standing_of(placed).items()},
        "without_a_place": {
            item.server: {
                "replicas": item.replicas,
                "reason": item.reason.value,
                "detail": item.detail,
                "remedy": item.remedy,
            }
            for item in placed.placement.unfit
        },
        "proven": all(goal.proven for goal in placed.placement.goals),
        "idle_nodes_used": idle_used(fleet, placed),
        "carried": carried_without(placed),
        "carried_without_node": losses_of(fleet, placed),
        "carried_without_zone": losses_of(fleet, placed, zones=True),
    }


def _table(fleet: Fleet, ways: Mapping[str, Placed], currency: str) -> Table:
    rows = []
    for name, placed in ways.items():
        items = placed.plan.allocations
        unfit = sum(item.replicas for item in placed.placement.unfit)
        rows.append(
            (
                name,
                money(placed.plan.cost_per_hour),
                *(f"{item.replicas} × {item.accelerator}" for item in items),
                str(unfit),
                str(len({replica.node for replica in placed.placement.placed})),
                str(len(idle_used(fleet, placed))),
            )
        )
    heads = ("plan", f"{currency}/h", *SERVERS, "without a place", "nodes", "of them idle before")
    return numbers_table(heads, rows)


def _lost_table(fleet: Fleet, ways: Mapping[str, Placed]) -> Table:
    rows = []
    for name, placed in ways.items():
        whole = carried_without(placed)
        node, zone = (worst_of(losses_of(fleet, placed, zones=zones)) for zones in (False, True))
        rows += [
            (f"{name}: {server}", f"{whole[server]:.0%}", f"{node[server]:.0%}", f"{share:.0%}")
            for server, share in zone.items()
        ]
    heads = ("carried within the targets", "with all nodes", "worst node lost", "worst zone lost")
    return numbers_table(heads, rows)


def _findings(fleet: Fleet, ways: Mapping[str, Placed], currency: str) -> list[str]:
    counted, packed, spread = ways.values()
    cards = sum(item.cards for item in counted.plan.allocations)
    free = sum(node.free for node in fleet.nodes)
    found = [
        f"By card counts {cards} of {free} free cards are enough, for "
        f"{money(counted.plan.cost_per_hour)} {currency} an hour."
    ]
    found += [
        f"On the nodes {count_of(item.replicas, 'replica')} of {item.server} on {item.accelerator} "
        f"{'has' if item.replicas == 1 else 'have'} no place ({item.detail}): {item.server} would "
        f"carry {carried_without(counted)[item.server]:.0%} of its load. What helps: {item.remedy}."
        for item in counted.placement.unfit
    ]
    more = packed.plan.cost_per_hour - counted.plan.cost_per_hour
    lacking = sum(item.replicas for item in packed.placement.unfit)
    found.append(
        f"The plan that knows its nodes has {lacking or 'no'} replicas without a place and costs "
        f"{money(packed.plan.cost_per_hour)} {currency} an hour, {money(more)} more, proven as "
        "any other."
    )
    back = len(idle_used(fleet, spread)) - len(idle_used(fleet, packed))
    idle = len([node for node in fleet.nodes if not node.taken])
    found.append(
        f"Packed it takes {len(idle_used(fleet, packed))} of {count_of(idle, 'idle node')}, "
        f"{back} fewer than spread."
    )
    for what, zones in (("node", False), ("zone", True)):
        tight, wide = (worst_of(losses_of(fleet, each, zones=zones)) for each in (packed, spread))
        told = [
            f"{server} still carries {wide[server]:.0%} of its load spread"
            + (
                f", {tight[server]:.0%} packed"
                if tight[server] != wide[server]
                else " and as much packed"
            )
            for server in tight
        ]
        found.append(f"With the worst {what} lost, {'; '.join(told)}.")
    return found


if __name__ == "__main__":
    run(main, "16-placement")
