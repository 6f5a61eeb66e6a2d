"""`POST /v1/explain`: plan a fleet, and tell why the plan is as it is."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from api import example_explanation, schemas
from api.bodies import decode_object
from api.endpoint import Call, Content, Endpoint, JsonSchema, Place, Reply
from api.explain_options import ExplainRequest, chosen, parse_explain
from api.native import FLEET_BODY, fleet_and_options, fleet_of, option_parameters
from api.schema_building import array_of, bare, definitions, map_of, named, object_of
from api.services import Services
from data.explanation_format import explanation_to_document
from data.fit_errors import told_error, usual_error
from data.plan_format import plan_to_document
from optimizer.explaining.explain import ExplainOptions, explain_prepared
from optimizer.explaining.profile_errors import profile_errors
from optimizer.planner import plan_prepared
from optimizer.preparation import Prepared, prepare
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import OptimizerSettings

_SHARE = 0.5
"""Share of the time left after the plan within which something may still be planned again: the last
one takes no more than the other half."""


def explain(services: Services, call: Call) -> Reply:
    """Plan the fleet of the body, and explain the plan in the time left; predictions serve both."""
    planning = services.planning
    start = planning.clock()
    body = decode_object(call.body)
    told = body.pop("explain", None) if "fleet" in body else None
    document, options = fleet_and_options(body, call.query)
    fleet = options.apply(fleet_of(document))
    wanted = parse_explain(told, fleet)
    prepared = prepare(fleet, fleet.settings, clock=planning.clock)

    def place(_: Fleet, settings: OptimizerSettings) -> Plan:
        return plan_prepared(_within(prepared, settings.time_limit_s), clock=planning.clock)

    plan = planning.plan(fleet, fleet.settings, place)
    left_s = max(planning.time_limit_s - (planning.clock() - start), 0.1) * _SHARE
    if wanted.time_limit_s is not None:
        left_s = min(left_s, wanted.time_limit_s)
    asked_s = fleet.settings.time_limit_s
    limit_s = left_s if asked_s is None else min(asked_s, left_s)
    explanation = explain_prepared(
        _within(prepared, limit_s),
        plan,
        ExplainOptions(
            servers=None if wanted.servers is None else frozenset(wanted.servers),
            time_limit_s=left_s,
            shadow=wanted.shadow,
            errors=profile_errors(fleet, told_error, wanted.profile_error, usual_error),
        ),
        clock=planning.clock,
    )
    return Reply(
        {
            "plan": plan_to_document(plan),
            "explanation": explanation_to_document(chosen(explanation, wanted.servers)),
        }
    )


def _within(prepared: Prepared, limit_s: float | None) -> Prepared:
    """Return what is prepared with a time limit on each solve."""
    return replace(prepared, settings=replace(prepared.settings, time_limit_s=limit_s))


_TEXT: JsonSchema = {"type": "string"}
_NAME: JsonSchema = {"type": ["string", "null"]}
_KNOWN: JsonSchema = {"type": ["number", "null"]}
_WHOLE: JsonSchema = {"type": "integer"}
_YES: JsonSchema = {"type": "boolean"}


def _or_null(schema: JsonSchema) -> JsonSchema:
    return {"anyOf": [schema, {"type": "null"}]}


_OWN = object_of(
    {
        "served": _YES,
        "cost_per_hour": _KNOWN,
        "value": _KNOWN,
        "parts": array_of(object_of({"accelerator": _NAME, "replicas": _WHOLE})),
    }
)
_CHANGE = object_of(
    {
        "evidence": {"enum": ["resolved", "repaired", "proven", "relaxed"]},
        "served_change": map_of(_WHOLE),
        "value_change": _KNOWN,
        "cost_change": _KNOWN,
        "no_longer_served": array_of(_TEXT),
        "newly_served": array_of(_TEXT),
        "moved": array_of(_TEXT),
        "objectives": array_of(object_of({"name": _TEXT, "change": _KNOWN, "unit": _TEXT})),
    }
)
_FORBIDDEN = object_of(
    {
        "without": _NAME,
        "without_sharing_with": array_of(_TEXT),
        "own": _OWN,
        "own_cost_change": _KNOWN,
        "plan": _CHANGE,
    }
)
_MARGIN = object_of(
    {
        "statistic": _TEXT,
        "predicted_ms": _KNOWN,
        "target_ms": _KNOWN,
        "margin_ms": _KNOWN,
        "margin_share": _KNOWN,
    }
)
_EXPLANATION = object_of(
    {
        "currency": _TEXT,
        "cost_per_hour": _KNOWN,
        "objective": _KNOWN,
        "method": _TEXT,
        "allocations": map_of(
            object_of(
                {
                    "binding": _NAME,
                    "count_limit": _TEXT,
                    "spare_replicas": _WHOLE,
                    "spare_for": array_of(_TEXT),
                    "choice_limit": _NAME,
                    "margins": array_of(_MARGIN),
                    "load_headroom": _KNOWN,
                    "runner_up": _or_null(_FORBIDDEN),
                    "forbidden": array_of(_FORBIDDEN),
                }
            )
        ),
        "unplaced": map_of(
            object_of(
                {
                    "reason": _TEXT,
                    "reachable": array_of(
                        object_of({"scope": _TEXT, "factor": _KNOWN, "own": _OWN})
                    ),
                    "loads": array_of(object_of({"scope": _TEXT, "share": _KNOWN, "own": _OWN})),
                    "purchases": array_of(
                        object_of({"card_type": _TEXT, "cards": _WHOLE, "own": _OWN})
                    ),
                }
            )
        ),
        "shadow_prices": array_of(
            object_of({"kind": _TEXT, "of": _TEXT, "amount": _KNOWN, "plan": _CHANGE})
        ),
        "notes": array_of(_TEXT),
    }
)
_REPLY = named(
    "ExplainedPlan",
    {
        **object_of({"plan": bare(schemas.PLAN), "explanation": _EXPLANATION}),
        "$defs": definitions(schemas.PLAN),
    },
)


def _request() -> JsonSchema:
    """Return the schema of a request: that of a plan, with `explain` beside a fleet's name."""
    found = dict(definitions(schemas.PLAN_REQUEST))
    asked = named("ExplainRequest", ExplainRequest.model_json_schema())
    plain = found.pop("PlanRequest")
    assert isinstance(plain, dict)
    envelope = {**plain, "properties": {**plain["properties"], "explain": bare(asked)}}
    kinds = schemas.PLAN_REQUEST["anyOf"]
    assert isinstance(kinds, list)
    return {
        "anyOf": [{"$ref": "#/$defs/ExplainedFleet"}, *kinds[1:]],
        "$defs": {**found, **definitions(asked), "ExplainedFleet": envelope},
    }


EXPLAIN_ENDPOINT = Endpoint(
    method="POST",
    path="/v1/explain",
    answer=explain,
    place=Place.SOLVE,
    tag="Planning",
    summary="Plan a fleet and explain the plan",
    description=(
        "The plan that `/v1/plan` answers, with what binds each allocation, its margins, the plan "
        "without its accelerator, the price of one more card of each type, and what would serve "
        "each server that is not served. What takes longer than the time limit of the service "
        "is left open, and `notes` says so."
    ),
    parameters=option_parameters(),
    body=Content(
        FLEET_BODY.description
        + " Beside `fleet`, `explain` says what to explain, for how long, and how far off profiles "
        "are that do not tell it.",
        _request(),
        {
            **FLEET_BODY.examples,
            "asked": {"fleet": "small", "explain": {"profile_error": 0.1, "shadow": "lp"}},
        },
    ),
    reply=Content(
        "The plan and its explanation.",
        _REPLY,
        {"explained": example_explanation.EXPLAINED},
    ),
    refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
)
