"""Inferno verbs that show the stored system; served in both modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from api import inferno_lookup as lookup
from api.endpoint import Call, Endpoint, Place, Reply
from api.inferno_words import Kind, content, path_parameters
from api.services import Services
from api.system_state import SystemState
from data.inferno import (
    InfernoAccelerators,
    InfernoCapacities,
    InfernoModels,
    InfernoServers,
    InfernoServiceClasses,
    to_json,
)

TAG = "Inferno: reading"


def _read(
    path: str,
    summary: str,
    kind: Kind,
    show: Callable[[SystemState, Mapping[str, str]], object],
) -> Endpoint:
    def answer(services: Services, call: Call) -> Reply:
        return Reply(show(services.store.snapshot(), call.path))

    return Endpoint(
        method="GET",
        path=path,
        answer=answer,
        place=Place.QUESTION,
        tag=TAG,
        summary=summary,
        parameters=path_parameters(path),
        reply=content(kind),
        refusals=(HTTPStatus.NOT_FOUND,) if "{" in path else (),
    )


def _capacities(state: SystemState) -> InfernoCapacities:
    return InfernoCapacities(count=list(state.capacity.values()))


def _service_classes(state: SystemState) -> InfernoServiceClasses:
    return InfernoServiceClasses(service_classes=list(state.service_classes.values()))


def _servers(state: SystemState) -> InfernoServers:
    return InfernoServers(servers=list(state.servers.values()))


def _accelerators(state: SystemState) -> object:
    whole = InfernoAccelerators(accelerators=list(state.accelerators.values()))
    return to_json(whole)["accelerators"]


def _model(state: SystemState, name: str) -> InfernoModels:
    return InfernoModels(models=list(lookup.model(state, name).values()))


READ_ENDPOINTS = (
    _read(
        "/getAccelerators",
        "All accelerators, as a bare array",
        Kind.ACCELERATORS_BARE,
        lambda state, _: _accelerators(state),
    ),
    _read(
        "/getAccelerator/{name}",
        "One accelerator",
        Kind.ACCELERATOR,
        lambda state, path: to_json(lookup.accelerator(state, path["name"])),
    ),
    _read(
        "/getCapacities",
        "Counts of all card types",
        Kind.CAPACITIES,
        lambda state, _: to_json(_capacities(state)),
    ),
    _read(
        "/getCapacity/{type}",
        "Count of one card type",
        Kind.CAPACITY,
        lambda state, path: to_json(lookup.capacity(state, path["type"])),
    ),
    _read(
        "/getModels",
        "Names of all models, as a bare array",
        Kind.MODEL_NAMES,
        lambda state, _: list(state.models),
    ),
    _read(
        "/getModel/{name}",
        "Performance data of one model on all its accelerators",
        Kind.MODELS,
        lambda state, path: to_json(_model(state, path["name"])),
    ),
    _read(
        "/getModelAcceleratorPerf/{model}/{accelerator}",
        "Performance data of one model on one accelerator",
        Kind.PERFORMANCE,
        lambda state, path: to_json(lookup.performance(state, path["model"], path["accelerator"])),
    ),
    _read(
        "/getServiceClasses",
        "All service classes",
        Kind.SERVICE_CLASSES,
        lambda state, _: to_json(_service_classes(state)),
    ),
    _read(
        "/getServiceClass/{name}",
        "One service class",
        Kind.SERVICE_CLASS,
        lambda state, path: to_json(lookup.service_class(state, path["name"])),
    ),
    _read(
        "/getServiceClassModelTarget/{class}/{model}",
        "The targets of one service class for one model",
        Kind.TARGET,
        lambda state, path: to_json(lookup.target(state, path["class"], path["model"])),
    ),
    _read(
        "/getServers",
        "All servers, with current and desired allocations",
        Kind.SERVERS,
        lambda state, _: to_json(_servers(state)),
    ),
    _read(
        "/getServer/{name}",
        "One server",
        Kind.SERVER,
        lambda state, path: to_json(lookup.server(state, path["name"])),
    ),
)
