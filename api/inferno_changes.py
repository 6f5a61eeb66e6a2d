"""Inferno verbs that change the stored system; a stateless service has none of them.

Some of them are GET requests. That is the reference's choice, kept for its clients.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from api import inferno_edits as edits
from api.bodies import decode_object
from api.endpoint import Call, Endpoint, Place, Reply
from api.inferno_edits import Changed, PathParameters
from api.inferno_solves import OPTIMIZE_ENDPOINT
from api.inferno_words import Kind, content, path_parameters
from api.problems import refused_input
from api.services import Services
from api.system_state import (
    SystemState,
    with_accelerators,
    with_capacity,
    with_desired_applied,
    with_model,
    with_performance,
    with_servers,
    with_service_classes,
)
from data.inferno import (
    InfernoAccelerator,
    InfernoAccelerators,
    InfernoCapacities,
    InfernoCount,
    InfernoModel,
    InfernoModelPerf,
    InfernoModels,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoServiceClasses,
    parse_one,
    to_json,
)
from stoker.domain.errors import InvalidInputError

TAG = "Inferno: changing"

_Given = TypeVar("_Given", bound=InfernoModel)


def _post(
    path: str,
    summary: str,
    kind: Kind,
    model: type[_Given],
    change: Callable[[SystemState, _Given], SystemState],
) -> Endpoint:
    """Return a verb that takes an object or a collection and echoes it."""
    return _posted(path, summary, kind, model, lambda state, given: (change(state, given), given))


def _posted(
    path: str,
    summary: str,
    kind: Kind,
    model: type[_Given],
    change: Callable[[SystemState, _Given], Changed],
    refusals: tuple[HTTPStatus, ...] = (),
) -> Endpoint:
    def answer(services: Services, call: Call) -> Reply:
        document = decode_object(call.body)
        try:
            given = parse_one(model, document)
        except InvalidInputError as error:
            raise refused_input(error, HTTPStatus.BAD_REQUEST) from error
        return _shown(services.store.update(lambda state: change(state, given)))

    return Endpoint(
        method="POST",
        path=path,
        answer=answer,
        place=Place.QUESTION,
        tag=TAG,
        summary=summary,
        body=content(kind),
        reply=content(kind),
        refusals=refusals,
        changes_state=True,
    )


def _get(
    path: str, summary: str, kind: Kind, change: Callable[[SystemState, PathParameters], Changed]
) -> Endpoint:
    def answer(services: Services, call: Call) -> Reply:
        return _shown(services.store.update(lambda state: change(state, call.path)))

    return Endpoint(
        method="GET",
        path=path,
        answer=answer,
        place=Place.QUESTION,
        tag=TAG,
        summary=summary,
        parameters=path_parameters(path),
        reply=content(kind),
        refusals=(HTTPStatus.NOT_FOUND,) if path.startswith("/remove") else (),
        changes_state=True,
    )


def _shown(answer: InfernoModel | str) -> Reply:
    return Reply(answer if isinstance(answer, str) else to_json(answer))


CHANGE_ENDPOINTS = (
    _post(
        "/setAccelerators",
        "Add or replace accelerators",
        Kind.ACCELERATORS,
        InfernoAccelerators,
        lambda state, given: with_accelerators(state, given.accelerators),
    ),
    _post(
        "/addAccelerator",
        "Add or replace one accelerator",
        Kind.ACCELERATOR,
        InfernoAccelerator,
        lambda state, given: with_accelerators(state, [given]),
    ),
    _get(
        "/removeAccelerator/{name}",
        "Remove one accelerator",
        Kind.ACCELERATOR,
        edits.remove_accelerator,
    ),
    _post(
        "/setCapacities",
        "Set the counts of card types",
        Kind.CAPACITIES,
        InfernoCapacities,
        lambda state, given: with_capacity(state, given.count),
    ),
    _post(
        "/setCapacity",
        "Set the count of one card type",
        Kind.CAPACITY,
        InfernoCount,
        lambda state, given: with_capacity(state, [given]),
    ),
    _get(
        "/removeCapacity/{type}",
        "Remove the count of one card type",
        Kind.CAPACITY,
        edits.remove_capacity,
    ),
    _post(
        "/setModels",
        "Add or replace performance data, with the models that it names",
        Kind.MODELS,
        InfernoModels,
        lambda state, given: with_performance(state, given.models),
    ),
    _get(
        "/addModel/{name}",
        "Add a model without performance data; one of that name loses its data",
        Kind.MODEL_NAME,
        lambda state, path: (with_model(state, path["name"]), path["name"]),
    ),
    _get("/removeModel/{name}", "Remove a model and its data", Kind.MODEL_NAME, edits.remove_model),
    _post(
        "/addModelAcceleratorPerf",
        "Add or replace performance data of one model on one accelerator",
        Kind.PERFORMANCE,
        InfernoModelPerf,
        lambda state, given: with_performance(state, [given]),
    ),
    _get(
        "/removeModelAcceleratorPerf/{model}/{accelerator}",
        "Remove performance data of one model on one accelerator",
        Kind.PERFORMANCE,
        edits.remove_performance,
    ),
    _post(
        "/setServiceClasses",
        "Add or replace service classes",
        Kind.SERVICE_CLASSES,
        InfernoServiceClasses,
        lambda state, given: with_service_classes(state, given.service_classes),
    ),
    _get(
        "/addServiceClass/{name}/{priority}",
        "Add a service class without targets; one of that name loses its targets",
        Kind.SERVICE_CLASS,
        edits.add_service_class,
    ),
    _get(
        "/removeServiceClass/{name}",
        "Remove one service class",
        Kind.SERVICE_CLASS,
        edits.remove_service_class,
    ),
    _posted(
        "/addServiceClassModelTargets",
        "Add targets to a service class, or replace those for the same models",
        Kind.SERVICE_CLASS,
        InfernoServiceClass,
        edits.add_targets,
        refusals=(HTTPStatus.NOT_FOUND,),
    ),
    _get(
        "/removeServiceClassModelTarget/{class}/{model}",
        "Remove the targets of one service class for one model",
        Kind.TARGET,
        edits.remove_target,
    ),
    _post(
        "/setServers",
        "Add or replace servers",
        Kind.SERVERS,
        InfernoServers,
        lambda state, given: with_servers(state, given.servers),
    ),
    _post(
        "/addServer",
        "Add or replace one server",
        Kind.SERVER,
        InfernoServer,
        lambda state, given: with_servers(state, [given]),
    ),
    _get("/removeServer/{name}", "Remove one server", Kind.SERVER, edits.remove_server),
    OPTIMIZE_ENDPOINT,
    _get(
        "/applyAllocation",
        "Make the desired allocations of all servers the current ones",
        Kind.DONE,
        lambda state, _: (with_desired_applied(state), "Done"),
    ),
)
"""All verbs of a stateful service beside those of a stateless one."""
