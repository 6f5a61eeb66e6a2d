"""Fleets for the control loop: two models, two types of cards."""

from __future__ import annotations

from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import ModelProfile, TokenWorkParameters
from stoker.domain.server import Server
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.slo import ServiceClass, SloTarget

_PARAMETERS = {
    "H100": TokenWorkParameters(alpha_ms=6.0, beta_ms=0.02, gamma_ms=0.00005),
    "L4": TokenWorkParameters(alpha_ms=18.0, beta_ms=0.1, gamma_ms=0.0003),
    "2xH100": TokenWorkParameters(alpha_ms=4.0, beta_ms=0.012, gamma_ms=0.00003),
}


def controlled_fleet() -> Fleet:
    """Chat and search on one model, code on another."""
    accelerators = (
        Accelerator("H100", "H100", 1, 3.0, 80.0),
        Accelerator("2xH100", "H100", 2, 6.0, 160.0),
        Accelerator("L4", "L4", 1, 0.7, 24.0),
    )
    models = ("org/chat-8b", "code-14b")
    return Fleet(
        currency="USD",
        accelerators=accelerators,
        capacity=(Capacity("H100", 16), Capacity("L4", 16)),
        profiles=tuple(
            ModelProfile(model, each.name, 1, 64, 512, _PARAMETERS[each.name])
            for model in models
            for each in accelerators
        ),
        service_classes=(
            ServiceClass(
                "interactive", 1, tuple(SloTarget(model, 800.0, 60.0) for model in models)
            ),
            ServiceClass("bulk", 5, tuple(SloTarget(model, 5000.0, 150.0) for model in models)),
        ),
        servers=(
            Server("chat", "interactive", "org/chat-8b"),
            Server("search", "bulk", "org/chat-8b"),
            Server("code", "interactive", "code-14b"),
        ),
        # The quick analysis: what is tested with these fleets is the loop, not its predictions.
        settings=OptimizerSettings(analysis=Analysis.REFERENCE),
    )
