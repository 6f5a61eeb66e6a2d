"""Inferno verbs that plan: a whole system in one request, or the stored one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from api import example_answers, examples
from api.bodies import decode_object
from api.endpoint import Call, Content, Endpoint, Parameter, Place, Reply
from api.problems import ProblemType, RequestRefusedError, refused_input
from api.schema_building import any_of, bare, object_of
from api.schemas import INFERNO_PLAN, inferno_schema
from api.services import Services
from api.system_state import SystemState, from_system, to_system, with_desired
from data.inferno import (
    InfernoAllocation,
    InfernoDocument,
    InfernoOptimizer,
    parse_one,
    parse_system,
    system_to_fleet,
)
from data.plan_format import plan_to_document, plan_to_inferno
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.reasons import UnplacedReason
from stoker.domain.settings import SolverKind

TAG = "Inferno: planning"

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def optimize_one(services: Services, call: Call) -> Reply:
    """Plan the system of the body, which replaces the stored one."""
    strict = _strict(call.query)
    document = decode_object(call.body)
    try:
        system = parse_system(document)
        fleet = system_to_fleet(system)
    except InvalidInputError as error:
        raise refused_input(error, HTTPStatus.BAD_REQUEST) from error
    state = from_system(system)
    services.store.update(lambda _: (state, None))
    return _planned(services, state, fleet, strict=strict)


def optimize(services: Services, call: Call) -> Reply:
    """Plan the stored system with the flags of the body."""
    strict = _strict(call.query)
    flags = _flags(decode_object(call.body))
    state = services.store.snapshot()
    try:
        fleet = system_to_fleet(to_system(state, flags))
    except InvalidInputError as error:
        kind = ProblemType.INCONSISTENT_STATE
        raise refused_input(error, HTTPStatus.CONFLICT, kind) from error
    return _planned(services, state, fleet, strict=strict)


def _planned(services: Services, state: SystemState, fleet: Fleet, *, strict: bool) -> Reply:
    # Absent flags mean greedy to clients of these verbs, unlike elsewhere in Stoker.
    settings = replace(fleet.settings, solver=fleet.settings.solver or SolverKind.GREEDY)
    plan = services.planning.plan(fleet, settings)
    if strict:
        _withhold_incomplete(plan)
    answer = plan_to_inferno(plan, fleet)
    desired = _decisions(answer, plan, state)
    services.store.update(lambda now: (with_desired(now, state, desired), None))
    if plan.unplaced:
        answer["unplaced"] = plan_to_document(plan)["unplaced"]
    return Reply(answer)


def _withhold_incomplete(plan: Plan) -> None:
    """Refuse a plan that leaves some server without any allocation, in the reference's words."""
    allocated = {allocation.server for allocation in plan.allocations}
    names = sorted({entry.server for entry in plan.unplaced} - allocated)
    if names:
        detail = f"optimization error: no feasible allocation for servers: [{', '.join(names)}]"
        raise RequestRefusedError(HTTPStatus.NOT_FOUND, ProblemType.NOT_FEASIBLE, detail)


def _decisions(
    answer: Mapping[str, object], plan: Plan, state: SystemState
) -> dict[str, InfernoAllocation]:
    """Return what each server is to have: nothing for one that got nothing.

    Where the load is unknown nothing was decided, and what runs stays.
    """
    decisions = {}
    kept = {e.server for e in plan.unplaced if e.reason is UnplacedReason.LOAD_UNKNOWN}
    for entry in plan.unplaced:
        current = state.servers[entry.server].current_alloc
        if entry.server not in kept:
            load = current.load if current is not None else None
            decisions[entry.server] = InfernoAllocation(load=load)
        elif current is not None:
            decisions[entry.server] = current
    allocations = answer["allocations"]
    if isinstance(allocations, dict):
        for server, allocation in allocations.items():
            if server not in kept:
                decisions[server] = parse_one(InfernoAllocation, allocation)
    return decisions


def _flags(body: dict[str, object]) -> InfernoOptimizer:
    """Return the optimizer's flags, which stand bare or under ``optimizer``."""
    wrapped = [key for key in body if key.casefold() == "optimizer"]
    flags = body[wrapped[0]] if wrapped and len(body) == 1 else body
    try:
        return parse_one(InfernoOptimizer, flags)
    except InvalidInputError as error:
        raise refused_input(error, HTTPStatus.BAD_REQUEST) from error


def _strict(query: Mapping[str, str]) -> bool:
    value = query.get("strict", "false")
    if value.casefold() not in _BOOLEANS:
        problem = Problem("strict", f"{value!r} is neither true nor false", "true or false")
        raise refused_input(InvalidInputError([problem]), HTTPStatus.BAD_REQUEST)
    return _BOOLEANS[value.casefold()]


_STRICT = Parameter(
    name="strict",
    place="query",
    description=(
        "Answer as the reference does: 404 and no plan at all when some server has no feasible "
        "allocation."
    ),
    example=False,
    schema={"type": "boolean", "default": False},
)

_REPLY = Content(
    "An allocation a server (cost in cents per hour, latencies in ms, rates per minute). With "
    "`heterogeneous`, one that mixes accelerators has the accelerator of its largest part with "
    "the replicas and cost of all, and `mix` is added: the parts, as allocations of their own. "
    "`unplaced` is added where servers are not served in full, with the reasons.",
    INFERNO_PLAN,
    {"plan": example_answers.INFERNO_PLAN, "mix": example_answers.INFERNO_MIX},
)

_FLAGS = inferno_schema(InfernoOptimizer)

_ABSENT_FLAGS = (
    "The flags decide how: `milpSolver` absent or false is greedy, `useCplex` needs CPLEX "
    "installed, `unlimited` ignores the capacity. "
)

OPTIMIZE_ONE_ENDPOINT = Endpoint(
    method="POST",
    path="/optimizeOne",
    answer=optimize_one,
    place=Place.SOLVE,
    tag=TAG,
    summary="Plan a whole system",
    description=(
        f"{_ABSENT_FLAGS}The system replaces the stored one, so that the GET verbs then show it, "
        "with the desired allocations that were decided."
    ),
    parameters=(_STRICT,),
    body=Content(
        "A whole system; keys in any case.",
        inferno_schema(InfernoDocument),
        {"system": examples.SYSTEM},
    ),
    reply=_REPLY,
    refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)

OPTIMIZE_ENDPOINT = Endpoint(
    method="POST",
    path="/optimize",
    answer=optimize,
    place=Place.SOLVE,
    tag=TAG,
    summary="Plan the stored system",
    description=(
        f"{_ABSENT_FLAGS}Sets the desired allocations of the servers; /applyAllocation makes them "
        "current."
    ),
    parameters=(_STRICT,),
    body=Content(
        "The optimizer's flags, bare or under `optimizer`; keys in any case.",
        any_of(_FLAGS, object_of({"optimizer": bare(_FLAGS)})),
        {"bare": examples.FLAGS, "wrapped": {"optimizer": examples.FLAGS}},
    ),
    reply=_REPLY,
    refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
    changes_state=True,
)
