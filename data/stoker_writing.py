"""From a fleet to a document in Stoker's format, without the values that are defaults."""

from __future__ import annotations

from dataclasses import asdict, fields

from data.configuration_fields import (
    disaggregated_document,
    parallel_document,
    slice_document,
)
from data.latency_fields import target_value
from data.node_fields import nodes_section
from data.overlap_fields import overlap_document
from data.pool_writing import pool_sections, unpooled_capacity, wish_fields
from data.sharing_fields import sharing_section
from data.stoker_schema import AUTO, FORMAT_VERSION
from stoker.domain.accelerator import Accelerator
from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.pools import NO_WISHES
from stoker.domain.profile import (
    DEFAULT_TOKEN_BUDGET,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    ServiceParameters,
)
from stoker.domain.routing import Router
from stoker.domain.server import Allocation, Server
from stoker.domain.serving import Serving
from stoker.domain.settings import STOKER_RULES, OptimizerSettings, PlanningRules
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.units import rpm_from_rps, rps_from_rpm
from stoker.domain.workload import Load

_EXACT_INTEGER = 2.0**53


def entry_of_fleet(fleet: Fleet) -> dict[str, object]:
    """Return the document of a fleet, unchecked."""
    document: dict[str, object] = {"version": FORMAT_VERSION}
    document |= _present(name=fleet.name or None, source=fleet.source or None)
    document["currency"] = fleet.currency
    document["accelerators"] = [_accelerator(item) for item in fleet.accelerators]
    document["capacity"] = unpooled_capacity(fleet)
    document["profiles"] = [profile_entry(item) for item in fleet.profiles]
    document["service_classes"] = [_service_class(item) for item in fleet.service_classes]
    document["servers"] = [
        _server(item) | wish_fields(fleet.wishes.get(item.name, NO_WISHES))
        for item in fleet.servers
    ]
    optimizer = _changed(fleet.settings, OptimizerSettings())
    analysis = optimizer.pop("analysis", None)
    return (
        document
        | _present(
            optimizer=optimizer or None,
            rules=_changed(fleet.rules, STOKER_RULES) or None,
            analysis=analysis,
        )
        | pool_sections(fleet)
        | _present(
            nodes=nodes_section(fleet.nodes) or None,
            sharing=sharing_section(fleet.sharing) or None,
        )
    )


def number(value: float | None) -> float | int | None:
    """Return a number as a person would write it: whole ones without a decimal point."""
    if value is not None and value == int(value) and abs(value) < _EXACT_INTEGER:
        return int(value)
    return value


def _present(**values: object) -> dict[str, object]:
    """Return the values that are known."""
    return {key: value for key, value in values.items() if value is not None}


def _changed(value: OptimizerSettings | PlanningRules, default: object) -> dict[str, object]:
    """Return the attributes that differ from the default."""
    changed: dict[str, object] = {}
    for attribute in fields(value):
        own = getattr(value, attribute.name)
        if own != getattr(default, attribute.name):
            is_text = isinstance(own, str)
            is_plain = own is None or isinstance(own, bool)
            changed[attribute.name] = str(own) if is_text else own if is_plain else number(own)
    return changed


def _accelerator(item: Accelerator) -> dict[str, object]:
    power = item.power
    return _present(
        name=item.name,
        card_type=item.card_type if item.card_type != item.name else None,
        cards=item.cards if item.cards != 1 else None,
        slice=slice_document(item.slice),
        cost_per_hour=number(item.cost_per_hour),
        memory_gb=number(item.memory_gb),
        memory_bandwidth_gb_per_s=number(item.memory_bandwidth_gb_per_s),
        power=(
            {
                "idle_w": number(power.idle_w),
                "mid_w": number(power.mid_w),
                "full_w": number(power.full_w),
                "mid_utilization": number(power.mid_utilization),
            }
            if power
            else None
        ),
    )


def profile_entry(item: ModelProfile) -> dict[str, object]:
    """Return a profile as an entry of `profiles`, without the values that are defaults."""
    units = item.accelerators_per_replica
    return _present(
        model=item.model,
        accelerator=item.accelerator,
        configuration=item.configuration or None,
        parallel=parallel_document(item.parallel),
        accelerators_per_replica=units if units != 1 else None,
        max_batch=item.max_batch,
        at_tokens=item.at_tokens,
        parameters=_parameters(item.parameters),
        provenance=_provenance(item.provenance),
        required_memory_gb=number(item.required_memory_gb),
        kv_tokens=item.kv_tokens,
        token_budget=item.token_budget if item.token_budget != DEFAULT_TOKEN_BUDGET else None,
        disaggregated=disaggregated_document(item.disaggregated),
    )


def _parameters(parameters: ServiceParameters) -> dict[str, object]:
    if isinstance(parameters, IterationTable):
        return {"kind": "curve"} | curve_document(parameters)
    if isinstance(parameters, OverlapParameters):
        values = overlap_document(parameters)
        return {"kind": "overlap"} | {key: number(value) for key, value in values.items()}
    kind = "linear" if isinstance(parameters, LinearParameters) else "token-work"
    return {"kind": kind} | {key: number(value) for key, value in asdict(parameters).items()}


def curve_document(table: IterationTable) -> dict[str, object]:
    """Return a table of iteration times as `CurveFields` reads it."""
    reads = table.prefill_contexts
    return _present(
        batches=[number(knot) for knot in table.batches],
        context_tokens=[number(knot) for knot in table.contexts],
        decode_ms=[[number(time) for time in row] for row in table.decode_ms],
        prefill_tokens=[number(knot) for knot in table.prefill_tokens],
        prefill_context_tokens=[number(knot) for knot in reads] if reads != (0.0,) else None,
        prefill_ms=[[number(time) for time in row] for row in table.prefill_ms],
        shared_ms=number(table.shared_ms) or None,
        first_token_ms=number(table.first_token_ms) or None,
        first_token_sequence_ms=number(table.first_token_sequence_ms) or None,
        first_token_output_ms=number(table.first_token_output_ms) or None,
    )


def _provenance(provenance: Provenance) -> dict[str, object] | None:
    if provenance == Provenance():
        return None
    return _present(kind=str(provenance.kind), source=provenance.source or None)


def _service_class(item: ServiceClass) -> dict[str, object]:
    targets = [
        _present(
            model=target.model,
            ttft_ms=_limits(Latency.TTFT, target.ttft_ms, target),
            itl_ms=_limits(Latency.ITL, target.itl_ms, target),
            e2e_ms=_limits(Latency.E2E, target.e2e_ms, target),
            tps=number(target.tps),
        )
        for target in item.targets
    ]
    return {"name": item.name, "priority": item.priority, "targets": targets}


def _limits(latency: Latency, mean_ms: float | None, target: SloTarget) -> object:
    """Return the targets of a latency: a number for its mean alone, else by statistic."""
    value = target_value(latency, mean_ms, target.percentiles)
    if isinstance(value, dict):
        return {name: number(limit_ms) for name, limit_ms in value.items()}
    return number(value)


def _load(load: Load) -> dict[str, object]:
    """Return a load; its rate in the unit that takes fewer digits and is exact."""
    rps = number(load.arrival_rate_rps)
    rpm = rpm_from_rps(load.arrival_rate_rps)
    per_minute = number(rpm)
    shorter = len(str(per_minute)) < len(str(rps))
    in_minutes = shorter and rps_from_rpm(rpm) == load.arrival_rate_rps
    rate = {"arrival_rate_rpm": per_minute} if in_minutes else {"arrival_rate_rps": rps}
    return rate | _present(
        input_tokens=number(load.input_tokens),
        output_tokens=number(load.output_tokens),
        throughput_rps=number(load.throughput_rps),
        arrival_cv=number(load.arrival_cv) if load.arrival_cv != 1 else None,
        input_tokens_cv=number(load.input_tokens_cv) if load.input_tokens_cv else None,
        output_tokens_cv=number(load.output_tokens_cv) if load.output_tokens_cv else None,
        prefix_hit_rate=number(load.prefix_hit_rate) if load.prefix_hit_rate else None,
    )


def _allocation(item: Allocation | None) -> dict[str, object] | None:
    if item is None:
        return None
    return {"accelerator": item.accelerator} | _present(
        configuration=item.configuration,
        replicas=item.replicas,
        prefill_replicas=item.prefill_replicas or None,
        pools=dict(item.in_pools) or None,
        max_batch=item.max_batch,
        cost_per_hour=number(item.cost_per_hour),
        itl_ms=number(item.itl_ms),
        ttft_ms=number(item.ttft_ms),
        load=_load(item.load) if item.load else None,
    )


def _server(item: Server) -> dict[str, object]:
    return _present(
        name=item.name,
        service_class=item.service_class,
        model=item.model,
        load=_load(item.load) if item.load else "unknown",
        keep_accelerator=item.keep_accelerator or None,
        min_replicas=item.min_replicas or None,
        max_replicas=item.max_replicas,
        router=item.router.label if item.router is not Router.RANDOM else None,
        max_batch=AUTO if item.choose_batch else list(item.batch_limits) or item.max_batch,
        max_queue=item.max_queue,
        serving=list(map(str, item.serving)) if item.serving != (Serving.AGGREGATED,) else None,
        current=_allocation(item.current),
        desired=_allocation(item.desired),
    )
