"""What the Inferno verbs say and show in the documentation: objects, examples, parameters."""

from __future__ import annotations

import re
from enum import Enum

from api import examples
from api.endpoint import Content, JsonSchema, Parameter
from api.schema_building import array_of
from api.schemas import NAMES, inferno_schema
from data.inferno import (
    InfernoAccelerator,
    InfernoAccelerators,
    InfernoCapacities,
    InfernoCount,
    InfernoModelPerf,
    InfernoModels,
    InfernoServer,
    InfernoServers,
    InfernoServiceClass,
    InfernoServiceClasses,
    InfernoTarget,
)
from stoker.domain.slo import HIGHEST_PRIORITY, LOWEST_PRIORITY


class Kind(Enum):
    """What a body or an answer of a verb holds."""

    ACCELERATOR = "One accelerator."
    ACCELERATORS = "Accelerators."
    ACCELERATORS_BARE = "All accelerators."
    CAPACITY = "The count of one card type."
    CAPACITIES = "Counts of card types."
    MODEL_NAME = "The name of the model."
    MODEL_NAMES = "Names of all models."
    MODELS = "Performance data."
    PERFORMANCE = "Performance data of one model on one accelerator."
    SERVICE_CLASS = "One service class."
    SERVICE_CLASSES = "Service classes."
    TARGET = "The targets of a service class for a model; 0 or absent: none."
    SERVER = "One server."
    SERVERS = "Servers."
    DONE = "The word Done."


_SCHEMAS: dict[Kind, JsonSchema] = {
    Kind.ACCELERATOR: inferno_schema(InfernoAccelerator),
    Kind.ACCELERATORS: inferno_schema(InfernoAccelerators),
    Kind.ACCELERATORS_BARE: array_of(inferno_schema(InfernoAccelerator)),
    Kind.CAPACITY: inferno_schema(InfernoCount),
    Kind.CAPACITIES: inferno_schema(InfernoCapacities),
    Kind.MODEL_NAME: {"type": "string"},
    Kind.MODEL_NAMES: NAMES,
    Kind.MODELS: inferno_schema(InfernoModels),
    Kind.PERFORMANCE: inferno_schema(InfernoModelPerf),
    Kind.SERVICE_CLASS: inferno_schema(InfernoServiceClass),
    Kind.SERVICE_CLASSES: inferno_schema(InfernoServiceClasses),
    Kind.TARGET: inferno_schema(InfernoTarget),
    Kind.SERVER: inferno_schema(InfernoServer),
    Kind.SERVERS: inferno_schema(InfernoServers),
    Kind.DONE: {"const": "Done"},
}

_EXAMPLES: dict[Kind, object] = {
    Kind.ACCELERATOR: examples.ACCELERATOR,
    Kind.ACCELERATORS: {"accelerators": [examples.ACCELERATOR]},
    Kind.ACCELERATORS_BARE: [examples.ACCELERATOR],
    Kind.CAPACITY: examples.COUNT,
    Kind.CAPACITIES: {"count": [examples.COUNT]},
    Kind.MODEL_NAME: "granite_13b",
    Kind.MODEL_NAMES: ["granite_13b"],
    Kind.MODELS: {"models": [examples.PERFORMANCE]},
    Kind.PERFORMANCE: examples.PERFORMANCE,
    Kind.SERVICE_CLASS: examples.SERVICE_CLASS,
    Kind.SERVICE_CLASSES: {"serviceClasses": [examples.SERVICE_CLASS]},
    Kind.TARGET: examples.TARGET,
    Kind.SERVER: examples.SERVER,
    Kind.SERVERS: {"servers": [examples.SERVER]},
    Kind.DONE: "Done",
}

_PARAMETERS = {
    "accelerator": ("Name of an accelerator.", "A100"),
    "class": ("Name of a service class.", "Premium"),
    "model": ("Name of a model.", "granite_13b"),
    "priority": ("Priority, from 1 (highest) to 100.", 1),
    "server": ("Name of a server.", "Premium-granite_13b"),
    "type": ("Type of card.", "A100"),
}

_NAMED = {"Accelerator": "accelerator", "Model": "model", "ServiceClass": "class"}
"""What ``{name}`` names in a verb, where it is no server."""


def content(kind: Kind) -> Content:
    """Return the documentation of a body or an answer."""
    return Content(kind.value, _SCHEMAS[kind], {"example": _EXAMPLES[kind]})


def path_parameters(path: str) -> tuple[Parameter, ...]:
    """Return the documentation of a verb's path parameters."""
    return tuple(_parameter(path, name) for name in re.findall(r"{(\w+)}", path))


def _parameter(path: str, name: str) -> Parameter:
    verb = re.sub("^/(get|add|remove)", "", path.split("/{", maxsplit=1)[0])
    meaning = _NAMED.get(verb, "server") if name == "name" else name
    description, example = _PARAMETERS[meaning]
    if name == "priority":
        schema: JsonSchema = {
            "type": "integer",
            "minimum": HIGHEST_PRIORITY,
            "maximum": LOWEST_PRIORITY,
        }
        return Parameter(name, description, example, schema)
    return Parameter(name, description, example)
