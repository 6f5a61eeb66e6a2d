"""Which configuration of its model a workload runs: by its label, or the only one that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stoker.domain.control.cluster import VariantState
from stoker.domain.fleet import Fleet

LABEL = "stoker.dev/configuration"

Configurations = Mapping[tuple[str, str], Sequence[str]]
"""Names of the configurations of each pair of a model and an accelerator."""


def configurations_of(fleet: Fleet) -> Configurations:
    """Return the names of the configurations that the fleet has profiles of."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in fleet.profiles:
        found.setdefault((item.model, item.accelerator), []).append(item.configuration)
    return found


def configuration_of(
    variant: VariantState, model: str, configurations: Configurations
) -> str | None:
    """Return the configuration that a workload runs; None where no profile tells it.

    A workload that names none runs the one without a name, or else the only one there is.
    """
    own = configurations.get((model, variant.accelerator), ())
    if variant.configuration or not own:
        return variant.configuration if variant.configuration in own or not own else None
    if "" in own:
        return ""
    return own[0] if len(own) == 1 else None
