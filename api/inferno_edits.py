"""Changes of a stored system that need a look at what is there: pure functions of the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TypeAlias

from api import inferno_lookup as lookup
from api.problems import ProblemType, RequestRefusedError, refused_input
from api.system_state import (
    SystemState,
    with_service_classes,
    with_targets,
    without,
    without_target,
)
from data.inferno import InfernoModel, InfernoServiceClass, parse_one
from stoker.domain.errors import InvalidInputError
from stoker.domain.slo import HIGHEST_PRIORITY, LOWEST_PRIORITY

PathParameters: TypeAlias = Mapping[str, str]
Changed: TypeAlias = tuple[SystemState, InfernoModel | str]
"""The next state, and what the verb answers."""


def add_service_class(state: SystemState, path: PathParameters) -> Changed:
    """Add a class without targets; 400 where the priority is none."""
    text = path["priority"]
    priority = int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else 0
    if not HIGHEST_PRIORITY <= priority <= LOWEST_PRIORITY:
        allowed = f"a whole number from {HIGHEST_PRIORITY} to {LOWEST_PRIORITY}"
        detail = f"service class priority {text} invalid (allowed: {allowed})"
        raise RequestRefusedError(HTTPStatus.BAD_REQUEST, ProblemType.INVALID_INPUT, detail)
    try:
        added = parse_one(InfernoServiceClass, {"name": path["name"], "priority": priority})
    except InvalidInputError as error:
        raise refused_input(error, HTTPStatus.BAD_REQUEST) from error
    return with_service_classes(state, [added]), added


def add_targets(state: SystemState, given: InfernoServiceClass) -> Changed:
    """Add targets to a class that is there already: 404 where not, 400 at another priority."""
    found = lookup.service_class(state, given.name)
    if given.priority != found.priority:
        detail = (
            f"inconsistent specs: service class {given.name} has priority {found.priority}, "
            f"not {given.priority}"
        )
        raise RequestRefusedError(HTTPStatus.BAD_REQUEST, ProblemType.INVALID_INPUT, detail)
    changed = with_targets(found, given.model_targets)
    return with_service_classes(state, [changed]), changed


def remove_accelerator(state: SystemState, path: PathParameters) -> Changed:
    """Remove an accelerator; 404 where there is none."""
    removed = lookup.accelerator(state, path["name"])
    return replace(state, accelerators=without(state.accelerators, removed.name)), removed


def remove_capacity(state: SystemState, path: PathParameters) -> Changed:
    """Remove the count of a card type; 404 where there is none."""
    removed = lookup.capacity(state, path["type"])
    return replace(state, capacity=without(state.capacity, removed.type)), removed


def remove_model(state: SystemState, path: PathParameters) -> Changed:
    """Remove a model with its data; 404 where there is none."""
    name = path["name"]
    lookup.model(state, name)
    return replace(state, models=without(state.models, name)), name


def remove_performance(state: SystemState, path: PathParameters) -> Changed:
    """Remove the data of a pair; 404 where there is none."""
    removed = lookup.performance(state, path["model"], path["accelerator"])
    kept = without(state.models[removed.name], removed.acc)
    return replace(state, models={**state.models, removed.name: kept}), removed


def remove_service_class(state: SystemState, path: PathParameters) -> Changed:
    """Remove a service class; 404 where there is none."""
    removed = lookup.service_class(state, path["name"])
    return replace(state, service_classes=without(state.service_classes, removed.name)), removed


def remove_target(state: SystemState, path: PathParameters) -> Changed:
    """Remove the target of a class for a model; 404 where there is none."""
    removed = lookup.target(state, path["class"], path["model"])
    changed = without_target(lookup.service_class(state, path["class"]), removed.model)
    return with_service_classes(state, [changed]), removed


def remove_server(state: SystemState, path: PathParameters) -> Changed:
    """Remove a server; 404 where there is none."""
    removed = lookup.server(state, path["name"])
    return replace(state, servers=without(state.servers, removed.name)), removed
