"""`POST /v1/horizon`: plan hours or weeks ahead, with commitments, on-demand and spot cards."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import ValidationError

from api import example_horizon, schemas
from api.bodies import decode_object
from api.endpoint import Call, Content, Endpoint, JsonSchema, Place, Reply
from api.horizon_options import MAX_HOURS, HorizonOptions
from api.native import fleet_of
from api.problems import ProblemType, RequestRefusedError
from api.schema_building import array_of, bare, definitions, map_of, named, object_of
from api.services import Services
from data.demand_rows import parse_demand_rows
from data.horizon_format import horizon_to_document
from data.hourly_demand import hourly_demand
from data.problems import problems_from_validation
from optimizer.horizon.plan import plan_horizon
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import HourlyDemand
from stoker.domain.plan import PlanStatus

MAX_SERVER_HOURS = 20_000
"""Most hours of all servers together in one request."""

_SHARE = 0.8
"""Share of the service's time limit for the search; the rest is for sizing and writing."""

_KEYS = ("fleet", "demand", "options")


def horizon(services: Services, call: Call) -> Reply:
    """Plan the horizon of the demand in the body."""
    body = decode_object(call.body)
    problems = [
        Problem(key, "is missing", allowed)
        for key, allowed in (
            ("fleet", "a fleet's document, or the name of a built-in one"),
            ("demand", "a list of rows of hour, server and arrival_rate_rps"),
        )
        if key not in body
    ]
    problems += [Problem(key, "unknown key", ", ".join(_KEYS)) for key in body if key not in _KEYS]
    if problems:
        raise InvalidInputError(problems)
    options = _options(body.get("options"))
    fleet = fleet_of(body["fleet"])
    rows = parse_demand_rows(body["demand"])
    _check_size(1 + max(row.hour for row in rows), len(fleet.servers))
    demand = hourly_demand(
        rows,
        fleet.servers,
        quantile=options.quantile,
        weekly=options.weekly,
        missing=options.missing,
    )
    return Reply(_planned(services, fleet, demand, options))


def _planned(
    services: Services, fleet: Fleet, demand: HourlyDemand, options: HorizonOptions
) -> Mapping[str, object]:
    longest_s = _SHARE * services.planning.time_limit_s
    asked_s = options.time_limit_s
    limit_s = longest_s if asked_s is None else min(asked_s, longest_s)
    plan = plan_horizon(
        fleet,
        demand,
        options.terms(),
        analysis=options.analysis,
        gap=options.gap,
        time_limit_s=limit_s,
        clock=services.planning.clock,
    )
    if plan.status is PlanStatus.TIME_LIMIT:
        own = limit_s < longest_s
        raise RequestRefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY if own else HTTPStatus.GATEWAY_TIMEOUT,
            ProblemType.TIME_LIMIT,
            f"no schedule was found within {limit_s:g} s; allow more time, or plan fewer hours",
        )
    return horizon_to_document(plan)


def _options(document: object) -> HorizonOptions:
    try:
        return HorizonOptions.model_validate({} if document is None else document)
    except ValidationError as error:
        raise InvalidInputError(
            problems_from_validation(error, prefix="options", model=HorizonOptions)
        ) from error


def _check_size(hours: int, servers: int) -> None:
    """Refuse more than is sized within the time limit of a request."""
    if hours > MAX_HOURS:
        message, allowed = f"covers {hours:,} hours", f"at most {MAX_HOURS:,}"
    elif hours * servers > MAX_SERVER_HOURS:
        message = f"covers {hours:,} hours of {servers:,} servers"
        allowed = f"at most {MAX_SERVER_HOURS:,} hours of all servers together"
    else:
        return
    raise InvalidInputError([Problem("demand", message, allowed)])


_TEXT: JsonSchema = {"type": "string"}
_NAME: JsonSchema = {"type": ["string", "null"]}
_KNOWN: JsonSchema = {"type": ["number", "null"]}
_NUMBER: JsonSchema = {"type": "number"}
_WHOLE: JsonSchema = {"type": "integer"}
_COUNTS: JsonSchema = array_of(_WHOLE)
_COUNTS_OR_NULL: JsonSchema = {"anyOf": [_COUNTS, {"type": "null"}]}

_ROW: JsonSchema = {
    "type": "object",
    "properties": {
        "hour": {"type": "integer", "minimum": 0, "maximum": MAX_HOURS - 1},
        "server": {"type": "string", "minLength": 1},
        "arrival_rate_rps": {"type": "number", "minimum": 0},
        "input_tokens": {"type": ["number", "null"], "minimum": 0},
        "output_tokens": {"type": ["number", "null"], "minimum": 0},
        "quantile": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    },
    "required": ["hour", "server", "arrival_rate_rps"],
}


def _request() -> JsonSchema:
    """Return the schema of a request; definitions travel beside it."""
    options = named("HorizonOptions", HorizonOptions.model_json_schema())
    plan = schemas.PLAN_REQUEST["$defs"]
    assert isinstance(plan, dict)
    return {
        "type": "object",
        "properties": {
            "fleet": plan["PlanRequest"]["properties"]["fleet"],
            "demand": {
                "type": "array",
                "items": _ROW,
                "minItems": 1,
                "description": "A row for each server and hour; of a forecast one a quantile.",
            },
            "options": bare(options),
        },
        "required": ["fleet", "demand"],
        "additionalProperties": False,
        "$defs": {**definitions(schemas.PLAN_REQUEST), **definitions(options)},
    }


_RUN = object_of(
    {
        "accelerator": _TEXT,
        "configuration": _NAME,
        "card_type": _TEXT,
        "cards_per_replica": _WHOLE,
        "cost_per_hour": _NUMBER,
        "firm": _COUNTS,
        "firm_starting": _COUNTS,
        "spot": _COUNTS,
        "spot_starting": _COUNTS,
    }
)
_REPLY = named(
    "HorizonPlan",
    object_of(
        {
            "status": {"enum": [status.value for status in PlanStatus]},
            "hours": _WHOLE,
            "currency": _TEXT,
            "quantile": _KNOWN,
            "cost": _NUMBER,
            "bound": _KNOWN,
            "gap": _KNOWN,
            "costs": map_of(_NUMBER),
            "compared": map_of(_KNOWN),
            "cards": map_of(
                object_of(
                    {
                        "price_per_hour": _NUMBER,
                        "reserved": _WHOLE,
                        "reserved_used": _COUNTS,
                        "on_demand": _COUNTS,
                        "spot": _COUNTS,
                        "available": _COUNTS_OR_NULL,
                    }
                )
            ),
            "servers": map_of(
                object_of(
                    {
                        "priority": _WHOLE,
                        "switches": _WHOLE,
                        "cost": _NUMBER,
                        "accelerator": array_of(_NAME),
                        "needed": _COUNTS,
                        "firm": _COUNTS,
                        "spot": _COUNTS,
                        "counted_spot": _COUNTS,
                        "runs": array_of(_RUN),
                    }
                )
            ),
            "unscheduled": map_of(object_of({"reason": _TEXT, "detail": _TEXT})),
            "method": _TEXT,
            "notes": array_of(_TEXT),
            "timings_ms": map_of(_NUMBER),
        }
    ),
)

HORIZON_ENDPOINT = Endpoint(
    method="POST",
    path="/v1/horizon",
    answer=horizon,
    place=Place.SOLVE,
    tag="Planning",
    summary="Plan hours or weeks ahead",
    description=(
        "The cheapest commitments, on-demand and spot cards and replicas by hour that keep every "
        "promise, with a proven bound. What of the fleet a horizon does not heed is refused by "
        f"name. At most {MAX_HOURS:,} hours, and {MAX_SERVER_HOURS:,} of all servers together."
    ),
    body=Content("A fleet and its demand.", _request(), {"day": example_horizon.REQUEST}),
    reply=Content("The plan.", _REPLY, {"day": example_horizon.PLAN}),
    refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
)
