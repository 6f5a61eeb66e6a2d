"""Profiles as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from stoker.cli.figures import UNKNOWN

if TYPE_CHECKING:
    from data.measurements import FittedProfile


def profiles_table(profiles: Sequence[FittedProfile]) -> Table:
    """Return profiles as a table, one a row."""
    table = Table(title="Profiles", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("Model", "Accelerator", "Kind", "Service model", "Parameters"):
        table.add_column(heading, overflow="fold")
    for heading in ("Batch limit", "KV tokens"):
        table.add_column(heading, justify="right")
    table.add_column("Source", overflow="fold", ratio=1)
    for item in profiles:
        units = item.accelerators_per_replica
        table.add_row(
            item.model,
            item.accelerator if units == 1 else f"{units} × {item.accelerator}",
            item.provenance.kind.value,
            item.kind,
            parameters_text(item),
            f"{item.max_batch:,}",
            UNKNOWN if item.kv_tokens is None else f"{item.kv_tokens:,}",
            item.provenance.source,
        )
    return table


def parameters_text(profile: FittedProfile) -> str:
    """Return the parameters, one a line; of a curve, the size of its grids."""
    if profile.curve is not None:
        table = profile.curve
        return (
            f"decode {len(table.batches)} × {len(table.contexts)}\n"
            f"prefill {len(table.prefill_tokens)} × {len(table.prefill_contexts)}"
        )
    return "\n".join(f"{name} {value:.4g}" for name, value in profile.parameters.items())
