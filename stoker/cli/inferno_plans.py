"""What a plan in Inferno's form cannot tell."""

from __future__ import annotations

from stoker.cli.settings import may_mix
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.serving import Serving
from stoker.domain.settings import OptimizerSettings


def refuse_untold(fleet: Fleet, settings: OptimizerSettings) -> None:
    """Refuse fleets whose plans would lose what they decide.

    Raises:
        InvalidInputError: A server may mix accelerators, or a model has named configurations, or a
            server may be served by two pools, replicas may be on slices of cards, or servers may
            share replicas.
    """
    if may_mix(settings):
        message = "inferno holds one accelerator a server, and --heterogeneous may mix several"
        allowed = "json, csv or table; or --no-heterogeneous"
        raise InvalidInputError([Problem("--format", message, allowed)])
    decided = (
        ("configuration", any(item.configuration for item in fleet.profiles)),
        ("way of serving", any(Serving.DISAGGREGATED in item.serving for item in fleet.servers)),
        ("sharing of replicas", bool(fleet.sharing)),
        ("slice of a card", any(item.slice is not None for item in fleet.accelerators)),
    )
    for words, given in decided:
        if given:
            message = f"inferno tells no {words}, which the plan of this fleet decides"
            raise InvalidInputError([Problem("--format", message, "json, csv or table")])
