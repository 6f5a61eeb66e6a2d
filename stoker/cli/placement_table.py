"""Placements as text: nodes with their replicas, what does not fit, and what was proven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import count_of
from stoker.cli.output import WIDE
from stoker.domain.nodes import Node
from stoker.domain.placement import NodePlacement, PlacementGoal, UnfitReplicas


def placement_report(
    nodes: Sequence[Node], placement: NodePlacement, width: int = WIDE
) -> RenderableType:
    """Return the whole report: nodes that received replicas, what does not fit, the goals.

    Args:
        nodes: All nodes, in the order to show them in.
        placement: The placement.
        width: Columns of a line.
    """
    table, shown = _nodes_table(nodes, placement, width)
    parts: list[RenderableType] = []
    if shown:
        parts += [table]
        if shown < len(nodes):
            parts.append(Text(f"{count_of(len(nodes) - shown, 'node')} without a replica of it"))
    if placement.unfit:
        parts.append(Text("\nDoes not fit", style="bold"))
        parts += [_unfit(item) for item in placement.unfit]
    parts.append(Text("\nPlacement", style="bold"))
    parts += [_goal(goal) for goal in placement.goals]
    if placement.method:
        limit = placement.most_per_node
        most = "" if limit is None else f", at most {limit} of a server on a node"
        parts.append(Text(f"Status: {placement.status}, {placement.strategy}{most}"))
    return Group(*parts)


def _nodes_table(nodes: Sequence[Node], placement: NodePlacement, width: int) -> tuple[Table, int]:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), width=width, expand=False)
    for name in ("Node", "Zone", "Type"):
        table.add_column(name, no_wrap=True)
    for name in ("Cards", "Taken", "Placed", "Free"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Replicas (cards of each, link group)", overflow="fold", ratio=1)
    on: dict[str, Counter[str]] = {}
    used: Counter[str] = Counter()
    names = {node.name: node for node in nodes}
    for replica in placement.placed:
        several = len(names[replica.node].groups) > 1
        groups = "+".join(f"{group}" for group, _ in replica.group_cards)
        where = f", {groups}" if several else ""
        word = f"{replica.server} ({replica.cards}{where})"
        on.setdefault(replica.node, Counter())[word] += 1
        used[replica.node] += replica.cards
    for node in nodes:
        if node.name in on:
            words = [
                f"{count} × {word}" if count > 1 else word for word, count in on[node.name].items()
            ]
            figures = (node.cards, node.taken, used[node.name], node.free - used[node.name])
            table.add_row(
                Text(node.name),
                Text(node.zone or ""),
                Text(node.card_type),
                *map(str, figures),
                Text(", ".join(words)),
            )
    return table, len(on)


def _unfit(item: UnfitReplicas) -> Text:
    head = f"{item.server}: {count_of(item.replicas, 'replica')} of {item.accelerator}\n"
    return Text.assemble(
        (head, "bold"), f"  {item.reason}: {item.detail}\n", f"  remedy: {item.remedy}"
    )


def _goal(goal: PlacementGoal) -> Text:
    if goal.proven:
        proof = "proven"
    elif goal.bound is None:
        proof = "not proven"
    else:
        proof = f"at {'most' if goal.maximized else 'least'} {goal.bound} possible"
    return Text(f"{goal.value:>6}  {goal.name} ({proof})")
