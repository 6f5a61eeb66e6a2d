"""A fleet of one server that is cheaper on other cards than those it runs on."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from tests.support.controlled_fleets import controlled_fleet

BIG, SMALL = "big", "small"


def fleet() -> Fleet:
    """Chat alone, on cards that no other test has; the cheaper replica takes two of them."""
    found = controlled_fleet()
    return replace(
        found,
        accelerators=(
            Accelerator("H100", BIG, 1, 3.0, 80.0),
            Accelerator("L4", SMALL, 2, 0.7, 48.0),
        ),
        capacity=(Capacity(BIG, 8), Capacity(SMALL, 8)),
        profiles=tuple(
            each
            for each in found.profiles
            if each.accelerator != "2xH100" and each.model == found.servers[0].model
        ),
        service_classes=tuple(
            replace(each, targets=each.targets[:1]) for each in found.service_classes[:1]
        ),
        servers=found.servers[:1],
    )
