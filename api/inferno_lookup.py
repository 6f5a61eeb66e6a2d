"""Finding stored objects by the names in a path, with the reference's words where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from api.problems import not_found
from api.system_state import SystemState
from data.inferno import (
    InfernoAccelerator,
    InfernoCount,
    InfernoModelPerf,
    InfernoServer,
    InfernoServiceClass,
    InfernoTarget,
)

_Value = TypeVar("_Value")


def accelerator(state: SystemState, name: str) -> InfernoAccelerator:
    """Return an accelerator; 404 where there is none."""
    return _found(state.accelerators, name, "accelerator {} not found")


def capacity(state: SystemState, card_type: str) -> InfernoCount:
    """Return the count of a card type; 404 where there is none."""
    return _found(state.capacity, card_type, "capacity for {} not found")


def model(state: SystemState, name: str) -> Mapping[str, InfernoModelPerf]:
    """Return the performance data of a model, by accelerator; 404 for an unknown model."""
    return _found(state.models, name, "model {} not found")


def performance(state: SystemState, model_name: str, accelerator_name: str) -> InfernoModelPerf:
    """Return the performance data of a pair; 404 where there is none."""
    return _found(model(state, model_name), accelerator_name, "accelerator {} not found")


def service_class(state: SystemState, name: str) -> InfernoServiceClass:
    """Return a service class; 404 where there is none."""
    return _found(state.service_classes, name, "service class {} not found")


def target(state: SystemState, class_name: str, model_name: str) -> InfernoTarget:
    """Return the target of a class for a model; 404 where there is none."""
    targets = {entry.model: entry for entry in service_class(state, class_name).model_targets}
    return _found(targets, model_name, "model {} not found")


def server(state: SystemState, name: str) -> InfernoServer:
    """Return a server; 404 where there is none."""
    return _found(state.servers, name, "server {} not found")


def _found(objects: Mapping[str, _Value], name: str, message: str) -> _Value:
    if name not in objects:
        raise not_found(message.format(name))
    return objects[name]
