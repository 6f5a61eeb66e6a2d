"""The system that the Inferno verbs build up, as one immutable value.

Its objects may refer to what is not there (yet): references are checked when a plan is asked for.
As in the reference, setting a collection adds its objects or replaces those of the same name;
others stay. Mappings inside a state are never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from data.inferno import (
    InfernoAccelerator,
    InfernoAccelerators,
    InfernoAllocation,
    InfernoCapacities,
    InfernoCount,
    InfernoModelPerf,
    InfernoModels,
    InfernoOptimizer,
    InfernoOptimizerData,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoServiceClasses,
    InfernoSystem,
    InfernoTarget,
)

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class SystemState:
    """All objects of a system, each kind in the order in which its names first came.

    Attributes:
        accelerators: Accelerators by name.
        capacity: Counts of cards by type.
        models: Performance data by model and accelerator; a model may have none.
        service_classes: Service classes by name.
        servers: Servers by name.
    """

    accelerators: Mapping[str, InfernoAccelerator] = field(default_factory=dict)
    capacity: Mapping[str, InfernoCount] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, InfernoModelPerf]] = field(default_factory=dict)
    service_classes: Mapping[str, InfernoServiceClass] = field(default_factory=dict)
    servers: Mapping[str, InfernoServer] = field(default_factory=dict)


def with_accelerators(state: SystemState, added: Iterable[InfernoAccelerator]) -> SystemState:
    """Add accelerators, or replace those of the same name."""
    merged = _merged(state.accelerators, added, lambda accelerator: accelerator.name)
    return replace(state, accelerators=merged)


def with_capacity(state: SystemState, added: Iterable[InfernoCount]) -> SystemState:
    """Add counts of card types, or replace those of the same type."""
    return replace(state, capacity=_merged(state.capacity, added, lambda count: count.type))


def with_performance(state: SystemState, added: Iterable[InfernoModelPerf]) -> SystemState:
    """Add performance data, and the models that it names; replace that of the same pair."""
    models = {name: dict(data) for name, data in state.models.items()}
    for data in added:
        models.setdefault(data.name, {})[data.acc] = data
    return replace(state, models=models)


def with_model(state: SystemState, name: str) -> SystemState:
    """Add a model without performance data; one of that name loses its data."""
    return replace(state, models={**state.models, name: {}})


def with_service_classes(state: SystemState, added: Iterable[InfernoServiceClass]) -> SystemState:
    """Add service classes, or replace those of the same name."""
    merged = _merged(state.service_classes, added, lambda service_class: service_class.name)
    return replace(state, service_classes=merged)


def with_servers(state: SystemState, added: Iterable[InfernoServer]) -> SystemState:
    """Add servers, or replace those of the same name."""
    return replace(state, servers=_merged(state.servers, added, lambda server: server.name))


def without(objects: Mapping[str, _Value], name: str) -> dict[str, _Value]:
    """Return objects without one of them."""
    return {key: value for key, value in objects.items() if key != name}


def with_targets(
    service_class: InfernoServiceClass, added: Iterable[InfernoTarget]
) -> InfernoServiceClass:
    """Return a service class with more targets; those for the same models are replaced."""
    present = {target.model: target for target in service_class.model_targets}
    merged = _merged(present, added, lambda target: target.model)
    return service_class.model_copy(update={"model_targets": list(merged.values())})


def without_target(service_class: InfernoServiceClass, model: str) -> InfernoServiceClass:
    """Return a service class without its target for a model."""
    kept = [target for target in service_class.model_targets if target.model != model]
    return service_class.model_copy(update={"model_targets": kept})


def with_desired(
    state: SystemState, planned: SystemState, desired: Mapping[str, InfernoAllocation]
) -> SystemState:
    """Set what was decided for servers.

    Args:
        state: The system as it is now.
        planned: The system that the plan was made for.
        desired: Allocations by server. Left out are those of servers that are gone meanwhile, or
            serve another model or class now.
    """
    servers = {
        name: server.model_copy(update={"desired_alloc": desired[name]})
        if name in desired and _same_server(server, planned.servers.get(name))
        else server
        for name, server in state.servers.items()
    }
    return replace(state, servers=servers)


def with_desired_applied(state: SystemState) -> SystemState:
    """Make every desired allocation the current one; the load stays what it is now."""
    servers = {name: _applied(server) for name, server in state.servers.items()}
    return replace(state, servers=servers)


def to_system(state: SystemState, flags: InfernoOptimizer) -> InfernoSystem:
    """Return a state as a system, with the flags of the optimizer; references are not checked."""
    performance = [
        data for by_accelerator in state.models.values() for data in by_accelerator.values()
    ]
    return InfernoSystem(
        accelerator_data=InfernoAccelerators(accelerators=list(state.accelerators.values())),
        capacity_data=InfernoCapacities(count=list(state.capacity.values())),
        model_data=InfernoModels(models=performance),
        service_class_data=InfernoServiceClasses(
            service_classes=list(state.service_classes.values())
        ),
        server_data=InfernoServers(servers=list(state.servers.values())),
        optimizer_data=InfernoOptimizerData(optimizer=flags),
    )


def from_system(system: InfernoSystem) -> SystemState:
    """Return the state that holds a whole system and nothing else."""
    state = with_accelerators(SystemState(), system.accelerator_data.accelerators)
    state = with_capacity(state, system.capacity_data.count)
    state = with_performance(state, system.model_data.models)
    state = with_service_classes(state, system.service_class_data.service_classes)
    return with_servers(state, system.server_data.servers)


def _merged(
    objects: Mapping[str, _Value], added: Iterable[_Value], name_of: Callable[[_Value], str]
) -> dict[str, _Value]:
    return {**objects, **{name_of(value): value for value in added}}


def _same_server(server: InfernoServer, other: InfernoServer | None) -> bool:
    return (
        other is not None
        and server.model == other.model
        and server.service_class == other.service_class
    )


def _applied(server: InfernoServer) -> InfernoServer:
    desired, current = server.desired_alloc, server.current_alloc
    if desired is None:
        return server
    load = desired.load if current is None or current.load is None else current.load
    return server.model_copy(update={"current_alloc": desired.model_copy(update={"load": load})})
