"""A prediction for a (server, accelerator) pair that somebody else made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CandidateEstimate:
    """One row of a table of predictions, to plan from in place of Stoker's own.

    Attributes:
        server: Name of the server.
        accelerator: Accelerator configuration; None for an empty allocation (zero load).
        replicas: Replicas that carry the server's whole load within its targets.
        max_batch: Batch limit of a replica.
        cost_per_hour: Cost of all the replicas, in currency units per hour.
        value: Cost of the change as the objective counts it.
        ttft_ms: Predicted mean TTFT.
        itl_ms: Predicted mean ITL.
        utilization: Predicted utilization.
        max_rate_rps: Largest throughput of one replica within the targets.
    """

    server: str
    accelerator: str | None
    replicas: int
    max_batch: int
    cost_per_hour: float
    value: float
    ttft_ms: float
    itl_ms: float
    utilization: float
    max_rate_rps: float
