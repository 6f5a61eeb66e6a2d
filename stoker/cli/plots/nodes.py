"""Nodes as bars of cards: what was taken, whose replicas they hold, what is free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    PALE,
    RULE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.nodes import Node
from stoker.domain.placement import NodePlacement

MOST_NODES = 60
"""Nodes that are drawn; the fullest, where there are more."""

MOST_SERVERS = 12
"""Servers with a fill of their own; those with fewer cards share one."""

_FILLS = [
    (fill, hatch) for hatch in ("", "...", "\\\\\\") for fill in (BLUE, SKY, ORANGE, VERMILION)
]
_OTHERS = ("white", "xx")


def nodes_figure(nodes: Sequence[Node], placement: NodePlacement) -> Figure:
    """Return a bar of cards for each node that received a replica, the first node on top.

    Args:
        nodes: All nodes, in the order to draw them in.
        placement: The placement.
    """
    used: dict[str, Counter[str]] = {}
    servers: Counter[str] = Counter()
    for replica in placement.placed:
        used.setdefault(replica.node, Counter())[replica.server] += replica.cards
        servers[replica.server] += replica.cards
    title = f"Replicas on nodes ({placement.strategy})"
    if not used:
        return message_figure(title, "No replica was placed.")
    holding = [node for node in nodes if node.name in used]
    fullest = sorted(holding, key=lambda node: -sum(used[node.name].values()))[:MOST_NODES]
    names = {node.name for node in fullest}
    drawn = [node for node in holding if node.name in names]
    if len(drawn) < len(nodes):
        title += f"\n{len(drawn)} of {len(nodes)} nodes are drawn"
    fills = dict(zip([name for name, _ in servers.most_common(MOST_SERVERS)], _FILLS, strict=False))
    figure = blank_figure(9.0, 1.8 + 0.24 * len(drawn), title)
    axes = figure.subplots()
    for row, node in enumerate(drawn):
        pieces = [("white", HATCH, node.taken)] if node.taken else []
        others = 0
        for server, cards in used[node.name].items():
            if server in fills:
                pieces.append((*fills[server], cards))
            else:
                others += cards
        pieces.append((*_OTHERS, others))
        pieces.append((PALE, "", node.cards - sum(cards for _, _, cards in pieces)))
        start = 0
        for fill, hatch, cards in pieces:
            if cards:
                edge = RULE if fill == PALE else INK
                axes.barh(row, cards, 0.72, left=start, color=fill, hatch=hatch, edgecolor=edge)
            start += cards
    name_rows(axes, [f"{node.name} ({node.card_type})" for node in drawn])
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    dress(axes, xlabel="cards", grid="x")
    keys = [Patch(facecolor="white", hatch=HATCH, edgecolor=INK, label="taken before")]
    keys += [
        Patch(facecolor=fill, hatch=hatch, edgecolor=INK, label=label(name, 24))
        for name, (fill, hatch) in fills.items()
    ]
    if len(servers) > len(fills):
        others_label = f"{len(servers) - len(fills)} other servers"
        keys.append(
            Patch(facecolor=_OTHERS[0], hatch=_OTHERS[1], edgecolor=INK, label=others_label)
        )
    keys.append(Patch(facecolor=PALE, edgecolor=RULE, label="free"))
    figure.legend(handles=keys, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    return figure
