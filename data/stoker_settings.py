"""Settings and rules of planning in Stoker's own fleet format."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data.fields import Count, Fraction, Name, PositiveAmount, PositiveCount, StrictModel


class OptimizerEntry(StrictModel):
    """Settings of the optimizer. Flags of the command line win over them."""

    unlimited: bool = Field(False, description="Ignore capacity.")
    solver: Literal["milp", "greedy"] | None = Field(None, description="How to plan.")
    heterogeneous: bool = Field(False, description="A server may mix accelerators (milp only).")
    saturation_policy: Literal["None", "PriorityExhaustive", "PriorityRoundRobin", "RoundRobin"] = (
        Field("None", description="Best effort for servers not served in full.")
    )
    delayed_best_effort: bool = Field(
        False, description="Best effort after all priorities, not after each."
    )
    backend: Name = Field("highs", description="MILP solver by its PuLP name.")
    time_limit_s: PositiveAmount | None = Field(None, description="Limit of the solve, seconds.")
    relative_gap: Fraction | None = Field(
        None,
        description="Gap at which a plan counts as optimal; 1e-6, or 1e-3 with weighted "
        "priorities, where left out.",
    )
    exact_servers: Count = Field(
        100, description="Largest number of servers with exact priorities; weighted above."
    )
    class_weight_ratio: Annotated[float, Field(ge=1, le=1e6)] = Field(
        10.0, description="Weight of a priority class against the next lower one, if weighted."
    )
    placement: bool = Field(
        False, description="Every replica must find a place on `nodes` (milp only)."
    )


class RulesEntry(StrictModel):
    """Rules that turn predictions into replica counts."""

    queue_rule: Literal["ten-batches", "reference"] = Field(
        "ten-batches", description="Queue limit where a server names none."
    )
    max_blocking: Fraction | None = Field(
        0.001, description="Largest fraction of requests turned away; null for no bound."
    )
    tps_replaces_rate: bool = Field(
        False, description="A TPS target replaces the arrival rate, even when lower."
    )
    reject_short_memory: bool = Field(
        True, description="Reject an accelerator whose KV memory cannot hold one request."
    )
    max_replicas: PositiveCount = Field(
        10_000, description="Largest number of replicas of a server that names no bound."
    )
    minimum_kind: Literal["measured", "fitted", "estimated", "declared"] | None = Field(
        None,
        description="Least trustworthy kind of profile that plans may rest on: `fitted` allows "
        "those measured or fitted; any, where left out.",
    )
    transition_penalty: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0.1, description="Share of the cost torn down and set up that a change adds to its value."
    )
