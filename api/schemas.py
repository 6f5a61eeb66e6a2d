"""JSON Schemas of requests and answers, for the documentation."""

from __future__ import annotations

from pydantic import TypeAdapter

from api.endpoint import JsonSchema
from api.options import PlanOptions
from api.replica_schemas import STATISTICS
from api.schema_building import any_of, array_of, bare, definitions, map_of, named, object_of
from data.fleets import builtin_names
from data.inferno import InfernoAllocation, InfernoDocument, InfernoModel
from data.stoker_format import fleet_schema
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec
from stoker.domain.plan import PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.routing import Router
from stoker.domain.settings import Analysis

_TEXT: JsonSchema = {"type": "string"}
_NUMBER: JsonSchema = {"type": "number"}
_KNOWN: JsonSchema = {"type": ["number", "null"]}
_WHOLE: JsonSchema = {"type": "integer"}
_AMOUNT: JsonSchema = {"type": "number", "minimum": 0}


def inferno_schema(model: type[InfernoModel]) -> JsonSchema:
    """Return the schema of an Inferno object, in the reference's spelling of keys."""
    return named(model.__name__, model.model_json_schema())


def _with_options(schema: JsonSchema) -> JsonSchema:
    """Return the schema of a fleet document that may carry options."""
    properties = schema["properties"]
    assert isinstance(properties, dict)  # both formats are objects
    return {
        **schema,
        "properties": {**properties, "options": bare(_OPTIONS)},
        "$defs": {**definitions(schema), **definitions(_OPTIONS)},
    }


_OPTIONS = named("PlanOptions", PlanOptions.model_json_schema())

NAMES = array_of(_TEXT)

STOKER_FLEET = named("StokerFleet", _with_options(fleet_schema()))
INFERNO_FLEET = named("InfernoFleet", _with_options(InfernoDocument.model_json_schema()))

PLAN_REQUEST = any_of(
    named(
        "PlanRequest",
        {
            "type": "object",
            "required": ["fleet"],
            "additionalProperties": False,
            "properties": {
                "fleet": {
                    "description": "Name of a built-in fleet, or a document in either format.",
                    "anyOf": [
                        {"enum": list(builtin_names())},
                        bare(STOKER_FLEET),
                        bare(INFERNO_FLEET),
                    ],
                },
                "options": bare(_OPTIONS),
            },
            "$defs": {
                **definitions(STOKER_FLEET),
                **definitions(INFERNO_FLEET),
                **definitions(_OPTIONS),
            },
        },
    ),
    STOKER_FLEET,
    INFERNO_FLEET,
)

_FIGURES: dict[str, JsonSchema] = {
    "replicas": _WHOLE,
    "max_batch": _WHOLE,
    "cost_per_hour": _KNOWN,
    "arrival_rate_rps": _KNOWN,
    "max_rate_rps": _KNOWN,
    "ttft_ms": _KNOWN,
    "itl_ms": _KNOWN,
    "utilization": _KNOWN,
    "blocking": _KNOWN,
    "cards": _WHOLE,
    "card_type": {"type": ["string", "null"]},
}

_ALLOCATION: dict[str, JsonSchema] = {
    "accelerator": {"type": ["string", "null"]},
    **_FIGURES,
    "router": {"enum": [router.label for router in Router]},
    "batch_choice": {
        "anyOf": [
            object_of(
                {
                    "largest": _WHOLE,
                    "max_rate_rps": _KNOWN,
                    "binding": {"type": ["string", "null"]},
                }
            ),
            {"type": "null"},
        ],
        "description": "What a chosen batch limit was preferred to; null where none was chosen.",
    },
    "binding": {
        "type": ["string", "null"],
        "description": "What keeps a replica from carrying more, such as ttft_ms.p95.",
    },
    "latencies": {
        "anyOf": [map_of(STATISTICS), {"type": "null"}],
        "description": "By latency; null from the analysis reference, which works on means.",
    },
}

_UNPLACED = object_of(
    {
        "reason": {"enum": [reason.value for reason in UnplacedReason]},
        "detail": _TEXT,
        "remedy": _TEXT,
        "rejections": map_of(_TEXT),
    }
)

PLAN = named(
    "Plan",
    object_of(
        {
            "status": {"enum": [status.value for status in PlanStatus]},
            "objective": _KNOWN,
            "bound": _KNOWN,
            "gap": _KNOWN,
            "cost_per_hour": _KNOWN,
            "currency": _TEXT,
            "analysis": {"enum": [analysis.value for analysis in Analysis]},
            "method": _TEXT,
            "backend": {"type": ["string", "null"]},
            "allocations": map_of(object_of(_ALLOCATION)),
            "unplaced": map_of(_UNPLACED),
            "usage": map_of(
                object_of(
                    {
                        "used": _WHOLE,
                        "available": {"type": ["integer", "null"]},
                        "cost_per_hour": _KNOWN,
                    }
                )
            ),
            "services": array_of(
                object_of(
                    {
                        "priority": _WHOLE,
                        "servers": _WHOLE,
                        "served": _WHOLE,
                        "bound": {"type": ["integer", "null"]},
                    }
                )
            ),
            "notes": NAMES,
            "timings_ms": map_of(_NUMBER),
        }
    ),
)

PROBLEMS = named(
    "Validity",
    object_of(
        {
            "valid": {"type": "boolean"},
            "problems": array_of(object_of({"path": _TEXT, "message": _TEXT, "allowed": _TEXT})),
            "notes": array_of(_TEXT),
        }
    ),
)

_INFERNO_ALLOCATIONS = definitions(inferno_schema(InfernoAllocation))


def _with_mix(allocation: object) -> JsonSchema:
    """Return the schema of an allocation that may list the parts of a mix."""
    assert isinstance(allocation, dict)
    parts = {
        "description": "Parts of a mix of accelerators.",
        "type": "array",
        "minItems": 2,
        "items": {"$ref": "#/$defs/InfernoAllocation"},
    }
    return {**allocation, "properties": {**allocation["properties"], "mix": parts}}


INFERNO_PLAN = named(
    "InfernoPlan",
    {
        "type": "object",
        "required": ["allocations"],
        "properties": {
            "allocations": map_of(_with_mix(_INFERNO_ALLOCATIONS["InfernoAllocation"])),
            "unplaced": map_of(_UNPLACED),
        },
        "$defs": _INFERNO_ALLOCATIONS,
    },
)


def _dataclass_schema(kind: type, **derived: JsonSchema) -> JsonSchema:
    """Return the schema of a domain value as JSON, with what is derived from it."""
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    properties = schema["properties"]
    return named(kind.__name__, {**schema, "properties": {**properties, **derived}})


ACCELERATOR = _dataclass_schema(AcceleratorSpec, price_per_hour=_KNOWN)
MODEL = _dataclass_schema(ModelArchitecture)
