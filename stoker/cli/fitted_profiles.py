"""Fits as profiles: what planning and `stoker predict` read."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from statistics import median
from typing import TYPE_CHECKING

from stoker.domain.measurement import LoadKind, Measurement
from stoker.domain.profile import DEFAULT_TOKEN_BUDGET, EstimateKind, Provenance

if TYPE_CHECKING:
    from data.measurements import FittedProfile
    from profiler.fit import FitResult

_RUNS = ("wave_share", "turnover_share", "kv_tokens", "miss_share")
"""Parameters of the runs or of the memory, and not of the time of iterations."""

_MOST_FILES = 3


def fitted_profile(
    result: FitResult, rows: Sequence[Measurement], files: Sequence[str], made_on: date
) -> FittedProfile:
    """Return the profile of a fit.

    The batch limit is the one recorded with the rows; where none was, the most requests that were
    seen in the system, beyond which nothing was measured.

    Args:
        result: A fit that was not refused.
        rows: The rows of its deployment.
        files: Names of the files they came from.
        made_on: Day of the fit, for the provenance.
    """
    from data.measurements import FittedProfile

    first = rows[0]
    memory = result.parameters.get("kv_tokens")
    budgets = [row.max_num_batched_tokens for row in rows if row.max_num_batched_tokens]
    return FittedProfile(
        model=first.model,
        accelerator=first.gpu,
        accelerators_per_replica=first.n_gpus,
        max_batch=_batch_limit(rows),
        at_tokens=max(1, round(median(row.out_tokens for row in rows))),
        kind=result.model,
        parameters=(
            {name: value for name, value in result.parameters.items() if name not in _RUNS}
            if result.table is None
            else {}
        ),
        curve=result.table,
        provenance=Provenance(EstimateKind.FITTED, _source(result, first, files, made_on)),
        kv_tokens=None if memory is None else round(memory),
        token_budget=max(set(budgets), key=budgets.count) if budgets else DEFAULT_TOKEN_BUDGET,
    )


def _batch_limit(rows: Sequence[Measurement]) -> int:
    recorded = [row.max_batch for row in rows if row.max_batch is not None]
    if recorded:
        return max(recorded)
    seen = [row.concurrency_mean or 0.0 for row in rows]
    clients = [row.load for row in rows if row.load_kind is LoadKind.CONCURRENCY]
    return max(1, math.ceil(max([*seen, *clients])))


def _source(result: FitResult, row: Measurement, files: Sequence[str], made_on: date) -> str:
    """Return the origin of a profile in words, with its errors."""
    named = ", ".join(files[:_MOST_FILES])
    rest = f" and {len(files) - _MOST_FILES} more files" if len(files) > _MOST_FILES else ""
    server = ", ".join(part for part in (row.engine, row.precision) if part)
    errors = f"mean error TTFT {_share(result.error.ttft)}, ITL {_share(result.error.itl)}"
    if result.cross_validated is not None:
        left_out = result.cross_validated
        errors += f"; on rows left out {_share(left_out.ttft)}, {_share(left_out.itl)}"
    where = f" ({server})" if server else ""
    return f"{result.n} rows of {named}{rest}{where}; {errors}; {made_on.isoformat()}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def profiles_text(profiles: Sequence[FittedProfile], *, as_json: bool = False) -> str:
    """Return profiles as the section `profiles` of a document, YAML or JSON."""
    from data.measurements import profile_document
    from data.yaml_writer import to_yaml

    rounded = [
        replace(
            item,
            parameters={name: float(f"{value:.6g}") for name, value in item.parameters.items()},
        )
        for item in profiles
    ]
    document = profile_document(rounded)
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return to_yaml(document)
