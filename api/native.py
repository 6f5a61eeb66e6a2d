"""`/v1`: plan a fleet, validate one, and ask about one replica."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from api import example_answers, examples, replica_schemas, schema_building, schemas
from api.bodies import as_object, decode_body, decode_object
from api.endpoint import Call, Content, Endpoint, Parameter, Place, Reply
from api.options import PlanOptions, parse_options
from api.problems import problem_documents
from api.services import Services
from data.fleets import builtin_names, parse_fleet, read_fleet
from data.loose_ends import loose_ends
from data.plan_format import plan_to_document
from data.replica_answers import answer_document, problem_document
from data.replica_lines import parse_case
from optimizer.replica_questions import answer, answer_many
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.replica import ReplicaCase, ReplicaQuestion
from stoker.domain.replica_system import CardsToSplit, TwoPools
from stoker.domain.settings import Analysis

MAX_CASES = 10_000
"""Most cases in one request."""

MAX_TOTAL_BATCH = 131_072
"""Largest sum of `maxBatchSize` over the cases of one concurrency question.

Each limit up to it is work; this much is done well within the time limit of a request.
"""

MAX_ENGINE_CASES = {
    ReplicaQuestion.SOLVE: 2_000,
    ReplicaQuestion.TARGET: 2_000,
    ReplicaQuestion.CONCURRENCY: 200,
}
"""Most cases of one request that the analysis of the engine answers."""

MAX_SPLITS = 4_096
"""Most splits of cards of one request: each is sized."""

_ENVELOPE = ("fleet", "options")


def plan(services: Services, call: Call) -> Reply:
    """Plan the fleet of the body with the options of body and query."""
    document, options = fleet_and_options(decode_object(call.body), call.query)
    fleet = options.apply(fleet_of(document))
    return Reply(plan_to_document(services.planning.plan(fleet, fleet.settings)))


def validate(_: Services, call: Call) -> Reply:
    """Answer every problem of the fleet in the body, or what is loose in a valid one."""
    try:
        document, _options = fleet_and_options(decode_object(call.body), call.query)
        fleet = fleet_of(document)
    except InvalidInputError as error:
        problems = problem_documents(error.problems)
        return Reply({"valid": False, "problems": problems, "notes": []})
    return Reply({"valid": True, "problems": [], "notes": list(loose_ends(fleet))})


def fleet_and_options(
    body: dict[str, object], query: Mapping[str, str]
) -> tuple[object, PlanOptions]:
    """Return the fleet's document, or the name of a built-in one, and the options.

    Raises:
        InvalidInputError: Unknown keys beside the fleet, or options that are not allowed.
    """
    if "fleet" not in body:
        rest = {key: value for key, value in body.items() if key != "options"}
        return rest, parse_options(body.get("options"), query)
    unknown = [
        Problem(key, "unknown key beside fleet", ", ".join(_ENVELOPE))
        for key in body
        if key not in _ENVELOPE
    ]
    if unknown:
        raise InvalidInputError(unknown)
    return body["fleet"], parse_options(body.get("options"), query)


def fleet_of(document: object) -> Fleet:
    """Return the fleet of a document, or the built-in one of a name.

    Raises:
        InvalidInputError: Every problem of the document, or there is no such built-in fleet.
    """
    if not isinstance(document, str):
        return parse_fleet(document)
    names = builtin_names()
    # Only these: a name must never lead to a file of the machine that serves.
    if document not in names:
        message = f"{document!r} is no built-in fleet"
        raise InvalidInputError([Problem("fleet", message, ", ".join(names))])
    return read_fleet(document)


def _ask(question: ReplicaQuestion, call: Call) -> Reply:
    """Answer a question about the case of the body, or about each of several."""
    body = as_object(decode_body(call.body))
    if "cases" in body:
        return Reply({"answers": _answers(question, body)})
    return Reply(answer_document(answer(question, parse_case(body, question))))


def _answers(question: ReplicaQuestion, body: Mapping[str, object]) -> list[object]:
    """Return an answer a case, in order; one that cannot be read is answered as invalid."""
    documents = body["cases"]
    if not isinstance(documents, list) or len(documents) > MAX_CASES:
        allowed = f"a list of at most {MAX_CASES} cases"
        raise InvalidInputError([Problem("cases", "is no such list", allowed)])
    strangers = [key for key in body if key != "cases"]
    if strangers:
        raise InvalidInputError([Problem(key, "unknown key", "cases") for key in strangers])
    cases: dict[int, ReplicaCase] = {}
    answers: dict[int, object] = {}
    for index, document in enumerate(documents):
        try:
            cases[index] = parse_case(document, question)
        except InvalidInputError as error:
            answers[index] = problem_document(error.problems)
    _check_work(question, cases.values())
    answered = answer_many(question, list(cases.values()))
    answers |= dict(zip(cases, map(answer_document, answered), strict=True))
    return [answers[index] for index in range(len(documents))]


def _check_work(question: ReplicaQuestion, cases: Iterable[ReplicaCase]) -> None:
    """Refuse more work than is done within the time limit of a request."""
    cases = list(cases)
    engines = sum(1 for case in cases if case.engine_terms)
    most = MAX_ENGINE_CASES[question]
    if engines > most:
        message = f"{engines:,} of the cases ask for the analysis {Analysis.FULL.value}"
        allowed = f"at most {most:,} of them in one request; send several requests"
        raise InvalidInputError([Problem("cases", message, allowed)])
    splits = sum(_splits(case) for case in cases)
    if splits > MAX_SPLITS:
        message = f"cards can be split in {splits:,} ways over the cases"
        allowed = f"at most {MAX_SPLITS:,} in one request; send several requests"
        raise InvalidInputError([Problem("cases", message, allowed)])
    total = sum(case.max_batch for case in cases)
    if question is ReplicaQuestion.CONCURRENCY and total > MAX_TOTAL_BATCH:
        message = f"maxBatchSize adds up to {total:,} over the cases"
        allowed = f"at most {MAX_TOTAL_BATCH:,} in one request; send several requests"
        raise InvalidInputError([Problem("cases", message, allowed)])


def _splits(case: ReplicaCase) -> int:
    """Return how many splits of cards a case asks for."""
    sizes = case.system.sizes if isinstance(case.system, TwoPools) else None
    return sizes.splits if isinstance(sizes, CardsToSplit) else 0


_OPTION_EXAMPLES: Mapping[str, object] = {
    "solver": "milp",
    "unlimited": False,
    "heterogeneous": False,
    "saturation_policy": "PriorityExhaustive",
    "delayed_best_effort": False,
    "time_limit_s": 20.0,
    "capacity_scale": 0.5,
    "analysis": "reference",
    "placement": False,
    "relative_gap": 0.001,
    "minimum_kind": "declared",
    "backend": "highs",
}


def option_parameters() -> tuple[Parameter, ...]:
    """Return the options as query parameters."""
    properties = PlanOptions.model_json_schema()
    return tuple(
        Parameter(
            name=name,
            place="query",
            description=field.description or "",
            example=_OPTION_EXAMPLES[name],
            schema=schema_building.option(properties, name),
        )
        for name, field in PlanOptions.model_fields.items()
    )


FLEET_BODY = Content(
    "A fleet in Stoker's or Inferno's format, or `fleet` (such a document, or the name of a "
    "built-in fleet) with `options`.",
    schemas.PLAN_REQUEST,
    {
        "built-in": {"fleet": "small", "options": examples.OPTIONS},
        "stoker": examples.FLEET,
        "inferno": examples.SYSTEM,
    },
)

_VALIDITIES: Mapping[str, object] = {
    "valid": example_answers.VALIDITY,
    "invalid": example_answers.PROBLEMS,
}

_REPLICA_SUMMARIES = {
    ReplicaQuestion.SOLVE: "Latencies and throughput of a replica at a rate",
    ReplicaQuestion.TARGET: "Largest rate of a replica within its targets",
    ReplicaQuestion.CONCURRENCY: "Smallest batch limit with near-peak throughput",
}


def _replica(question: ReplicaQuestion) -> Endpoint:
    return Endpoint(
        method="POST",
        path=f"/v1/replica/{question.value}",
        answer=lambda _, call: _ask(question, call),
        place=Place.QUESTION,
        tag="Replica analysis",
        summary=_REPLICA_SUMMARIES[question],
        description=(
            f"One case, or up to {MAX_CASES} under `cases`, answered in order under `answers`, "
            "each with its own `status`: ok, infeasible or invalid. Field names are those of "
            "Inferno's replica analysis. `delta` makes a case `linear`; without it, it is "
            "`token-work`. A case with one of the further fields (variability, KV memory, closed "
            "loop, percentiles) is answered by the analysis `full`, with percentiles of each "
            f"latency; at most {MAX_ENGINE_CASES[question]} such cases in one request. With "
            "`replicas` and `router` it is about a fleet; with `prefillReplicas` and "
            "`decodeReplicas`, or `cards` to split, about two pools (not for concurrency)."
            + (
                f" `maxBatchSize` adds up to at most {MAX_TOTAL_BATCH} over all cases."
                if question is ReplicaQuestion.CONCURRENCY
                else ""
            )
        ),
        body=Content(
            "A case, or several.",
            replica_schemas.replica_request(MAX_CASES),
            {"one": examples.CASE, "several": examples.CASES},
        ),
        reply=Content(
            "The answer, or several.",
            replica_schemas.REPLICA_ANSWER,
            {"one": example_answers.REPLICA_ANSWERS[question]},
        ),
        refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    )


NATIVE_ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/plan",
        answer=plan,
        place=Place.SOLVE,
        tag="Planning",
        summary="Plan a fleet",
        description=(
            "Options in the query win over those in the body, and both over the fleet's own "
            "settings. With none, the solver is milp. Servers that are not served in full are "
            "part of a plan, not an error: they stand under `unplaced` with reason and remedy."
        ),
        parameters=option_parameters(),
        body=FLEET_BODY,
        reply=Content("The plan.", schemas.PLAN, {"plan": example_answers.PLAN}),
        refusals=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    ),
    Endpoint(
        method="POST",
        path="/v1/validate",
        answer=validate,
        place=Place.QUESTION,
        tag="Planning",
        summary="Find all problems of a fleet",
        description="A fleet with problems is a good answer: 200 with `valid` false.",
        parameters=option_parameters(),
        body=FLEET_BODY,
        reply=Content(
            "Whether it is valid, and why not.",
            schemas.PROBLEMS,
            {"valid": example_answers.VALIDITY, "invalid": example_answers.PROBLEMS},
        ),
    ),
    *(_replica(question) for question in ReplicaQuestion),
)
