"""A plan: what to run where, how good it is, and what could not be placed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.domain.latency import Latency, LatencyStatistics
from stoker.domain.pools import PriceKind
from stoker.domain.profile import EstimateKind
from stoker.domain.routing import Router
from stoker.domain.serving import Parallelism, Serving
from stoker.domain.settings import Analysis
from stoker.domain.slo import SloTarget


class PlanStatus(StrEnum):
    """How far a plan is proven."""

    OPTIMAL = "optimal"
    """Proven within the gap asked for."""
    FEASIBLE = "feasible"
    """A valid plan; the gap says how far it may be from the best (None: not known)."""
    INFEASIBLE = "infeasible"
    """No server at all can be served, at any number of cards the fleet has."""
    TIME_LIMIT = "time_limit"
    """The time limit passed before any plan was found."""


class Rejection(StrEnum):
    """Why an accelerator is no candidate for a server."""

    NO_PROFILE = "no_profile"
    NO_TARGET = "no_target"
    LOAD_UNKNOWN = "load_unknown"
    ZERO_PARAMETERS = "zero_parameters"
    KIND_TOO_WEAK = "kind_too_weak"
    NOT_CURRENT = "not_current"
    MEMORY = "memory"
    TTFT_UNREACHABLE = "ttft_unreachable"
    ITL_UNREACHABLE = "itl_unreachable"
    E2E_UNREACHABLE = "e2e_unreachable"
    TARGETS_CONFLICT = "targets_conflict"
    BLOCKING_UNREACHABLE = "blocking_unreachable"
    REPLICA_BOUND = "replica_bound"
    NO_CARDS = "no_cards"
    NUMERIC = "numeric"
    POWER_UNKNOWN = "power_unknown"
    NO_POOL = "no_pool"
    SPREAD = "spread"


class UnplacedReason(StrEnum):
    """Why a server is not served in full."""

    NO_CANDIDATE = "no_candidate"
    """No accelerator can serve it at all, whatever the capacity."""
    CAPACITY = "capacity"
    """It has candidates; the cards went to others or are too few."""
    LOAD_UNKNOWN = "load_unknown"
    """Its load is unknown, so nothing was decided for it."""
    TIME_LIMIT = "time_limit"
    """The solver ran out of time before placing it."""
    BUDGET = "budget"
    """What it would cost is more than the budget leaves."""
    POWER = "power"
    """It would draw more power than the limits leave."""
    QUOTA = "quota"
    """The quotas of its pools leave too few cards."""
    SPREAD = "spread"
    """Its replicas cannot be spread over zones or nodes as asked, with the cards left."""
    SPOT = "spot"
    """It would take more spot cards than their share allows."""
    REPLICAS = "replicas"
    """The plan may have no more replicas."""
    CHANGES = "changes"
    """Serving it would change more servers than allowed."""


@dataclass(frozen=True, slots=True)
class BatchChoice:
    """What a chosen batch limit was preferred to.

    Attributes:
        largest: Largest limit that was considered: what it would be without a choice.
        max_rate_rps: What one replica would carry with that limit; None where it keeps the targets
            at no rate.
        binding: What would keep it from carrying more, as in `PlannedAllocation`; None where
            unknown, and where the chosen limit carries as much but for half a percent.
    """

    largest: int
    max_rate_rps: float | None
    binding: str | None


@dataclass(frozen=True, slots=True)
class PoolPart:
    """Replicas of one of the two pools of a disaggregated allocation.

    Attributes:
        role: ``prefill`` or ``decode``.
        configuration: Configuration of the model on the accelerator; empty where it has no name.
        parallel: How the cards of a replica share its work; None where that is not told.
        replicas: Replicas of the pool.
        max_batch: Batch limit of a replica.
        cards: Cards of the pool.
        cost_per_hour: Cost of the pool per hour.
        router: How a request finds its replica of the pool.
    """

    role: str
    configuration: str
    parallel: Parallelism | None
    replicas: int
    max_batch: int
    cards: int
    cost_per_hour: float
    router: Router


@dataclass(frozen=True, slots=True)
class MixPart:
    """Replicas of one accelerator within a heterogeneous allocation.

    Latencies and rates are those of one replica at its share of the load; None means unknown.
    What they mean is told at `PlannedAllocation`.
    """

    accelerator: str
    replicas: int
    max_batch: int
    cost_per_hour: float
    cards: int
    card_type: str
    arrival_rate_rps: float
    ttft_ms: float | None
    itl_ms: float | None
    utilization: float | None
    blocking: float | None
    max_rate_rps: float
    latencies: Mapping[Latency, LatencyStatistics] = field(default_factory=dict)
    binding: str | None = None
    kv_use: float | None = None
    preemptions_per_request: float | None = None
    batch_choice: BatchChoice | None = None
    configuration: str = ""
    parallel: Parallelism | None = None
    estimate: EstimateKind | None = None


@dataclass(frozen=True, slots=True)
class PoolPlacement:
    """Replicas of an allocation that stand in one pool.

    Attributes:
        pool: Name of the pool.
        replicas: Number of replicas.
        cards: Cards that they take.
        price_kind: How those are paid for.
        cost_per_hour: What they cost there.
    """

    pool: str
    replicas: int
    cards: int
    price_kind: PriceKind
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class PlannedAllocation:
    """What a server gets.

    Attributes:
        server: Name of the server.
        service_class: Name of its service class.
        model: Name of its model.
        accelerator: Accelerator configuration; None for an empty allocation (zero load). For a
            mix, the part with most replicas.
        replicas: Replicas received (for a mix, over all its parts).
        max_batch: Batch limit of a replica.
        max_queue: Queue limit of a replica; None where unknown.
        cost_per_hour: Cost of all replicas, in the plan's currency per hour.
        value: Cost of the change as the objective counts it (cost, transition penalty).
        arrival_rate_rps: Total rate it was sized for, over all replicas.
        ttft_ms: Predicted mean TTFT at the replicas received; None where unknown.
        itl_ms: Predicted mean ITL at the replicas received; None where unknown.
        utilization: Mean requests in service over the batch limit; None where unknown.
        blocking: Fraction of requests turned away at the replicas received; None where unknown.
        max_rate_rps: Largest throughput of one replica within the targets; behind a router that of
            one of as many replicas.
        ttft_target_ms: Target of TTFT; None where there is none.
        itl_target_ms: Target of ITL; None where there is none.
        tps_target: Target of output tokens per second; None where there is none.
        cards: Cards used, of `card_type`.
        card_type: Type of card; None for an empty allocation or a mix of several types.
        fully_served: Whether the targets hold for the whole load; otherwise best effort.
        estimate: Where the profile's figures come from; None where no profile was used. Of a mix
            the least trustworthy of its parts, each of which has its own.
        mix: Parts of a heterogeneous allocation; empty for one accelerator.
        targets: All that the service class promises for the model, percentiles too; None where
            it promises nothing.
        latencies: Mean and percentiles of each latency at the replicas received; empty where the
            analysis knows means alone, and for a mix, whose parts have them.
        binding: What keeps a replica from carrying more, such as ``ttft_ms.p95``, ``itl_ms.mean``,
            ``blocking`` or ``throughput``; None where unknown, and for a mix.
        kv_use: Mean share of the KV capacity in use; None where there is no limit or it is unknown.
        preemptions_per_request: Preemptions per completed request; None where unknown.
        router: How a request finds one of the replicas.
        batch_choice: What the batch limit was preferred to, where it was chosen; None where it was
            not, and for a mix, whose parts have it.
        configuration: Configuration of the model on the accelerator; empty where it has no name.
            For a mix, that of the part with most replicas; for two pools, that of the decode
            replicas.
        parallel: How the cards of a replica share its work; None where that is not told.
        pools: The prefill and the decode pool of a disaggregated allocation, `replicas` being
            those of both; empty where replicas serve requests from the first token to the last.
        sliced: Whether each replica is on a slice of a card, `cards` being the whole cards that
            count for them: one that several servers share counts for the first of them.
        shared_with: Servers that the same replicas serve, beside this one; empty where they are
            its own.
        counted_with: Of replicas that several servers share, the server whose allocation counts
            their cards and their cost, which are 0 here; None where that is this one.
        engine_priority: Whose requests the engine admits first, smaller numbers before larger
            ones; None where first come is first served.
        placements: Where the replicas stand; empty in a plan without pools and limits, and for
            what is kept as it runs.
        spare_replicas: Replicas beyond those that carry the load.
        power_w: Power of all replicas at the utilization they are planned for, in W; None where
            unknown.
        idle_power_w: Power of the same replicas without load; None where unknown.
    """

    server: str
    service_class: str
    model: str
    accelerator: str | None
    replicas: int
    max_batch: int
    max_queue: int | None
    cost_per_hour: float
    value: float
    arrival_rate_rps: float
    ttft_ms: float | None
    itl_ms: float | None
    utilization: float | None
    blocking: float | None
    max_rate_rps: float
    ttft_target_ms: float | None
    itl_target_ms: float | None
    tps_target: float | None
    cards: int
    card_type: str | None
    fully_served: bool
    estimate: EstimateKind | None
    mix: tuple[MixPart, ...] = ()
    targets: SloTarget | None = None
    latencies: Mapping[Latency, LatencyStatistics] = field(default_factory=dict)
    binding: str | None = None
    kv_use: float | None = None
    preemptions_per_request: float | None = None
    router: Router = Router.RANDOM
    batch_choice: BatchChoice | None = None
    configuration: str = ""
    parallel: Parallelism | None = None
    pools: tuple[PoolPart, ...] = ()
    sliced: bool = False
    shared_with: tuple[str, ...] = ()
    counted_with: str | None = None
    engine_priority: int | None = None
    placements: tuple[PoolPlacement, ...] = ()
    spare_replicas: int = 0
    power_w: float | None = None
    idle_power_w: float | None = None

    @property
    def prefill_replicas(self) -> int:
        """How many of the replicas compute prompts for the others; 0 without two pools."""
        return sum(pool.replicas for pool in self.pools if pool.role == "prefill")

    @property
    def serving(self) -> Serving:
        """Whether prefill and decode are on the same replicas."""
        return Serving.DISAGGREGATED if self.pools else Serving.AGGREGATED


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A server that is not served in full (it may still have a best-effort allocation).

    Attributes:
        server: Name of the server.
        reason: Why, in one word.
        detail: Why, in a sentence with figures.
        remedy: What would make it feasible.
        rejections: Why each accelerator is no candidate, by accelerator name.
    """

    server: str
    reason: UnplacedReason
    detail: str
    remedy: str
    rejections: Mapping[str, Rejection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CardUsage:
    """Cards of a type that a plan uses, of those available (None: capacity was ignored)."""

    card_type: str
    used: int
    available: int | None
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Cards of a pool that a plan uses.

    Attributes:
        pool: Name of the pool.
        card_type: Type of its cards.
        region: Its region; None where it has none.
        zone: Its zone; None where it has none.
        cluster: Its cluster; None where it has none.
        price_kind: How its cards are paid for.
        used: Cards used.
        available: Cards that may be used.
        replicas: Replicas that stand in it.
        cost_per_hour: What they cost.
        interruptions_per_hour: Replicas expected to be interrupted each hour.
    """

    pool: str
    card_type: str
    region: str | None
    zone: str | None
    cluster: str | None
    price_kind: PriceKind
    used: int
    available: int
    replicas: int
    cost_per_hour: float
    interruptions_per_hour: float


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of a limit over the whole plan is used, what is kept as it runs included.

    Attributes:
        name: Name of the limit, as in a fleet; ``quota: NAME`` for a quota that pools share.
        used: What the plan uses.
        limit: What it may use.
        unit: Unit of both.
    """

    name: str
    used: float
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class ObjectiveValue:
    """What a plan reaches in one of its objectives.

    Attributes:
        name: Name of the objective.
        value: What was reached.
        bound: Proven lower bound, given what came before it; None where there is none.
        unit: Unit of both.
    """

    name: str
    value: float
    bound: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class ClassService:
    """How many servers of a priority are served in full, and how many could be at most.

    Attributes:
        priority: Priority of the group.
        servers: Number of servers in it.
        served: Number served in full.
        bound: Proven upper bound on that number, given that the groups of higher priority are
            served as they are; None where nothing was proven.
    """

    priority: int
    servers: int
    served: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer for a fleet.

    Attributes:
        status: How far it is proven.
        objective: Total value of the servers served in full; the quantity that is minimized.
        bound: Proven lower bound on the objective for the served servers' counts; None if none.
        gap: (objective - bound) / max(|objective|, 1e-9), 0 where they differ by rounding alone;
            None where there is no bound.
        cost_per_hour: Cost of all allocations, best effort included.
        currency: Currency of all money in the plan.
        allocations: One a server that gets something, or needs nothing; in the fleet's order.
        unplaced: Servers not served in full; in the fleet's order.
        usage: Cards used and available, by type, in order of type.
        services: Served servers by priority, highest first.
        analysis: Performance model behind the figures.
        method: ``unlimited``, ``greedy``, ``milp-exact`` or ``milp-weighted``.
        backend: Name of the solver library used; empty where none was.
        notes: What a reader should know (fallbacks, limits hit), in sentences.
        timings_ms: Milliseconds by phase.
        pools: Use of pools, in the fleet's order; empty in a plan without pools and limits.
        limits: Use of limits over the whole plan; empty where there are none.
        objectives: What was minimized below the priorities, in order; empty for cost alone
            without pools and limits.
        surge: Factor on every load that the plan was made for.
    """

    status: PlanStatus
    objective: float
    bound: float | None
    gap: float | None
    cost_per_hour: float
    currency: str
    allocations: tuple[PlannedAllocation, ...]
    unplaced: tuple[Unplaced, ...]
    usage: tuple[CardUsage, ...]
    services: tuple[ClassService, ...]
    analysis: Analysis
    method: str
    backend: str = ""
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    pools: tuple[PoolUsage, ...] = ()
    limits: tuple[LimitUse, ...] = ()
    objectives: tuple[ObjectiveValue, ...] = ()
    surge: float = 1.0
