"""What the constraints and objectives of a fleet can see of its candidates."""

from __future__ import annotations

from optimizer.configurations.pruning import CARDS_AND_PRICE, EVERYTHING_TOLD, Visible
from stoker.domain.fleet import Fleet
from stoker.domain.limits import ObjectiveName


def visible_in(fleet: Fleet) -> Visible:
    """Return what a plan of a fleet may depend on, beside cards and prices."""
    if fleet.is_plain:
        return CARDS_AND_PRICE
    if fleet.objectives.includes(ObjectiveName.SLO_SLACK):
        return Visible(replicas=True, power=True, slack=True)
    return EVERYTHING_TOLD
