"""From fleets to Inferno systems."""

from __future__ import annotations

from collections.abc import Sequence

from data.inferno.schema import (
    InfernoAccelerator,
    InfernoAccelerators,
    InfernoAllocation,
    InfernoCapacities,
    InfernoCount,
    InfernoDecode,
    InfernoDocument,
    InfernoLoad,
    InfernoModelPerf,
    InfernoModels,
    InfernoOptimizer,
    InfernoOptimizerData,
    InfernoPerf,
    InfernoPower,
    InfernoPrefill,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoServiceClasses,
    InfernoSystem,
    InfernoTarget,
    to_json,
)
from data.inferno.to_fleet import CPLEX, IMPLICIT_CLASS
from data.wording import shown
from stoker.domain.accelerator import Accelerator
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    TokenWorkParameters,
)
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import OptimizerSettings, SolverKind
from stoker.domain.slo import ServiceClass
from stoker.domain.units import cents_from_units, rpm_from_rps
from stoker.domain.workload import Load


def fleet_to_system(fleet: Fleet) -> dict[str, object]:
    """Return a fleet as a document ``{"system": {...}}``.

    What Inferno has no key for is left out.

    Raises:
        InvalidInputError: A profile is a measured curve, which has no form there.
    """
    return to_json(InfernoDocument(system=system_of(fleet)))


def system_of(fleet: Fleet) -> InfernoSystem:
    """Return a fleet as an Inferno system.

    Raises:
        InvalidInputError: A profile is a measured curve, which has no form there.
    """
    _refuse_unheld(fleet)
    classes = fleet.service_classes
    if classes and classes[-1] == IMPLICIT_CLASS and _is_used(fleet, IMPLICIT_CLASS.name):
        classes = classes[:-1]  # the reference has it anyway
    return InfernoSystem(
        accelerator_data=InfernoAccelerators(
            accelerators=[_accelerator(item) for item in fleet.accelerators]
        ),
        capacity_data=InfernoCapacities(
            count=[InfernoCount(type=item.card_type, count=item.count) for item in fleet.capacity]
        ),
        model_data=InfernoModels(
            models=[model_of_profile(item) for item in _one_a_pair(fleet.profiles)]
        ),
        service_class_data=InfernoServiceClasses(
            service_classes=[_service_class(item) for item in classes]
        ),
        server_data=InfernoServers(servers=[server_to_inferno(item) for item in fleet.servers]),
        optimizer_data=InfernoOptimizerData(optimizer=_flags(fleet.settings)),
    )


def _is_used(fleet: Fleet, class_name: str) -> bool:
    return any(server.service_class == class_name for server in fleet.servers)


def _accelerator(item: Accelerator) -> InfernoAccelerator:
    power = item.power
    return InfernoAccelerator(
        name=item.name,
        type=item.card_type,
        multiplicity=item.cards,
        mem_size=item.memory_gb or 0.0,
        mem_bw=item.memory_bandwidth_gb_per_s or 0.0,
        power=(
            InfernoPower(
                idle=power.idle_w,
                full=power.full_w,
                mid_power=power.mid_w,
                mid_util=power.mid_utilization,
            )
            if power
            else None
        ),
        cost=cents_from_units(item.cost_per_hour),
    )


def model_of_profile(item: ModelProfile) -> InfernoModelPerf:
    """Return a profile as model data.

    Raises:
        InvalidInputError: The format has no form for its parameters.
    """
    common = InfernoModelPerf(
        name=item.model,
        acc=item.accelerator,
        acc_count=item.accelerators_per_replica,
        max_batch_size=item.max_batch,
        at_tokens=item.at_tokens,
    )
    match item.parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            return common.model_copy(
                update={
                    "decode_parms": InfernoDecode(alpha=alpha, beta=beta),
                    "prefill_parms": InfernoPrefill(gamma=gamma, delta=delta),
                }
            )
        case TokenWorkParameters(alpha, beta, gamma):
            perf = InfernoPerf(alpha=alpha, beta=beta, gamma=gamma)
            return common.model_copy(update={"perf_parms": perf})
        case IterationTable() | OverlapParameters():
            raise InvalidInputError([_unheld(item)])


def _one_a_pair(profiles: Sequence[ModelProfile]) -> list[ModelProfile]:
    """Return the first profile of each model on each accelerator: the format holds no further."""
    first: dict[tuple[str, str], ModelProfile] = {}
    for item in profiles:
        first.setdefault((item.model, item.accelerator), item)
    return list(first.values())


def _refuse_unheld(fleet: Fleet) -> None:
    """Tell of all profiles at once that the format has no form for."""
    unheld = [
        item
        for item in _one_a_pair(fleet.profiles)
        if isinstance(item.parameters, IterationTable | OverlapParameters)
    ]
    if unheld:
        raise InvalidInputError([_unheld(item) for item in unheld])


def _unheld(item: ModelProfile) -> Problem:
    curve = isinstance(item.parameters, IterationTable)
    is_what = "is a measured curve" if curve else "has overlap parameters"
    return Problem(
        "profiles",
        f"the profile of {shown(item.model)} on {shown(item.accelerator)} {is_what}, "
        "which Inferno's format cannot hold",
        "linear or token-work parameters",
    )


def _service_class(item: ServiceClass) -> InfernoServiceClass:
    return InfernoServiceClass(
        name=item.name,
        priority=item.priority,
        model_targets=[
            InfernoTarget(
                model=target.model,
                slo_itl=target.itl_ms or 0.0,
                slo_ttft=target.ttft_ms or 0.0,
                slo_tps=target.tps or 0.0,
            )
            for target in item.targets
        ],
    )


def load_to_inferno(load: Load) -> InfernoLoad:
    """Return a load with its rates per minute."""
    return InfernoLoad(
        arrival_rate=rpm_from_rps(load.arrival_rate_rps),
        throughput=rpm_from_rps(load.throughput_rps or 0.0),
        avg_in_tokens=load.input_tokens,
        avg_out_tokens=load.output_tokens,
    )


def _allocation(item: Allocation, load: Load | None) -> InfernoAllocation:
    return InfernoAllocation(
        accelerator=item.accelerator or "",
        num_replicas=item.replicas,
        max_batch=item.max_batch or 0,
        cost=cents_from_units(item.cost_per_hour),
        itl_average=item.itl_ms or 0.0,
        ttft_average=item.ttft_ms or 0.0,
        load=load_to_inferno(load) if load else None,
    )


_NOTHING = Allocation(accelerator=None, replicas=0)
_NO_LOAD = Load(0.0, 0.0, 0.0)


def server_to_inferno(item: Server) -> InfernoServer:
    """Return a server; an unknown load leaves `load` out, and nothing running is an empty one."""
    desired = item.desired
    return InfernoServer(
        name=item.name,
        service_class=item.service_class,
        model=item.model,
        keep_accelerator=item.keep_accelerator,
        min_num_replicas=item.min_replicas,
        max_batch_size=item.max_batch or 0,
        max_queue_size=item.max_queue or 0,
        current_alloc=_allocation(item.current or _NOTHING, item.load),
        desired_alloc=(
            _allocation(desired, desired.load) if desired else _allocation(_NOTHING, _NO_LOAD)
        ),
    )


def _flags(settings: OptimizerSettings) -> InfernoOptimizer:
    return InfernoOptimizer(
        unlimited=settings.unlimited,
        heterogeneous=settings.heterogeneous,
        milp_solver=None if settings.solver is None else settings.solver is SolverKind.MILP,
        use_cplex=settings.backend == CPLEX,
        delayed_best_effort=settings.delayed_best_effort,
        saturation_policy=settings.saturation_policy.value,
    )
