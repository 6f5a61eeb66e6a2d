"""`POST /v1/diff`: what differs between two plans, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from api import example_difference
from api.bodies import decode_object
from api.endpoint import Call, Content, Endpoint, JsonSchema, Place, Reply
from api.schema_building import array_of, map_of, named, object_of
from api.services import Services
from data.explanation_format import difference_to_document
from data.plan_reading import parse_plan
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.difference_words import difference_words
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.plan import Plan

_PLANS = ("before", "after")


def diff(_: Services, call: Call) -> Reply:
    """Compare the two plans of the body."""
    body = decode_object(call.body)
    problems = [
        Problem(key, "is missing", "a plan, as /v1/plan answers")
        for key in _PLANS
        if key not in body
    ]
    problems += [
        Problem(key, "unknown key", ", ".join(_PLANS)) for key in body if key not in _PLANS
    ]
    if problems:
        raise InvalidInputError(problems)
    difference = compare_plans(_plan(body, "before"), _plan(body, "after"))
    document = difference_to_document(difference)
    return Reply({**document, "words": list(difference_words(difference))})


def _plan(body: Mapping[str, object], key: str) -> Plan:
    """Return a plan of the body; its problems are told with its key."""
    try:
        return parse_plan(body[key])
    except InvalidInputError as error:
        raise InvalidInputError(
            replace(item, path=f"{key}.{item.path}" if item.path else key)
            for item in error.problems
        ) from error


_TEXT: JsonSchema = {"type": "string"}
_KNOWN: JsonSchema = {"type": ["number", "null"]}
_WHOLE: JsonSchema = {"type": "integer"}
_PLAN: JsonSchema = {"type": "object", "description": "A plan, as `/v1/plan` answers it."}
_BRIEF: JsonSchema = {"type": ["object", "null"], "description": "What it has; null for nothing."}

_CAUSE = object_of({"kind": _TEXT})
_REPLY = named(
    "PlanDifference",
    object_of(
        {
            "currency": _TEXT,
            "cost_per_hour": object_of({"before": _KNOWN, "after": _KNOWN, "change": _KNOWN}),
            "served": object_of({"before": map_of(_WHOLE), "after": map_of(_WHOLE)}),
            "newly_served": array_of(_TEXT),
            "no_longer_served": array_of(_TEXT),
            "cards_used": map_of(_WHOLE),
            "causes": array_of(_CAUSE),
            "servers": map_of(
                object_of(
                    {
                        "change": _TEXT,
                        "before": _BRIEF,
                        "after": _BRIEF,
                        "cost_change": _KNOWN,
                        "causes": array_of(_CAUSE),
                    }
                )
            ),
            "unchanged": _WHOLE,
            "words": array_of(_TEXT),
        }
    ),
)

DIFF_ENDPOINT = Endpoint(
    method="POST",
    path="/v1/diff",
    answer=diff,
    place=Place.QUESTION,
    tag="Planning",
    summary="What differs between two plans",
    description=(
        "Costs, who is served, cards, and of each server what changed and why, as `stoker diff "
        "--format json` tells it, and the same in sentences under `words`."
    ),
    body=Content(
        "Two plans.",
        {
            "type": "object",
            "properties": {"before": _PLAN, "after": _PLAN},
            "required": list(_PLANS),
            "additionalProperties": False,
        },
        {"plans": example_difference.REQUEST},
    ),
    reply=Content("The difference.", _REPLY, {"difference": example_difference.DIFFERENCE}),
    refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
)
