"""Spare replicas of a plan in words."""

from __future__ import annotations

from stoker.cli.figures import count_of
from stoker.domain.explanation import AllocationExplanation, SpareRule

_ASKED = {
    SpareRule.REPLICA_LOST: "the plan is to survive the loss of a replica",
    SpareRule.NODE_LOST: "the plan is to survive the loss of a node",
    SpareRule.ZONE_LOST: "the plan is to survive the loss of a zone",
    SpareRule.ZONES: "they are to stand in several zones (spread_zones)",
    SpareRule.ZONE_SHARE: "only a share of them is to stand in one zone (max_zone_share)",
    SpareRule.SPOT_SHARE: "only a share is to be on spot cards (max_spot_share)",
    SpareRule.CURRENT: "as many run now, and a change would count",
}


def spare_words(item: AllocationExplanation) -> str:
    """Return how many replicas are beyond what the load needs, and what asks for them."""
    are = "is" if item.spare_replicas == 1 else "are"
    spare = f"{count_of(item.spare_replicas, 'replica')} {are} beyond what the load needs"
    if not item.spare_for:
        return spare
    return f"{spare}: {' and '.join(_ASKED[rule] for rule in item.spare_for)}"
