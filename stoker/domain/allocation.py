"""What a server gets: replicas, what they cost, and what is predicted of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.latency import Latency, LatencyStatistics
from stoker.domain.pools import PriceKind
from stoker.domain.profile import EstimateKind
from stoker.domain.routing import Router
from stoker.domain.serving import Parallelism, Serving
from stoker.domain.slo import SloTarget


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
