"""From validated entries of Stoker's format to the values of the domain."""

from __future__ import annotations

from collections.abc import Mapping

from data.curve_fields import CurveEntry
from data.latency_fields import mean_limit, percentile_limits
from data.node_fields import free_cards, nodes_from_entries
from data.overlap_fields import OverlapEntry
from data.pool_fields import (
    limits_from_entry,
    objectives_from_entry,
    pool_from_entry,
    quotas_from_entry,
    wishes_from_fields,
)
from data.replica_costs import ReplicaCosts, units_of
from data.stoker_schema import (
    AUTO,
    AcceleratorEntry,
    AllocationEntry,
    FleetEntry,
    LinearEntry,
    LoadEntry,
    ProfileEntry,
    ServerEntry,
    TargetEntry,
    TokenWorkEntry,
)
from data.stoker_settings import OptimizerEntry, RulesEntry
from stoker.domain.accelerator import Accelerator, PowerCurve
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.latency import Latency
from stoker.domain.pools import NO_WISHES, PoolWishes
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    Provenance,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.routing import Router
from stoker.domain.server import Allocation, Server
from stoker.domain.serving import Serving
from stoker.domain.settings import (
    STOKER_RULES,
    Analysis,
    OptimizerSettings,
    PlanningRules,
    QueueRule,
    SaturationPolicy,
    SolverKind,
)
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.units import rps_from_rpm
from stoker.domain.workload import Load

_ROUTERS = {router.label: router for router in Router}


def fleet_from_entry(entry: FleetEntry) -> Fleet:
    """Return the fleet of a document that passed all checks."""
    costs = ReplicaCosts(entry.accelerators, entry.profiles)
    hardware = {item.name: item for item in entry.accelerators}
    settings = _settings(entry.optimizer or OptimizerEntry(), entry.analysis)
    return Fleet(
        currency=entry.currency,
        accelerators=tuple(_accelerator(item) for item in entry.accelerators),
        capacity=_capacity(entry),
        profiles=tuple(profile_from_entry(item, hardware) for item in entry.profiles),
        service_classes=tuple(
            ServiceClass(
                item.name,
                item.priority,
                tuple(_target(target) for target in item.targets),
            )
            for item in entry.service_classes
        ),
        servers=tuple(_server(item, costs) for item in entry.servers),
        settings=settings,
        rules=STOKER_RULES if entry.rules is None else _rules(entry.rules),
        name=entry.name,
        source=entry.source,
        pools=tuple(pool_from_entry(item) for item in entry.pools or ()),
        quotas=quotas_from_entry(entry.quotas),
        wishes={
            item.name: wishes
            for item in entry.servers
            if (wishes := _wishes(item)) is not NO_WISHES
        },
        limits=limits_from_entry(entry.limits),
        objectives=objectives_from_entry(entry.objectives),
        nodes=nodes_from_entries(entry.nodes or ()),
        sharing=tuple(item.to_domain() for item in entry.sharing or ()),
    )


def _capacity(entry: FleetEntry) -> tuple[Capacity, ...]:
    """Return the cards by type: those counted, those of pools, else those free on nodes."""
    counts = dict(entry.capacity or {})
    pooled: dict[str, int] = {}
    for pool in entry.pools or ():
        pooled[pool.card_type] = pooled.get(pool.card_type, 0) + pool.cards
    told = counts | pooled
    free = free_cards(nodes_from_entries(entry.nodes or ()))
    return tuple(Capacity(name, told.get(name, count)) for name, count in (told | free).items())


def _wishes(entry: ServerEntry) -> PoolWishes:
    return wishes_from_fields(
        entry.pools,
        entry.prefer_pools,
        entry.spread_zones,
        entry.max_zone_share,
        entry.max_spot_share,
    )


def _target(entry: TargetEntry) -> SloTarget:
    return SloTarget(
        model=entry.model,
        ttft_ms=mean_limit(entry.ttft_ms),
        itl_ms=mean_limit(entry.itl_ms),
        tps=entry.tps,
        e2e_ms=mean_limit(entry.e2e_ms),
        percentiles=(
            *percentile_limits(Latency.TTFT, entry.ttft_ms),
            *percentile_limits(Latency.ITL, entry.itl_ms),
            *percentile_limits(Latency.E2E, entry.e2e_ms),
        ),
    )


def _accelerator(entry: AcceleratorEntry) -> Accelerator:
    return Accelerator(
        name=entry.name,
        card_type=entry.card_type or entry.name,
        cards=entry.cards,
        cost_per_hour=entry.cost_per_hour,
        memory_gb=entry.memory_gb,
        memory_bandwidth_gb_per_s=entry.memory_bandwidth_gb_per_s,
        power=PowerCurve(**entry.power.model_dump()) if entry.power else None,
        slice=entry.slice.to_domain() if entry.slice else None,
    )


def profile_from_entry(
    entry: ProfileEntry, hardware: Mapping[str, AcceleratorEntry]
) -> ModelProfile:
    """Return a profile.

    Args:
        entry: Its entry.
        hardware: The accelerators of the document by name, which tell how many units the cards of
            `parallel` are; one that is missing has one card a unit.
    """
    origin = entry.provenance
    return ModelProfile(
        model=entry.model,
        accelerator=entry.accelerator,
        accelerators_per_replica=units_of(entry, hardware),
        max_batch=entry.max_batch,
        at_tokens=entry.at_tokens,
        parameters=_parameters(entry.parameters),
        provenance=Provenance(EstimateKind(origin.kind), origin.source) if origin else Provenance(),
        required_memory_gb=entry.required_memory_gb,
        kv_tokens=entry.kv_tokens,
        token_budget=entry.token_budget,
        configuration=entry.configuration or "",
        parallel=entry.parallel.to_domain() if entry.parallel else None,
        disaggregated=entry.disaggregated.to_domain() if entry.disaggregated else None,
    )


def _parameters(
    entry: LinearEntry | TokenWorkEntry | CurveEntry | OverlapEntry,
) -> ServiceParameters:
    match entry:
        case LinearEntry():
            return LinearParameters(entry.alpha_ms, entry.beta_ms, entry.gamma_ms, entry.delta_ms)
        case TokenWorkEntry():
            return TokenWorkParameters(entry.alpha_ms, entry.beta_ms, entry.gamma_ms)
        case CurveEntry() | OverlapEntry():
            return entry.to_domain()


def _load(entry: LoadEntry) -> Load:
    rate_rps = entry.arrival_rate_rps
    if rate_rps is None:
        rate_rps = rps_from_rpm(entry.arrival_rate_rpm or 0.0)
    return Load(
        rate_rps,
        entry.input_tokens,
        entry.output_tokens,
        entry.throughput_rps,
        entry.arrival_cv,
        entry.input_tokens_cv,
        entry.output_tokens_cv,
        entry.prefix_hit_rate,
    )


def _allocation(
    entry: AllocationEntry | None, model: str, costs: ReplicaCosts
) -> Allocation | None:
    if entry is None:
        return None
    cost = entry.cost_per_hour
    if cost is None:
        cost = costs.of(model, entry)
    return Allocation(
        accelerator=entry.accelerator,
        replicas=entry.replicas,
        max_batch=entry.max_batch,
        cost_per_hour=cost,
        itl_ms=entry.itl_ms,
        ttft_ms=entry.ttft_ms,
        load=_load(entry.load) if entry.load else None,
        configuration=entry.configuration,
        prefill_replicas=entry.prefill_replicas,
        in_pools=tuple(sorted((entry.pools or {}).items())),
    )


def _server(entry: ServerEntry, costs: ReplicaCosts) -> Server:
    return Server(
        name=entry.name,
        service_class=entry.service_class,
        model=entry.model,
        load=_load(entry.load) if isinstance(entry.load, LoadEntry) else None,
        keep_accelerator=entry.keep_accelerator,
        min_replicas=entry.min_replicas,
        max_replicas=entry.max_replicas,
        max_batch=entry.max_batch if isinstance(entry.max_batch, int) else None,
        max_queue=entry.max_queue,
        current=_allocation(entry.current, entry.model, costs),
        desired=_allocation(entry.desired, entry.model, costs),
        router=_ROUTERS[entry.router],
        choose_batch=entry.max_batch == AUTO,
        batch_limits=tuple(entry.max_batch) if isinstance(entry.max_batch, list) else (),
        serving=tuple(Serving(name) for name in entry.serving),
    )


def _settings(entry: OptimizerEntry, analysis: str | None) -> OptimizerSettings:
    return OptimizerSettings(
        unlimited=entry.unlimited,
        solver=SolverKind(entry.solver) if entry.solver else None,
        heterogeneous=entry.heterogeneous,
        saturation_policy=SaturationPolicy(entry.saturation_policy),
        delayed_best_effort=entry.delayed_best_effort,
        backend=entry.backend,
        time_limit_s=entry.time_limit_s,
        relative_gap=entry.relative_gap,
        exact_servers=entry.exact_servers,
        class_weight_ratio=entry.class_weight_ratio,
        analysis=Analysis(analysis) if analysis else None,
        placement=entry.placement,
    )


def _rules(entry: RulesEntry) -> PlanningRules:
    return PlanningRules(
        queue_rule=QueueRule(entry.queue_rule),
        max_blocking=entry.max_blocking,
        tps_replaces_rate=entry.tps_replaces_rate,
        reject_short_memory=entry.reject_short_memory,
        max_replicas=entry.max_replicas,
        transition_penalty=entry.transition_penalty,
        minimum_kind=EstimateKind(entry.minimum_kind) if entry.minimum_kind else None,
    )
