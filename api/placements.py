"""`POST /v1/placements`: a place on nodes for each replica of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api import example_placement
from api.bodies import decode_object
from api.endpoint import Call, Content, Endpoint, JsonSchema, Place, Reply
from api.native import fleet_of
from api.schema_building import array_of, map_of, named, object_of
from api.services import Services
from data.node_fields import MOST_NODES
from data.nodes_file import nodes_schema, parse_nodes
from data.placement_format import placement_to_document
from data.planned_replicas import PlannedDocument, PlannedReplicas, planned_replicas
from data.problems import problems_from_validation
from optimizer.nodes.in_pools import place_in_pools
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.nodes import Node
from stoker.domain.placement import Misfit, PlacementStrategy

MAX_REPLICAS = 100_000
"""Most replicas of one request."""

_SHARE = 0.6
"""Share of the service's time limit for places; the rest is for what would make the others fit."""

_DOCUMENTS = ("plan", "nodes", "fleet")


class PlacementOptions(BaseModel):
    """How to place."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    strategy: Annotated[
        PlacementStrategy,
        Field(strict=False, description="What to prefer among placements of as many replicas."),
    ] = PlacementStrategy.PACK
    most_per_node: Annotated[
        int | None,
        Field(ge=1, le=MAX_REPLICAS, description="Most replicas of a server on one node."),
    ] = None
    time_limit_s: Annotated[
        float | None,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="Time limit in seconds; the service's own is the longest.",
        ),
    ] = None


def place(services: Services, call: Call) -> Reply:
    """Place the replicas of the plan in the body on the nodes there, or on those of its fleet."""
    body = decode_object(call.body)
    if "plan" not in body:
        raise InvalidInputError([Problem("plan", "is missing", "a plan, as /v1/plan answers")])
    options = _options({key: value for key, value in body.items() if key not in _DOCUMENTS})
    fleet = fleet_of(body["fleet"]) if "fleet" in body else None
    nodes = _nodes(body, fleet)
    asked = _asked(body["plan"], {} if fleet is None else fleet.priorities)
    limit_s = _SHARE * services.planning.time_limit_s
    asked_s = options.time_limit_s
    placement = place_in_pools(
        asked.demands,
        nodes,
        asked.pools,
        options.strategy,
        options.most_per_node,
        time_limit_s=limit_s if asked_s is None else min(asked_s, limit_s),
        clock=services.planning.clock,
    )
    return Reply(placement_to_document(placement))


def _options(document: Mapping[str, object]) -> PlacementOptions:
    try:
        return PlacementOptions.model_validate(dict(document))
    except ValidationError as error:
        raise InvalidInputError(problems_from_validation(error, model=PlacementOptions)) from error


def _nodes(body: Mapping[str, object], fleet: Fleet | None) -> tuple[Node, ...]:
    if "nodes" in body:
        return parse_nodes({"nodes": body["nodes"]})
    if fleet is not None and fleet.nodes:
        return fleet.nodes
    told = "is missing" if fleet is None else "is missing, and the fleet tells of none"
    raise InvalidInputError([Problem("nodes", told, "nodes, or a fleet that has some")])


def _asked(plan: object, priorities: Mapping[str, int]) -> PlannedReplicas:
    try:
        asked = planned_replicas(plan, priorities)
    except InvalidInputError as error:
        problems = [
            replace(item, path=f"plan.{item.path}" if item.path else "plan")
            for item in error.problems
        ]
        raise InvalidInputError(problems) from error
    count = sum(demand.replicas for demand in asked.demands)
    if count > MAX_REPLICAS:
        message = f"has {count:,} replicas"
        raise InvalidInputError([Problem("plan", message, f"at most {MAX_REPLICAS:,}")])
    return asked


_TEXT: JsonSchema = {"type": "string"}
_WHOLE: JsonSchema = {"type": "integer"}
_KNOWN: JsonSchema = {"type": ["integer", "null"]}
_YES: JsonSchema = {"type": "boolean"}


def _request() -> JsonSchema:
    """Return the schema of a request; definitions travel beside it."""
    plan, nodes = PlannedDocument.model_json_schema(), nodes_schema()
    options = PlacementOptions.model_json_schema()
    parts = [dict(part) for part in (plan, nodes, options)]
    found: dict[str, object] = {}
    for part in parts:
        inner = part.pop("$defs", {})
        found |= inner if isinstance(inner, dict) else {}
    told, listed = parts[1]["properties"], parts[2]["properties"]
    assert isinstance(told, dict)
    assert isinstance(listed, dict)
    return {
        "type": "object",
        "properties": {
            "plan": {**parts[0], "description": "A plan, as `/v1/plan` answers it."},
            "nodes": told["nodes"],
            "fleet": {
                "description": "The fleet that was planned (a document, or the name of a built-in "
                "one), for the priorities of its servers, and its nodes where none are given.",
                "type": ["object", "string"],
            },
            **listed,
        },
        "required": ["plan"],
        "additionalProperties": False,
        "$defs": found,
    }


_PLACED = object_of(
    {
        "accelerator": _TEXT,
        "node": _TEXT,
        "cards": _WHOLE,
        "link_groups": array_of(object_of({"group": _WHOLE, "cards": _WHOLE})),
    }
)
_REPLY = named(
    "Placement",
    object_of(
        {
            "status": {"enum": ["optimal", "feasible"]},
            "complete": _YES,
            "strategy": {"enum": [str(item) for item in PlacementStrategy]},
            "most_per_node": _KNOWN,
            "method": _TEXT,
            "goals": array_of(
                object_of(
                    {
                        "name": _TEXT,
                        "value": _WHOLE,
                        "bound": _KNOWN,
                        "maximized": _YES,
                        "proven": _YES,
                    }
                )
            ),
            "placed": map_of(array_of(_PLACED)),
            "unfit": array_of(
                object_of(
                    {
                        "server": _TEXT,
                        "accelerator": _TEXT,
                        "card_type": _TEXT,
                        "cards_per_replica": _WHOLE,
                        "replicas": _WHOLE,
                        "reason": {"enum": [str(item) for item in Misfit]},
                        "detail": _TEXT,
                        "remedy": _TEXT,
                    }
                )
            ),
            "notes": array_of(_TEXT),
            "timings_ms": map_of({"type": "number"}),
        }
    ),
)

PLACEMENT_ENDPOINT = Endpoint(
    method="POST",
    path="/v1/placements",
    answer=place,
    place=Place.SOLVE,
    tag="Planning",
    summary="Place a plan on nodes",
    description=(
        "A node, and link groups of it, for each replica of a plan; what does not fit is part of "
        "the answer, not an error: it stands under `unfit` with reason and remedy. At most "
        f"{MOST_NODES:,} nodes and {MAX_REPLICAS:,} replicas."
    ),
    body=Content(
        "A plan, and the nodes or a fleet that has some.",
        _request(),
        {"placement": example_placement.REQUEST},
    ),
    reply=Content("The placement.", _REPLY, {"placement": example_placement.PLACEMENT}),
    refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
)
