"""Placements as documents. What is unknown is null, never zero."""

from __future__ import annotations

from stoker.domain.placement import NodePlacement, PlacedReplica

Json = dict[str, object]


def placement_to_document(placement: NodePlacement) -> Json:
    """Return a placement as a document: replicas by server, and what did not fit and why."""
    return {
        "status": placement.status.value,
        "complete": not placement.unfit,
        "strategy": placement.strategy.value,
        "most_per_node": placement.most_per_node,
        "method": placement.method,
        "goals": [
            {
                "name": goal.name,
                "value": goal.value,
                "bound": goal.bound,
                "maximized": goal.maximized,
                "proven": goal.proven,
            }
            for goal in placement.goals
        ],
        "placed": _by_server(placement.placed),
        "unfit": [
            {
                "server": item.server,
                "accelerator": item.accelerator,
                "card_type": item.card_type,
                "cards_per_replica": item.cards,
                "replicas": item.replicas,
                "reason": item.reason.value,
                "detail": item.detail,
                "remedy": item.remedy,
            }
            for item in placement.unfit
        ],
        "notes": list(placement.notes),
        "timings_ms": dict(placement.timings_ms),
    }


def _by_server(placed: tuple[PlacedReplica, ...]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for replica in placed:
        entry: Json = {
            "accelerator": replica.accelerator,
            "node": replica.node,
            "cards": replica.cards,
            "link_groups": [
                {"group": group, "cards": cards} for group, cards in replica.group_cards
            ],
        }
        found.setdefault(replica.server, []).append(entry)
    return found
