"""Which workload of a server is the one that a plan means: its accelerator and configuration."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.changes import HoldReason
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.configurations import LABEL, Configurations, configuration_of
from stoker.domain.server import Server


def planned_variant(
    server: Server,
    variants: Sequence[VariantState],
    placed: PlannedAllocation,
    configurations: Configurations,
) -> VariantState | None:
    """Return the workload of a server that an allocation is for; None where there is none."""
    return next((each for each in variants if agrees(server, each, placed, configurations)), None)


def agrees(
    server: Server,
    variant: VariantState,
    placed: PlannedAllocation,
    configurations: Configurations,
) -> bool:
    """Return whether an allocation is for this workload: another configuration is another one."""
    return (
        placed.accelerator == variant.accelerator
        and configuration_of(variant, server.model, configurations) == placed.configuration
    )


def doubled(
    server: Server, variants: Sequence[VariantState], configurations: Configurations
) -> tuple[VariantState, ...]:
    """Return workloads of a server that run the same on the same; empty where none do.

    Which of them is to carry the load cannot be told: none is grown or shrunk for another.
    """
    # One whose configuration cannot be told may be any on its accelerator.
    names = {
        each.ref: each.configuration or configuration_of(each, server.model, configurations)
        for each in variants
    }
    for one in variants:
        twins = tuple(
            each
            for each in variants
            if each.accelerator == one.accelerator
            and (None in (names[each.ref], names[one.ref]) or names[each.ref] == names[one.ref])
        )
        if len(twins) > 1:
            return twins
    return ()


def doubled_words(twins: Sequence[VariantState]) -> str:
    """Say which workloads run the same on the same, and what to do."""
    refs = " and ".join(str(each.ref) for each in twins)
    return (
        f"{refs} both run it on {twins[0].accelerator}, and which of them is to carry its load "
        "cannot be told: take the label stoker.dev/managed off one of them (and off its entry "
        f"under servers), or tell them apart by stoker.dev/accelerator or {LABEL}"
    )


def unclear(
    server: Server,
    variants: Sequence[VariantState],
    running: VariantState | None,
    configurations: Configurations,
) -> tuple[HoldReason, str] | None:
    """Return why what runs for a server cannot be matched with a plan; None where it can."""
    twins = doubled(server, variants, configurations)
    if twins:
        return HoldReason.NO_WORKLOAD, doubled_words(twins)
    for each in variants:
        if each != running and not each.replicas_wanted:
            continue
        if configuration_of(each, server.model, configurations) is None:
            words = untold_words(server, each, configurations)
            return HoldReason.NO_PROFILE, f"{each.ref}: {words}"
    return None


def untold_words(server: Server, variant: VariantState, configurations: Configurations) -> str:
    """Say why the configuration of a workload cannot be told, and what to do."""
    own = configurations.get((server.model, variant.accelerator), ())
    there = " and ".join(name or "one without a name" for name in own)
    told = f"its label {LABEL} names {variant.configuration!r}"
    return (
        f"{told if variant.configuration else f'it has no label {LABEL}'}, and the fleet has "
        f"{there} of {server.model} on {variant.accelerator}: name the one that its pods run"
    )


def missing_words(
    server: Server,
    variants: Sequence[VariantState],
    placed: PlannedAllocation,
    configurations: Configurations,
) -> str:
    """Say which workload a plan asks for that there is not."""
    own = configurations.get((server.model, placed.accelerator or ""), ())
    if len(own) < 2 and placed.accelerator not in {each.accelerator for each in variants}:
        return f"no workload of it runs {placed.accelerator}"
    name = placed.configuration
    asked = f"{placed.accelerator} {name}".strip()
    label = f"{LABEL}={name}" if name else f"no label {LABEL}"
    return f"no workload of it runs {asked}: one with {label} would"
