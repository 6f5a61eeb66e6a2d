"""`/v1`: what Stoker knows by itself: accelerators, models, built-in fleets, the fleet schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus

from api import example_answers, examples, schema_building, schemas
from api.endpoint import Call, Content, Endpoint, Parameter, Place, Reply
from api.problems import not_found
from api.services import Services
from data.catalogue import UnknownNameError
from data.fleets import builtin_names, read_fleet
from data.stoker_format import fleet_schema, fleet_to_document
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec


def accelerators(services: Services, _: Call) -> Reply:
    """Answer all accelerators."""
    return Reply({"accelerators": [_card(card) for card in services.catalogue.accelerators]})


def accelerator(services: Services, call: Call) -> Reply:
    """Answer one accelerator, by name or alias."""
    try:
        return Reply(_card(services.catalogue.accelerator(call.path["name"])))
    except UnknownNameError as error:
        raise not_found(str(error)) from error


def models(services: Services, _: Call) -> Reply:
    """Answer all model architectures."""
    return Reply({"models": [_model(model) for model in services.catalogue.models]})


def model(services: Services, call: Call) -> Reply:
    """Answer one model architecture, by name or alias."""
    try:
        return Reply(_model(services.catalogue.model(call.path["name"])))
    except UnknownNameError as error:
        raise not_found(str(error)) from error


def fleets(_: Services, __: Call) -> Reply:
    """Answer the names of the built-in fleets."""
    return Reply({"fleets": list(builtin_names())})


def fleet(_: Services, call: Call) -> Reply:
    """Answer one built-in fleet in Stoker's format."""
    name, names = call.path["name"], builtin_names()
    # Only these: a name must never lead to a file of the machine that serves.
    if name not in names:
        raise not_found(f"fleet {name!r} is not built in (built in: {', '.join(names)})")
    return Reply(fleet_to_document(read_fleet(name)))


def schema(_: Services, __: Call) -> Reply:
    """Answer the JSON Schema of Stoker's fleet format."""
    return Reply(fleet_schema())


def _card(card: AcceleratorSpec) -> dict[str, object]:
    return {**asdict(card), "price_per_hour": card.price_per_hour}


def _model(model: ModelArchitecture) -> dict[str, object]:
    return asdict(model)


def _get(
    path: str,
    answer: Callable[[Services, Call], Reply],
    summary: str,
    reply: Content,
    *parameters: Parameter,
    place: Place = Place.EVENT_LOOP,
) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        answer=answer,
        place=place,
        tag="Catalogue",
        summary=summary,
        parameters=parameters,
        reply=reply,
        refusals=(HTTPStatus.NOT_FOUND,) if parameters else (),
    )


CATALOGUE_ENDPOINTS = (
    _get(
        "/v1/catalogue/accelerators",
        accelerators,
        "All accelerators of the catalogue",
        Content(
            "The accelerators.",
            schema_building.collection("accelerators", schemas.ACCELERATOR),
            {"excerpt": {"accelerators": [example_answers.CARD]}},
        ),
    ),
    _get(
        "/v1/catalogue/accelerators/{name}",
        accelerator,
        "One accelerator of the catalogue",
        Content("The accelerator.", schemas.ACCELERATOR, {"card": example_answers.CARD}),
        Parameter("name", "Name or alias, in any case.", example_answers.CARD["name"]),
    ),
    _get(
        "/v1/catalogue/models",
        models,
        "All model architectures of the catalogue",
        Content(
            "The models.",
            schema_building.collection("models", schemas.MODEL),
            {"excerpt": {"models": [example_answers.ARCHITECTURE]}},
        ),
    ),
    _get(
        "/v1/catalogue/models/{name}",
        model,
        "One model architecture of the catalogue",
        Content("The model.", schemas.MODEL, {"model": example_answers.ARCHITECTURE}),
        Parameter("name", "Name or alias, in any case.", example_answers.ARCHITECTURE["name"]),
    ),
    _get(
        "/v1/fleets",
        fleets,
        "Names of the built-in fleets",
        Content(
            "The names.",
            schema_building.object_of({"fleets": schemas.NAMES}),
            {"names": {"fleets": list(builtin_names())}},
        ),
    ),
    _get(
        "/v1/fleets/{name}",
        fleet,
        "One built-in fleet, in Stoker's format",
        Content("The fleet.", schemas.STOKER_FLEET, {"excerpt": examples.FLEET}),
        Parameter("name", "Name of a built-in fleet.", "small"),
        place=Place.QUESTION,
    ),
    _get(
        "/v1/schema",
        schema,
        "JSON Schema of Stoker's fleet format",
        Content(
            "The schema (draft 2020-12).",
            {"type": "object"},
            {"excerpt": {"title": "Stoker fleet", "type": "object"}},
        ),
    ),
)
