"""JSON Schemas of what the control loop answers."""

from __future__ import annotations

from api.endpoint import JsonSchema
from api.schema_building import any_of, array_of, map_of, object_of

_TEXT: JsonSchema = {"type": "string"}
_NUMBER: JsonSchema = {"type": "number"}
_COUNT: JsonSchema = {"type": "integer", "minimum": 0}
_YES_OR_NO: JsonSchema = {"type": "boolean"}
_NULL: JsonSchema = {"type": "null"}
_MODE: JsonSchema = {"enum": ["observe", "advise", "act"]}
_MOMENT: JsonSchema = {"type": "number", "description": "Seconds since 1970."}


def _or_null(schema: JsonSchema) -> JsonSchema:
    return any_of(schema, _NULL)


_OUTCOME: JsonSchema = {
    "enum": [
        "applied",
        "emitted",
        "unchanged",
        "dry_run",
        "conflict",
        "forbidden",
        "missing",
        "failed",
    ]
}
_CHANGE = object_of(
    {
        "workload": {**_TEXT, "description": "Kind, and namespace/name."},
        "replicas": _COUNT,
        "replicas_before": _or_null(_COUNT),
        "outcome": _OUTCOME,
        "detail": _TEXT,
    }
)
_TARGET = object_of(
    {
        "workload": _TEXT,
        "accelerator": _TEXT,
        "replicas": _COUNT,
        "replicas_before": _or_null(_COUNT),
        "max_batch": _or_null(_COUNT),
    }
)
DECISION = object_of(
    {
        "direction": {"enum": ["up", "down", "move", "hold"]},
        "wanted_replicas": _or_null(_COUNT),
        "wanted_accelerator": _or_null(_TEXT),
        "held": array_of(_TEXT),
        "reason": _TEXT,
        "targets": array_of(_TARGET),
    }
)
_SIGNAL: JsonSchema = {
    "type": "object",
    "required": ["state", "value"],
    "properties": {
        "state": {"enum": ["known", "stale", "unknown"]},
        "value": _or_null(_NUMBER),
        "age_s": _NUMBER,
        "source": {**_TEXT, "description": "The query that tells it of this server."},
        "reason": {**_TEXT, "description": "Why it is not known."},
    },
}
_HISTOGRAM = _or_null(object_of({"bounds": array_of(_NUMBER), "counts": array_of(_NUMBER)}))
_SERVER = {
    "signals": map_of(_SIGNAL),
    "engine": _TEXT,
    "tokens": object_of({"input_tokens": _HISTOGRAM, "output_tokens": _HISTOGRAM}),
    "load": _or_null({"type": "object"}),
    "partial": _YES_OR_NO,
    "load_reason": _TEXT,
    "pending_rate_rps": _or_null(_NUMBER),
    "warning": _TEXT,
    "forecast": _or_null({"type": "object"}),
    "decision": _or_null(DECISION),
    "degraded": _or_null(object_of({"reasons": array_of(_TEXT), "words": _TEXT, "since": _MOMENT})),
    "batch": _or_null(
        object_of(
            {
                "backlog_tokens": _NUMBER,
                "left_tokens": _NUMBER,
                "deadline": _MOMENT,
                "missed": _YES_OR_NO,
            }
        )
    ),
}
_STARTUPS = array_of(
    object_of(
        {
            "model": _TEXT,
            "accelerator": _TEXT,
            "servers": array_of(_TEXT),
            "seconds": _NUMBER,
            "starts": {**_COUNT, "description": "Starts that it was learned from."},
            "too_long": {**_COUNT, "description": "Starts that took too long to count."},
            "origin": {"enum": ["told", "learned"]},
        }
    )
)
_PROPOSAL = _or_null(object_of({"id": _TEXT, "servers": array_of(_TEXT)}))
_PROBLEMS = array_of(_TEXT)
_HEAD = {
    "cycle": {"type": "integer", "minimum": 1},
    "at": _MOMENT,
    "mode": _MODE,
    "leader": _YES_OR_NO,
    "paused": _YES_OR_NO,
    "dry_run": _YES_OR_NO,
}

RECORD = object_of(
    {
        **_HEAD,
        "version": {"const": 1},
        "fleet_version": _TEXT,
        "took_s": _or_null(_NUMBER),
        "stages_s": map_of(_NUMBER),
        "problems": _PROBLEMS,
        "problem_kinds": map_of(_COUNT),
        "cluster": _or_null({"type": "object"}),
        "servers": map_of(object_of(_SERVER)),
        "startups": _STARTUPS,
        "profiles": array_of({"type": "object"}),
        "plan": {"type": "object", "required": ["status"]},
        "changes": array_of(_CHANGE),
        "proposal": _PROPOSAL,
    }
)

PAUSED = _or_null(object_of({"since": _MOMENT, "reason": _TEXT}))
_PENDING = _or_null(
    object_of({"id": _TEXT, "servers": array_of(_TEXT), "approved": array_of(_TEXT)})
)


def _with(schema: JsonSchema, more: dict[str, JsonSchema]) -> JsonSchema:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return object_of({**properties, **more})


STATUS = _with(RECORD, {"paused_since": PAUSED, "pending": _PENDING})

SUMMARY = object_of(
    {
        **_HEAD,
        "fleet_version": _TEXT,
        "took_s": _or_null(_NUMBER),
        "plan_status": _TEXT,
        "cost_per_hour": _or_null(_NUMBER),
        "servers_count": _COUNT,
        "load_unknown": array_of(_TEXT),
        "held": array_of(_TEXT),
        "problems": _PROBLEMS,
        "proposal": _PROPOSAL,
        "changes": array_of(_CHANGE),
    }
)

EXPLANATION = object_of(
    {
        **_HEAD,
        "server": _TEXT,
        **_SERVER,
        "plan": object_of(
            {
                "status": _TEXT,
                "failure": _TEXT,
                "allocation": _or_null({"type": "object"}),
                "unplaced": _or_null({"type": "object"}),
            }
        ),
        "workloads": array_of({"type": "object"}),
        "startups": _STARTUPS,
        "changes": array_of(_CHANGE),
    }
)

HISTORY = object_of(
    {
        "cycles": array_of(any_of(EXPLANATION, SUMMARY)),
        "next": _or_null({"type": "integer", "description": "`before` of the next page."}),
    }
)

PENDING = object_of(
    {
        "mode": _MODE,
        "leader": _YES_OR_NO,
        "plan": _or_null(
            object_of(
                {
                    "id": _TEXT,
                    "servers": array_of(_TEXT),
                    "cycle": _COUNT,
                    "at": _MOMENT,
                    "approved": array_of(_TEXT),
                    "decisions": map_of(DECISION),
                }
            )
        ),
        "rejected": map_of(DECISION),
    }
)

SERVERS: JsonSchema = {
    "type": "object",
    "properties": {"servers": {"type": "array", "items": _TEXT, "minItems": 1}},
    "additionalProperties": False,
}
REASON: JsonSchema = {
    "type": "object",
    "properties": {"reason": {"type": "string", "maxLength": 1000}},
    "additionalProperties": False,
}
NOTHING: JsonSchema = {"type": "object", "maxProperties": 0}
APPROVED = object_of({"plan": _TEXT, "approved": map_of(DECISION)})
REJECTED = object_of({"plan": _TEXT, "rejected": map_of(DECISION)})
PAUSE = object_of({"paused": PAUSED})
TRIGGERED = object_of({"after_cycle": _COUNT})
