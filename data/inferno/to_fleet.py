"""From Inferno systems to fleets: cents to currency units, minutes to seconds, zero to unknown."""

from __future__ import annotations

from data.document import Document
from data.inferno.checks import check_system
from data.inferno.schema import (
    DEFAULT_CLASS,
    InfernoAccelerator,
    InfernoAllocation,
    InfernoDocument,
    InfernoLoad,
    InfernoModelPerf,
    InfernoOptimizer,
    InfernoServer,
    InfernoServiceClass,
    InfernoSystem,
    to_json,
)
from stoker.domain.accelerator import Accelerator, PowerCurve
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import (
    INFERNO_RULES,
    Analysis,
    OptimizerSettings,
    SaturationPolicy,
    SolverKind,
)
from stoker.domain.slo import LOWEST_PRIORITY, ServiceClass, SloTarget
from stoker.domain.units import rps_from_rpm, units_from_cents
from stoker.domain.workload import Load

INFERNO_CURRENCY = "USD"
"""The currency of Inferno's cents, which its files do not name."""

CPLEX = "CPLEX"

IMPLICIT_CLASS = ServiceClass(DEFAULT_CLASS, LOWEST_PRIORITY)
"""The class that every system has, defined or not."""


def system_to_fleet(system: InfernoSystem, file: str = "") -> Fleet:
    """Return the fleet of a system, planned by the reference's rules.

    Args:
        system: The system, read from a file or put together from its collections.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Names are used twice, or a server names a class or model that the
            system does not know.
    """
    document = Document.single(to_json(InfernoDocument(system=system)), file)
    document.refuse_if(check_system(document))
    return convert_system(system)


def convert_system(system: InfernoSystem) -> Fleet:
    """Return the fleet of a system that passed all checks."""
    servers = tuple(_server(item) for item in system.server_data.servers)
    classes = tuple(_service_class(item) for item in system.service_class_data.service_classes)
    defined = {item.name for item in classes}
    if DEFAULT_CLASS not in defined and any(
        server.service_class == DEFAULT_CLASS for server in servers
    ):
        classes = (*classes, IMPLICIT_CLASS)
    return Fleet(
        currency=INFERNO_CURRENCY,
        accelerators=tuple(_accelerator(item) for item in system.accelerator_data.accelerators),
        capacity=tuple(Capacity(item.type, item.count) for item in system.capacity_data.count),
        profiles=tuple(profile_of_model(item) for item in system.model_data.models),
        service_classes=classes,
        servers=servers,
        settings=settings_of(system.optimizer_data.optimizer),
        rules=INFERNO_RULES,
    )


def settings_of(flags: InfernoOptimizer) -> OptimizerSettings:
    """Return the settings that the reference's flags stand for."""
    solver = None
    if flags.milp_solver is not None:
        solver = SolverKind.MILP if flags.milp_solver else SolverKind.GREEDY
    return OptimizerSettings(
        unlimited=flags.unlimited,
        solver=solver,
        heterogeneous=flags.heterogeneous,
        saturation_policy=SaturationPolicy(flags.saturation_policy),
        delayed_best_effort=flags.delayed_best_effort,
        backend=CPLEX if flags.use_cplex else OptimizerSettings().backend,
        analysis=Analysis.REFERENCE,
    )


def _accelerator(item: InfernoAccelerator) -> Accelerator:
    power = item.power
    return Accelerator(
        name=item.name,
        card_type=item.type,
        cards=item.multiplicity,
        cost_per_hour=units_from_cents(item.cost),
        memory_gb=item.mem_size or None,
        memory_bandwidth_gb_per_s=item.mem_bw or None,
        power=(
            PowerCurve(power.idle, power.mid_power, power.full, power.mid_util)
            if power and 0 < power.mid_util < 1
            else None
        ),
    )


def profile_of_model(item: InfernoModelPerf) -> ModelProfile:
    """Return the profile that model data tell."""
    return ModelProfile(
        model=item.name,
        accelerator=item.acc,
        accelerators_per_replica=max(1, item.acc_count),
        max_batch=item.max_batch_size,
        at_tokens=item.at_tokens,
        parameters=_parameters(item),
    )


def _parameters(item: InfernoModelPerf) -> ServiceParameters:
    if item.perf_parms is not None:
        perf = item.perf_parms
        return TokenWorkParameters(perf.alpha, perf.beta, perf.gamma)
    decode, prefill = item.decode_parms, item.prefill_parms
    assert decode is not None  # checked: one generation, complete
    assert prefill is not None
    return LinearParameters(decode.alpha, decode.beta, prefill.gamma, prefill.delta)


def _service_class(item: InfernoServiceClass) -> ServiceClass:
    targets = tuple(
        SloTarget(
            target.model, target.slo_ttft or None, target.slo_itl or None, target.slo_tps or None
        )
        for target in item.model_targets
    )
    return ServiceClass(item.name, item.priority, targets)


def _load(item: InfernoLoad | None) -> Load | None:
    if item is None:
        return None
    return Load(
        rps_from_rpm(item.arrival_rate),
        item.avg_in_tokens,
        item.avg_out_tokens,
        rps_from_rpm(item.throughput) if item.throughput else None,
    )


def _allocation(item: InfernoAllocation, load: Load | None) -> Allocation:
    return Allocation(
        accelerator=item.accelerator or None,
        replicas=item.num_replicas,
        max_batch=item.max_batch or None,
        cost_per_hour=units_from_cents(item.cost),
        itl_ms=item.itl_average or None,
        ttft_ms=item.ttft_average or None,
        load=load,
    )


def _server(item: InfernoServer) -> Server:
    current, desired = item.current_alloc, item.desired_alloc
    return Server(
        name=item.name,
        service_class=item.service_class,
        model=item.model,
        load=_load(current.load) if current else None,
        keep_accelerator=item.keep_accelerator,
        min_replicas=item.min_num_replicas,
        max_batch=item.max_batch_size or None,
        max_queue=item.max_queue_size or None,
        current=_allocation(current, None) if current and current.accelerator else None,
        desired=_desired(desired) if desired else None,
    )


def _desired(item: InfernoAllocation) -> Allocation | None:
    """Return a decision; an empty one without load is the reference's way to say there is none."""
    load = _load(item.load)
    if not item.accelerator and (load is None or load.arrival_rate_rps == 0):
        return None
    return _allocation(item, load)
