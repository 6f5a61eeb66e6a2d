"""How to plan: the solver, the rules of sizing, and the analysis that predicts latencies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.profile import EstimateKind


class Analysis(StrEnum):
    """The performance model that a plan rests on."""

    REFERENCE = "reference"
    """The formulas of the reference optimizer, on means."""
    FULL = "full"
    """The model of the engine as it is: percentiles, memory, variability."""


DEFAULT_ANALYSIS = Analysis.FULL
"""Analysis of a fleet that names none; one in Inferno format names the reference."""


class SolverKind(StrEnum):
    """How a limited fleet is planned."""

    MILP = "milp"
    GREEDY = "greedy"


class SaturationPolicy(StrEnum):
    """How cards left over are shared among servers that cannot be served in full."""

    NONE = "None"
    PRIORITY_EXHAUSTIVE = "PriorityExhaustive"
    PRIORITY_ROUND_ROBIN = "PriorityRoundRobin"
    ROUND_ROBIN = "RoundRobin"


class QueueRule(StrEnum):
    """Queue limit of a replica whose server names none."""

    TEN_BATCHES = "ten-batches"
    """Ten times the batch limit."""
    REFERENCE = "reference"
    """Ten times the batch limit in the `linear` model (whatever the server says), else 0."""


@dataclass(frozen=True, slots=True)
class PlanningRules:
    """Rules that turn predictions into replica counts.

    Attributes:
        queue_rule: Queue limit where a server names none.
        max_blocking: Largest fraction of requests that a replica may turn away; None for no
            bound (it is reported all the same).
        tps_replaces_rate: Whether a TPS target replaces the arrival rate even when lower, as the
            reference does; otherwise the larger of the two is served.
        reject_short_memory: Whether an accelerator whose KV memory cannot hold one request is
            rejected; otherwise it is tried with a batch limit of 1, as the reference does.
        max_replicas: Largest number of replicas of a server that names no bound of its own:
            nearly unreachable targets otherwise give plans of a million replicas.
        transition_penalty: Fraction of the cost of what is torn down and set up that a change of
            accelerator adds to the value of a candidate.
        minimum_kind: Least trustworthy kind of profile that may be planned with; None for any.
    """

    queue_rule: QueueRule = QueueRule.TEN_BATCHES
    max_blocking: float | None = 0.001
    tps_replaces_rate: bool = False
    reject_short_memory: bool = True
    max_replicas: int = 10_000
    transition_penalty: float = 0.1
    minimum_kind: EstimateKind | None = None


STOKER_RULES = PlanningRules()
"""Rules of fleets in Stoker's own format."""

INFERNO_RULES = PlanningRules(
    queue_rule=QueueRule.REFERENCE,
    max_blocking=None,
    tps_replaces_rate=True,
    reject_short_memory=False,
)
"""Rules of fleets in Inferno format: what their users have today."""


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Settings of the optimizer.

    Attributes:
        unlimited: Ignore capacity: the candidate of least value for each server.
        solver: Solver of a limited fleet; None where the document leaves it open.
        heterogeneous: Whether a server may mix accelerators (MILP only).
        saturation_policy: Best effort for servers not served in full.
        delayed_best_effort: Give best effort after all priority groups, not after each.
        backend: MILP solver by its PuLP name; ``highs`` and ``cbc`` are bundled.
        time_limit_s: Wall-clock limit of the solve in seconds; None for the method's own.
        relative_gap: Relative gap at which a plan counts as optimal; None for 1e-6 in exact
            stages and 1e-3 in the weighted method.
        exact_servers: Largest number of servers whose served vector is compared
            lexicographically in exact stages; above it classes are weighted.
        class_weight_ratio: Weight of a priority class relative to the next lower one, in the
            weighted method.
        analysis: Performance model; None where the document leaves it open (`DEFAULT_ANALYSIS`).
        placement: Whether every replica must find a place on the nodes of the fleet (MILP only).
    """

    unlimited: bool = False
    solver: SolverKind | None = None
    heterogeneous: bool = False
    saturation_policy: SaturationPolicy = SaturationPolicy.NONE
    delayed_best_effort: bool = False
    backend: str = "highs"
    time_limit_s: float | None = None
    relative_gap: float | None = None
    exact_servers: int = 100
    class_weight_ratio: float = 10.0
    analysis: Analysis | None = None
    placement: bool = False
