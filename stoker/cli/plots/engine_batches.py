"""What a replica carries within its targets by batch limit, by the analysis of the engine."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from queueing.engine import size_engine
from stoker.cli.plots.batches import batch_curve_figure
from stoker.cli.plots.engine_replica import EngineReplica

_MOST_LIMITS = 128
"""Batch limits that are sized; of a larger batch, evenly spread ones are."""


def engine_batch_figure(replica: EngineReplica) -> Figure:
    """Return f(batch): the throughput at the largest rate within the targets, by batch limit."""
    largest = replica.max_batch
    limits = np.unique(np.round(np.linspace(1.0, largest, min(largest, _MOST_LIMITS))))
    cases = replica.case.take(np.zeros(len(limits), dtype=np.int64)).with_batch(limits)
    sized = size_engine(cases, replica.targets(len(limits)))
    throughput = np.where(sized.feasible, sized.throughput_rps, np.nan)
    return batch_curve_figure(replica.server, replica.accelerator, limits, throughput)
