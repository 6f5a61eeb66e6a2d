"""JSON Schemas of questions about replicas, and of their answers."""

from __future__ import annotations

from api.endpoint import JsonSchema
from api.schema_building import any_of, array_of, bare, map_of, named, object_of
from data.network_fields import LARGEST_CARDS, LARGEST_FLEET, ROUTERS
from data.replica_fields import (
    LARGEST_BATCH,
    LARGEST_COUNT,
    LARGEST_CV,
    MOST_PERCENTILES,
    SMALLEST_KV,
)
from stoker.domain.replica import AnswerStatus
from stoker.domain.settings import Analysis

_TEXT: JsonSchema = {"type": "string"}
_KNOWN: JsonSchema = {"type": ["number", "null"]}
_WHOLE: JsonSchema = {"type": "integer"}
_AMOUNT: JsonSchema = {"type": "number", "minimum": 0}

STATISTICS: JsonSchema = {
    "description": "Mean and percentiles of a latency: mean, p50, p95 and so on.",
    **map_of(_KNOWN),
}

_COUNT: JsonSchema = {"type": "integer", "minimum": 0, "maximum": LARGEST_COUNT}
_VARIATION: JsonSchema = {
    "type": "number",
    "minimum": 0,
    "maximum": LARGEST_CV,
    "description": "Coefficient of variation.",
}
_TOKENS: JsonSchema = {"type": "number", "minimum": 0, "maximum": LARGEST_COUNT}
_MILLISECONDS: JsonSchema = {**_AMOUNT, "description": "Milliseconds."}
_BATCH: JsonSchema = {"type": "integer", "minimum": 1, "maximum": LARGEST_BATCH}
_MEMORY: JsonSchema = {
    "type": "integer",
    "minimum": SMALLEST_KV,
    "maximum": LARGEST_COUNT,
    "description": "Tokens that KV memory holds.",
}


def _whole(most: int, description: str) -> JsonSchema:
    return {"type": "integer", "minimum": 1, "maximum": most, "description": description}


def _router(description: str, default: str) -> JsonSchema:
    return {"enum": list(ROUTERS), "default": default, "description": description}


_SEVERAL: dict[str, JsonSchema] = {
    "replicas": {**_whole(LARGEST_FLEET, "Replicas; RPS is that of all."), "default": 1},
    "router": _router("How a request finds its replica.", "random"),
    "prefillReplicas": _whole(LARGEST_FLEET, "Replicas of a prefill pool; needs decodeReplicas."),
    "decodeReplicas": _whole(LARGEST_FLEET, "Replicas of a decode pool; needs prefillReplicas."),
    "cards": {
        **_whole(LARGEST_CARDS, "Cards to split between both pools, in place of their replicas."),
        "minimum": 2,
    },
    "prefillCards": {**_whole(LARGEST_CARDS, "Cards of a prefill replica."), "default": 1},
    "decodeCards": {**_whole(LARGEST_CARDS, "Cards of a decode replica."), "default": 1},
    "prefillRouter": _router("How a request finds its prefill replica.", "round-robin"),
    "decodeRouter": _router("How it finds its decode replica.", "shortest-queue"),
    "prefillMaxBatchSize": {**_BATCH, "description": "Of a prefill replica; else maxBatchSize."},
    "prefillMaxNumTokens": {**_COUNT, "description": "Of a prefill replica; else maxNumTokens."},
    "prefillKvTokens": {**_MEMORY, "description": "Of a prefill replica; else kvTokens."},
    "prefillParameters": {
        "type": "object",
        "required": ["alpha", "beta", "gamma"],
        "additionalProperties": False,
        "properties": dict.fromkeys(("alpha", "beta", "gamma", "delta"), _MILLISECONDS),
        "description": "Parameters of a prefill replica; else those of the case.",
    },
    "transferMs": {**_MILLISECONDS, "default": 0},
    "transferMsPerToken": {
        **_AMOUNT,
        "default": 0,
        "description": "Milliseconds for each input token.",
    },
}
"""Fields of a case that is about several replicas."""

CASE = named(
    "ReplicaCase",
    {
        "type": "object",
        "required": [
            "maxBatchSize",
            "avgInputTokens",
            "avgOutputTokens",
            "alpha",
            "beta",
            "gamma",
        ],
        "additionalProperties": False,
        "properties": {
            "RPS": {**_AMOUNT, "description": "Requests per second (solve needs it)."},
            "maxBatchSize": _BATCH,
            "maxQueueSize": {**_COUNT, "default": 0},
            "avgInputTokens": _TOKENS,
            "avgOutputTokens": {**_TOKENS, "minimum": 1},
            "alpha": _MILLISECONDS,
            "beta": _MILLISECONDS,
            "gamma": _MILLISECONDS,
            "delta": {**_AMOUNT, "description": "Milliseconds; given for `linear` alone."},
            "targetTTFT": {**_AMOUNT, "default": 0, "description": "Milliseconds; 0: none."},
            "targetITL": {**_AMOUNT, "default": 0, "description": "Milliseconds; 0: none."},
            "targetTPS": {**_AMOUNT, "default": 0, "description": "Tokens per second; 0: none."},
            "maxNumTokens": {**_COUNT, "description": "Token budget; 0: 8192."},
            "arrivalCV": {**_VARIATION, "default": 1},
            "inputTokensCV": {**_VARIATION, "default": 0},
            "outputTokensCV": {**_VARIATION, "default": 0},
            "kvTokens": _MEMORY,
            "prefixHitRate": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
            "concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": LARGEST_BATCH,
                "description": "Clients of a closed loop, in place of RPS (solve).",
            },
            "percentiles": {
                "type": "array",
                "items": {"type": "number", "minimum": 0, "maximum": 100},
                "maxItems": MOST_PERCENTILES,
            },
            "targetPercentile": {
                "type": "number",
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 100,
                "description": "Percentile that the targets hold at.",
            },
            **_SEVERAL,
        },
    },
)


def replica_request(most_cases: int) -> JsonSchema:
    """Return the schema of a case, or of several.

    Args:
        most_cases: Most cases in one request.
    """
    cases = {"type": "array", "items": bare(CASE), "maxItems": most_cases}
    several = {
        "type": "object",
        "required": ["cases"],
        "additionalProperties": False,
        "properties": {"cases": cases},
    }
    return any_of(CASE, several)


_POOL: JsonSchema = {
    "type": "object",
    "description": "One of two pools.",
    "required": ["replicas", "load"],
    "properties": {
        "replicas": _WHOLE,
        "load": {**_KNOWN, "description": "Requests offered over the most that it completes."},
        **dict.fromkeys(("utilization", "avgNumInServ", "avgNumWaiting", "kvUse"), _KNOWN),
    },
}
_SPLITS: JsonSchema = {
    "description": "Every split of the cards, with the largest rate within the targets and of all.",
    **array_of(
        object_of(
            {
                "prefillReplicas": _WHOLE,
                "decodeReplicas": _WHOLE,
                "cards": _WHOLE,
                "RPS": _AMOUNT,
                "maxRPS": _AMOUNT,
            }
        )
    ),
}
_STATUS: JsonSchema = {"enum": [status.value for status in AnswerStatus]}
_ANSWER = named(
    "ReplicaAnswer",
    {
        "type": "object",
        "required": ["status", "message"],
        "properties": {
            "status": _STATUS,
            "message": _TEXT,
            "concurrency": {"type": ["integer", "null"]},
            **dict.fromkeys(
                (
                    "offeredRPS",
                    "throughput",
                    "avgRespTime",
                    "avgWaitTime",
                    "avgNumInServ",
                    "avgTTFT",
                    "avgITL",
                    "maxRPS",
                    "RPSTargetTTFT",
                    "RPSTargetITL",
                    "RPSTargetTPS",
                    "M_ITL",
                    "M_TPF",
                    "utilization",
                    "blocking",
                    "outputTokensPerSecond",
                    "avgNumWaiting",
                    "preemptionsPerRequest",
                    "kvUse",
                ),
                _KNOWN,
            ),
            "feasible": {"type": "boolean"},
            "analysis": {"enum": [analysis.value for analysis in Analysis]},
            "extrapolated": {"type": "boolean"},
            **dict.fromkeys(("ttft_ms", "itl_ms", "token_itl_ms", "e2e_ms", "wait_ms"), STATISTICS),
            "prefill": _POOL,
            "decode": _POOL,
            "bottleneck": {"enum": ["prefill", "decode"]},
            "splits": _SPLITS,
        },
    },
)

REPLICA_ANSWER = any_of(_ANSWER, object_of({"answers": array_of(bare(_ANSWER))}))
